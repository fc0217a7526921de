package balance

import (
	"math"
	"time"
)

// The defaults of an Outlier, which are Envoy's.
const (
	defaultConsecutive  = 5
	defaultBaseEjection = 30 * time.Second
	defaultMaxEjection  = 5 * time.Minute
	defaultMaxEjected   = 10
	defaultMinBackends  = 5
	defaultMinRequests  = 100
	defaultFactor       = 1.9
)

// Outlier finds the backends of a pool that answer unlike the others, and takes them out for a while. Its fields are its
// policy; where zero stands for a default it is that of Envoy's outlier detection, whose documented algorithm this is.
//
// What a request brings is counted on the backend, by [Backend.Succeeded] and [Backend.Failed], without a lock. To
// decide takes one caller at a time: Eject and Sweep change the backends' records of ejection, which nothing else guards.
type Outlier struct {
	// Consecutive is how many failures in a row eject a backend at once; 0: 5; negative: none.
	Consecutive int
	// Status5xx says that an answer of 500 to 599 is a failure. Without it only those are that brought no answer.
	Status5xx bool
	// Base is the time of the first ejection; 0: 30 s. The n-th takes n times as long, up to Max; 0: 5 min. Each Sweep that
	// finds a backend that is not out takes one from its n.
	Base, Max time.Duration
	// MaxEjected is the percentage of the pool that may be out; 0: 10. One always may: against a pool all of which
	// fails stands the panic threshold.
	MaxEjected int
	// MinBackends with at least MinRequests each since the last Sweep are needed for success rates to be compared; 0: 5 of
	// 100. One whose rate is below mean - Factor × standard deviation is ejected; 0: 1.9; negative: rates are not
	// compared.
	MinBackends, MinRequests int
	Factor                   float64
	// FailurePercent ejects whoever failed that often or oftener in MinRequests since the last Sweep, whatever the others
	// do; 0: nobody.
	FailurePercent int
}

// Why a backend is ejected, or not any more.
type Why uint8

// The reasons of an Ejection.
const (
	Consecutive Why = iota // failures in a row
	SuccessRate            // fewer successes than the others
	FailureRate            // more failures than anybody may have
	Returned               // its time is over
)

// An Ejection is one decision of an Outlier.
type Ejection struct {
	Backend *Backend
	Why     Why
	Until   int64 // when it may return; of one that has Returned, when it did
}

// ejection is a backend's record, written by its Outlier's one caller.
type ejection struct {
	times int64 // the multiplier
	until int64
}

// Succeeded counts an answer that was none of the failures.
func (b *Backend) Succeeded() {
	if b.failing.Load() != 0 {
		b.failing.Store(0)
	}
	b.good.Add(1)
}

// Failed counts a failure, and reports whether it was the one too many in a row for o: then, and only then, Eject is to be
// called.
func (b *Backend) Failed(o *Outlier) bool {
	b.bad.Add(1)
	limit := or(o.Consecutive, defaultConsecutive)
	return limit > 0 && b.failing.Add(1) == uint32(limit)
}

// Failure reports whether an exchange counts as one: broken is one without an answer.
func (o *Outlier) Failure(status int, broken bool) bool {
	return broken || o.Status5xx && status >= 500 && status <= 599
}

// Eject takes b, one of the members, out for why, if as many may be out. It reports whether b is out by it.
func (o *Outlier) Eject(now int64, members []Member, b *Backend, why Why) (Ejection, bool) {
	b.failing.Store(0)
	out := 0
	for _, m := range members {
		if m.Ejected() {
			out++
		}
	}
	if b.Ejected() || out > 0 && (out+1)*100 > or(o.MaxEjected, defaultMaxEjected)*len(members) {
		return Ejection{}, false
	}
	base, most := or(o.Base, defaultBaseEjection), or(o.Max, defaultMaxEjection)
	e := &b.ejection
	e.times++
	e.until = now + int64(min(time.Duration(e.times)*base, max(base, most)))
	b.set(isEjected, true, now)
	return Ejection{Backend: b, Why: why, Until: e.until}, true
}

// Sweep lets those return whose time is over, ejects those whose answers since the last Sweep are too bad, and
// begins to count anew. It appends what it decided to decided. Ten seconds are usual between two of them.
func (o *Outlier) Sweep(now int64, members []Member, decided []Ejection) []Ejection {
	threshold := o.threshold(members)
	for _, m := range members {
		b := m.Backend
		rate, enough := o.rate(b)
		switch {
		case b.Ejected():
			if now >= b.ejection.until {
				b.set(isEjected, false, now)
				decided = append(decided, Ejection{Backend: b, Why: Returned, Until: now})
			}
		case enough && rate < threshold:
			if e, ok := o.Eject(now, members, b, SuccessRate); ok {
				decided = append(decided, e)
			}
		case enough && o.FailurePercent > 0 && 100-rate >= float64(o.FailurePercent):
			if e, ok := o.Eject(now, members, b, FailureRate); ok {
				decided = append(decided, e)
			}
		default:
			b.ejection.times = max(b.ejection.times-1, 0)
		}
	}
	for _, m := range members {
		m.good.Store(0)
		m.bad.Store(0)
	}
	return decided
}

// rate is the percentage of successes since the last Sweep, and whether they say enough.
func (o *Outlier) rate(b *Backend) (rate float64, enough bool) {
	good, bad := float64(b.good.Load()), float64(b.bad.Load())
	return 100 * good / max(good+bad, 1), int(good+bad) >= or(o.MinRequests, defaultMinRequests)
}

// threshold is the rate below which a backend is an outlier; -1 if too few say enough to tell.
func (o *Outlier) threshold(members []Member) float64 {
	var n, sum, squares float64
	for _, m := range members {
		if rate, enough := o.rate(m.Backend); enough && !m.Ejected() {
			n++
			sum += rate
		}
	}
	factor := or(o.Factor, defaultFactor)
	if factor < 0 || int(n) < or(o.MinBackends, defaultMinBackends) {
		return -1
	}
	mean := sum / n
	for _, m := range members {
		if rate, enough := o.rate(m.Backend); enough && !m.Ejected() {
			squares += (rate - mean) * (rate - mean)
		}
	}
	return mean - factor*math.Sqrt(squares/n)
}

// or is v, or the default where it is zero.
func or[T int | float64 | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}
