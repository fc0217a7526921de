package actor

import (
	"context"
	"fmt"
	"slices"
)

// A Mailbox bounds what may wait for a process. The zero Mailbox is unbounded.
type Mailbox struct {
	Limit    int      // messages that may wait; zero: no limit. What is not a message (Down, Exit) always fits
	Overflow Overflow // what happens to one message more
}

// Overflow says what happens when a bounded mailbox is full.
type Overflow int

const (
	Reject     Overflow = iota // the sender gets ErrMailboxFull
	DropNewest                 // the message is dropped; it is counted, and the call it was gets ErrDropped
	DropOldest                 // the message that has waited longest is dropped in its stead, and counted
	Wait                       // the sender waits for room, until its context or the process ends; Cast waits without limit
)

func (o Overflow) String() string {
	if names := [...]string{"reject", "drop-newest", "drop-oldest", "wait"}; o >= 0 && int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("overflow(%d)", int(o))
}

// envelope is one thing in a mailbox: a message, or what x says.
type envelope[M any] struct {
	m M
	x *request // a call, or an info; nil for a cast
}

// mailbox is a queue: segments that are full, oldest first, and the one that is being filled. A backlog is never
// copied, and a segment that has been handled is filled again. All but its settings is guarded by the mu of its process.
type mailbox[M any] struct {
	waiting []envelope[M]
	bound   *bound[M] // nil: no limit
	full    [][]envelope[M]
	spare   []envelope[M]
}

const (
	segment = 256 // messages of a segment
	restCap = 16  // messages for which a process at rest keeps memory
)

func (b *mailbox[M]) len() int {
	if b.bound != nil {
		return len(b.waiting) - b.bound.head
	}
	return len(b.full)*segment + len(b.waiting)
}

func (b *mailbox[M]) empty() bool { return len(b.waiting) == 0 && len(b.full) == 0 }

func (b *mailbox[M]) push(e envelope[M]) {
	if len(b.waiting) == segment && b.bound == nil {
		b.full = append(b.full, b.waiting)
		b.waiting, b.spare = b.spare, nil
		if cap(b.waiting) < segment {
			b.waiting = make([]envelope[M], 0, segment)
		}
	}
	b.waiting = append(b.waiting, e)
}

// take hands out the oldest segment, in exchange for one that has been handled; a bounded mailbox hands out one
// message, so that its length is what waits.
func (b *mailbox[M]) take(used []envelope[M]) []envelope[M] {
	switch {
	case b.bound != nil:
		return append(used[:0], b.next())
	case len(b.full) == 0:
		batch := b.waiting
		b.waiting = used[:0]
		return batch
	}
	batch := b.full[0]
	b.full[0] = nil
	b.full = b.full[1:]
	b.spare = used[:0]
	return batch
}

// giveBack puts messages that were taken and not handled in front of the others.
func (b *mailbox[M]) giveBack(batch []envelope[M]) {
	if b.bound != nil {
		b.bound.infos += infos(batch)
		b.waiting = slices.Concat(batch, b.waiting[b.bound.head:])
		b.bound.head = 0
		return
	}
	all := slices.Concat(append([][]envelope[M]{batch}, append(b.full, b.waiting)...)...)
	b.full, b.waiting = nil, nil
	for _, e := range all {
		b.push(e)
	}
}

// all is every message that waits, oldest first.
func (b *mailbox[M]) all(yield func(*envelope[M]) bool) {
	last := b.waiting
	if b.bound != nil {
		last = last[b.bound.head:]
	}
	for _, part := range append(b.full[:len(b.full):len(b.full)], last) {
		for i := range part {
			if !yield(&part[i]) {
				return
			}
		}
	}
}

// rest lets go of memory that a burst needed and a process at rest does not; the mailbox is empty.
func (b *mailbox[M]) rest() {
	b.full, b.spare = nil, nil
	if cap(b.waiting) > restCap {
		b.waiting = nil
	}
}

// put adds a message to the mailbox. It waits only when the mailbox says so, until ctx ends.
func (s *Self[M]) put(ctx context.Context, e envelope[M]) error {
	s.mu.Lock()
	if s.phase == dead {
		s.mu.Unlock()
		return ErrNoProc
	}
	if s.box.bound != nil && s.box.messages() >= s.box.bound.Limit {
		return s.overflow(ctx, e) // unlocks
	}
	s.box.push(e)
	if s.phase != idle || s.suspended {
		s.mu.Unlock()
		return nil
	}
	s.phase, s.active = busy, true
	s.mu.Unlock()
	go s.loop()
	return nil
}

// push puts an Info into the mailbox, bounded or not; mu is held.
func (s *Self[M]) push(info any) {
	if s.box.bound != nil {
		s.box.bound.infos++
	}
	s.box.push(envelope[M]{x: &request{info: info}})
}

// ordered is the end that a process which traps exits was asked for and has not come to yet; mu is held.
func (s *Self[M]) ordered() *Reason {
	find := func(e *envelope[M]) *Reason {
		if e.x != nil {
			if end, ok := e.x.info.(ending); ok {
				return &end.reason
			}
		}
		return nil
	}
	for i := range s.batch[s.at:] {
		if r := find(&s.batch[s.at+i]); r != nil {
			return r
		}
	}
	for e := range s.box.all {
		if r := find(e); r != nil {
			return r
		}
	}
	return nil
}

// drain empties the mailbox of a process that ends; mu is held.
func (s *Self[M]) drain() []*request {
	var calls []*request
	for e := range s.box.all {
		if e.x != nil && e.x.info == nil {
			calls = append(calls, e.x)
		}
	}
	for _, e := range s.batch {
		if e.x != nil && e.x.info == nil {
			calls = append(calls, e.x) // those answered already stay so
		}
	}
	s.box.waiting, s.box.full, s.box.spare = nil, nil, nil
	if s.box.bound != nil {
		s.box.bound.close()
	}
	if !s.active {
		s.forget()
	}
	return calls
}
