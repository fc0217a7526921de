package actor

import (
	"context"
	"errors"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// labelled counts the goroutines that carry the label "test" with name. Other tests run beside this one, so those of the
// whole process say nothing.
func labelled(t *testing.T, name string) (n int) {
	t.Helper()
	var text strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&text, 1); err != nil {
		t.Fatal(err)
	}
	for _, alike := range strings.Split(text.String(), "\n\n") {
		if !strings.Contains(alike, strconv.Quote(name)) {
			continue
		}
		m := regexp.MustCompile(`(?m)^([0-9]+) @`).FindStringSubmatch(alike)
		if m == nil {
			t.Fatalf("no count in %q", alike)
		}
		k, err := strconv.Atoi(m[1])
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	return n
}

// TestContextsOfASelfCostNoGoroutine, and end with it all the same.
func TestContextsOfASelfCostNoGoroutine(t *testing.T) {
	bubble(t, func(t *testing.T) {
		const n = 100
		var all []context.Context
		var cancels []context.CancelFunc
		var ours int
		a, err := Start[any](quiet, &script{init: func(self *Self[any]) error {
			pprof.SetGoroutineLabels(pprof.WithLabels(t.Context(), pprof.Labels("test", t.Name()))) // whom it starts has them too
			for range n {
				ctx, cancel := context.WithTimeout(self, time.Hour)
				all, cancels = append(all, ctx), append(cancels, cancel)
			}
			ours = labelled(t, t.Name())
			return nil
		}}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if ours != 1 { // its own
			t.Errorf("%d goroutines for %d contexts", ours, n)
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
