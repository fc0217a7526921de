// Package owned keeps what processes own in a table, such as the keys of a registry or the memberships of a group, and
// gives it up at the end of its process, before anyone is told of that end.
//
// It is the one place that knows how an owner comes and goes: it is made when a process gets its first thing, is then one
// of the names of the process, and so learns of the end among the first; and it is forgotten, by the table and by the
// process, when the process has nothing left. No goroutine watches.
package owned

import (
	"hash/maphash"
	"sync"

	"semper/actor"
)

// Things is what one process owns.
type Things[T any] interface {
	*T
	// Empty reports whether nothing is left. The owner is locked.
	Empty() bool
	// Release gives everything up, also when it is nothing: the process has ended. The owner is not locked, and nobody
	// else has it any more.
	Release()
}

// A Table is the owners of one registry or the like. The zero Table is ready, as one part. It is safe for concurrent use.
type Table[T any, P Things[T]] struct {
	seed  maphash.Seed
	parts []part[T, P] // nil: only is the one
	only  part[T, P]
}

type part[T any, P Things[T]] struct {
	mu     sync.Mutex
	owners map[actor.PID]*owner[T, P]
}

// owner is a process with things. Its lock may be taken before any lock of a user of this package, and never after one.
type owner[T any, P Things[T]] struct {
	home     *part[T, P]
	id       actor.PID
	attached sync.Once // to the names of the process
	refused  error     // why it could not be

	mu     sync.Mutex // guards the following
	closed bool       // the process has ended, or had nothing left
	has    T
}

// Split makes the table one of n parts, each with a lock of its own. It is called before anything else.
func (t *Table[T, P]) Split(n int) {
	t.seed, t.parts = maphash.MakeSeed(), make([]part[T, P], n)
}

func (t *Table[T, P]) part(id actor.PID) *part[T, P] {
	if t.parts == nil {
		return &t.only
	}
	return &t.parts[maphash.Comparable(t.seed, id)%uint64(len(t.parts))]
}

// With calls f with what a process owns, which may be nothing yet, and returns what f returns, or actor.ErrNoProc when the
// process has ended. The owner is locked meanwhile: what f adds is released by the end of the process, however soon it
// comes.
func (t *Table[T, P]) With(id actor.PID, f func(has *T) error) error {
	p := t.part(id)
	for {
		o := p.owner(id)
		if err := o.attach(); err != nil {
			return err
		}
		o.mu.Lock()
		if !o.closed {
			defer o.release()
			return f(&o.has)
		}
		o.mu.Unlock()
		o.unlist() // it had nothing left in the same moment: the next round makes another, or finds the process dead
	}
}

// Known calls f with what a process owns, if it owns anything, with the owner locked.
func (t *Table[T, P]) Known(id actor.PID, f func(has *T)) bool {
	o := t.part(id).known(id)
	if o == nil {
		return false
	}
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return false
	}
	defer o.release()
	f(&o.has)
	return true
}

// Owners is who owns anything at the moment.
func (t *Table[T, P]) Owners() (all []actor.PID) {
	parts := t.parts
	if parts == nil {
		return t.only.list(nil)
	}
	for i := range parts {
		all = parts[i].list(all)
	}
	return all
}

func (p *part[T, P]) list(to []actor.PID) []actor.PID {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.owners {
		to = append(to, id)
	}
	return to
}

func (p *part[T, P]) known(id actor.PID) *owner[T, P] {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.owners[id]
}

func (p *part[T, P]) owner(id actor.PID) *owner[T, P] {
	p.mu.Lock()
	defer p.mu.Unlock()
	o := p.owners[id]
	if o != nil {
		return o
	}
	o = &owner[T, P]{home: p, id: id}
	if p.owners == nil {
		p.owners = make(map[actor.PID]*owner[T, P])
	}
	p.owners[id] = o
	return o
}

// attach makes the process know the owner, before it gets anything; the error is actor.ErrNoProc.
func (o *owner[T, P]) attach() error {
	o.attached.Do(func() {
		if o.refused = o.id.Register(o); o.refused != nil {
			o.close() // the end of a process has done it already, but nobody has no end
		}
	})
	return o.refused
}

// Register implements actor.Registrar.
func (o *owner[T, P]) Register(actor.PID) error { return nil }

// Unregister implements actor.Registrar: it is the end of the process.
func (o *owner[T, P]) Unregister(actor.PID) { o.close() }

func (o *owner[T, P]) close() {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return
	}
	o.closed = true
	o.mu.Unlock()
	o.unlist()
	P(&o.has).Release()
}

// release unlocks the owner, and forgets it when nothing is left.
func (o *owner[T, P]) release() {
	if o.closed = P(&o.has).Empty(); !o.closed {
		o.mu.Unlock()
		return
	}
	o.mu.Unlock()
	o.forget()
}

// forget is for an owner that has been closed because nothing was left: neither the table nor the process keeps it.
func (o *owner[T, P]) forget() {
	o.unlist()
	o.id.Unregister(o)
}

// unlist takes the owner out of the table. Another one of the same process may be there by now.
func (o *owner[T, P]) unlist() {
	o.home.mu.Lock()
	defer o.home.mu.Unlock()
	if o.home.owners[o.id] == o {
		delete(o.home.owners, o.id)
	}
}
