package keeper_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper"
	"semper/store/blob"
)

func TestStartIsIdempotentAndIDsAreNotReused(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, idle)
	first := w.start(spec)
	if again := w.start(spec); again.PID != first.PID || again.Incarnation != 1 {
		t.Errorf("%+v became %+v", first, again)
	}
	other := spec
	other.Generation++
	if _, err := w.client.Start(w.ctx(), other); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("another spec: %v", err)
	}
	for _, bad := range []func(*semper.InstanceSpec){
		func(s *semper.InstanceSpec) { s.ID = "../../etc/x" },
		func(s *semper.InstanceSpec) { s.ID = "bar" },
		func(s *semper.InstanceSpec) { s.Artifact = "sha256:00" },
		func(s *semper.InstanceSpec) { s.Spec.Command = nil },
		func(s *semper.InstanceSpec) { s.Spec.Stop.Signal = "SIGNOTHING" },
		func(s *semper.InstanceSpec) { s.Spec.User = "no-such-user" },
	} {
		s := spec
		s.ID = "bar/web.r1.9"
		bad(&s)
		if _, err := w.client.Start(w.ctx(), s); semper.CodeOf(err) != semper.Invalid {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if all, err := w.client.Instances(w.ctx()); err != nil || len(all) != 1 {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestStopEndsEverythingTheInstanceStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, "setsid sh -c 'echo $$ > $SEMPER_SCRATCH/grandchild; exec sleep 1000' & "+idle)
	st := w.start(spec)
	pidFile := filepath.Join(w.dir.Scratch(spec.ID), "grandchild")
	var grandchild int
	w.eventually("the grandchild", func() bool {
		b, _ := os.ReadFile(pidFile)
		grandchild, _ = strconv.Atoi(strings.TrimSpace(string(b)))
		return grandchild > 0
	})
	if err := w.client.Forget(w.ctx(), spec.ID); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("forgotten while it runs: %v", err)
	}
	if err := w.client.Stop(w.ctx(), spec.ID, "test"); err != nil {
		t.Fatal(err)
	}
	ended := w.await(spec.ID, "its end", func(s semper.InstanceStatus) bool { return s.State == semper.Ended })
	if alive(st.PID) || alive(grandchild) {
		t.Errorf("pid %d alive: %v; grandchild %d alive: %v", st.PID, alive(st.PID), grandchild, alive(grandchild))
	}
	if ended.LastEnd == nil || ended.LastEnd.Reason.Kind != semper.ReasonShutdown || ended.LastEnd.Decision != "none" {
		t.Errorf("ended %+v", ended.LastEnd)
	}
	if err := w.client.Stop(w.ctx(), spec.ID, "again"); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := w.client.Forget(w.ctx(), spec.ID); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(w.dir.Instance(spec.ID)); !os.IsNotExist(err) {
		t.Errorf("its directory is there: %v", err)
	}
	if all, err := w.client.Instances(w.ctx()); err != nil || len(all) != 0 {
		t.Errorf("%+v, %v", all, err)
	}
	tree, err := w.client.Tree(w.ctx())
	if err != nil || len(tree.Children[0].Children[1].Children) != 0 {
		t.Errorf("%+v, %v", tree, err)
	}
	if len(w.crashes()) != 0 {
		t.Errorf("%+v", w.crashes())
	}
}

func TestCrashIsReportedRestartedAndGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, "echo it is over; exit 3")
	spec.Previous = "r0"
	spec.Spec.Intensity = semper.Intensity{Restarts: 2, Within: semper.Duration(time.Minute)}
	spec.Spec.Backoff = semper.Backoff{Min: semper.Duration(time.Millisecond), Max: semper.Duration(50 * time.Millisecond), Factor: 2}
	w.start(spec)
	st := w.await(spec.ID, "the limit", func(s semper.InstanceStatus) bool { return s.LastEnd != nil && s.LastEnd.GaveUp })
	if st.LastEnd.Reason.Kind != semper.ReasonExit || st.LastEnd.Reason.Code != 3 || st.LastEnd.Window != 3 {
		t.Errorf("%+v", st.LastEnd)
	}
	w.await(spec.ID, "it goes on", func(s semper.InstanceStatus) bool { return s.Incarnation > 4 })
	reports := w.crashes()
	r := reports[0]
	if r.What != string(spec.ID) || r.App != "bar" || r.Environment != "production" || r.Release != "r1" || r.LastGood != "r0" ||
		r.Reason.Code != 3 || r.Decision != "restart at once" || !slices.Equal(r.Tail, []string{"it is over"}) || r.Intensity.Restarts != 2 {
		t.Errorf("%+v", r)
	}
	var ids []string
	for _, r := range reports {
		ids = append(ids, r.ID)
	}
	if err := w.client.AckCrashes(w.ctx(), ids); err != nil {
		t.Fatal(err)
	}
	for _, r := range w.crashes() {
		if slices.Contains(ids, r.ID) {
			t.Errorf("%s is still there", r.ID)
		}
	}
}

func TestKillFromOutsideIsNotCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, idle)
	spec.Spec.Intensity = semper.Intensity{Restarts: 1, Within: semper.Duration(time.Minute)}
	st := w.start(spec)
	for n := int64(2); n < 8; n++ {
		if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		st = w.await(spec.ID, "its successor", func(s semper.InstanceStatus) bool { return s.PID != 0 && s.Incarnation == n })
		if st.LastEnd.GaveUp || st.LastEnd.Decision != "restart at once" || st.LastEnd.Reason.Signal != "SIGKILL" {
			t.Fatalf("%+v", st.LastEnd)
		}
	}
	if st.Restarts != 6 {
		t.Errorf("%d restarts", st.Restarts)
	}
	w.eventually("six reports", func() bool { return len(w.crashes()) == 6 })
}

func TestKillForHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, idle)
	w.start(spec)
	if err := w.client.Kill(w.ctx(), spec.ID, semper.Reason{Kind: semper.ReasonHealth, Detail: "3 timeouts"}); err != nil {
		t.Fatal(err)
	}
	st := w.await(spec.ID, "its successor", func(s semper.InstanceStatus) bool { return s.PID != 0 && s.Incarnation == 2 })
	if st.LastEnd.Reason.Kind != semper.ReasonHealth || st.LastEnd.Reason.Detail != "3 timeouts" || st.LastEnd.Window != 1 {
		t.Errorf("%+v", st.LastEnd)
	}
	if err := w.client.Kill(w.ctx(), "bar/web.r1.7", semper.Reason{}); semper.CodeOf(err) != semper.NotFound {
		t.Error(err)
	}
}

func TestTamperedArtifactDoesNotStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, `touch "$HOME/here"; `+idle)
	st := w.start(spec)
	// A shell that has not read its script yet would read the one that is put in its place, and end by itself.
	w.eventually("the shell has its script", func() bool {
		_, err := os.Stat(filepath.Join(w.dir.Scratch(spec.ID), "here"))
		return err == nil
	})
	s, err := blob.Open(w.dir.Blobs())
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(s.Tree(spec.Artifact), "run.sh")
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho evil\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	st = w.await(spec.ID, "refused", func(s semper.InstanceStatus) bool {
		return s.LastEnd != nil && s.LastEnd.Reason.Kind == semper.ReasonStart
	})
	if !st.LastEnd.GaveUp || !strings.Contains(st.LastEnd.Reason.Detail, "run.sh differs") || st.PID != 0 {
		t.Errorf("%+v", st.LastEnd)
	}
	w.eventually("the report", func() bool {
		return slices.ContainsFunc(w.crashes(), func(r semper.CrashReport) bool { return strings.Contains(r.Reason.Detail, "run.sh differs") })
	})
	// What is put right runs again.
	if err := os.WriteFile(path, good, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o555); err != nil {
		t.Fatal(err)
	}
	w.await(spec.ID, "it runs", func(s semper.InstanceStatus) bool { return s.PID != 0 && s.State == semper.Starting })
}

func TestCommandThatDoesNotExist(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, idle)
	spec.Spec.Command = []string{"pythonn3", "app.py"}
	st := w.start(spec)
	if st.LastEnd == nil || st.LastEnd.Reason.Kind != semper.ReasonStart || !st.LastEnd.GaveUp || !strings.Contains(st.LastEnd.Reason.Detail, "pythonn3") {
		t.Errorf("%+v, %+v", st, st.LastEnd)
	}
}

