// Package telemetry tells whoever wants to know what happens in a program, and costs nothing while nobody does: the
// events of Erlang's and Elixir's telemetry.
//
// # Problem
//
// A library knows when something worth a metric, a log line or a trace happens. It does not know who wants that, nor by
// which of the many systems for it, and must not depend on any of them. The program that uses the library knows. Between
// them stands a name.
//
// # Events and handlers
//
// An event has a name, such as "shop.order.placed", measurements, which are numbers, and metadata, which is what they
// belong to. Whoever has an event calls Execute:
//
//	var placed = telemetry.NewEmitter[Amount, Order](nil, "shop.order.placed")
//
//	placed.Execute(ctx, Amount{Cents: 995}, Order{ID: 7})
//
// and whoever wants it attaches a handler, by the emitter with types, or by the name alone:
//
//	err := placed.Attach("billing", func(ctx context.Context, a Amount, o Order) { ... })
//	err := telemetry.Attach("audit", "shop.order.placed", telemetry.LogHandler(nil, slog.LevelInfo), nil)
//
// Handlers run in the goroutine of Execute, before it returns, in the order in which they were attached: they see the
// context, and an event is never lost, late or in another order than it happened. The price is that a slow handler slows
// down what it looks at.
//
// A [Bus] keeps handlers and events of one kind together; most programs need no other than [Default]. Tests that run in
// parallel each want their own: the zero Bus is ready.
//
// # Spans
//
// An [Operation] is something that takes time. [Span] calls a function and tells of its start, and of its stop with the
// duration, the result and the error, or of the exception that it ended with.
//
// # A handler that fails
//
// must not take down what it looks at, and not fail again a thousand times a second. A handler that panics is detached
// from all its events, the others are called, and [FailureEvent] tells of it.
//
// # Cost
//
// Execute of an [Emitter] to whose event nobody is attached is one atomic load, inlined where it is called, however many
// handlers other events have. It allocates no memory, nor does a handler attached with types. [Bus.Execute] looks its
// name up in a map, and its arguments are boxed by the caller, always. Attaching and detaching copy lists; they are for
// the start of a program, not for each request.
//
// # Invariants
//
//   - All handlers of one Execute come from one list: an event goes to those that were attached when it began.
//   - A handler is called after its Attach has returned nil, and never by an Execute that begins after its Detach returned.
//   - Of one id there is at most one handler on a bus. One failure is told of once.
//   - No lock is held while a handler runs: it may attach, detach and execute.
//   - There is no goroutine, no timer and no channel in this package.
//
// # Deviations from telemetry for Erlang and Elixir
//
//   - Names are strings of words joined by dots instead of lists of atoms. A prefix counts whole words.
//   - Measurements and metadata may have types, and are mostly structs; maps work too. A map would cost more to make than
//     everything else, each time, also when nobody listens.
//   - Execute takes a context, and handlers get it, for what traces want from it.
//   - Handlers run in the order in which they were attached. There it is unspecified.
//   - A time.Time has a wall and a monotonic reading, so that there is one At instead of monotonic_time and system_time.
//     Durations are monotonic.
//   - An error that the function of a Span returns is a result, in the metadata of the stop. Only a panic, or a Goexit, is an
//     exception. The stop's metadata is the start's with the result; the function does not return another.
//   - A Span that nobody listens to at its start is not measured. There, a handler attached meanwhile gets a stop without a
//     start.
//   - A handler that ends its goroutine with runtime.Goexit is detached, but the goroutine ends: Go has no way to hold that
//     up.
//
// # What it will not do
//
// It aggregates nothing, samples nothing, and sends nothing anywhere: that is what handlers are for. It has no handlers
// for a prefix: what is attached is known by its full name, so that List tells who gets what, and Execute looks nothing
// up twice.
package telemetry
