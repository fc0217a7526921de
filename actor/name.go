package actor

import (
	"context"
	"fmt"
	"sync/atomic"
)

// A Ref is the address of one incarnation of a process that takes messages of type M. Refs are comparable and safe for
// concurrent use; the zero Ref is nobody. A process that must be found again after a restart has a [Name].
type Ref[M any] struct{ s *Self[M] }

// A Target is what a message can be sent to: a Ref, or a name that leads to one.
type Target[M any] interface {
	// Resolve is the Ref behind it now, or ErrNoProc.
	Resolve() (Ref[M], error)
}

// Resolve is the Ref itself.
func (r Ref[M]) Resolve() (Ref[M], error) { return r, nil }

// Cast sends a message and does not wait for anything, but for room in a mailbox that is bounded with Wait. The error
// is ErrNoProc when the process has ended and ErrMailboxFull when a bounded mailbox rejects it; who does not care may
// ignore both. Messages of one sender arrive in the order sent.
func (r Ref[M]) Cast(m M) error {
	if r.s == nil {
		return ErrNoProc
	}
	return r.s.put(context.Background(), envelope[M]{m: m})
}

// CastContext is Cast, where the end of ctx ends the waiting for room.
func (r Ref[M]) CastContext(ctx context.Context, m M) error {
	switch {
	case r.s == nil:
		return ErrNoProc
	case ctx == nil:
		return fmt.Errorf("%w: CastContext wants a context; Cast does without", ErrInvalid)
	}
	return r.s.put(ctx, envelope[M]{m: m})
}

// PID identifies the process.
func (r Ref[M]) PID() PID {
	if r.s == nil {
		return PID{}
	}
	return PID{&r.s.process}
}

func (r Ref[M]) String() string { return r.PID().String() }

// A Registrar gives names to processes: a Name, or the key of a registry.
type Registrar interface {
	// Register gives the name to a process. A name that a living process has is an *AlreadyStartedError; that of a dead
	// one is taken over.
	Register(PID) error
	// Unregister takes the name back, if the process still has it. It must not block.
	Unregister(PID)
}

// Register gives the process a name, which it keeps until it ends.
func (p *process) Register(n Registrar) error {
	if n == nil {
		return fmt.Errorf("%w: Register wants a name, not nil", ErrInvalid)
	}
	p.mu.Lock()
	if p.phase == dead {
		p.mu.Unlock()
		return ErrNoProc
	}
	p.naming++
	p.mu.Unlock()
	defer p.named()
	if err := n.Register(PID{p}); err != nil {
		return err
	}
	p.mu.Lock()
	gone := p.phase == dead
	if !gone {
		p.names = append(p.names, n)
	}
	p.mu.Unlock()
	if gone {
		n.Unregister(PID{p})
		return ErrNoProc
	}
	return nil
}

// named ends a Register. A process that was killed meanwhile, by one that knew it by the new name, is not over before
// that name is free, too.
func (p *process) named() {
	p.mu.Lock()
	p.naming--
	if p.naming > 0 || p.phase != dead {
		p.mu.Unlock()
		return
	}
	rest := p.cold.rest
	p.mu.Unlock()
	rest()
}

// A Name is a fixed name for one process at a time, most often a package variable:
//
//	var counter = actor.NewName[message]("counter")
//
// It is a Target, so that messages find the incarnation of the moment without a look-up table: a name costs one atomic
// load. It is safe for concurrent use.
type Name[M any] struct {
	name string
	at   atomic.Pointer[Self[M]]
}

// NewName makes a name that nobody has yet. Its text is for people and need not be unique.
func NewName[M any](name string) *Name[M] { return &Name[M]{name: name} }

func (n *Name[M]) String() string {
	if n == nil {
		return "(no name)"
	}
	return n.name
}

func (n *Name[M]) missing() error {
	return fmt.Errorf("%w: the name is a nil %T: make it with NewName before it is used", ErrInvalid, n)
}

// Resolve is the process that has the name now.
func (n *Name[M]) Resolve() (Ref[M], error) {
	if n == nil {
		return Ref[M]{}, n.missing()
	}
	if s := n.at.Load(); s != nil {
		return Ref[M]{s}, nil
	}
	return Ref[M]{}, fmt.Errorf("%s: %w", n.name, ErrNoProc)
}

// Cast is Ref.Cast to the process that has the name now.
func (n *Name[M]) Cast(m M) error {
	r, err := n.Resolve()
	if err != nil {
		return err
	}
	return r.Cast(m)
}

// Register implements Registrar.
func (n *Name[M]) Register(id PID) error {
	switch {
	case n == nil:
		return n.missing()
	case id.p == nil:
		return ErrNoProc
	}
	s, ok := id.p.self.(*Self[M])
	if !ok {
		return fmt.Errorf("%w: the name %s is for processes with messages of another type than %v has", ErrInvalid, n.name, id)
	}
	for {
		had := n.at.Load()
		if had != nil && had != s && (PID{&had.process}).Alive() {
			return &AlreadyStartedError{Name: n.name, PID: PID{&had.process}}
		}
		if n.at.CompareAndSwap(had, s) {
			return nil
		}
	}
}

// Unregister implements Registrar.
func (n *Name[M]) Unregister(id PID) {
	if n == nil || id.p == nil {
		return
	}
	if s, ok := id.p.self.(*Self[M]); ok {
		n.at.CompareAndSwap(s, nil)
	}
}

// An AlreadyStartedError says who has the name. errors.Is knows it as ErrAlreadyStarted.
type AlreadyStartedError struct {
	Name string
	PID  PID
}

func (e *AlreadyStartedError) Error() string {
	return fmt.Sprintf("the name %s belongs to %v, which lives: use it, or end it first", e.Name, e.PID)
}

// Is makes it an ErrAlreadyStarted.
func (e *AlreadyStartedError) Is(target error) bool { return target == ErrAlreadyStarted }
