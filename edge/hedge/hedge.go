// Package hedge decides when a request is given to a second backend while the first has not answered, and whose answer it gets
// (Dean and Barroso, The Tail at Scale, 2013).
//
// It is decisions as functions of time and of what has happened: no I/O, no goroutine, and time comes in as monotonic
// nanoseconds. Whether there may be a second attempt at all, of this request and among so many others, is package admit's.
package hedge

import (
	"sync/atomic"
	"time"

	"semper/edge/sketch"
)

const (
	// least is the least delay where a quantile says how long it is: what is answered faster than that has no tail.
	least = 10 * time.Millisecond
	// enough is how many requests have to be known for a quantile of them to mean something.
	enough = 100
	// span is how long a window of a Pace is: it knows the current one and the one before.
	span = 30 * time.Second
	// again is how often the quantile is found anew.
	again = time.Second
)

// A Policy is how long a request waits for its first backend. The zero Policy waits for ever.
type Policy struct {
	Quantile float64       // for as long as this share of the requests takes at most; 0: for After
	After    time.Duration // and never for less than this
}

// On reports whether there are second attempts.
func (p Policy) On() bool { return p.Quantile > 0 || p.After > 0 }

// A Pace is how long requests of one rule take to the head of their answer, lately. It is of whole requests, from their first
// attempt on: a second one shortens only those that took longer than the delay, so that the quantile that the delay is stays
// where it is. The zero Pace knows nothing. Its methods are safe for concurrent use.
type Pace struct {
	now   atomic.Pointer[window]
	delay atomic.Pointer[delay] // as it was found last
}

// A window is what one span of time has brought.
type window struct {
	began  int64
	counts sketch.Sketch
	before *sketch.Sketch // of the window before; nil: there was none, or it is long ago
}

// A delay is a quantile as it was at some time.
type delay struct {
	at       int64
	quantile float64
	took     time.Duration
	known    bool
}

// Note notes a request whose answer began.
func (p *Pace) Note(now int64, took time.Duration) { p.window(now).counts.Add(took) }

// window is that of now.
func (p *Pace) window(now int64) *window {
	for {
		w := p.now.Load()
		if w != nil && now-w.began < int64(span) {
			return w
		}
		next := &window{began: now}
		if w != nil && now-w.began < 2*int64(span) {
			next.before = &w.counts
		}
		if p.now.CompareAndSwap(w, next) {
			return next
		}
	}
}

// Delay is how long to wait for a first answer before a second attempt by policy o. ok is false where there is none: by the
// policy, or because too little is known.
func (p *Pace) Delay(now int64, o Policy) (wait time.Duration, ok bool) {
	switch {
	case !o.On():
		return 0, false
	case o.Quantile <= 0:
		return o.After, true
	}
	d := p.delay.Load()
	if d == nil || d.quantile != o.Quantile || now-d.at >= int64(again) {
		d = p.find(now, o.Quantile)
		p.delay.Store(d)
	}
	return max(d.took, o.After, least), d.known
}

func (p *Pace) find(now int64, quantile float64) *delay {
	var c sketch.Counts
	w := p.window(now)
	w.counts.ReadInto(&c)
	if w.before != nil {
		w.before.ReadInto(&c)
	}
	return &delay{at: now, quantile: quantile, took: c.Quantile(quantile), known: c.Count() >= enough}
}

// A Verdict says what an attempt's end means for its request.
type Verdict uint8

// The verdicts.
const (
	Wait Verdict = iota // another one is under way: it may do better
	Take                // its answer is the request's; what else is under way is to be ended
	Last                // nothing else is under way: what became of it is what became of the request, for now
)

// A Race is the attempts of one request that are under way at the same time. The zero Race has none. It is over with Take or
// Last.
type Race struct{ under int }

// Begin begins one.
func (r *Race) Begin() { r.under++ }

// End ends one. answered says that it brought the head of an answer which the rule wants: of those the first wins. One that the
// rule would rather try again for is as good as none while another attempt is under way.
func (r *Race) End(answered bool) Verdict {
	r.under--
	switch {
	case answered:
		return Take
	case r.under > 0:
		return Wait
	}
	return Last
}
