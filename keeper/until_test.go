package keeper_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"semper"
)

func ended(s semper.InstanceStatus) bool { return s.State == semper.Ended }

// soon is time enough to start a process in, however busy the machine is.
const soon = 8 * time.Second

// task starts an instance that runs script once and has to end in that time.
func (w *world) task(n int, script string, in time.Duration) semper.InstanceSpec {
	w.t.Helper()
	spec := w.spec(n, script)
	spec.Spec.Type, spec.Spec.Restart = semper.Task, semper.Temporary
	spec.Spec.Stop.Timeout = semper.Duration(time.Second)
	spec.Until = time.Now().Add(in)
	w.start(spec)
	return spec
}

func TestWhatHangsEndsInItsTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()

	kind := w.task(1, "echo still at it; "+idle, soon)
	deaf := w.task(2, "trap '' TERM; echo deaf; while :; do sleep 0.05; done", soon)
	well := w.task(3, "exit 0", time.Hour)
	late := w.task(4, "exit 0", -time.Second)

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
	w.eventually("reports of those who were late", func() bool {
		reports := map[string]semper.ReasonKind{}
		for _, r := range w.crashes() {
			reports[r.What] = r.Reason.Kind
		}
		return reports[string(kind.ID)] == semper.ReasonDeadline && reports[string(deaf.ID)] == semper.ReasonDeadline && reports[string(well.ID)] == ""
	})
}

// TestTheNextKeeperKeepsTheTime: nobody watches while the time passes, and nobody is asked.
func TestTheNextKeeperKeepsTheTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	spec := w.task(1, idle, soon)
	st := w.await(spec.ID, "its process", func(s semper.InstanceStatus) bool { return s.PID != 0 })
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
