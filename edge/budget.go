package edge

import (
	"sync"
	"time"
)

// A retry of something that was sent already costs the backends a second time; a budget keeps retries
// from making a bad moment worse. It allows a fifth of the requests of about the last ten seconds, and
// ten a second on top, of which a hundred may come at once. What was never sent costs nothing here.
const (
	budgetShare  = 0.2
	budgetFloor  = 10.0 // per second
	budgetWindow = 10.0 // seconds
)

// budget is a bucket that is filled when it is asked, from the requests that passed since.
type budget struct {
	mu       sync.Mutex // guards what follows
	tokens   float64
	at       time.Time // of the last question, or the beginning
	requests uint64    // seen then
}

// begin fills the bucket with what may come at once.
func (b *budget) begin(now time.Time) { b.at, b.tokens = now, budgetFloor*budgetWindow }

// take spends one retry; requests is how many the lane has had in all.
func (b *budget) take(now time.Time, requests uint64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	seconds, passed := max(now.Sub(b.at).Seconds(), 0), float64(requests-b.requests)
	full := budgetFloor * budgetWindow
	if seconds < budgetWindow {
		full = max(full+budgetShare*passed, b.tokens)
	} else { // a long pause is not saved up: what counts is what ten seconds of it brought
		full += budgetShare * passed * budgetWindow / seconds
	}
	b.tokens = min(b.tokens+budgetShare*passed+budgetFloor*seconds, full)
	b.at, b.requests = now, requests
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
