package actor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
)

// A process that waits in a call of its own is woken when it is asked to end, also when several of its goroutines wait.
func TestExitWakesCalls(t *testing.T) {
	bubble(t, func(t *testing.T) {
		deaf := must(t, &counter{}, Options{})
		_ = deaf.PID().Suspend(context.Background())
		errs := make(chan error, 2)
		caller := must(t, &counter{}, Options{})
		_ = caller.Cast(func(self *Self[any]) {
			ask := func() {
				_, err := Call(self, deaf, func(from From[int]) any { return from })
				errs <- err
			}
			go ask()
			ask()
		})
		synctest.Wait()
		caller.PID().Exit(Reason{Kind: Shutdown})
		for range 2 {
			if err := <-errs; !errors.Is(err, context.Canceled) {
				t.Errorf("%v, want the end of the context", err)
			}
		}
		if n := deaf.PID().Info().OpenCalls; n != 0 {
			t.Errorf("%d calls are still open", n)
		}
		deaf.PID().Kill()
	})
}
