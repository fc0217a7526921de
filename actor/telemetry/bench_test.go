package telemetry

import (
	"context"
	"testing"
)

type benchAmount struct{ Bytes, Count int64 }

type benchOrder struct {
	ID    int64
	Shop  string
	Items []string
}

var benchData = benchOrder{ID: 7, Shop: "s", Items: []string{"a"}}

func setUp(tb testing.TB, attach func(*Bus, *Emitter[benchAmount, benchOrder]) error) (*Bus, *Emitter[benchAmount, benchOrder]) {
	b := &Bus{}
	e := NewEmitter[benchAmount, benchOrder](b, "shop.order.placed")
	if attach != nil {
		if err := attach(b, e); err != nil {
			tb.Fatal(err)
		}
	}
	return b, e
}

func others(b *Bus, _ *Emitter[benchAmount, benchOrder]) error {
	return b.Attach("h", "other", func(context.Context, Event) {}, nil)
}

func typed(_ *Bus, e *Emitter[benchAmount, benchOrder]) error {
	return e.Attach("h", func(context.Context, benchAmount, benchOrder) {})
}

func untyped(b *Bus, e *Emitter[benchAmount, benchOrder]) error {
	return b.Attach("h", e.Name(), func(context.Context, Event) {}, nil)
}

// What is said about memory. Not parallel, as AllocsPerRun demands.
func TestWhatCostsNoMemory(t *testing.T) {
	ctx := t.Context()
	for what, attach := range map[string]func(*Bus, *Emitter[benchAmount, benchOrder]) error{"nobody": nil, "others": others, "typed": typed} {
		_, e := setUp(t, attach)
		if n := testing.AllocsPerRun(100, func() { e.Execute(ctx, benchAmount{1, 2}, benchData) }); n != 0 {
			t.Errorf("%s: %v allocations", what, n)
		}
	}
	b, _ := setUp(t, others)
	op := NewOperation[benchOrder](b, "op")
	if n := testing.AllocsPerRun(100, func() { _, _ = Span(ctx, op, benchData, nothing) }); n != 0 {
		t.Errorf("span: %v allocations", n)
	}
}

func nothing(context.Context) (int, error) { return 0, nil }

func BenchmarkExecute(b *testing.B) {
	for _, x := range []struct {
		name   string
		attach func(*Bus, *Emitter[benchAmount, benchOrder]) error
	}{{"nobody", nil}, {"others", others}, {"typed", typed}, {"untyped", untyped}} {
		ctx := b.Context()
		b.Run(x.name+"/emitter", func(b *testing.B) {
			_, e := setUp(b, x.attach)
			b.ReportAllocs()
			for b.Loop() {
				e.Execute(ctx, benchAmount{1, 2}, benchData)
			}
		})
		b.Run(x.name+"/bus", func(b *testing.B) {
			bus, _ := setUp(b, x.attach)
			b.ReportAllocs()
			for b.Loop() {
				bus.Execute(ctx, "shop.order.placed", benchAmount{1, 2}, benchData)
			}
		})
	}
}

func BenchmarkExecuteParallel(b *testing.B) {
	_, e := setUp(b, typed)
	ctx := b.Context()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			e.Execute(ctx, benchAmount{1, 2}, benchData)
		}
	})
}

func BenchmarkSpan(b *testing.B) {
	ctx := b.Context()
	for _, listened := range []bool{false, true} {
		bus := &Bus{}
		op := NewOperation[benchOrder](bus, "op")
		name := "nobody"
		if listened {
			name = "typed stop"
			if err := op.Stop.Attach("h", func(context.Context, StopMeasurements, SpanMetadata[benchOrder]) {}); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Span(ctx, op, benchData, nothing)
			}
		})
	}
}
