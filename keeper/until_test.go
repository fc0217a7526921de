package keeper_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"semper"
)

func ended(s semper.InstanceStatus) bool { return s.State == semper.Ended }

// task is an instance that runs script once and has to have ended in that time.
func (w *world) task(n int, script string, in time.Duration) semper.InstanceSpec {
	spec := w.spec(n, script)
	spec.Spec.Type, spec.Spec.Restart = semper.Task, semper.Temporary
	spec.Until = time.Now().Add(in)
	return spec
}

func TestWhatHangsEndsInItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()

	kind := w.task(1, "echo still at it; "+idle, 2*time.Second)
	deaf := w.task(2, "trap '' TERM; echo deaf; while :; do sleep 0.05; done", 2*time.Second)
	deaf.Spec.Stop.Timeout = semper.Duration(100 * time.Millisecond)
	well := w.task(3, "exit 0", time.Hour)
	late := w.task(4, "exit 0", -time.Second)
	for _, spec := range []semper.InstanceSpec{kind, deaf, well, late} {
		w.start(spec)
	}

	if end := w.await(kind.ID, "its end", ended).LastEnd; end.Reason.Kind != semper.ReasonDeadline || len(end.Tail) == 0 || end.At.Before(kind.Until) {
		t.Errorf("who ends when told to: %+v", end)
	}
	if end := w.await(deaf.ID, "its end", ended).LastEnd; end.Reason.Kind != semper.ReasonDeadline || !strings.Contains(end.Reason.String(), "killed") {
		t.Errorf("who does not: %+v", end)
	}
	if end := w.await(well.ID, "its end", ended).LastEnd; end.Reason.Kind != semper.ReasonNormal {
		t.Errorf("who was in time: %+v", end)
	}
	if end := w.await(late.ID, "its end", ended).LastEnd; end.Reason.Kind != semper.ReasonStart || !strings.Contains(end.Reason.Detail, "before it could begin") {
		t.Errorf("who is too late to begin: %+v", end)
	}
	reports := map[string]semper.ReasonKind{}
	for _, r := range w.crashes() {
		reports[r.What] = r.Reason.Kind
	}
	if reports[string(kind.ID)] != semper.ReasonDeadline || reports[string(deaf.ID)] != semper.ReasonDeadline || reports[string(well.ID)] != "" {
		t.Errorf("reports: %v", reports)
	}
}

// TestTheNextKeeperKeepsTheTime: nobody watches while the time passes, and nobody is asked.
func TestTheNextKeeperKeepsTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.task(1, idle, 3*time.Second)
	st := w.start(spec)
	w.end(syscall.SIGKILL)
	if !alive(st.PID) {
		t.Fatal("it died with its keeper")
	}
	w.run()
	if end := w.await(spec.ID, "its end", ended).LastEnd; end == nil || end.Reason.Kind != semper.ReasonDeadline || end.PID != st.PID {
		t.Errorf("%+v", end)
	}
	if alive(st.PID) {
		t.Error("it lives")
	}
}
