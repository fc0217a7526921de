package e2e_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wants checks an exit code and that a person is told what, why and what to do next.
func wants(t *testing.T, r result, code int, words ...string) {
	t.Helper()
	if r.code != code {
		t.Errorf("exit %d, want %d\n%s%s", r.code, code, r.out, r.err)
	}
	for _, w := range words {
		if !strings.Contains(r.out+r.err, w) {
			t.Errorf("the output does not say %q:\n%s%s", w, r.out, r.err)
		}
	}
	if strings.Contains(r.out+r.err, "goroutine ") {
		t.Errorf("a stack trace:\n%s%s", r.out, r.err)
	}
}

// TestBadReleasesLeaveTheGoodOneServing deploys a good release and then each bad one.
func TestBadReleasesLeaveTheGoodOneServing(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "", ""))
	s.serves("r1", "one")

	broken := app(t, "x", "", "")
	write(t, filepath.Join(broken, "semper.yaml"), "version: 1\napp: [bar\n", 0o644)
	wants(t, s.cli("deploy", "-f", broken), 65, "semper.yaml:", "")

	unknown := app(t, "x", "", "    instnaces: 3")
	wants(t, s.cli("deploy", "-f", unknown), 65, "instnaces", "instances", "semper.yaml:")

	wants(t, s.cli("deploy", "-f", filepath.Join(unknown, "nowhere.yaml")), 65, "nowhere.yaml")

	nocmd := app(t, "nocmd", "", "")
	yaml, err := os.ReadFile(filepath.Join(nocmd, "semper.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(nocmd, "semper.yaml"), strings.Replace(string(yaml), "./app", "pyhton3 app.py", 1), 0o644)
	wants(t, s.cli("deploy", "-f", nocmd), 3, "pyhton3", "not found")
	s.serves("r1", "one")

	wants(t, s.cli("deploy", "-f", app(t, "exit", "exit", "")), 3, "exit code 3", "cannot open config.ini")
	s.serves("r1", "one")

	wants(t, s.cli("deploy", "-f", hasty(t, app(t, "silent", "silent", ""), "1s")), 3, "was not ready within 1s", "nothing listens on")
	s.serves("r1", "one")

	wants(t, s.cli("deploy", "-f", hasty(t, app(t, "wrong", "wrongport", ""), "5s")), 3, "the process listens on 127.0.0.1:", "PORT")
	s.serves("r1", "one")

	if st := s.status(); st.Release != "r1" || st.Rollout.State != "failed" {
		t.Errorf("after all of it: release %s, rollout %s", st.Release, st.Rollout.State)
	}
	s.must("crash", "list")
}

// hasty gives the instances of an app less time to start.
func hasty(t *testing.T, dir, grace string) string {
	t.Helper()
	at := filepath.Join(dir, "semper.yaml")
	b, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	write(t, at, strings.Replace(string(b), "grace: 45s", "grace: "+grace, 1), 0o644)
	return dir
}

func TestIgnoresSIGTERM(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "ignoreterm", ""))
	old := s.status().Instances[0].PID
	s.must("deploy", "-f", app(t, "two", "", ""))
	s.must("promote")
	eventually(t, "the instance that ignores SIGTERM ends", func() bool { return !alive(old) })
	s.serves("r2", "two")
}

func TestGrandchildEndsWithItsInstance(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "grandchild", ""))
	scratch, err := filepath.Glob(filepath.Join(s.dir, "instances", "*", "scratch", "grandchild"))
	if err != nil || len(scratch) != 2 {
		t.Fatalf("%v %v", scratch, err)
	}
	var pids []int
	for _, f := range scratch {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(string(b))
		if err != nil || !alive(pid) {
			t.Fatalf("grandchild %q: %v", b, err)
		}
		pids = append(pids, pid)
	}
	first := s.status().Instances[0]
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a killed instance's grandchild ends with it", func() bool { return !alive(pids[0]) || !alive(pids[1]) })
	s.must("deploy", "-f", app(t, "two", "", ""))
	s.must("promote")
	eventually(t, "no grandchild is left", func() bool { return !alive(pids[0]) && !alive(pids[1]) })
}

func TestOneGigabyteOfLogIsBounded(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "biglog", "    limits: { log: 16MiB }\n    x-note: big"))
	eventually(t, "both have printed all of it", func() bool { return strings.Count(s.must("logs", "-n", "3"), "the last line") == 2 })
	eventually(t, "the logs fit their bound", func() bool {
		out, err := exec.Command("du", "-sm", filepath.Join(s.dir, "instances")).Output()
		mb, _ := strconv.Atoi(strings.Fields(string(out))[0])
		return err == nil && mb <= 2*16+8
	})
	if out := s.must("logs", "-n", "3"); strings.Count(out, "the last line") != 2 {
		t.Errorf("the end of the logs is gone:\n%s", tail(out, 5))
	}
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("cgroup limits need root on this machine")
	}
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "", "    limits: { memory: 64MiB }"))
	_, _ = s.get("/eat")
	eventually(t, "a crash report says out of memory", func() bool {
		return strings.Contains(s.must("crash", "list"), "out of memory")
	})
	s.serves("r1", "one")
	if out := s.must("crash", "show", "last"); !strings.Contains(out, "r1") || !strings.Contains(out, "memory") {
		t.Errorf("crash show:\n%s", out)
	}
}

