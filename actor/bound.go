package actor

import (
	"context"
	"fmt"
)

// bound is what only a bounded mailbox has; guarded by the mu of its process.
type bound[M any] struct {
	Mailbox
	head        int        // of waiting: what is before it has been taken
	infos       int        // of waiting: what is no message, and does not count
	dropped     uint64     // messages, whether new or old
	first, last *sender[M] // who waits for room, in the order they came
}

// A sender waits for room in a mailbox. Whoever makes room puts the message in its place: no sender is overtaken by
// one that came later, and none is woken in vain.
type sender[M any] struct {
	e          envelope[M]
	sent       chan error // with room for one
	prev, next *sender[M]
}

// messages is how many wait; mu is held.
func (b *mailbox[M]) messages() int { return b.len() - b.bound.infos }

func isInfo(r *request) bool { return r != nil && r.info != nil }

func infos[M any](batch []envelope[M]) (n int) {
	for i := range batch {
		if isInfo(batch[i].x) {
			n++
		}
	}
	return n
}

// next takes the oldest out of a bounded mailbox, and lets in who waited for its place.
func (b *mailbox[M]) next() envelope[M] {
	e := b.waiting[b.bound.head]
	b.shift()
	if isInfo(e.x) {
		b.bound.infos--
		return e
	}
	if w := b.bound.first; w != nil && b.messages() < b.bound.Limit {
		b.bound.remove(w)
		b.push(w.e)
		w.sent <- nil
	}
	return e
}

// shift forgets the oldest.
func (b *mailbox[M]) shift() {
	c := b.bound
	b.waiting[c.head] = envelope[M]{}
	c.head++
	if c.head*2 >= len(b.waiting) {
		n := copy(b.waiting, b.waiting[c.head:])
		clear(b.waiting[n:])
		b.waiting, c.head = b.waiting[:n], 0
	}
}

// oldest removes the message that has waited longest, and returns it; there is one, as the mailbox is full.
func (b *mailbox[M]) oldest() envelope[M] {
	i := b.bound.head
	for isInfo(b.waiting[i].x) {
		i++
	}
	old := b.waiting[i]
	copy(b.waiting[b.bound.head+1:], b.waiting[b.bound.head:i])
	b.shift()
	return old
}

func (c *bound[M]) wait(e envelope[M]) *sender[M] {
	w := &sender[M]{e: e, sent: make(chan error, 1), prev: c.last}
	if c.last == nil {
		c.first = w
	} else {
		c.last.next = w
	}
	c.last = w
	return w
}

// remove takes a sender out of the line, and reports whether it was in it.
func (c *bound[M]) remove(w *sender[M]) bool {
	if w.prev == nil && c.first != w {
		return false
	}
	if w.prev == nil {
		c.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		c.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	return true
}

// close sends those away that wait for room: the process has ended.
func (c *bound[M]) close() {
	c.head, c.infos = 0, 0
	for w := c.first; w != nil; w = c.first {
		c.remove(w)
		w.sent <- ErrNoProc
	}
}

// overflow applies the policy of a full mailbox; mu is held, and released.
func (s *Self[M]) overflow(ctx context.Context, e envelope[M]) error {
	b := s.box.bound
	switch b.Overflow {
	case DropNewest:
		b.dropped++
		s.mu.Unlock()
		if e.x != nil {
			return ErrDropped
		}
		return nil
	case DropOldest:
		old := s.box.oldest()
		s.box.push(e)
		b.dropped++
		s.mu.Unlock()
		if old.x != nil {
			old.x.fail(ErrDropped)
		}
		return nil
	case Wait:
		if caller(ctx) == &s.process {
			s.mu.Unlock()
			return fmt.Errorf("%w: %w", ErrMailboxFull, ErrCallingSelf)
		}
		w := b.wait(e)
		s.mu.Unlock()
		return s.await(ctx, w)
	}
	s.mu.Unlock()
	return ErrMailboxFull
}

// await returns when the message of w has a place, or has no prospect of one.
func (s *Self[M]) await(ctx context.Context, w *sender[M]) error {
	select {
	case err := <-w.sent:
		return err
	case <-ctx.Done():
		s.mu.Lock()
		waited := s.box.bound.remove(w)
		s.mu.Unlock()
		if !waited {
			return <-w.sent
		}
		return fmt.Errorf("%w: %w", ErrMailboxFull, context.Cause(ctx))
	}
}
