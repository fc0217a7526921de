package admit

import (
	"sync/atomic"
	"time"
)

// The defaults of a BudgetPolicy.
const (
	defaultRatio  = 0.2
	defaultFloor  = 10
	defaultWindow = 10 * time.Second
)

// BudgetPolicy is how many retries there may be: a retry costs the backends a second time, and must not make a bad
// moment worse. Zero fields stand for defaults.
type BudgetPolicy struct {
	Ratio  float64       // of the requests of about one window; 0: 0.2; negative: none
	Floor  float64       // a second on top, so that few requests can be retried as well; 0: 10; negative: none
	Window time.Duration // how far back requests count; what the floor gives in one may be spent at once; 0: 10 s
}

// A Budget is a bucket of retries. It is filled when it is asked, by the time and the requests that have passed since. Its
// method is safe for concurrent use; it allocates, which a retry can afford. The zero Budget is not ready: see NewBudget.
type Budget struct {
	ratio, floor float64 // of a request; of a second
	window       float64 // seconds
	state        atomic.Pointer[bucket]
}

// bucket is the state of a Budget at one moment. It is immutable.
type bucket struct {
	tokens   float64
	at       int64  // of the last question
	requests uint64 // that had been then
}

// NewBudget is full: what the floor gives in a window may be spent at once.
func NewBudget(p BudgetPolicy, now int64) *Budget {
	b := &Budget{
		ratio: max(or(p.Ratio, defaultRatio), 0), floor: max(or(p.Floor, defaultFloor), 0), window: or(p.Window, defaultWindow).Seconds(),
	}
	b.state.Store(&bucket{tokens: b.floor * b.window, at: now})
	return b
}

// Take spends one retry and reports whether there was one; requests is how many requests there have been in all.
func (b *Budget) Take(now int64, requests uint64) bool {
	for {
		before := b.state.Load()
		after := b.fill(*before, now, requests)
		ok := after.tokens >= 1
		if ok {
			after.tokens--
		}
		if b.state.CompareAndSwap(before, &after) {
			return ok
		}
	}
}

// fill is s at now. A long pause is not saved up: what counts is what one window of it brought.
func (b *Budget) fill(s bucket, now int64, requests uint64) bucket {
	seconds := time.Duration(max(now-s.at, 0)).Seconds()
	var passed float64
	if requests > s.requests {
		passed = float64(requests - s.requests)
	}
	full := b.floor * b.window
	if seconds < b.window {
		full = max(full+b.ratio*passed, s.tokens)
	} else {
		full += b.ratio * passed * b.window / seconds
	}
	return bucket{
		tokens: min(s.tokens+b.ratio*passed+b.floor*seconds, full),
		at:     max(now, s.at), requests: max(requests, s.requests),
	}
}

// or is v, or the default where it is zero.
func or[T int | int64 | float64 | time.Duration](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}
