package queue

import (
	"math"
	"time"
)

// Backoff is how long a job waits between attempts: Base · Factor^(n-1) after the nth, at most Max, of which a random
// part of up to Jitter is taken off, so that what failed together does not come back together.
//
// Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015; Jitter 1 is its full jitter.
type Backoff struct {
	Base   time.Duration `json:"base,omitempty"`   // 0: 1 s
	Max    time.Duration `json:"max,omitempty"`    // 0: 10 min
	Factor float64       `json:"factor,omitempty"` // 0: 2
	Jitter float64       `json:"jitter,omitempty"` // from 0 to 1; 0: 0.5
}

func (b Backoff) filled() Backoff {
	fill(&b.Base, time.Second)
	fill(&b.Max, 10*time.Minute)
	fill(&b.Factor, 2)
	fill(&b.Jitter, 0.5)
	return b
}

// Delay is the wait after attempt n, counted from 1. random is from [0, 1).
func (b Backoff) Delay(n int, random float64) time.Duration {
	b = b.filled()
	d := float64(b.Base) * math.Pow(b.Factor, float64(max(n, 1)-1))
	d = math.Min(d, float64(b.Max)) // an overflow is +Inf, and so Max
	return time.Duration(d * (1 - b.Jitter*random))
}

// Failure is how an attempt ended that did not complete its job.
type Failure struct {
	Status     int           `json:"status,omitempty"` // of the response; 0: there was none
	Reason     string        `json:"reason,omitempty"` // for people; at most 1 KiB is kept
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	Final      bool          `json:"final,omitempty"` // no further attempt would help
	Result     *Result       `json:"-"`               // the response, kept if the job is dead with it
}

// Next is what follows a failure.
type Next struct {
	Dead bool
	Due  time.Time // of the next attempt
	Why  string    // it is dead
}

// After decides what follows when attempt n, counted from 1, has ended with f at now. A Retry-After of the instance
// (RFC 9110 section 10.2.3) is obeyed up to Backoff.Max, and never makes the wait shorter.
func (p Policy) After(n int, f Failure, now time.Time, random float64) Next {
	p = p.Filled()
	switch {
	case f.Final:
		return Next{Dead: true, Why: "its last attempt said that no other would help"}
	case n >= p.MaxAttempts:
		return Next{Dead: true, Why: "no attempts are left"}
	}
	wait := max(p.Backoff.Delay(n, random), min(f.RetryAfter, p.Backoff.Max))
	return Next{Due: now.Add(wait)}
}
