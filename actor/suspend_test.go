package actor

import (
	"testing"
	"testing/synctest"
)

// What waits for a suspended process is still there after every kind of control, and in order.
func TestSuspendedProcessKeepsItsMessages(t *testing.T) {
	t.Parallel()
	for _, backlog := range []int{1, 3, segment, 3*segment + 7} {
		synctest.Test(t, func(t *testing.T) {
			var got []any
			a, _ := Start[any](quiet, &script{handle: func(_ *Self[any], m any) error { got = append(got, m); return nil }}, Options{})
			gate := make(chan struct{})
			_ = a.Cast(func() { <-gate })
			synctest.Wait()
			for i := range backlog {
				_ = a.Cast(i)
			}
			go func() { _ = a.PID().Suspend(quiet) }()
			synctest.Wait()
			close(gate) // the control is found in the middle of a batch
			synctest.Wait()
			_ = a.Cast(backlog)
			if err := a.PID().State(quiet, func(any) {}); err != nil {
				t.Error(err)
			}
			if i := a.PID().Info(); i.Mailbox != backlog+1 || i.Status != StatusSuspended || len(got) != 0 {
				t.Errorf("%d of %d wait, %s, handled %v", i.Mailbox, backlog+1, i.Status, got)
			}
			_ = a.PID().Resume(quiet)
			synctest.Wait()
			for i, m := range got {
				if m != i {
					t.Fatalf("message %d is %v", i, m)
				}
			}
			if len(got) != backlog+1 {
				t.Errorf("%d of %d handled", len(got), backlog+1)
			}
			a.PID().Kill()
		})
	}
}
