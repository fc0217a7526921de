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

import "time"

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
	// Until is when the first of what holds ends by itself; zero for never.
	Until time.Time
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
	Wait         Verdict = iota
	Go                   // on: ask for a backend again
	ShedRequests         // refused: as many wait as may
	ShedBytes            // refused: those who wait bring as much content as may be
	ShedAge              // refused: held for too long
	NoBackend            // no backend came in time
)

// Classes is how many classes of requests there are. Of two classes the lower is given up first.
const Classes = 3

// A Waiter is one request in a line. The fields are set before it joins and not changed after.
type Waiter struct {
	Unsafe  bool      // its method is not safe (RFC 9110, 9.2.1)
	Class   uint8     // below Classes
	Bytes   int64     // of its body, as declared
	Held    time.Time // how long it waits for a hold to end
	Backend time.Time // how long it waits for a backend
	// Let is the owner's way to hand out the verdict; it does not block. The line does not use it.
	Let func(Verdict)

	seq  uint64
	in   bool
	line links // of all who wait
	peer links // of those of its class
}

// A Line is the requests that wait for one pool. The zero Line is empty.
type Line struct {
	waiting queue
	class   [Classes]queue
	bytes   int64
	unsafe  int // of those who wait: their method is not safe
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
func (l *Line) Len() int { return l.waiting.n }

// Behind reports whether a request that arrives now has to go behind the line: where only unsafe
// methods are held, safe ones pass it by.
func (l *Line) Behind(unsafe bool) bool { return l.waiting.n > 0 && (unsafe || l.all) }

// Join puts w at the end of the line, or refuses it. In a line that is full it takes the place of the newest of a lower class,
// of the lowest first: those are told. A line that moves refuses nobody for want of room: it lets somebody go instead.
func (l *Line) Join(w *Waiter, g Gate, b Bounds, tell func(*Waiter, Verdict)) Verdict {
	if v := l.full(w, b); v != Wait {
		switch {
		case g.passes(w.Unsafe):
			l.over++
		case !l.yields(w, b):
			return v
		default:
			for ; v != Wait; v = l.full(w, b) {
				least := l.lowest(w.Class)
				l.remove(least)
				tell(least, v)
			}
		}
	}
	l.seq++
	w.seq = l.seq
	l.put(w, g)
	return Wait
}

// full says by which bound there is no room for w; Wait for none.
func (l *Line) full(w *Waiter, b Bounds) Verdict {
	switch {
	case l.waiting.n >= b.Requests:
		return ShedRequests
	case l.bytes+w.Bytes > b.Bytes:
		return ShedBytes
	}
	return Wait
}

// yields reports whether those of lower classes than w's have the room that it needs.
func (l *Line) yields(w *Waiter, b Bounds) bool {
	n, bytes := 0, int64(0)
	for i := range l.class[:w.Class] {
		n += l.class[i].n
		bytes += l.class[i].bytes
	}
	return n > 0 && l.waiting.n-n < b.Requests && l.bytes-bytes+w.Bytes <= b.Bytes
}

// lowest is the newest of the lowest class below c that anybody is of.
func (l *Line) lowest(c uint8) *Waiter {
	for i := range l.class[:c] {
		if l.class[i].n > 0 {
			return l.class[i].last
		}
	}
	return nil
}

// Rejoin puts w, which was let go in vain, back to where it stood.
func (l *Line) Rejoin(w *Waiter, g Gate) { l.put(w, g) }

func (l *Line) put(w *Waiter, g Gate) {
	w.in = true
	l.waiting.put(w, byArrival)
	l.class[w.Class].put(w, byClass)
	l.bytes += w.Bytes
	if w.Unsafe {
		l.unsafe++
	}
	l.all = l.all || !w.Unsafe || g.All || !g.Holds(true) // safe methods wait behind it too
}

// Leave takes w out. It reports false when w is in the line no longer: it has its verdict.
func (l *Line) Leave(w *Waiter) bool {
	if !w.in {
		return false
	}
	l.remove(w)
	return true
}

func (l *Line) remove(w *Waiter) {
	w.in = false
	l.waiting.remove(w, byArrival)
	l.class[w.Class].remove(w, byClass)
	l.bytes -= w.Bytes
	if w.Unsafe {
		l.unsafe--
	}
	if l.waiting.n == 0 {
		*l = Line{seq: l.seq, pacing: l.pacing, batch: l.batch, rate: l.rate, rampAt: l.rampAt, next: l.next}
	}
}

// Step decides what happens at now: tell is called for each waiter that leaves the line, in order. The
// result is when to step again if nothing else happens before; zero for never.
func (l *Line) Step(now time.Time, g Gate, tell func(*Waiter, Verdict)) time.Time {
	l.pace(now, g)
	var wake time.Time
	safe := false
	var next *Waiter // w's, which a verdict takes away
	for w := l.waiting.first; w != nil; w = next {
		next = w.line.next
		v, at := l.judge(w, now, g)
		if v != Wait {
			l.remove(w)
			tell(w, v)
			continue
		}
		if g.passes(true) && g.passes(false) { // all wait for the pace alone: those behind w wait as it does
			return at
		}
		safe = safe || !w.Unsafe
		if wake.IsZero() || at.Before(wake) {
			wake = at
		}
	}
	if !safe && g.Holds(true) && !g.Holds(false) { // only writes wait, and only writes are held
		l.all = false
	}
	if end := g.Until; l.waiting.n > 0 && !end.IsZero() && end.Before(wake) {
		return end
	}
	return wake
}

// pace begins or ends a paced resume.
func (l *Line) pace(now time.Time, g Gate) {
	n := 0
	if g.passes(true) {
		n += l.unsafe
	}
	if g.passes(false) {
		n += l.waiting.n - l.unsafe
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
		return late(now, w.Held, ShedAge)
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
