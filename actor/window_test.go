package actor

import (
	"runtime"
	"testing"
)

// inTheMiddle kills x and runs f when x is over, and before those it is linked to and watched by have been told. It
// holds the lock of one that x watches, which is what x needs first.
func inTheMiddle(t *testing.T, x Ref[any], f func()) {
	t.Helper()
	watched := must(t, &script{}, Options{})
	x.s.Monitor(watched.PID())
	watched.s.mu.Lock()
	go x.PID().Kill()
	for over := false; !over; runtime.Gosched() {
		x.s.mu.Lock()
		over = x.s.over
		x.s.mu.Unlock()
	}
	f()
	watched.s.mu.Unlock()
	<-x.PID().Done()
	watched.PID().Kill()
}

// handledAll returns when the process has come to the end of its mailbox.
func handledAll(t *testing.T, ref Ref[any]) { in(t, ref, func(*Self[any]) {}) }

// What is taken back while the other is ending, and has not told yet, is taken back.
func TestTakenBackInTheMiddleOfAnEnd(t *testing.T) {
	t.Parallel()
	a, got := log(t)
	b := must(t, &script{}, Options{})
	x := must(t, &script{}, Options{})
	a.s.Link(x.PID())
	b.s.Link(x.PID())
	ref, kept := a.s.Monitor(x.PID()), a.s.Monitor(x.PID())
	inTheMiddle(t, x, func() {
		a.s.Unlink(x.PID())
		b.s.Unlink(x.PID())
		if !a.s.Demonitor(ref) {
			t.Error("no Down was sent, and Demonitor says that one was")
		}
	})
	handledAll(t, a)
	if !b.PID().Alive() || len(*got) != 1 || (*got)[0].(Down).Ref != kept {
		t.Errorf("told %v; the one that was unlinked lives: %v", *got, b.PID().Alive())
	}
	a.PID().Kill()
	b.PID().Kill()
}

// A link that is made again while the other is ending is still one link.
func TestLinkedAgainInTheMiddleOfAnEnd(t *testing.T) {
	t.Parallel()
	a, got := log(t)
	late, told := log(t)
	x := must(t, &script{}, Options{})
	a.s.Link(x.PID())
	inTheMiddle(t, x, func() {
		a.s.Link(x.PID())
		late.s.Link(x.PID()) // this one is too late
		late.s.Monitor(x.PID())
	})
	handledAll(t, a)
	handledAll(t, late)
	if len(*got) != 1 || (*got)[0].(Exit).Reason.Kind != Killed {
		t.Errorf("told %v", *got)
	}
	if len(*told) != 2 || (*told)[0].(Exit).Reason != noProc || (*told)[1].(Down).Reason != noProc {
		t.Errorf("the late one was told %v", *told)
	}
	a.PID().Kill()
	late.PID().Kill()
}
