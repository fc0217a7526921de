// Package hold decides who waits in front of a pool and who goes on, as a function of state and time.
//
// A [Line] is first in, first out. It is bounded by count, by bytes of request bodies and by age; over a
// bound a request is refused. What a change of the [Gate] lets go, goes paced: what stood in line at that
// instant at the rate of the pool, and what joined behind it meanwhile at a rate that doubles every tenth
// of a second, so that a line in front of a busy pool always ends. A request never overtakes one that
// joined before it and may go as well.
//
// A Line has no lock, no clock and no goroutine: its owner brings those.
package hold

import (
	"container/list"
	"time"
)

const (
	// rampEvery is how often the pace doubles for what joined a line that is being let go.
	rampEvery = 100 * time.Millisecond
	// catchUp bounds what a step that comes late makes good at once.
	catchUp = 5 * time.Millisecond
)

// Gate is what stands between the line and the pool.
type Gate struct {
	Gone   bool // there is no such pool any more: nobody has anything to wait for
	All    bool // everything is held
	Writes bool // unsafe methods are held
	Ready  bool // there is a backend to go to
	Rate   int  // requests per second let go
}

// Holds reports whether a request has to wait for the hold to end.
func (g Gate) Holds(unsafe bool) bool { return !g.Gone && (g.All || g.Writes && unsafe) }

// passes reports whether a request may go on now, apart from the pace.
func (g Gate) passes(unsafe bool) bool { return g.Gone || g.Ready && !g.Holds(unsafe) }

// Bounds of a line.
type Bounds struct {
	Requests int
	Bytes    int64
}

// Verdict is what becomes of a waiter.
type Verdict int

// The verdicts.
const (
	Wait      Verdict = iota
	Go                // on: ask for a backend again
	Shed              // refused by a bound of the line, or held for too long
	NoBackend         // no backend came in time
)

// A Waiter is one request in a line. The fields are set before it joins and not changed after.
type Waiter struct {
	Unsafe  bool      // its method is not safe (RFC 9110, 9.2.1)
	Bytes   int64     // of its body, as declared
	Held    time.Time // how long it waits for a hold to end
	Backend time.Time // how long it waits for a backend
	// Let is the owner's way to hand out the verdict; it does not block. The line does not use it.
	Let func(Verdict)

	seq  uint64
	elem *list.Element
}

// A Line is the requests that wait for one pool. The zero Line is empty.
type Line struct {
	waiting list.List
	bytes   int64
	seq     uint64
	all     bool // safe methods wait in this line too, or behind it

	pacing bool
	batch  int // of what stood in line when it was let go, still here
	over   int // joined over the bound while the line moves: as many go at once
	rate   int
	rampAt time.Time
	next   time.Time
}

// Len is how many wait.
func (l *Line) Len() int { return l.waiting.Len() }

// Behind reports whether a request that arrives now has to go behind the line: where only unsafe
// methods are held, safe ones pass it by.
func (l *Line) Behind(unsafe bool) bool { return l.waiting.Len() > 0 && (unsafe || l.all) }

// Join puts w at the end of the line, or refuses it. A line that moves refuses nobody for want of
// room: it lets somebody go instead.
func (l *Line) Join(w *Waiter, g Gate, b Bounds) Verdict {
	full := l.waiting.Len() >= b.Requests || l.bytes+w.Bytes > b.Bytes
	switch {
	case full && !g.passes(w.Unsafe):
		return Shed
	case full:
		l.over++
	}
	l.seq++
	w.seq = l.seq
	w.elem = l.waiting.PushBack(w)
	l.bytes += w.Bytes
	l.mark(w, g)
	return Wait
}

// Rejoin puts w, which was let go in vain, back to where it stood.
func (l *Line) Rejoin(w *Waiter, g Gate) {
	at := l.waiting.Front()
	for at != nil && at.Value.(*Waiter).seq < w.seq {
		at = at.Next()
	}
	if at == nil {
		w.elem = l.waiting.PushBack(w)
	} else {
		w.elem = l.waiting.InsertBefore(w, at)
	}
	l.bytes += w.Bytes
	l.mark(w, g)
}

// mark notes whether w's wait makes safe methods wait behind it too.
func (l *Line) mark(w *Waiter, g Gate) { l.all = l.all || !w.Unsafe || g.All || !g.Holds(true) }

// Leave takes w out. It reports false when w is in the line no longer: it has its verdict.
func (l *Line) Leave(w *Waiter) bool {
	if w.elem == nil {
		return false
	}
	l.remove(w)
	return true
}

func (l *Line) remove(w *Waiter) {
	l.waiting.Remove(w.elem)
	w.elem = nil
	l.bytes -= w.Bytes
	if l.waiting.Len() == 0 {
		*l = Line{seq: l.seq, pacing: l.pacing, batch: l.batch, rate: l.rate, rampAt: l.rampAt, next: l.next}
	}
}

// Step decides what happens at now: tell is called for each waiter that leaves the line, in order. The
// result is when to step again if nothing else happens before; zero for never.
func (l *Line) Step(now time.Time, g Gate, tell func(*Waiter, Verdict)) time.Time {
	l.pace(now, g)
	var wake time.Time
	safe := false
	for e := l.waiting.Front(); e != nil; {
		w := e.Value.(*Waiter)
		e = e.Next()
		v, at := l.judge(w, now, g)
		if v != Wait {
			l.remove(w)
			tell(w, v)
			continue
		}
		safe = safe || !w.Unsafe
		if wake.IsZero() || at.Before(wake) {
			wake = at
		}
	}
	if !safe && g.Holds(true) && !g.Holds(false) { // only writes wait, and only writes are held
		l.all = false
	}
	return wake
}

// pace begins or ends a paced resume.
func (l *Line) pace(now time.Time, g Gate) {
	n := 0
	for e := l.waiting.Front(); e != nil; e = e.Next() {
		if g.passes(e.Value.(*Waiter).Unsafe) {
			n++
		}
	}
	switch {
	case n == 0 && now.After(l.next):
		l.pacing = false
	case n > 0 && !l.pacing:
		l.pacing, l.batch, l.rate, l.next, l.rampAt = true, n, max(g.Rate, 1), now, time.Time{}
	}
}

// judge is the verdict on w, or when to ask again.
func (l *Line) judge(w *Waiter, now time.Time, g Gate) (Verdict, time.Time) {
	switch {
	case g.Gone:
		return Go, time.Time{}
	case g.Holds(w.Unsafe):
		return late(now, w.Held, Shed)
	case !g.Ready:
		return late(now, w.Backend, NoBackend)
	case l.over > 0:
		l.over--
		l.batch--
		return Go, time.Time{}
	case now.Before(l.next):
		return Wait, l.next
	}
	if l.batch--; l.batch < 0 {
		l.ramp(now)
	}
	if behind := now.Add(-catchUp); l.next.Before(behind) {
		l.next = behind
	}
	l.next = l.next.Add(time.Second / time.Duration(l.rate))
	return Go, time.Time{}
}

func (l *Line) ramp(now time.Time) {
	if l.rampAt.IsZero() {
		l.rampAt = now.Add(rampEvery)
	}
	for !now.Before(l.rampAt) && l.rate < 1<<24 {
		l.rate *= 2
		l.rampAt = l.rampAt.Add(rampEvery)
	}
}

func late(now, at time.Time, v Verdict) (Verdict, time.Time) {
	if now.Before(at) {
		return Wait, at
	}
	return v, time.Time{}
}
