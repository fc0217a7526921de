package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"semper/actor/telemetry"
)

type Amount struct{ Cents int }

type Order struct {
	ID   int
	Shop string
}

// Most often these are package variables.
var (
	shop   telemetry.Bus // the examples' own; programs use the default one
	placed = telemetry.NewEmitter[Amount, Order](&shop, "shop.order.placed")
	query  = telemetry.NewOperation[Order](&shop, "shop.query")
)

// Whoever has an event emits it; whoever wants it attaches a handler, with types or by name.
func Example() {
	ctx := context.Background()
	placed.Execute(ctx, Amount{100}, Order{ID: 1}) // nobody listens

	total := 0
	_ = placed.Attach("total", func(_ context.Context, a Amount, _ Order) { total += a.Cents })
	_ = shop.Attach("print", "shop.order.placed", func(_ context.Context, e telemetry.Event) {
		fmt.Println(e.Name, e.Measurements, e.Metadata)
	}, nil)
	placed.Execute(ctx, Amount{995}, Order{ID: 2, Shop: "north"})
	placed.Execute(ctx, Amount{5}, Order{ID: 3, Shop: "south"})
	fmt.Println(total)

	fmt.Println(shop.Attach("print", "shop.order.lost", func(context.Context, telemetry.Event) {}, nil))
	for _, a := range shop.List("shop.order") {
		fmt.Println(a.Event, "goes to", a.ID)
		_ = shop.Detach(a.ID)
	}
	// Output:
	// shop.order.placed {995} {2 north}
	// shop.order.placed {5} {3 south}
	// 1000
	// attach print: a handler of this id is attached already: detach it first, or use another id
	// shop.order.placed goes to total
	// shop.order.placed goes to print
}

// A bridge to log/slog: events become log lines, their fields attributes.
func ExampleLogHandler() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{} // for the example's sake
		}
		return a
	}}))
	_ = shop.Attach("log", placed.Name(), telemetry.LogHandler(logger, slog.LevelInfo), nil)
	placed.Execute(context.Background(), Amount{995}, Order{ID: 2, Shop: "north"})
	_ = shop.Detach("log")
	// Output: level=INFO msg=shop.order.placed cents=995 id=2 shop=north
}

// A span tells of the start and the end of something, and keeps its result.
func ExampleSpan() {
	type metadata = telemetry.SpanMetadata[Order]
	_ = query.Stop.Attach("slow", func(_ context.Context, m telemetry.StopMeasurements, d metadata) {
		fmt.Println("order", d.Metadata.ID, "took time:", m.Duration >= 0, "result:", d.Result, "error:", d.Err)
	})
	n, err := telemetry.Span(context.Background(), query, Order{ID: 2}, func(context.Context) (int, error) {
		return 3, errors.New("only three")
	})
	fmt.Println(n, err)
	_ = shop.Detach("slow")
	// Output:
	// order 2 took time: true result: 3 error: only three
	// 3 only three
}

// A handler that panics does not harm what it looks at: it is detached, and that is told.
func ExampleBus_Execute() {
	ctx := context.Background()
	var b telemetry.Bus
	slog.SetDefault(slog.New(slog.DiscardHandler)) // it is logged too
	_ = b.Attach("bad", "tick", func(context.Context, telemetry.Event) { panic("no disk") }, nil)
	_ = b.Attach("good", "tick", func(_ context.Context, e telemetry.Event) { fmt.Println("tick", e.Measurements) }, nil)
	_ = b.Attach("failures", telemetry.FailureEvent, func(_ context.Context, e telemetry.Event) {
		f := e.Metadata.(telemetry.Failure)
		fmt.Println(f.ID, "failed at", f.Event+":", f.Panic)
	}, nil)
	b.Execute(ctx, "tick", 1, nil)
	b.Execute(ctx, "tick", 2, nil)
	// Output:
	// bad failed at tick: no disk
	// tick 1
	// tick 2
}
