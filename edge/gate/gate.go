// Package gate bounds what is in flight to a pool, and keeps who waits for room there.
//
// What is counted is the pool's; each request brings the bound of its own rule, and how important it is. So rules that lead
// to one pool share its room, and in the scarce last part of it the more important go first. The bound may also be found
// from latency. The decisions are those of package admit; here are the lock and the goroutine that they need.
package gate

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"semper/edge/balance/admit"
)

// Options of a Gate.
type Options struct {
	Length   int           // how many may wait; 0: nobody
	Deadline time.Duration // how long; 0: 10 s
	Adaptive bool          // find a bound from latency
	// Now is the clock of all calls, in monotonic nanoseconds.
	Now func() int64
	// Pump is asked for a goroutine that calls [Gate.Pump] until it returns, whenever the first begins to wait. It reports false when
	// there is none any more.
	Pump func(*Gate) bool
}

// A Gate is what stands before a pool. Its methods are safe for concurrent use. Enter and Leave take no lock while
// nobody waits.
type Gate struct {
	o        Options
	limit    admit.Limit
	adaptive *admit.Adaptive // nil: the bound is the rule's alone
	critical atomic.Bool     // some of its requests are of high priority
	most     atomic.Int64    // the bound that was asked with last; for those who wait

	kick chan struct{} // buffered, 1
	mu   sync.Mutex    // guards what follows
	line *admit.Queue[*Wait]
	pump bool
}

// New is a Gate where nobody is.
func New(o Options) *Gate {
	g := &Gate{o: o, kick: make(chan struct{}, 1), line: admit.NewQueue[*Wait](admit.QueuePolicy{
		Length: o.Length, MaxWait: o.Deadline, Interval: burst, Target: o.Deadline,
	})}
	if o.Adaptive {
		g.adaptive = admit.NewAdaptive(admit.AdaptivePolicy{}, o.Now())
	}
	return g
}

const (
	// burst is how long a line may be busy before it is an overload, in which the newest go first.
	burst = 100 * time.Millisecond
	// look is how often who waits looks by itself: others than those that leave here may have made room.
	look = 5 * time.Millisecond
	// besideCritical is the percentage that normal requests may fill where critical ones come as well. Elsewhere they have all:
	// nobody would have the rest.
	besideCritical = 90
)

// A Wait is one request that may have to wait. Told is called once when the wait is over, with Go, Shed or Late, and must
// not block. A Wait serves once.
type Wait struct {
	Priority admit.Priority
	Told     func(admit.Verdict)

	waiter admit.Waiter[*Wait]
}

// bound is how many may be in flight for requests whose rule allows most (0: any number), of a priority.
func (g *Gate) bound(most int64, p admit.Priority) int64 {
	if most <= 0 {
		most = math.MaxInt64 / 128 // the shares of it are computed
	}
	if g.adaptive != nil {
		most = min(most, g.adaptive.Bound())
	}
	return g.part(most, p)
}

// part is how much of n is for p.
func (g *Gate) part(n int64, p admit.Priority) int64 {
	var s admit.Shares
	if g.critical.Load() {
		s.Normal = besideCritical
	}
	return s.Of(n, p)
}

// Critical says whether requests of high priority come here. Where they do, the last of the room, and of the line, is for them.
func (g *Gate) Critical(come bool) { g.critical.Store(come) }

// Enter lets a request in if there is room; most is how many its rule allows to be in flight, 0 for any number.
func (g *Gate) Enter(most int64, p admit.Priority) bool { return g.limit.Enter(g.bound(most, p)) }

// Join is for a request that Enter refused, or that found no room behind the gate (full). It goes in after all, waits, or is shed.
func (g *Gate) Join(w *Wait, most int64, full bool) admit.Verdict {
	g.most.Store(most)
	now, bound := g.o.Now(), g.bound(most, w.Priority)
	if full {
		bound = 0 // not now
	}
	room := g.part(int64(g.o.Length), w.Priority)
	w.waiter = admit.Waiter[*Wait]{Value: w}
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.line.Enter(now, &g.limit, bound, &w.waiter, room, tell)
	if v == admit.Wait {
		if !g.pump {
			g.pump = g.o.Pump(g)
		}
		g.wake()
	}
	return v
}

func tell(w *admit.Waiter[*Wait], v admit.Verdict) { w.Value.Told(v) }

// Quit takes w out of the line. It reports false when w has been told its verdict: after Go, Leave is due.
func (g *Gate) Quit(w *Wait) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.line.Remove(&w.waiter, &g.limit)
}

// Leave ends what Enter, or a verdict of Go, began.
func (g *Gate) Leave() {
	if !g.limit.Leave() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.step()
}

// Answered notes how long an answer took that was none of the failures.
func (g *Gate) Answered(now int64, took time.Duration) {
	if g.adaptive != nil {
		g.adaptive.Observe(now, took, g.limit.InFlight())
	}
}

// step lets go who may, with the lock held, and says when somebody's time is over.
func (g *Gate) step() (next int64) {
	return g.line.Step(g.o.Now(), &g.limit, g.bound(g.most.Load(), admit.High), tell)
}

// InFlight is how many are in, and Waiting how many would be.
func (g *Gate) InFlight() int64 { return g.limit.InFlight() }

// Waiting is how many wait.
func (g *Gate) Waiting() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.line.Len()
}

func (g *Gate) wake() {
	select {
	case g.kick <- struct{}{}:
	default:
	}
}

// Pump lets go whom time lets go, until nobody waits or ctx ends.
func (g *Gate) Pump(ctx context.Context) {
	timer := time.NewTimer(look)
	defer timer.Stop()
	for {
		next, more := g.turn()
		if !more {
			return
		}
		timer.Reset(min(look, max(time.Duration(next-g.o.Now()), 0)))
		select {
		case <-g.kick:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

func (g *Gate) turn() (next int64, more bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	next = g.step()
	g.pump = g.line.Len() > 0
	return next, g.pump
}
