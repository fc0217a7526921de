package admit

import (
	"math"
	"sync/atomic"
	"time"
)

// budgetWindow is how far back a [Budget] remembers.
const budgetWindow = 10 * time.Second

// BudgetPolicy is how many more attempts than requests there may be: each costs the backends a second time, and must not make
// a bad moment worse. The zero policy allows none.
type BudgetPolicy struct {
	Ratio float64 // of the requests of about the last ten seconds
	Floor float64 // a second on top, so that few requests have some as well
}

// allows reports whether there may be one more than n, of so many requests.
func (p BudgetPolicy) allows(n, requests float64) bool {
	return n+1 <= p.Ratio*requests+p.Floor*budgetWindow.Seconds()
}

// Budget counts the requests of a pool and what was tried beyond them. Both are forgotten alike, by half in seven seconds, so
// that a share of the one can be asked for at any moment, by rules that want different ones: whoever asks for less finds
// nothing left first. Whatever happens when, in a time t there are never more attempts beyond the first than
// Ratio · requests + Floor · (t + 10 s), by the most generous of those who ask.
//
// The zero Budget is ready. Its methods are safe for concurrent use. Count is for every request; the others allocate, which
// a second attempt can afford.
type Budget struct {
	requests atomic.Uint64 // in all
	_        [cacheLine - 8]byte
	state    atomic.Pointer[spent]
}

// spent is the state of a Budget at one moment. It is immutable.
type spent struct {
	at       int64
	seen     uint64  // of the requests in all
	requests float64 // what is remembered of them
	second   float64 // of all that was tried beyond them
	hedges   float64 // the same, of hedges alone
}

// Count counts a request.
func (b *Budget) Count() { b.requests.Add(1) }

// Retry spends one attempt by p and reports whether there was one.
func (b *Budget) Retry(now int64, p BudgetPolicy) bool {
	return b.spend(now, func(s *spent) bool { return p.allows(s.second, s.requests) }, 0)
}

// Hedge spends one attempt by p, of which hedges may have no more than the part h.
func (b *Budget) Hedge(now int64, p, h BudgetPolicy) bool {
	return b.spend(now, func(s *spent) bool { return p.allows(s.second, s.requests) && h.allows(s.hedges, s.requests) }, 1)
}

func (b *Budget) spend(now int64, allows func(*spent) bool, hedges float64) bool {
	for {
		before := b.state.Load()
		after := spent{at: now}
		if before != nil {
			after = *before
		}
		after.forget(now, b.requests.Load())
		ok := allows(&after)
		if ok {
			after.second++
			after.hedges += hedges
		}
		if b.state.CompareAndSwap(before, &after) {
			return ok
		}
	}
}

// forget is what is left of s at now. The requests that came meanwhile came evenly, as far as is known.
func (s *spent) forget(now int64, seen uint64) {
	var passed float64
	if seen > s.seen {
		passed, s.seen = float64(seen-s.seen), seen
	}
	part := time.Duration(max(now-s.at, 0)).Seconds() / budgetWindow.Seconds()
	s.at = max(now, s.at)
	left := math.Exp(-part)
	if part > 0 {
		passed *= (1 - left) / part
	}
	s.requests = s.requests*left + passed
	s.second *= left
	s.hedges *= left
}
