package statem

import (
	"context"

	"semper/actor"
)

// A Machine is the behaviour of a process that is at each moment in one of its states. S is the type of its states, most
// often an integer with named constants, and M that of its messages, as of any process. What a machine remembers
// besides its state is its own: the fields of what implements Machine.
//
// Handle, and the other callbacks a Machine may have (Initer, Enterer, Informed, Terminator, actor.Redactor), run one at
// a time. An error ends the process: actor.Stop on purpose, any other as a crash. A panic ends it too, and nothing
// else.
//
// To write one function per state, see States.
type Machine[S comparable, M any] interface {
	// Handle handles one event: a message that was sent, one that the machine made its next event, or one that a
	// timeout brings; t.Kind says which.
	Handle(t *Turn[S, M], m M) error
}

// An Initer is a Machine with something to do before its start is acknowledged. Goto says which is the first state, when
// it is not the one the start was given. An error ends the start, as that of actor.Initer does.
type Initer[S comparable, M any] interface {
	Init(t *Turn[S, M]) error
}

// An Enterer is called when the machine has entered a state: after a change, before any other event, after a Repeat, and
// first of all for the first state, right after the start has been acknowledged. From is the state before; for the first
// state and a Repeat it is the state itself. Enter may ask for timeouts, and for nothing else.
type Enterer[S comparable, M any] interface {
	Enter(t *Turn[S, M], from S) error
}

// An Informed Machine gets what comes besides messages: actor.Down, actor.Exit. It is an event like any other, and can
// be postponed. Without it such an event has no effect but to cancel an EventTimeout.
type Informed[S comparable, M any] interface {
	Info(t *Turn[S, M], info any) error
}

// A Terminator cleans up. Terminate runs last, whatever the reason, except after a Kill. ctx ends only by a Kill, so
// that calls can be made with it. Of t, State and Self are of use; to ask for anything has no effect.
type Terminator[S comparable, M any] interface {
	Terminate(ctx context.Context, t *Turn[S, M], r actor.Reason)
}
