package statem_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"semper/actor"
	"semper/actor/statem"
	"semper/supervise"
)

// A turnstile lets one through for a coin. Its messages are a coin, a push, and a question.
type (
	gate string

	coin  struct{}
	push  struct{ actor.From[bool] }
	count struct{ actor.From[int] }
)

const (
	barred gate = "barred"
	free   gate = "free"
)

type turnstile struct{ passed int }

func (s *turnstile) Handle(t *statem.Turn[gate, any], m any) error {
	switch m := m.(type) {
	case coin:
		t.Goto(free)
	case push:
		if t.State() == free {
			s.passed++
			t.Goto(barred)
		}
		m.Reply(t.State() == free)
	case count:
		m.Reply(s.passed)
	}
	return nil
}

func Example() {
	ctx := context.Background()
	gate, err := statem.Start(ctx, barred, &turnstile{}, actor.Options{Label: "turnstile"})
	if err != nil {
		log.Fatal(err)
	}
	through := func() bool {
		ok, _ := actor.Call(ctx, gate, func(f actor.From[bool]) any { return push{f} })
		return ok
	}
	fmt.Println(through())
	_ = gate.Cast(coin{})
	fmt.Println(through())
	fmt.Println(through())
	_ = gate.PID().Shutdown(ctx)
	// Output:
	// false
	// true
	// false
}

// A line to a server that is up or not yet. It is written as one function per state: queries that come while it
// connects are postponed, so that nothing else of it has to know about them.
type line struct{ dial func() string }

type (
	status  int
	query   struct{ actor.From[string] }
	dialled struct{ to string }
)

const (
	connecting status = iota
	connected
)

type lineTurn = statem.Turn[status, any]

var lines = statem.States[*line, status, any]{
	connecting: {Enter: (*line).connect, Handle: (*line).connecting},
	connected:  {Handle: (*line).connected},
}

func (l *line) connect(t *lineTurn, _ status) error {
	self := t.Self().Ref()
	go func() { _ = self.Cast(dialled{l.dial()}) }()
	return nil
}

func (l *line) connecting(t *lineTurn, m any) error {
	switch m.(type) {
	case query:
		t.Postpone()
	case dialled:
		t.Goto(connected)
	}
	return nil
}

func (l *line) connected(_ *lineTurn, m any) error {
	if q, ok := m.(query); ok {
		q.Reply("answer")
	}
	return nil
}

func ExampleStates() {
	ctx := context.Background()
	up := make(chan string)
	l, err := statem.Start(ctx, connecting, lines.With(&line{dial: func() string { return <-up }}), actor.Options{})
	if err != nil {
		log.Fatal(err)
	}
	go func() { up <- "10.0.0.1" }()
	answer, _ := actor.Call(ctx, l, func(f actor.From[string]) any { return query{f} })
	fmt.Println(answer)
	_ = l.PID().Shutdown(ctx)
	// Output: answer
}

// A funcs is a Machine made of a function, which keeps the examples short.
type funcs[S comparable] func(t *statem.Turn[S, string], m string) error

func (f funcs[S]) Handle(t *statem.Turn[S, string], m string) error { return f(t, m) }