func TestCrashLoopRollsBack(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "", ""))
	s.must("deploy", "-f", app(t, "two", "loop", "    intensity: { restarts: 2, within: 10m }"))
	eventually(t, "the crash loop turns back", func() bool {
		_, _ = s.get("/loop") // r2 crashes of it, r1 does not know it
		return s.status().Release == "r1"
	})
	s.serves("r1", "one")
	if st := s.status(); st.Rollout.State != "rolled-back" && st.Rollout.State != "rolling-back" || !strings.Contains(st.Rollout.Reason, "crash loop") {
		t.Errorf("%s: %q", st.Rollout.State, st.Rollout.Reason)
	}
}

func TestSecondDeployConflicts(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "", ""))
	s.must("deploy", "--detach", "-f", app(t, "two", "silent", ""))
	wants(t, s.cli("deploy", "-f", app(t, "three", "", "")), 6, "d-", "semper abort")
	s.must("abort")
	s.serves("r1", "one")
}

// TestInterruptAtEveryStep sends Ctrl-C to deploy at growing delays; whatever step it hits, the old
// release serves or the new one does, and an acknowledged deploy goes on.
func TestInterruptAtEveryStep(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "zero", "", ""))
	for i := range 12 {
		dir := app(t, fmt.Sprint("v", i), "", "")
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		r := s.cliContext(ctx, func(p *os.Process) {
			time.AfterFunc(time.Duration(i*i)*4*time.Millisecond, func() { _ = p.Signal(os.Interrupt) })
		}, "deploy", "-f", dir)
		cancel()
		killed := r.code == -1 && r.out+r.err == "" // before the program took over the signal: nothing was begun
		if r.code != 0 && r.code != 130 && !killed {
			t.Errorf("delay %d: exit %d\n%s%s", i, r.code, r.out, r.err)
		}
		if r.code == 130 && !strings.Contains(r.err, "semper status") && !strings.Contains(r.err, "nothing was changed") {
			t.Errorf("delay %d: a person is not told what goes on:\n%s", i, r.err)
		}
		eventually(t, "the rollout ends or serves", func() bool {
			st := s.status()
			return st.Rollout.State.Live() || st.Rollout.State.Ended()
		})
		if code, body := s.get("/"); code != 200 {
			t.Errorf("delay %d: the edge answers %d %s", i, code, body)
		}
	}
}

func TestForeignDataDirectories(t *testing.T) {
	t.Parallel()
	s := start(t)
	second := exec.Command(built.semper, "server", "run", "--data", s.dir, "--http", freeAddr(t))
	out, err := second.CombinedOutput()
	if err == nil || !strings.Contains(string(out), strconv.Itoa(s.cmd.Process.Pid)) {
		t.Errorf("a second semper on the same directory: %v\n%s", err, out)
	}
	other := t.TempDir()
	write(t, filepath.Join(other, "precious.txt"), "mine", 0o644)
	out, err = exec.Command(built.semper, "server", "run", "--data", other, "--http", freeAddr(t)).CombinedOutput()
	if err == nil || strings.Contains(string(out), "goroutine ") {
		t.Errorf("a directory of somebody else's: %v\n%s", err, out)
	}
	entries, _ := os.ReadDir(other)
	if len(entries) != 1 {
		t.Errorf("the foreign directory was touched: %v", entries)
	}
}

func TestPublicPortTaken(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir, err := os.MkdirTemp("", "sm")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	out, err := exec.Command(built.semper, "server", "run", "--data", filepath.Join(dir, "d"), "--http", l.Addr().String()).CombinedOutput()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err == nil || !strings.Contains(string(out), port) || strings.Contains(string(out), "goroutine ") {
		t.Errorf("port taken: %v\n%s", err, out)
	}
}

func TestTamperedArtifactRefusesToStart(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "one", "", ""))
	trees, err := filepath.Glob(filepath.Join(s.dir, "blobs", "trees", "*", "version.txt"))
	if err != nil || len(trees) == 0 {
		t.Fatalf("no unpacked tree: %v", err)
	}
	if err := os.Chmod(trees[0], 0o644); err != nil {
		t.Fatal(err)
	}
	write(t, trees[0], "evil", 0o644)
	wants(t, s.cli("restart"), 3, "version.txt")
	if code, _ := s.get("/"); code != 200 {
		t.Errorf("the old instances do not serve any more: %d", code)
	}
}

func TestDiskFullWhileStaging(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("mounting a small disk needs root")
	}
	small, err := os.MkdirTemp("", "sm")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=400m,mode=755"); err != nil {
		t.Skipf("this machine cannot mount: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(small, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
		_ = os.Remove(small)
	})
	s := startIn(t, small)
	s.must("deploy", "-f", app(t, "one", "", ""))
	filler := filepath.Join(small, "filler")
	fill(t, filler, small, 4<<20)
	r := s.cli("deploy", "-f", app(t, "two", "", ""))
	if r.code == 0 || !strings.Contains(r.err, "space") || strings.Contains(r.err, "goroutine ") {
		t.Errorf("disk full: exit %d\n%s%s", r.code, r.out, r.err)
	}
	s.serves("r1", "one")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.must("deploy", "-f", app(t, "two", "", ""))
	s.serves("r2", "two")
}

// fill writes a file that leaves so many bytes free on dir's disk.
func fill(t *testing.T, path, dir string, leave uint64) {
	t.Helper()
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 1<<20)
	for n := st.Bavail*uint64(st.Bsize) - leave; n > uint64(len(block)); n -= uint64(len(block)) {
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
}
