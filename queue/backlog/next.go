package backlog

import (
	"time"

	"semper/queue"
)

// Next picks up to n jobs to start now. They count as running; [Backlog.Started] or [Backlog.Back] must follow for each.
func (b *Backlog) Next(now time.Time, n int) []*Entry {
	b.Due(now)
	var out []*Entry
	for len(out) < n && b.mayStart(now) {
		l, ok := b.open.first()
		if !ok {
			break
		}
		e, _ := l.jobs.first()
		if !e.Expires.IsZero() && !e.Expires.After(now) {
			// It may no longer start, and its lane goes on without it. Expired tells of it.
			b.ages.remove(e)
			l.jobs.remove(e)
			b.look(l, now)
			continue
		}
		b.unwait(e)
		e.state = picked
		l.running++
		b.active++
		b.tokens--
		b.look(l, now)
		out = append(out, e)
	}
	return out
}

// Due moves what waited for its time to where it can start. Next does it itself; for those who only look.
func (b *Backlog) Due(now time.Time) {
	for {
		e, ok := b.times.first()
		if !ok || e.At.After(now) {
			return
		}
		b.ripen(e)
		b.look(e.lane, now)
	}
}

// mayStart is whether the bounds of the whole queue allow one more.
func (b *Backlog) mayStart(now time.Time) bool {
	if b.paused || b.policy.Running > 0 && b.active+len(b.seats) >= b.policy.Running {
		return false
	}
	return b.refill(now) >= 1
}

// refill gives the tokens of now: a bucket that fills with Rate and holds Burst.
func (b *Backlog) refill(now time.Time) float64 {
	if b.policy.Rate <= 0 {
		b.tokens, b.refilled = inf, now
		return inf
	}
	if b.refilled.IsZero() {
		b.refilled = now
	}
	if gone := now.Sub(b.refilled); gone > 0 {
		b.tokens += gone.Seconds() * b.policy.Rate
		b.refilled = now
	}
	b.tokens = min(b.tokens, float64(b.policy.Burst))
	return b.tokens
}

// Overdue are running jobs whose lease has ended, at most n. They stay until the engine says what became of them.
func (b *Backlog) Overdue(now time.Time, n int) (out []*Entry) {
	walk(b.leases, 0, n, &out, func(e *Entry) bool { return !e.At.After(now) })
	return out
}

// Expired are waiting jobs whose time to live has ended, at most n; the same.
func (b *Backlog) Expired(now time.Time, n int) (out []*Entry) {
	walk(b.ttl, 0, n, &out, func(e *Entry) bool { return !e.Expires.After(now) })
	return out
}

// walk collects what fits below node i: where a node does not fit, nothing below it does.
func walk(h heap[*Entry], i, n int, out *[]*Entry, fits func(*Entry) bool) {
	if i >= len(h.items) || len(*out) >= n || !fits(h.items[i]) {
		return
	}
	*out = append(*out, h.items[i])
	walk(h, 2*i+1, n, out, fits)
	walk(h, 2*i+2, n, out, fits)
}

// Wake is when time alone next changes what Next, Overdue or Expired give; the zero time is never. What may start
// already is no reason to wake.
func (b *Backlog) Wake(now time.Time) (at time.Time) {
	earliest := func(t time.Time) {
		if at.IsZero() || t.Before(at) {
			at = t
		}
	}
	if e, ok := b.times.first(); ok {
		earliest(e.At)
	}
	if e, ok := b.leases.first(); ok {
		earliest(e.At)
	}
	if e, ok := b.ttl.first(); ok {
		earliest(e.Expires)
	}
	if t := b.refill(now); t < 1 && b.open.len() > 0 {
		earliest(now.Add(time.Duration((1-t)/b.policy.Rate*float64(time.Second)) + time.Microsecond))
	}
	return at
}

// Hold keeps room for a job of size that is being written down, or refuses. [Backlog.Unhold] must follow.
func (b *Backlog) Hold(size int64) error {
	if !b.full(size) {
		b.held++
		b.heldBytes += size
		return nil
	}
	return queue.Refused(len(b.jobs), b.bytes, b.relief())
}

// Unhold gives the room back, whether the job was added or not.
func (b *Backlog) Unhold(size int64) {
	b.held--
	b.heldBytes -= size
}

func (b *Backlog) full(size int64) bool {
	return len(b.jobs)+b.held >= b.policy.MaxJobs || b.bytes+b.heldBytes+size > b.policy.MaxBytes
}

// relief is when to ask again: a paused or stuck queue is worth asking less often than one that moves.
func (b *Backlog) relief() time.Duration {
	if b.paused || b.active == 0 {
		return 30 * time.Second
	}
	return time.Second
}

// Stats are the numbers of the backlog; who hands out jobs is not known here.
func (b *Backlog) Stats(now time.Time) queue.Stats {
	b.Due(now)
	s := queue.Stats{
		Delayed: b.late, Running: b.active, Dead: b.dead, Bytes: b.bytes,
		Queued: len(b.jobs) - b.late - b.active - b.dead, Full: b.full(1),
	}
	if e, ok := b.ages.first(); ok {
		s.Oldest = e.Accepted
	}
	return s
}

// Each calls f with each entry until it gives false, in no order.
func (b *Backlog) Each(f func(*Entry) bool) {
	for _, e := range b.jobs {
		if !f(e) {
			return
		}
	}
}
