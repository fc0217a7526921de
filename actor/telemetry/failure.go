package telemetry

import (
	"context"
	"log/slog"
	"runtime/debug"
	"time"
)

// FailureEvent is emitted, on the same bus and in the same goroutine, when a handler has panicked and has been detached.
// Its measurements are a FailureMeasurements, its metadata a Failure. It is logged with log/slog too, for nobody may be
// attached, or no longer. A handler of it that panics is detached like any other, so that this comes to an end.
const FailureEvent = "telemetry.handler.failure"

// FailureMeasurements says when a handler failed.
type FailureMeasurements struct{ At time.Time }

// A Failure says which handler failed, at which event, and how.
type Failure struct {
	ID     string // of the handler
	Event  string // of which it made nothing
	Config any    // the handler's
	Panic  any    // nil when it ended its goroutine instead (runtime.Goexit)
	Stack  []byte
}

// caught is deferred around the call of a handler. A Goexit cannot be held up: the goroutine ends after this, as the
// handler wanted, and the handlers behind it are not called.
func (b *Bus) caught(ctx context.Context, a *attached, event string, done *bool) {
	if *done {
		return
	}
	v := recover()
	if !b.drop(a) {
		return // it failed in another goroutine at the same time, or was detached: told once is enough
	}
	f := Failure{ID: a.id, Event: event, Config: a.config, Panic: v, Stack: debug.Stack()}
	slog.ErrorContext(ctx, "telemetry handler failed and was detached", "handler", f.ID, "event", f.Event, "panic", f.Panic)
	b.Execute(ctx, FailureEvent, FailureMeasurements{At: time.Now()}, f)
}
