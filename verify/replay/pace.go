package replay

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// A Pace is how fast requests are sent. The zero Pace is as fast as they are answered.
type Pace struct {
	Rate  float64 // requests in each second
	Speed float64 // times as fast as they were recorded
}

// Check says what is wrong with the pace.
func (p Pace) Check() error {
	switch {
	case p.Rate != 0 && p.Speed != 0:
		return errors.New("a rate and a speed: one of both says how fast requests are sent")
	case p.Rate < 0 || math.IsNaN(p.Rate) || p.Rate > 1e6:
		return fmt.Errorf("a rate of %v: it is a number of requests in each second", p.Rate)
	case p.Speed < 0 || math.IsNaN(p.Speed) || p.Speed > 1e6:
		return fmt.Errorf("a speed of %v: it is how many times as fast as recorded, like 2x", p.Speed)
	}
	return nil
}

// A timetable says when requests are sent, from the beginning.
type timetable struct {
	pace  Pace
	n     int64
	first time.Time     // recorded
	last  time.Duration // of the request before
}

// next is when the next request is sent, that was recorded at an instant. It never goes back: one that was recorded before the request
// before it, or without a time, follows that at once.
func (t *timetable) next(recorded time.Time) time.Duration {
	at := t.last
	switch {
	case t.pace.Rate > 0:
		at = time.Duration(float64(t.n) / t.pace.Rate * float64(time.Second))
	case t.pace.Speed > 0 && !recorded.IsZero():
		if t.first.IsZero() {
			t.first = recorded
		}
		at = max(t.last, time.Duration(float64(recorded.Sub(t.first))/t.pace.Speed))
	}
	t.n++
	t.last = at
	return at
}
