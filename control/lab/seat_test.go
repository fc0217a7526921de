package lab_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/control/lab"
	"semper/experiment/design"
	"semper/store/mem"
)

// TestWhoAsksTooEarlyIsWaitedWith: a control process that has just begun is about to lead; one that never leads says so.
func TestWhoAsksTooEarlyIsWaitedWith(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var seat lab.Seat
		b := api.MetricBatch{App: "bar", Values: []api.MetricValue{value("1", "u", "revenue", 1)}}
		if _, err := seat.Push(t.Context(), b); semper.CodeOf(err) != semper.Unavailable {
			t.Fatalf("nobody leads: %v", err)
		}
		store, env, begin := mem.New(), begun(t, nil), time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- seat.Serve(ctx, lab.Term{
				Store: store, Fence: fence(t, store), Log: slog.New(slog.DiscardHandler), Deploy: none,
				Exposures: func(context.Context, int64) ([]design.Exposures, error) { return nil, nil },
				Look: func() (map[semper.EnvironmentKey]semper.Environment, <-chan struct{}) {
					if time.Since(begin) < 2*time.Second {
						return nil, nil
					}
					return of(env), make(chan struct{})
				},
			})
		}()
		if a, err := seat.Push(t.Context(), b); err != nil || a.Taken != 1 {
			t.Errorf("%+v %v", a, err)
		}
		if waited := time.Since(begin); waited < 2*time.Second {
			t.Errorf("it was taken after %s, before anything was known", waited)
		}
		if all, err := seat.EvaluateAll(t.Context(), "bar", "production", "u"); err != nil || len(all) != 1 {
			t.Errorf("%+v %v", all, err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
