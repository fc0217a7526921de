package config

import (
	"time"

	"semper"
	"semper/edge/hold"
	"semper/edge/route"
)

// Ends put the ends of holds on an edge's clock, so that a jump of the wall clock lets nobody go early or late: an end that was known
// keeps the instant that it was given when it was first seen. The zero Ends knows none.
type Ends struct {
	known, before map[int64]int64 // the edge's instant by that of the wall clock, in nanoseconds
	wall          time.Time
	now           int64
}

// Turn begins a new table, at an instant by both clocks. What it does not name again is forgotten with the one after it.
func (e *Ends) Turn(wall time.Time, now int64) {
	e.before, e.known, e.wall, e.now = e.known, make(map[int64]int64), wall, now
}

// OfPool are the holds of a pool.
func (e *Ends) OfPool(l semper.Holds) hold.Terms {
	var out hold.Terms
	for _, h := range l {
		out = append(out, hold.Term{Writes: h.Writes, Until: e.at(h.Until)})
	}
	return out
}

// OfRule are the holds of a rule alone.
func (e *Ends) OfRule(l []route.Held) hold.Terms {
	var out hold.Terms
	for _, h := range l {
		out = append(out, hold.Term{Writes: h.Writes, Until: e.at(h.Until)})
	}
	return out
}

func (e *Ends) at(until time.Time) int64 {
	if until.IsZero() {
		return hold.Never
	}
	k := until.UnixNano()
	at, ok := e.before[k]
	if !ok {
		at = e.now + int64(until.Sub(e.wall))
	}
	e.known[k] = at
	return at
}