// run starts a machine with one message and waits for its end.
func run[S comparable](first S, m statem.Machine[S, string], messages ...string) {
	ref, err := statem.Start(context.Background(), first, m, actor.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range messages {
		_ = ref.Cast(m)
	}
	<-ref.PID().Done()
}

func ExampleTurn_Postpone() {
	run("closed", funcs[string](func(t *statem.Turn[string, string], m string) error {
		switch {
		case m == "stop":
			return actor.Stop(actor.Reason{})
		case m == "open":
			t.Goto("open")
		case t.State() == "closed":
			t.Postpone()
			return nil
		}
		fmt.Println(t.State(), m)
		return nil
	}), "parcel", "letter", "open", "stop")
	// Output:
	// closed open
	// open parcel
	// open letter
}

func ExampleTurn_NextEvent() {
	run(0, funcs[int](func(t *statem.Turn[int, string], m string) error {
		fmt.Println(t.Kind(), m)
		switch m {
		case "both":
			t.NextEvent("left")
			t.NextEvent("right")
		case "stop":
			return actor.Stop(actor.Reason{})
		}
		return nil
	}), "both", "stop")
	// Output:
	// message both
	// internal left
	// internal right
	// message stop
}

func ExampleTurn_StateTimeout() {
	run("locked", funcs[string](func(t *statem.Turn[string, string], m string) error {
		fmt.Println(t.State(), m)
		switch m {
		case "key":
			t.Goto("open")
			t.StateTimeout(time.Millisecond, "shut")
		case "shut":
			t.Goto("locked")
			t.NextEvent("stop")
		case "stop":
			return actor.Stop(actor.Reason{})
		}
		return nil
	}), "key")
	// Output:
	// locked key
	// open shut
	// locked stop
}

func ExampleTurn_EventTimeout() {
	run(0, funcs[int](func(t *statem.Turn[int, string], m string) error {
		fmt.Println(m)
		if m == "idle" {
			return actor.Stop(actor.Reason{})
		}
		t.EventTimeout(time.Millisecond, "idle") // any event cancels it
		return nil
	}), "one", "two")
	// Output:
	// one
	// two
	// idle
}

func ExampleTurn_Timeout() {
	run("a", funcs[string](func(t *statem.Turn[string, string], m string) error {
		switch m {
		case "go":
			t.Goto("b") // which does not cancel these
			t.Timeout("tea", time.Millisecond, "ready")
			t.Timeout("egg", 0, "hard") // comes before anything else
			return nil
		case "hard":
			t.UpdateTimeout("tea", "ready, and the egg is hard")
			return nil
		}
		fmt.Println(t.State(), t.TimeoutName(), m)
		return actor.Stop(actor.Reason{})
	}), "go")
	// Output: b tea ready, and the egg is hard
}

// lamp switches itself off in Enter's timeout, wherever the change to "on" came from.
type lamp struct{ funcs[string] }

func (lamp) Enter(t *statem.Turn[string, string], from string) error {
	fmt.Println(from, "to", t.State())
	if t.State() == "on" {
		t.StateTimeout(time.Millisecond, "off")
	}
	return nil
}

func ExampleEnterer() {
	run("off", lamp{func(t *statem.Turn[string, string], m string) error {
		t.Goto(m)
		if m == "off" {
			t.NextEvent("stop")
		}
		if m == "stop" {
			return actor.Stop(actor.Reason{})
		}
		return nil
	}}, "on")
	// Output:
	// off to off
	// off to on
	// on to off
}

// To stop with a reply is to reply and to stop.
func Example_stopAndReply() {
	ctx := context.Background()
	type bye struct{ actor.From[string] }
	ref, _ := statem.Start(ctx, 0, handle(func(_ *statem.Turn[int, any], m any) error {
		m.(bye).Reply("so long")
		return actor.Stop(actor.Reason{Kind: actor.Shutdown})
	}), actor.Options{})
	fmt.Println(actor.Call(ctx, ref, func(f actor.From[string]) any { return bye{f} }))
	<-ref.PID().Done()
	fmt.Println(ref.PID().Reason())
	// Output:
	// so long <nil>
	// shutdown
}

type handle func(t *statem.Turn[int, any], m any) error

func (f handle) Handle(t *statem.Turn[int, any], m any) error { return f(t, m) }

func ExampleChild() {
	ctx := actor.WithReporter(context.Background(), func(c actor.CrashReport) { fmt.Println(c.Reason.Err) })
	name := actor.NewName[string]("gate")
	spec := statem.Child("gate", "shut", func() statem.Machine[string, string] {
		return funcs[string](func(t *statem.Turn[string, string], m string) error {
			if m == "kick" {
				return errors.New("hinge broken")
			}
			t.Goto(m)
			return nil
		})
	}, actor.Options{Name: name})
	started := make(chan struct{}, 2)
	top, err := supervise.Start(ctx, supervise.Flags{Intensity: 1}, []supervise.ChildSpec{spec}, supervise.Options{
		Observe: func(e supervise.Event) {
			if e.Kind == supervise.Started {
				started <- struct{}{}
			}
		}})
	if err != nil {
		log.Fatal(err)
	}
	<-started
	_ = name.Cast("open")
	_ = name.Cast("kick")
	<-started // again
	ref, _ := name.Resolve()
	now, _ := statem.Inspect[string](ctx, ref.PID())
	fmt.Println(now.State)
	_ = top.Stop(ctx)
	// Output:
	// hinge broken
	// shut
}

// A machine in production is looked at, and put right.
func ExampleReplaceState() {
	ctx := context.Background()
	ref, _ := statem.Start(ctx, barred, &turnstile{passed: -1}, actor.Options{})
	shot, _ := statem.Inspect[gate](ctx, ref.PID())
	fmt.Println(shot)
	_ = statem.ReplaceState(ctx, ref.PID(), func(g gate, m statem.Machine[gate, any]) (gate, statem.Machine[gate, any], error) {
		m.(*turnstile).passed = 7
		return free, m, nil
	})
	n, _ := actor.Call(ctx, ref, func(f actor.From[int]) any { return count{f} })
	fmt.Println(n)
	_ = ref.PID().Shutdown(ctx)
	// Output:
	// state barred; data &{passed:-1}
	// 7
}
