package openloop

import (
	"math/rand/v2"
	"time"
)

// A Timetable says when requests are due, from the start of a run. It is for one goroutine.
type Timetable struct {
	rng  *rand.Rand
	mean float64 // of a gap, in nanoseconds
	at   float64
	end  float64
}

// NewTimetable has rate requests a second on average, for as long as d, with independent gaps of exponential length. Equal arguments
// make equal timetables.
func NewTimetable(rate float64, d time.Duration, seed uint64) *Timetable {
	return &Timetable{rng: rand.New(rand.NewPCG(seed, seed)), mean: float64(time.Second) / rate, end: float64(d)}
}

// Next is when the next request is due; false after the last.
func (t *Timetable) Next() (time.Duration, bool) {
	t.at += t.rng.ExpFloat64() * t.mean
	return time.Duration(t.at), t.at < t.end
}
