package background_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"semper/edge/background"
	"semper/supervise"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// forever is a part that has nothing to do.
func forever(ctx context.Context) error { <-ctx.Done(); return nil }

func idle() background.Parts {
	return background.Parts{Tend: forever, Log: forever, Traffic: forever, Strain: forever, Shadow: forever}
}

func start(t *testing.T, p background.Parts) *background.Tree {
	t.Helper()
	b, err := background.Start("edge-1", p, slog.New(slog.DiscardHandler), func(supervise.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestWhatIsSpawnedRunsUntilItReturns: again after a fault, not again after it has returned; a drain has no second life.
func TestWhatIsSpawnedRunsUntilItReturns(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, idle())
		var line, drain atomic.Int64
		if !b.Spawn(&b.Lines, "line", func(context.Context) {
			if line.Add(1) < 3 {
				panic("a fault")
			}
		}) {
			t.Error("not spawned")
		}
		b.Drain(func(context.Context) {
			drain.Add(1)
			panic("a fault")
		})
		time.Sleep(time.Minute) // the bubble's
		if line.Load() != 3 || drain.Load() != 1 {
			t.Errorf("the line ran %d times, the drain %d times", line.Load(), drain.Load())
		}
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
	})
}

// TestAPartThatKeepsBreakingTakesNoOtherAlong: what only looks on is tried on and on, beside a line that goes on.
func TestAPartThatKeepsBreakingTakesNoOtherAlong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var broke, tends atomic.Int64
		p := idle()
		p.Traffic = func(context.Context) error { broke.Add(1); return errors.New("out of order") }
		p.Tend = func(ctx context.Context) error { tends.Add(1); return forever(ctx) }
		b := start(t, p)
		ended := make(chan struct{})
		b.Spawn(&b.Backends, "r1", func(ctx context.Context) { <-ctx.Done(); close(ended) })
		time.Sleep(time.Hour)
		if broke.Load() < 100 || tends.Load() != 1 {
			t.Errorf("the part was tried %d times, and what tends the edge was started %d times", broke.Load(), tends.Load())
		}
		select {
		case <-ended:
			t.Error("the backend's part ended with another's faults")
		default:
		}
		if err := b.Stop(); err != nil {
			t.Error(err)
		}
		<-ended // Stop has waited for it
	})
}

// TestNothingBeginsAfterTheEnd: and whoever asks is told.
func TestNothingBeginsAfterTheEnd(t *testing.T) {
	t.Parallel()
	b := start(t, idle())
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	if b.Spawn(&b.Lines, "late", func(context.Context) { t.Error("it runs") }) {
		t.Error("it is said to run")
	}
	b.Drain(func(context.Context) { t.Error("a drain runs") })
}
