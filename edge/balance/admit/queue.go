package admit

import (
	"cmp"
	"math"
	"time"
)

// The defaults of a QueuePolicy.
const (
	defaultMaxWait  = 10 * time.Second
	defaultInterval = 100 * time.Millisecond
)

// QueuePolicy bounds a Queue. Zero fields stand for defaults.
type QueuePolicy struct {
	Length   int           // how many may wait; 0: none
	MaxWait  time.Duration // how long; 0: 10 s
	Interval time.Duration // a queue that was not empty for so long is not a burst but an overload; 0: 100 ms
	Target   time.Duration // how long one may wait in an overload; 0: Interval
}

// Verdict is what becomes of a request at a bound.
type Verdict uint8

// The verdicts.
const (
	Wait Verdict = iota
	Go           // it is in flight
	Shed         // there is no room to wait, or no more
	Late         // it has waited for too long
)

// A Waiter is one who waits in one Queue at a time. Value is the owner's way to it.
type Waiter[T any] struct {
	Value T

	since      int64
	prev, next *Waiter[T]
	queued     bool
}

// A Queue is who waits at a [Limit]. In a burst it is first in, first out. In an overload that does nobody good: all wait, and
// those at the front so long that their clients have gone. So the newest go first then, who still have somebody to answer, the
// oldest make room, and nobody waits for longer than the target. This is the adaptive LIFO with controlled delay of Maurer, Fail at
// Scale (ACM Queue 13/8, 2015).
//
// A Queue has no lock: its owner has one, holds it for each call, and for nothing else.
type Queue[T any] struct {
	policy         QueuePolicy
	oldest, newest *Waiter[T]
	n              int
	since          int64 // when it was empty last
}

// NewQueue is an empty queue.
func NewQueue[T any](p QueuePolicy) *Queue[T] {
	p.MaxWait, p.Interval = cmp.Or(p.MaxWait, defaultMaxWait), cmp.Or(p.Interval, defaultInterval)
	p.Target = cmp.Or(p.Target, p.Interval)
	return &Queue[T]{policy: p}
}

// Len is how many wait.
func (q *Queue[T]) Len() int { return q.n }

// Overloaded reports whether the queue has been busy for so long that this is no burst.
func (q *Queue[T]) Overloaded(now int64) bool {
	return q.n > 0 && now-q.since >= int64(q.policy.Interval)
}

// Enter is for a request that [Limit.Enter] has refused. It goes on if that has changed, waits if there is room, or is shed.
// room is the part of the length that it may fill: see [Shares.Of]. Who makes room for it is told.
func (q *Queue[T]) Enter(now int64, l *Limit, most int64, w *Waiter[T], room int64, tell func(*Waiter[T], Verdict)) Verdict {
	l.mark(true) // before the look: who leaves later sees it
	defer q.settle(l)
	if q.n == 0 && l.take(most) {
		return Go
	}
	if room = min(room, int64(q.policy.Length)); int64(q.n) >= room {
		if room == 0 || !q.Overloaded(now) {
			return Shed
		}
		oldest := q.oldest
		q.remove(oldest)
		tell(oldest, Shed)
	}
	if q.n == 0 {
		q.since = now
	}
	q.push(w, now)
	return Wait
}

// Step tells those who may go on now, and those who have waited for too long. It is to be called after a [Limit.Leave] that says
// so, when the bound has risen, and at the moment it returns; [math.MaxInt64] stands for never.
func (q *Queue[T]) Step(now int64, l *Limit, most int64, tell func(*Waiter[T], Verdict)) (next int64) {
	defer q.settle(l)
	for q.n > 0 && now >= q.deadline() {
		w := q.oldest
		q.remove(w)
		tell(w, Late)
	}
	for q.n > 0 && l.take(most) {
		w := q.oldest
		if q.Overloaded(now) {
			w = q.newest
		}
		q.remove(w)
		tell(w, Go)
	}
	if q.n == 0 {
		return math.MaxInt64
	}
	return q.deadline()
}

// Remove takes w out, because its client went away. It reports false when w waits no longer: it has its verdict.
func (q *Queue[T]) Remove(w *Waiter[T], l *Limit) bool {
	if !w.queued {
		return false
	}
	q.remove(w)
	q.settle(l)
	return true
}

// deadline is when the oldest has waited for too long, if nobody leaves before.
func (q *Queue[T]) deadline() int64 {
	since := q.oldest.since
	overload := max(q.since+int64(q.policy.Interval), since+int64(q.policy.Target))
	return min(since+int64(q.policy.MaxWait), overload)
}

// settle lets requests pass by an empty queue again.
func (q *Queue[T]) settle(l *Limit) {
	if q.n == 0 {
		l.mark(false)
	}
}

func (q *Queue[T]) push(w *Waiter[T], now int64) {
	w.since, w.queued = now, true
	w.prev, w.next = q.newest, nil
	if q.newest == nil {
		q.oldest = w
	} else {
		q.newest.next = w
	}
	q.newest = w
	q.n++
}

func (q *Queue[T]) remove(w *Waiter[T]) {
	if w.prev == nil {
		q.oldest = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.newest = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.n--
}
