package autoscale

import "time"

// A window remembers the most that was asked for during the last while, or the least. It is a value: put makes another.
//
// It keeps when each number was last asked for, of those that are more (less) than all that came later: so there are never more of
// them than different numbers.
type window struct {
	since time.Time // of the first number since the last gap; zero: there is none
	kept  []asked
}

type asked struct {
	at time.Time
	n  int
}

// put is w after n was asked for at now; what was last asked for a span ago is forgotten. beats says whether a number makes an earlier
// one of no interest.
func (w window) put(now time.Time, n int, span time.Duration, beats func(n, earlier int) bool) window {
	kept := make([]asked, 0, len(w.kept)+1)
	for _, k := range w.kept {
		if now.Sub(k.at) < span && !beats(n, k.n) {
			kept = append(kept, k)
		}
	}
	if w.since.IsZero() {
		w.since = now
	}
	return window{w.since, append(kept, asked{now, n})}
}

// first is the most (the least) that was asked for; put has to have been called.
func (w window) first() int { return w.kept[0].n }

// whole reports whether w goes back as far as span without a gap.
func (w window) whole(now time.Time, span time.Duration) bool {
	return !w.since.IsZero() && now.Sub(w.since) >= span
}

func most(n, earlier int) bool  { return n >= earlier }
func least(n, earlier int) bool { return n <= earlier }
