package hold

import (
	"math"
	"time"
)

// Never is an end that does not come.
const Never int64 = math.MaxInt64

// A Term is one thing that holds, and until when on its owner's clock, in nanoseconds. It ends by itself: who could end it may
// be away.
type Term struct {
	Writes bool // only unsafe methods
	Until  int64
}

// Terms are all that hold a request. They are not changed.
type Terms []Term

// Holds reports whether a request that arrives at now has to wait for one of them to end.
func (t Terms) Holds(unsafe bool, now int64) bool {
	for i := range t {
		if now < t[i].Until && (unsafe || !t[i].Writes) {
			return true
		}
	}
	return false
}

// Close closes g for what t holds at now. clock is the owner's, now.
func (g *Gate) Close(t Terms, clock int64, now time.Time) {
	all, writes, change := t.At(clock)
	g.All, g.Writes = g.All || all, g.Writes || writes
	if change == Never {
		return
	}
	if at := now.Add(time.Duration(change - clock)); g.Until.IsZero() || at.Before(g.Until) {
		g.Until = at
	}
}

// At is what they hold at now, and when that changes by itself; Never where it does not.
func (t Terms) At(now int64) (all, writes bool, change int64) {
	change = Never
	for i := range t {
		if now >= t[i].Until {
			continue
		}
		change = min(change, t[i].Until)
		all, writes = all || !t[i].Writes, writes || t[i].Writes
	}
	return all, writes, change
}
