package actor

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestContextsOfASelfCostNoGoroutine, and end with it all the same.
func TestContextsOfASelfCostNoGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 100
		var all []context.Context
		var cancels []context.CancelFunc
		var before, after int
		a, err := Start[any](quiet, &script{init: func(self *Self[any]) error {
			before = runtime.NumGoroutine()
			for range n {
				ctx, cancel := context.WithTimeout(self, time.Hour)
				all, cancels = append(all, ctx), append(cancels, cancel)
			}
			after = runtime.NumGoroutine()
			return nil
		}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if after-before >= n { // other tests run beside this one
			t.Errorf("%d goroutines for %d contexts", after-before, n)
		}
		cancels[0]()
		a.PID().Exit(Reason{Kind: Shutdown})
		synctest.Wait()
		for i, ctx := range all {
			if !errors.Is(ctx.Err(), context.Canceled) {
				t.Errorf("context %d: %v", i, ctx.Err())
			}
			cancels[i]()
		}
		late, cancel := context.WithCancel(a.s)
		defer cancel()
		synctest.Wait()
		if late.Err() == nil {
			t.Error("a context made of one that has ended lives")
		}
	})
}

// TestContextOfTerminate lives while Terminate works, and ends by a Kill.
func TestContextOfTerminate(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var inside error
		ended := make(chan struct{})
		a, err := Start[any](quiet, &terminating{func(ctx context.Context) {
			ctx, cancel := context.WithTimeout(ctx, time.Hour)
			defer cancel()
			inside = ctx.Err()
			<-ctx.Done()
			close(ended)
		}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		a.PID().Exit(Reason{Kind: Shutdown})
		synctest.Wait()
		if inside != nil {
			t.Errorf("over from the start: %v", inside)
		}
		at := time.Now()
		a.PID().Kill()
		<-ended
		if time.Since(at) > 0 {
			t.Error("the kill did not end it")
		}
	})
}

type terminating struct{ f func(ctx context.Context) }

func (*terminating) Handle(*Self[any], any) error { return nil }

func (s *terminating) Terminate(ctx context.Context, _ *Self[any], _ Reason) { s.f(ctx) }
