package actor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"semper/actor/telemetry"
)

type eventsKey struct{}

// TestEvents is not parallel in its handlers' eyes: they look only at processes of their own context.
func TestEvents(t *testing.T) {
	var mu sync.Mutex
	var got []string
	stopped := make(chan struct{})
	note := func(ctx context.Context, what string) {
		if ctx.Value(eventsKey{}) == t.Name() {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, what)
		}
	}
	for _, err := range []error{
		EventStart.Attach("events.start", func(ctx context.Context, _ StartMeasurements, _ PID) { note(ctx, "start") }),
		EventStop.Attach("events.stop", func(ctx context.Context, m StopMeasurements, id PID) {
			if id.Alive() || m.Messages > 1 {
				t.Errorf("stop of %v after %d messages", id.Info(), m.Messages)
			}
			note(ctx, "stop")
			if ctx.Value(eventsKey{}) == t.Name() {
				close(stopped)
			}
		}),
		EventCrash.Attach("events.crash", func(ctx context.Context, _ StopMeasurements, c CrashReport) { note(ctx, "crash "+c.Label) }),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	defer func() {
		for _, id := range []string{"events.start", "events.stop", "events.crash"} {
			if err := telemetry.Detach(id); err != nil {
				t.Error(err)
			}
		}
	}()
	ctx := context.WithValue(quiet, eventsKey{}, t.Name())
	a := mustStart[any](t, &script{}, Options{}) // of another context
	b, err := Start[any](ctx, &script{}, Options{Label: "b"})
	if err != nil {
		t.Fatal(err)
	}
	_ = b.Cast(errors.New("boom"))
	<-stopped
	if _, err := Start[any](ctx, &script{init: func(*Self[any]) error { return ErrIgnore }}, Options{}); !errors.Is(err, ErrIgnore) {
		t.Error(err)
	}
	a.PID().Kill()
	mu.Lock()
	defer mu.Unlock()
	if want := []string{"start", "crash b", "stop"}; !slices.Equal(got, want) {
		t.Errorf("events %q, want %q", got, want)
	}
}
