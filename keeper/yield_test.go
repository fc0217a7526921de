package keeper_test

import (
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"semper"
)

// policy is how a process shares the processors with others.
func policy(t *testing.T, pid int) uint32 {
	t.Helper()
	a, err := unix.SchedGetAttr(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	return a.Policy
}

// never has an instance never become ready, and gives it that long to.
func (w *world) never(n int, grace time.Duration) semper.InstanceSpec {
	spec := w.spec(n, idle)
	spec.Spec.Health = semper.Health{Kind: semper.HealthTCP, Grace: semper.Duration(grace)}
	return spec
}

func TestAnInstanceYieldsUntilItIsReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	first := w.start(w.never(1, time.Hour))
	if p := policy(t, first.PID); p == unix.SCHED_NORMAL {
		t.Skip("what yields here could never stop to")
	}
	if err := w.client.Ready(w.ctx(), first.Spec.ID, first.Incarnation+1); err != nil || policy(t, first.PID) != unix.SCHED_IDLE {
		t.Errorf("word of another incarnation ends its yielding (%v)", err)
	}
	if err := w.client.Ready(w.ctx(), first.Spec.ID, first.Incarnation); err != nil || policy(t, first.PID) != unix.SCHED_NORMAL {
		t.Errorf("ready, it still yields (%v)", err)
	}
	if err := w.client.Ready(w.ctx(), "bar/web.r1.9", 1); err != nil {
		t.Errorf("word of an unknown instance: %v", err)
	}

	// One that takes the place of a dead one is missed by requests.
	if err := syscall.Kill(first.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	second := w.await(first.Spec.ID, "its restart", func(s semper.InstanceStatus) bool { return s.Incarnation == 2 && s.PID != 0 })
	if policy(t, second.PID) != unix.SCHED_NORMAL {
		t.Error("a restart yields")
	}
}

func TestYieldingEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t).run()
	hasShare := func(pid int) func() bool {
		return func() bool { return policy(t, pid) == unix.SCHED_NORMAL }
	}
	w.eventually("the share of one that does not become ready, within the time it has to", hasShare(w.start(w.never(1, time.Second)).PID))

	// The next keeper does not know for how long it has yielded already.
	left := w.start(w.never(3, time.Hour))
	w.end(syscall.SIGKILL)
	w.run()
	w.eventually("the share of one that another keeper adopted", hasShare(left.PID))
}
