package statem

import (
	"fmt"

	"semper/actor"
)

// States is a table of what a machine does in each of its states, for machines that are written as one function per
// state. D is what the machine remembers besides its state, most often a pointer to a struct, whose methods are the
// functions:
//
//	var lock = statem.States[*Lock, state, message]{
//		locked: {Handle: (*Lock).locked},
//		open:   {Enter: (*Lock).opened, Handle: (*Lock).open},
//	}
//
// It is made once and serves all machines of its kind: With makes one.
type States[D any, S comparable, M any] map[S]State[D, S, M]

// State is what a machine does in one state: the methods of Machine, Enterer and Informed, as functions of the data.
type State[D any, S comparable, M any] struct {
	Handle func(d D, t *Turn[S, M], m M) error      // nil: any message is a crash with ErrUnhandled
	Enter  func(d D, t *Turn[S, M], from S) error   // nil: none
	Info   func(d D, t *Turn[S, M], info any) error // nil: dropped
}

// With is the machine that does what the table says, with the data. When the data has the methods Init or Terminate, as
// of an Initer or a Terminator, or is an actor.Redactor, they are those of the machine.
func (s States[D, S, M]) With(data D) *Tabled[D, S, M] {
	return &Tabled[D, S, M]{Data: data, states: s}
}

// Tabled is a Machine made of a table and its data.
type Tabled[D any, S comparable, M any] struct {
	Data   D
	states States[D, S, M]
}

// Handle implements Machine.
func (b *Tabled[D, S, M]) Handle(t *Turn[S, M], m M) error {
	do := b.states[t.State()].Handle
	if do == nil {
		return fmt.Errorf("%w: state %v has no Handle for a %T", ErrUnhandled, t.State(), m)
	}
	return do(b.Data, t, m)
}

// Enter implements Enterer.
func (b *Tabled[D, S, M]) Enter(t *Turn[S, M], from S) error {
	s, ok := b.states[t.State()]
	switch {
	case !ok:
		return fmt.Errorf("%w: state %v, entered from %v, is not in the table", actor.ErrInvalid, t.State(), from)
	case s.Enter == nil:
		return nil
	}
	return s.Enter(b.Data, t, from)
}

// Info implements Informed.
func (b *Tabled[D, S, M]) Info(t *Turn[S, M], info any) error {
	if do := b.states[t.State()].Info; do != nil {
		return do(b.Data, t, info)
	}
	return nil
}

// subject is what the other callbacks are methods of.
func (b *Tabled[D, S, M]) subject() any { return b.Data }

// has reports whether the table knows a state.
func (b *Tabled[D, S, M]) has(state S) bool {
	_, ok := b.states[state]
	return ok
}
