package meter

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"semper/queue"
)

// A Meter has the counters of the queues that a process works. Its methods are safe for concurrent use.
type Meter struct {
	since time.Time

	mu     sync.Mutex // guards queues
	queues map[queue.Service]*tally
}

// New is a Meter that counts from now on.
func New() *Meter { return &Meter{since: time.Now(), queues: map[queue.Service]*tally{}} }

// Watch is q, which is the queue of s, and counts; it is a [queue.Teller] if q is one. The counters of a service go on where it is
// watched again.
func (m *Meter) Watch(s queue.Service, q queue.Queue) queue.Queue {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.queues[s]
	if t == nil {
		t = &tally{service: s, open: map[queue.ID]begun{}, marks: []mark{{at: time.Now()}}}
		m.queues[s] = t
	}
	t.view(q)
	w := &watched{Queue: q, t: t}
	if told, ok := q.(queue.Teller); ok {
		return &telling{w, told}
	}
	return w
}

// telling is a queue that remembers whose end is to be told.
type telling struct {
	*watched
	queue.Teller
}

// Readings are those of all queues, by name, without their pasts.
func (m *Meter) Readings(ctx context.Context) []Reading {
	all := m.tallies()
	out := make([]Reading, len(all))
	for i, t := range all {
		out[i] = t.reading(ctx, m.since)
	}
	return out
}

// Reading is that of one queue, with its past. ok is false where it is not watched.
func (m *Meter) Reading(ctx context.Context, s queue.Service) (r Reading, ok bool) {
	m.mu.Lock()
	t := m.queues[s]
	m.mu.Unlock()
	if t == nil {
		return r, false
	}
	r = t.reading(ctx, m.since)
	r.Past = t.past()
	return r, true
}

func (m *Meter) tallies() []*tally {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make([]*tally, 0, len(m.queues))
	for _, t := range m.queues {
		out = append(out, t)
	}
	slices.SortFunc(out, func(a, b *tally) int { return cmp.Compare(a.service.String(), b.service.String()) })
	return out
}

// Run draws a point of each queue every [Step], until ctx ends.
func (m *Meter) Run(ctx context.Context) error {
	tick := time.NewTicker(Step)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, t := range m.tallies() {
				t.point(ctx)
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watched is a queue whose calls are counted.
type watched struct {
	queue.Queue
	t *tally
}

// Enqueue implements [queue.Producer].
func (w *watched) Enqueue(ctx context.Context, j queue.Job) (queue.Receipt, error) {
	r, err := w.Queue.Enqueue(ctx, j)
	w.t.count(func(c *Counts) {
		switch {
		case err == nil && r.Duplicate:
			c.Duplicate++
		case err == nil:
			c.Accepted++
		case errors.Is(err, queue.ErrFull):
			c.Full++
		case refused(err):
			c.Invalid++
		default:
			c.Unavailable++
		}
	})
	return r, err
}

// Claim implements [queue.Worker].
func (w *watched) Claim(ctx context.Context, worker string, n int) ([]queue.Claim, error) {
	claims, err := w.Queue.Claim(ctx, worker, n)
	w.t.claimed(claims)
	return claims, err
}

// Extend implements [queue.Worker].
func (w *watched) Extend(ctx context.Context, l queue.Lease) error {
	err := w.Queue.Extend(ctx, l)
	if err == nil {
		w.t.extended(l)
	}
	return err
}

// Complete implements [queue.Worker].
func (w *watched) Complete(ctx context.Context, l queue.Lease, r queue.Result) error {
	err := w.Queue.Complete(ctx, l, r)
	if err == nil {
		w.t.ended(l, queue.Done)
	}
	return err
}

// Fail implements [queue.Worker].
func (w *watched) Fail(ctx context.Context, l queue.Lease, f queue.Failure) (queue.State, error) {
	s, err := w.Queue.Fail(ctx, l, f)
	if err == nil {
		w.t.ended(l, s)
	}
	return s, err
}

// Release implements [queue.Worker].
func (w *watched) Release(ctx context.Context, l queue.Lease) error {
	err := w.Queue.Release(ctx, l)
	if err == nil {
		w.t.ended(l, queue.Queued)
	}
	return err
}
