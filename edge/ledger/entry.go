package ledger

import "sync/atomic"

// An End is how a request ended.
type End int

// The ends, one of which every accepted request has.
const (
	Served     End = iota // answered by the app, status < 500
	AppErrors             // answered by the app with 500-599
	EdgeErrors            // the edge had to answer, or the response broke off
	Shed                  // refused by a bound
	Cut                   // by a drain deadline, or with the edge
	Gone                  // the client went away first
)

func (c *counters) of(e End) *atomic.Uint64 {
	return [...]*atomic.Uint64{&c.served, &c.appErrors, &c.edgeErrors, &c.shed, &c.cut, &c.gone}[e]
}

// An Entry is one request in the ledger. The zero Entry is not accepted yet. It belongs to the
// goroutine of its request.
type Entry struct {
	slot          *Slot
	held, retried bool
	ended         bool
}

// Accept gives the request to s; nil: to no release, for the edge answers it as a rule says. A request
// that was given to another one before moves with all that it had happen: it is that one's no longer.
func (e *Entry) Accept(s *Slot) {
	if e.slot == s || e.ended {
		return
	}
	if s != nil {
		s.c.accepted.Add(1)
		if e.held {
			s.c.held.Add(1)
		}
		if e.retried {
			s.c.retried.Add(1)
		}
	}
	if from := e.slot; from != nil {
		if e.held {
			from.c.held.Add(^uint64(0))
		}
		if e.retried {
			from.c.retried.Add(^uint64(0))
		}
		from.c.accepted.Add(^uint64(0))
	}
	e.slot = s
}

// Hold counts the request as held, once.
func (e *Entry) Hold() {
	if e.slot != nil && !e.held {
		e.held = true
		e.slot.c.held.Add(1)
	}
}

// Retry counts the request as retried, once.
func (e *Entry) Retry() {
	if e.slot != nil && !e.retried {
		e.retried = true
		e.slot.c.retried.Add(1)
	}
}

// End counts how the request ended. Only the first call counts.
func (e *Entry) End(how End) {
	if e.slot != nil && !e.ended {
		e.ended = true
		e.slot.c.of(how).Add(1)
	}
}
