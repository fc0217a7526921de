package actor

import (
	"context"
	"fmt"
	"reflect"
	"slices"
)

// What others do with a process of which they know the PID, or the context, and not the type of its messages. Registries
// and process groups are made of it.

// A Process is a process as it sees itself, whatever its messages are: a *Self, or the context of Terminate, and nothing
// else. A function that takes one is for the process itself to call.
type Process interface {
	context.Context
	PID() PID
	Register(Registrar) error
	core() *process
}

// Caller is the process that a context belongs to: that of a callback, and every context made from it. It is the zero
// PID for a context of no process.
func Caller(ctx context.Context) PID {
	if ctx == nil {
		return PID{}
	}
	return PID{caller(ctx)}
}

// RefOf is the Ref of a process known by its PID. It is checked: ErrInvalid says that the process does not take messages
// of type M, and ErrNoProc that the PID is nobody's. Whether the process lives is for the send to find out.
func RefOf[M any](id PID) (Ref[M], error) {
	if id.p == nil {
		return Ref[M]{}, ErrNoProc
	}
	s, ok := id.p.self.(*Self[M])
	if !ok {
		return Ref[M]{}, fmt.Errorf("%w: %v does not take messages of type %v: ask for the type its Server takes",
			ErrInvalid, id, reflect.TypeFor[M]())
	}
	return Ref[M]{s}, nil
}

// Inform sends an Info: what the Server gets by its method Info, in order with the messages of the same sender. It is
// for what is not of the process's own message type, such as the news of a library. It never waits, also not for room
// in a bounded mailbox. The error is ErrNoProc when the process has ended.
func (id PID) Inform(info any) error {
	switch {
	case id.p == nil:
		return ErrNoProc
	case info == nil:
		return fmt.Errorf("%w: Inform wants something to tell, not nil", ErrInvalid)
	}
	return id.p.post(info)
}

// Register gives the process a name from outside, which it keeps until it ends or Unregister. ErrNoProc says that it has
// ended, and the name is free then.
func (id PID) Register(n Registrar) error {
	if id.p == nil {
		return ErrNoProc
	}
	return id.p.Register(n)
}

// Unregister takes a name back before the end of the process. What the process does not have is left alone.
func (id PID) Unregister(n Registrar) {
	if id.p != nil {
		id.p.Unregister(n)
	}
}

// Unregister gives a name back before the end of the process. A name that it does not have is left alone.
func (p *process) Unregister(n Registrar) {
	if n == nil {
		return
	}
	// First, because an end that comes in between must still find it in the list.
	n.Unregister(PID{p})
	if reflect.ValueOf(n).Comparable() { // of another kind it stays listed, to be asked once more at the end
		p.mu.Lock()
		if i := slices.Index(p.names, n); i >= 0 {
			p.names = slices.Delete(p.names, i, i+1)
		}
		p.mu.Unlock()
	}
}
