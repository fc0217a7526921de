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
	Mailbox
	head    int // of waiting; only a bounded mailbox is taken from one by one
	full    [][]envelope[M]
	spare   []envelope[M]
	dropped uint64
	room    chan struct{} // closed when there may be room; made by a sender that waits
}

const (
	segment = 256 // messages of a segment
	restCap = 16  // messages for which a process at rest keeps memory
)

func (b *mailbox[M]) len() int    { return len(b.full)*segment + len(b.waiting) - b.head }
func (b *mailbox[M]) empty() bool { return len(b.waiting) == b.head && len(b.full) == 0 }

func (b *mailbox[M]) push(e envelope[M]) {
	if len(b.waiting) == segment && b.Limit == 0 {
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
	case b.Limit > 0:
		used = append(used[:0], b.waiting[b.head])
		b.shift()
		return used
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

// shift forgets the first message of a bounded mailbox.
func (b *mailbox[M]) shift() {
	b.waiting[b.head] = envelope[M]{}
	b.head++
	if b.head*2 >= len(b.waiting) {
		n := copy(b.waiting, b.waiting[b.head:])
		clear(b.waiting[n:])
		b.waiting, b.head = b.waiting[:n], 0
	}
	if b.room != nil {
		close(b.room)
		b.room = nil
	}
}

// giveBack puts messages that were taken and not handled in front of the others.
func (b *mailbox[M]) giveBack(batch []envelope[M]) {
	if b.Limit > 0 {
		b.waiting = slices.Concat(batch, b.waiting[b.head:])
		b.head = 0
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
	for _, part := range append(b.full[:len(b.full):len(b.full)], b.waiting[b.head:]) {
		for i := range part {
			if !yield(&part[i]) {
				return
			}
		}
	}
}

// rest lets go of memory that a burst needed and a process at rest does not.
func (b *mailbox[M]) rest() {
	b.full, b.spare = nil, nil
	if cap(b.waiting) > restCap {
		b.waiting, b.head = nil, 0
	}
}

// put adds to the mailbox. It waits only when the mailbox says so, until ctx ends.
func (s *Self[M]) put(ctx context.Context, e envelope[M]) error {
	s.mu.Lock()
	if s.box.Limit > 0 && (e.x == nil || e.x.info == nil) && s.box.len() >= s.box.Limit && s.phase != dead {
		return s.overflow(ctx, e) // unlocks
	}
	if s.phase == dead {
		s.mu.Unlock()
		return ErrNoProc
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

func (s *Self[M]) post(info any) error {
	return s.put(context.Background(), envelope[M]{x: &request{info: info}})
}

// overflow applies the policy of a full mailbox; mu is held, and released.
func (s *Self[M]) overflow(ctx context.Context, e envelope[M]) error {
	switch s.box.Overflow {
	case DropNewest:
		s.box.dropped++
		s.mu.Unlock()
		if e.x != nil {
			return ErrDropped
		}
		return nil
	case DropOldest:
		old := s.oldest()
		s.box.waiting = append(s.box.waiting, e)
		s.box.dropped++
		s.mu.Unlock()
		if old != nil {
			old.fail(ErrDropped)
		}
		return nil
	case Wait:
		if caller(ctx) == &s.process {
			s.mu.Unlock()
			return fmt.Errorf("%w: %w", ErrMailboxFull, ErrCallingSelf)
		}
		if s.box.room == nil {
			s.box.room = make(chan struct{})
		}
		room := s.box.room
		s.mu.Unlock()
		select {
		case <-room:
			return s.put(ctx, e)
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", ErrMailboxFull, context.Cause(ctx))
		}
	}
	s.mu.Unlock()
	return ErrMailboxFull
}

// oldest removes the message that has waited longest, and returns the call it was; mu is held.
func (s *Self[M]) oldest() *request {
	for i := s.box.head; i < len(s.box.waiting); i++ {
		if old := s.box.waiting[i].x; old == nil || old.info == nil {
			s.box.waiting = slices.Delete(s.box.waiting, i, i+1)
			return old
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
	s.box.waiting, s.box.full, s.box.spare, s.box.head = nil, nil, nil, 0
	if s.box.room != nil {
		close(s.box.room)
		s.box.room = nil
	}
	return calls
}
