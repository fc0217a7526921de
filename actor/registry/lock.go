package registry

import (
	"context"
	"fmt"

	"semper/actor"
)

// queue is who waits for a lock: the first has it.
type queue[K comparable, V any] struct{ first, last *ticket[K, V] }

// ticket is a place in a queue.
type ticket[K comparable, V any] struct {
	key  K
	home *part[K, V]
	id   actor.PID     // nobody when no process takes the lock
	turn chan struct{} // closed when it is the first

	prev, next *ticket[K, V] // guarded by home.queuesMu
	queued     bool          // so is this
}

// Lock calls f while nobody else is in a Lock of the same key, and gives the lock back when f returns, panics, or its
// process ends; it returns what f returns. Those who wait get it in the order they came. The end of ctx ends the waiting,
// and its cause is the error. The locks have nothing to do with who has registered the key: they are for those who want
// to do something about it one after the other.
//
// In a callback ctx is the Self or comes from it: that is how the registry knows whose the lock is. A process that asks
// for a lock it holds gets ErrLocked. When a process is killed its locks are free, though what f does in it may go on:
// a goroutine cannot be stopped, and f should heed ctx.
func (r *Registry[K, V]) Lock(ctx context.Context, key K, f func() error) error {
	if ctx == nil || f == nil {
		return fmt.Errorf("%w: Lock wants a context and a function", actor.ErrInvalid)
	}
	if err := r.judge(key); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("lock %v: the context was over before it: %w", key, context.Cause(ctx))
	}
	t := &ticket[K, V]{key: key, home: r.at(key), id: actor.Caller(ctx), turn: make(chan struct{})}
	if err := r.draw(t); err != nil {
		return err
	}
	defer r.giveBack(t)
	select {
	case <-t.turn:
	case <-ctx.Done():
		return fmt.Errorf("waiting for lock %v: %w", key, context.Cause(ctx))
	}
	if ctx.Err() != nil { // a process may have been killed while it waited
		return fmt.Errorf("waiting for lock %v: %w", key, context.Cause(ctx))
	}
	return f()
}

// draw queues a ticket. That of a process is known to it, so that its end gives it back.
func (r *Registry[K, V]) draw(t *ticket[K, V]) error {
	if t.id == (actor.PID{}) {
		return t.enter()
	}
	return r.owned.With(t.id, func(h *holdings[K, V]) error {
		if err := t.enter(); err != nil {
			return err
		}
		if h.tickets == nil {
			h.tickets = make(map[*ticket[K, V]]struct{}, 1)
		}
		h.tickets[t] = struct{}{}
		return nil
	})
}

// enter takes the last place, or the turn when nobody is there.
func (t *ticket[K, V]) enter() error {
	p := t.home
	p.queuesMu.Lock()
	defer p.queuesMu.Unlock()
	q := p.queues[t.key]
	if q == nil {
		if p.queues == nil {
			p.queues = make(map[K]*queue[K, V])
		}
		p.queues[t.key] = &queue[K, V]{first: t, last: t}
		t.queued = true
		close(t.turn)
		return nil
	}
	if t.id != (actor.PID{}) && q.first.id == t.id {
		return fmt.Errorf("lock %v: %w", t.key, ErrLocked)
	}
	t.queued = true
	t.prev, q.last.next = q.last, t
	q.last = t
	return nil
}

// leave gives up the place or the turn; the next one in the queue has it then.
func (t *ticket[K, V]) leave() {
	p := t.home
	p.queuesMu.Lock()
	defer p.queuesMu.Unlock()
	if !t.queued {
		return
	}
	t.queued = false
	q := p.queues[t.key]
	if t.next == nil {
		q.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	switch {
	case t.prev != nil:
		t.prev.next = t.next
	case t.next != nil:
		q.first = t.next
		close(t.next.turn)
	default:
		delete(p.queues, t.key)
	}
	t.prev, t.next = nil, nil
}

// giveBack is the end of a Lock.
func (r *Registry[K, V]) giveBack(t *ticket[K, V]) {
	t.leave()
	if t.id != (actor.PID{}) {
		r.owned.Known(t.id, func(h *holdings[K, V]) { delete(h.tickets, t) })
	}
}
