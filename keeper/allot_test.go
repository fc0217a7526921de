package keeper_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"semper"
)

func TestEnvironmentPortSecretAndUser(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, "env > $HOME/env; id -u >> $HOME/env; echo READY=1 >/dev/null; "+idle)
	spec.Spec.Type, spec.Spec.Listen = semper.Web, semper.ListenPort
	spec.Spec.Env = map[string]semper.EnvVar{"MODE": {Value: "test"}, "KEY": {Secret: "key@2"}, "LANG": {Value: "de_DE.UTF-8"}}
	if st := w.start(spec); st.LastEnd == nil || !strings.Contains(st.LastEnd.Reason.Detail, "secret key has no version 2") {
		t.Errorf("without the secret: %+v", st.LastEnd)
	}
	if err := os.MkdirAll(w.dir.Secrets()+"/bar/key", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.dir.Secrets()+"/bar/key/new", []byte("hidden"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(w.dir.Secrets()+"/bar/key/new", w.dir.Secrets()+"/bar/key/2"); err != nil {
		t.Fatal(err)
	}
	st := w.await(spec.ID, "it runs", func(s semper.InstanceStatus) bool { return s.PID != 0 })
	var env []string
	w.eventually("its environment", func() bool {
		b, err := os.ReadFile(filepath.Join(w.dir.Scratch(spec.ID), "env"))
		env = strings.Split(strings.TrimSpace(string(b)), "\n")
		return err == nil && len(env) > 3 && !strings.Contains(env[len(env)-1], "=")
	})
	host, port, _ := strings.Cut(st.Address, ":")
	for _, want := range []string{
		"PORT=" + port, "MODE=test", "KEY=hidden", "LANG=de_DE.UTF-8", "SEMPER_APP=bar", "SEMPER_SERVICE=web", "SEMPER_RELEASE=r1",
		"SEMPER_ENVIRONMENT=production", "SEMPER_INSTANCE=bar/web.r1.1", "NOTIFY_SOCKET=" + w.dir.NotifySocket(), "SEMPER_TREE=" + w.dir.TreeSocket(),
		"HOME=" + w.dir.Scratch(spec.ID), "TMPDIR=" + w.dir.Scratch(spec.ID),
	} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is not in %q", want, env)
		}
	}
	if n, err := strconv.Atoi(port); err != nil || host != "127.0.0.1" || n < 20000 || n > 29999 {
		t.Errorf("address %q", st.Address)
	}
	uid, _ := strconv.Atoi(env[len(env)-1])
	if os.Getuid() == 0 && st.Warning == "" && (uid < 61184 || uid > 65519) {
		t.Errorf("runs as %d", uid)
	}
	if log, _ := os.ReadFile(w.dir.Journal() + "/bar_web.r1.1.json"); strings.Contains(string(log)+w.out.String(), "hidden") {
		t.Error("the secret was written down")
	}
}

func TestPortsStayAndAreNeverShared(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	seen := map[string]bool{}
	for n := 1; n <= 5; n++ {
		spec := w.spec(n, idle)
		spec.Spec.Type, spec.Spec.Listen = semper.Web, semper.ListenPort
		st := w.start(spec)
		if seen[st.Address] {
			t.Fatalf("%s twice", st.Address)
		}
		seen[st.Address] = true
		if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		now := w.await(spec.ID, "its successor", func(s semper.InstanceStatus) bool { return s.PID != 0 && s.Incarnation == 2 })
		if now.Address != st.Address {
			t.Errorf("%s became %s", st.Address, now.Address)
		}
	}
}

func TestSocketInstance(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, `touch "$SOCKET" && `+idle)
	spec.Spec.Type, spec.Spec.Listen = semper.Web, semper.ListenSocket
	st := w.start(spec)
	path, ok := strings.CutPrefix(st.Address, "unix:")
	if !ok || len(path) > 104 {
		t.Fatalf("address %q", st.Address)
	}
	w.eventually("the instance makes its socket", func() bool { _, err := os.Stat(path); return err == nil })
}

func TestOrdinaryUser(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("every other test runs as an ordinary user already")
	}
	const nobody = 65534
	w := newWorld(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin, err := os.MkdirTemp("", "b")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(bin)
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	w.binary = filepath.Join(bin, "semper")
	for _, err := range []error{
		os.Chmod(bin, 0o755), os.WriteFile(w.binary, b, 0o755), os.Chown(string(w.dir), nobody, nobody),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	w.as = &syscall.Credential{Uid: nobody, Gid: nobody}
	w.run()
	before := w.parts()
	spec := w.spec(1, idle)
	if out, err := exec.Command("chown", "-R", "65534:65534", w.dir.Blobs()).CombinedOutput(); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	st := w.start(spec)
	if st.PID == 0 {
		t.Fatalf("%+v", st.LastEnd)
	}
	if fi, err := os.Stat("/proc/" + strconv.Itoa(st.PID)); err != nil || fi.Sys().(*syscall.Stat_t).Uid != nobody {
		t.Errorf("%v, %v", fi, err)
	}
	other := spec
	other.ID, other.Spec.User = "bar/web.r1.2", "root"
	if _, err := w.client.Start(w.ctx(), other); semper.CodeOf(err) != semper.Forbidden {
		t.Error(err)
	}
	w.end(syscall.SIGKILL)
	w.run()
	if now := w.start(spec); now.PID != st.PID {
		t.Errorf("%+v", now)
	}
	steps := w.upgrade("")
	if last := steps[len(steps)-1]; last.Status != "done" {
		t.Errorf("%+v", steps)
	}
	if after := w.parts(); after["edge-2"].PID == 0 || after["edge-2"].PID == before["edge-1"].PID {
		t.Errorf("%+v", after)
	}
	if err := w.client.Stop(w.ctx(), spec.ID, ""); err != nil {
		t.Fatal(err)
	}
	w.await(spec.ID, "its end", func(s semper.InstanceStatus) bool { return s.State == semper.Ended })
	if err := w.client.Forget(w.ctx(), spec.ID); err != nil {
		t.Error(err)
	}
}
