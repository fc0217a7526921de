package statem

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"semper/actor"
)

// Snapshot is a machine at one moment, between two events, or at its crash. It is what crash reports and introspection
// show of it. All but the state is text, made by the actor.Redactor of the machine, if it has one.
type Snapshot[S comparable] struct {
	State     S
	Data      string   // the machine itself, or the data of one made by a table
	Event     string   // in hand: of a crash, the one that was handled
	Queue     []string // what is to be handled before anything received, in that order; the first of them
	Postponed []string // oldest first; the first of them
	Timeouts  []string // those that run, in the order they were asked for; the first of them
}

const (
	shownEvents = 10   // of a queue in a snapshot
	shownText   = 1024 // bytes of an event or of the data
)

// String is one line of text.
func (s Snapshot[S]) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "state %v", s.State)
	for _, part := range []struct {
		name string
		all  []string
	}{{"handling", []string{s.Event}}, {"next", s.Queue}, {"postponed", s.Postponed}, {"timeouts", s.Timeouts}} {
		if text := strings.Join(part.all, ", "); text != "" {
			fmt.Fprintf(&b, "; %s: %s", part.name, text)
		}
	}
	fmt.Fprintf(&b, "; data %s", s.Data)
	return b.String()
}

// Inspect looks at a machine between two events of its mailbox. It is served before the messages that wait, also while
// the process is suspended. ErrInvalid says that the process is no machine with states of type S.
func Inspect[S comparable](ctx context.Context, id actor.PID) (Snapshot[S], error) {
	var got Snapshot[S]
	known := false
	err := id.State(ctx, func(of any) {
		if s, ok := of.(interface{ snapshot() Snapshot[S] }); ok {
			got, known = s.snapshot(), true
		}
	})
	if err == nil && !known {
		err = foreign[S](id)
	}
	return got, err
}

// ReplaceState puts the machine into another state, or another machine in its place, between two events of its mailbox.
// It repairs a running system and is no event: nothing is entered, cancelled or tried again. change may change the
// machine in place; it gets what was given to Start or Child. An error of change changes nothing.
func ReplaceState[S comparable, M any](ctx context.Context, id actor.PID,
	change func(S, Machine[S, M]) (S, Machine[S, M], error)) error {
	if change == nil {
		return fmt.Errorf("%w: ReplaceState wants a function, not nil", actor.ErrInvalid)
	}
	var refused error
	err := id.State(ctx, func(of any) {
		s, ok := of.(*server[S, M])
		if !ok {
			refused = foreign[S](id)
			return
		}
		state, machine, err := change(s.core.state, s.machine)
		if err == nil {
			err = check(state, machine)
		}
		if refused = err; err == nil {
			s.core.state, s.machine = state, machine
			s.bind()
		}
	})
	if err != nil {
		return err
	}
	return refused
}

func foreign[S comparable](id actor.PID) error {
	return fmt.Errorf("%w: %v is not a state machine whose states are of type %v", actor.ErrInvalid, id, reflect.TypeFor[S]())
}

// Redact implements actor.Redactor: of the process, the snapshot, and of a message, what the machine's own says.
func (s *server[S, M]) Redact(what any) any {
	if what == any(s) {
		return s.snapshot()
	}
	return s.redacted(what)
}

func (s *server[S, M]) redacted(what any) any {
	if _, ok := what.(strike); ok {
		return what
	}
	if r, ok := subject(s.machine).(actor.Redactor); ok {
		return r.Redact(what)
	}
	return what
}

func (s *server[S, M]) snapshot() Snapshot[S] {
	c := &s.core
	shot := Snapshot[S]{State: c.state, Data: s.text(subject(s.machine))}
	if s.turn.event != nil {
		shot.Event = s.describe(&s.event)
	}
	shot.Queue = s.first(len(c.queue), func(i int) event[M] { return c.queue[len(c.queue)-1-i] })
	shot.Postponed = s.first(len(c.postponed), func(i int) event[M] { return c.postponed[i] })
	type running struct {
		at slot
		*timeout[M]
	}
	var all []running
	for at, t := range c.timeouts.all {
		all = append(all, running{at, t})
	}
	slices.SortFunc(all, func(a, b running) int { return cmp.Compare(a.serial, b.serial) })
	shot.Timeouts = s.first(len(all), func(i int) event[M] {
		return event[M]{kind: all[i].at.kind, name: all[i].at.name, m: all[i].m}
	})
	return shot
}

// first describes the first of n events.
func (s *server[S, M]) first(n int, at func(int) event[M]) []string {
	var all []string
	for i := range min(n, shownEvents) {
		e := at(i)
		all = append(all, s.describe(&e))
	}
	if n > shownEvents {
		all = append(all, fmt.Sprintf("and %d more", n-shownEvents))
	}
	return all
}

func (s *server[S, M]) describe(e *event[M]) string {
	switch e.kind {
	case Info:
		return "info " + s.text(e.info)
	case NamedTimeout:
		return fmt.Sprintf("timeout %v %s", e.name, s.text(e.m))
	}
	return e.kind.String() + " " + s.text(e.m)
}

func (s *server[S, M]) text(what any) string {
	text := fmt.Sprintf("%+v", s.redacted(what))
	if len(text) > shownText {
		text = text[:shownText] + fmt.Sprintf("… (%d bytes)", len(text))
	}
	return text
}
