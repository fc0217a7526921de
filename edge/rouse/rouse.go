// Package rouse counts who asks for services that may sleep, and says at once that somebody waits for one that does.
//
// The requests themselves wait in the line of the service's pool, as in a hold. Who asks whether the service is well neither counts
// nor waits: it is, and a balancer in front of this machine that took it for dead would send nobody who could wake it.
package rouse

import (
	"context"
	"math"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"semper"
	"semper/autoscale/waking"
	"semper/edge/config"
	"semper/edge/ledger"
	"semper/edge/refusal"
	"semper/edge/route"
)

// Asked counts the requests to a service, from route table to route table. It is safe for concurrent use.
type Asked struct{ n atomic.Uint64 }

// A Service is one that may sleep, by one route table; nil is one that does not. Its methods are safe for concurrent use.
type Service struct {
	said   waking.Service
	health semper.Health
	asked  *Asked
	bell   *Bell
}

// New is the service that a route table tells of; nil where it does not sleep.
func New(p *semper.Pool, asked *Asked, bell *Bell) *Service {
	said := waking.Read(p.Wakes)
	if said == nil {
		return nil
	}
	return &Service{*said, semper.Health{Kind: semper.HealthHTTP, Path: said.Health}, asked, bell}
}

// Take counts a request by r, and reports whether it is only the question if the service is well.
func (s *Service) Take(r *config.Rule, q *route.Query) (exam bool) {
	if s == nil {
		return false
	}
	if s.said.Health != "" && r.Examines(q, &s.health) {
		return true
	}
	s.asked.n.Add(1)
	return false
}

// The answers in place of a service that sleeps.
var (
	well   = refusal.Refusal{Status: http.StatusOK, Text: "The app sleeps, and wakes when it is asked for something."}
	late   = refusal.Refusal{Status: http.StatusServiceUnavailable, Word: "not-awake", Text: "The app slept, and was not ready in time.", Retry: 5}
	failed = refusal.Refusal{Status: http.StatusServiceUnavailable, Word: "not-awake", Text: "The app slept, and ended when it was started.", Retry: 5}
)

// Exam is the answer to the question whether it is well, when there is no instance to ask.
func (s *Service) Exam() (refusal.Refusal, ledger.End) {
	if s == nil {
		return refusal.Backend, ledger.EdgeErrors
	}
	return well, ledger.Served
}

// Patience is how long a request waits for an instance that is ready: usual, or for as long as a held one may.
func (s *Service) Patience(usual time.Duration) time.Duration {
	if s == nil {
		return usual
	}
	return math.MaxInt64
}

// Rouse says that somebody has begun to wait.
func (s *Service) Rouse() {
	if s != nil {
		s.bell.Ring()
	}
}

// Late is the answer to who has waited for as long as one may.
func (s *Service) Late() refusal.Refusal {
	switch {
	case s == nil:
		return refusal.Backend
	case s.said.Failed:
		return failed
	}
	return late
}

// Told is what is known of s, for which so many wait.
func (s *Service) Told(waiting int) waking.Told {
	return waking.Told{Asked: s.asked.n.Load(), Waiting: waiting}
}

// A Bell tells that somebody waits. The zero Bell is silent. Its methods are safe for concurrent use.
type Bell struct {
	mu   sync.Mutex
	next chan struct{} // guarded by mu; nil while nobody listens
}

// Ring tells those who listen.
func (b *Bell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next != nil {
		close(b.next)
		b.next = nil
	}
}

// hear is a channel that is closed by the next Ring.
func (b *Bell) hear() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.next == nil {
		b.next = make(chan struct{})
	}
	return b.next
}

// Await returns what look says, as soon as somebody waits for a service, or when ctx ends.
func (b *Bell) Await(ctx context.Context, look func() map[semper.PoolKey]waking.Told) map[semper.PoolKey]waking.Told {
	for {
		heard := b.hear()
		told := look()
		for _, t := range told {
			if t.Waiting > 0 {
				return told
			}
		}
		select {
		case <-heard:
		case <-ctx.Done():
			return told
		}
	}
}
