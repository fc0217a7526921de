package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// An Operation is something that takes time and is told of by three events: name.start, and then either name.stop or
// name.exception. It is made once, most often as a package variable, and used by Span. The zero Operation emits nothing.
type Operation[D any] struct {
	// Start, Stop and Exception can be attached to, with types.
	Start     Emitter[StartMeasurements, SpanMetadata[D]]
	Stop      Emitter[StopMeasurements, SpanMetadata[D]]
	Exception Emitter[StopMeasurements, SpanMetadata[D]]
}

// NewOperation makes an operation with metadata of type D on a bus, or on Default when it is nil.
func NewOperation[D any](b *Bus, name string) *Operation[D] {
	return &Operation[D]{
		Start:     emitter[StartMeasurements, SpanMetadata[D]](b, name+".start"),
		Stop:      emitter[StopMeasurements, SpanMetadata[D]](b, name+".stop"),
		Exception: emitter[StopMeasurements, SpanMetadata[D]](b, name+".exception"),
	}
}

// Events are the names of its three events, for AttachMany.
func (o *Operation[D]) Events() []string {
	return []string{o.Start.Name(), o.Stop.Name(), o.Exception.Name()}
}

// StartMeasurements are those of a start.
type StartMeasurements struct {
	At time.Time // with its monotonic reading
}

// StopMeasurements are those of a stop or an exception.
type StopMeasurements struct {
	At       time.Time
	Duration time.Duration // monotonic
}

// SpanMetadata is the metadata of the three events of one span.
type SpanMetadata[D any] struct {
	Span     uint64 // the same in all events of one span, and in none of another's in this process
	Metadata D
	Result   any    // of a stop: what the function returned
	Err      error  // of a stop: what the function returned
	Panic    any    // of an exception: nil when the function ended its goroutine instead (runtime.Goexit)
	Stack    []byte // of an exception
}

// LogValue leaves out what is not there, the result, which may be large, and the stack.
func (s SpanMetadata[D]) LogValue() slog.Value {
	all := append([]slog.Attr{slog.Uint64("span", s.Span)}, Attrs(s.Metadata)...)
	if s.Err != nil {
		all = append(all, slog.Any("error", s.Err))
	}
	if s.Panic != nil {
		all = append(all, slog.Any("panic", s.Panic))
	}
	return slog.GroupValue(all...)
}

var lastSpan atomic.Uint64

// Span calls f, tells of its start and its end, and returns what it returned. An error is a result like any other and
// so makes a stop; a panic makes an exception, and then goes on. When nobody listens to any of the three events at its
// start, nothing is measured: there are no halves of spans.
func Span[D, R any](ctx context.Context, o *Operation[D], metadata D, f func(context.Context) (R, error)) (R, error) {
	switch {
	case f == nil:
		var zero R
		return zero, fmt.Errorf("%w: Span wants a function, not nil", ErrInvalid)
	case o == nil || !o.listening():
		return f(ctx)
	}
	return span(ctx, o, metadata, f)
}

func (o *Operation[D]) listening() bool {
	return o.Stop.Listening() || o.Exception.Listening() || o.Start.Listening()
}

func span[D, R any](ctx context.Context, o *Operation[D], metadata D, f func(context.Context) (R, error)) (r R, err error) {
	s := SpanMetadata[D]{Span: lastSpan.Add(1), Metadata: metadata}
	begun := time.Now()
	o.Start.Execute(ctx, StartMeasurements{At: begun}, s)
	done := false
	defer func() {
		if done {
			return
		}
		m := ended(begun)
		s.Panic, s.Stack = recover(), debug.Stack()
		o.Exception.Execute(ctx, m, s)
		if s.Panic != nil {
			panic(s.Panic)
		}
	}()
	r, err = f(ctx)
	done = true
	m := ended(begun)
	if o.Stop.Listening() {
		s.Result, s.Err = r, err
		o.Stop.Execute(ctx, m, s)
	}
	return r, err
}

func ended(begun time.Time) StopMeasurements {
	now := time.Now()
	return StopMeasurements{At: now, Duration: now.Sub(begun)}
}