func TestReadyByNotify(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// The word comes from a helper process, as with systemd-notify, when the test allows it.
	spec := w.spec(1, fmt.Sprintf("while [ ! -e $HOME/go ]; do sleep 0.02; done; %s=1 %s notify; %s", roleEnv, self, idle))
	spec.Spec.User = strconv.Itoa(os.Getuid()) // whoever can execute this binary
	if st := w.start(spec); st.Notified {
		t.Error("ready before it said so")
	}
	allow := filepath.Join(w.dir.Scratch(spec.ID), "go")
	if err := os.WriteFile(allow, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w.await(spec.ID, "it is ready", func(s semper.InstanceStatus) bool { return s.Notified })
	if err := os.Remove(allow); err != nil {
		t.Fatal(err)
	}
	if err := w.client.Kill(w.ctx(), spec.ID, semper.Reason{}); err != nil {
		t.Fatal(err)
	}
	w.await(spec.ID, "a new one is not ready before it says so", func(s semper.InstanceStatus) bool {
		return s.Incarnation == 2 && s.PID != 0 && !s.Notified
	})
	if err := os.WriteFile(allow, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w.await(spec.ID, "it is ready again", func(s semper.InstanceStatus) bool { return s.Incarnation == 2 && s.Notified })
}

func TestExec(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, idle)
	spec.Spec.Env = map[string]semper.EnvVar{"MODE": {Value: "test"}}
	w.start(spec)
	code, out, err := w.client.Exec(w.ctx(), spec.ID, []string{"sh", "-c", "echo $MODE $SEMPER_INSTANCE; ls; exit 7"}, 10*time.Second)
	if err != nil || code != 7 || out != "test bar/web.r1.1\nrun.sh" {
		t.Errorf("%d %q %v", code, out, err)
	}
	_, _, err = w.client.Exec(w.ctx(), spec.ID, []string{"sleep", "1000"}, 20*time.Millisecond)
	if semper.CodeOf(err) != semper.Timeout {
		t.Error(err)
	}
	if _, _, err = w.client.Exec(w.ctx(), "bar/web.r1.2", []string{"true"}, time.Second); semper.CodeOf(err) != semper.NotFound {
		t.Error(err)
	}
	if _, _, err = w.client.Exec(w.ctx(), spec.ID, []string{"no-such-command"}, time.Second); semper.CodeOf(err) != semper.Invalid {
		t.Error(err)
	}
	if left := glob(w.dir.Instance(spec.ID), "exec-*"); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	now := w.await(spec.ID, "it", func(semper.InstanceStatus) bool { return true })
	if now.Incarnation != 1 || now.PID == 0 {
		t.Errorf("the check hurt the instance: %+v", now)
	}
}

func TestTransientAndTemporaryEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	done, crashed := w.spec(1, "exit 0"), w.spec(2, "exit 1")
	done.Spec.Restart, crashed.Spec.Restart = semper.Transient, semper.Temporary
	for _, spec := range []semper.InstanceSpec{done, crashed} {
		w.start(spec)
		st := w.await(spec.ID, "its end", func(s semper.InstanceStatus) bool { return s.State == semper.Ended })
		if st.Incarnation != 1 || st.LastEnd.Decision != "none" {
			t.Errorf("%+v", st)
		}
	}
	w.end(syscall.SIGKILL)
	w.run()
	for _, spec := range []semper.InstanceSpec{done, crashed} {
		if st := w.start(spec); st.State != semper.Ended || st.Incarnation != 1 {
			t.Errorf("a new keeper made it %+v", st)
		}
		if err := w.client.Forget(w.ctx(), spec.ID); err != nil {
			t.Error(err)
		}
	}
}

// Who is killed from outside is started again at once, however often: were that counted, or were there any back-off, a successor
// would be an hour away.
func TestRestartIsImmediate(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.spec(1, "exec sleep 1000")
	hour := semper.Duration(time.Hour)
	spec.Spec.Backoff = semper.Backoff{Min: hour, Max: hour, Factor: 1}
	spec.Spec.Intensity = semper.Intensity{Restarts: 2, Within: hour}
	st := w.start(spec)
	for n := int64(2); n < 22; n++ {
		if err := syscall.Kill(st.PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		st = w.await(spec.ID, "its successor", func(s semper.InstanceStatus) bool { return s.PID != 0 && s.Incarnation == n })
	}
}
