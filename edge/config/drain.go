package config

import (
	"math/rand/v2"
	"time"

	"semper"
)

// Steady puts the instants of d on the monotonic clock, so that a jump of the wall clock neither cuts
// early nor late. An instant that was known keeps the one it was given when it was first seen.
func Steady(known, d semper.Draining, now time.Time) semper.Draining {
	for _, at := range []struct {
		known time.Time
		at    *time.Time
	}{{known.Request, &d.Request}, {known.Stream, &d.Stream}, {known.WebSocket, &d.WebSocket}} {
		if !at.known.IsZero() && at.known.Round(0).Equal(*at.at) {
			*at.at = at.known
		} else {
			*at.at = now.Add(at.at.Sub(now))
		}
	}
	return d
}

// ageSpread is by how many percent of its age a stream ends earlier, so that not all end at once.
const ageSpread = 10

// Spread is a moment before age is over.
func Spread(age time.Duration) time.Duration {
	return age - time.Duration(rand.Int64N(int64(age)*ageSpread/100+1))
}

// Sooner is the earlier of the two that are not zero.
func Sooner(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
