// Package lane is the line in front of a pool, from route table to route table.
//
// Who waits, and who goes on, is decided by package hold; here are the lock and the goroutine that it needs.
package lane

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"semper/edge/hold"
)

// Options of a [Lane].
type Options struct {
	// Gate is what stands before the pool at this instant. It is asked with the lane's lock held.
	Gate func() hold.Gate
	// Pump is asked for a goroutine that calls its argument until that returns, whenever the first begins to wait. It reports
	// false when there is none any more.
	Pump func(pump func(context.Context)) bool
}

// A Lane is who waits in front of a pool. Its methods are safe for concurrent use.
type Lane struct {
	o Options

	// state is 0 while nobody waits, so that most requests need no lock.
	state atomic.Int32
	kick  chan struct{} // buffered, 1

	mu      sync.Mutex // guards what follows
	line    hold.Line
	pumping bool
	next    time.Time // when the pump looks again; zero: it looks now
}

// What Lane.state says.
const (
	nobodyWaits int32 = iota
	unsafeWait        // unsafe requests go behind those who wait
	everyWait         // all do
)

// New is a lane in which nobody waits.
func New(o Options) *Lane { return &Lane{o: o, kick: make(chan struct{}, 1)} }

// Behind reports whether a request has to go behind those who wait.
func (l *Lane) Behind(unsafe bool) bool {
	switch l.state.Load() {
	case nobodyWaits:
		return false
	case unsafeWait:
		return unsafe
	}
	return true
}

func (l *Lane) setStateLocked() {
	switch {
	case l.line.Len() == 0:
		l.state.Store(nobodyWaits)
	case l.line.Behind(false):
		l.state.Store(everyWait)
	default:
		l.state.Store(unsafeWait)
	}
}

// Join puts w in line, again when it was let go in vain, and says whether it waits now. Those who have to make room for it have
// their verdict then.
func (l *Lane) Join(w *hold.Waiter, b hold.Bounds, again bool) hold.Verdict {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.o.Gate()
	if again {
		l.line.Rejoin(w, g)
	} else if v := l.line.Join(w, g, b, let); v != hold.Wait {
		return v
	}
	l.setStateLocked()
	if !l.pumping {
		l.pumping = l.o.Pump(l.pump)
		l.next = time.Time{}
	}
	// A line that stands is not looked through for everybody who joins it.
	if l.next.IsZero() || !g.Holds(w.Unsafe) || w.Held.Before(l.next) {
		l.Wake()
	}
	return hold.Wait
}

func let(w *hold.Waiter, v hold.Verdict) { w.Let(v) }

// Leave takes w out; false when its verdict is on its way.
func (l *Lane) Leave(w *hold.Waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := l.line.Leave(w)
	l.setStateLocked()
	l.Wake()
	return ok
}

// Wake makes the pump look again. It is called after everything that may let somebody go.
func (l *Lane) Wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

// Waiting is how many wait.
func (l *Lane) Waiting() int {
	if l.state.Load() == nobodyWaits {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line.Len()
}

// pump lets waiters go until nobody waits or ctx ends. There is at most one per lane.
func (l *Lane) pump(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next, more := l.step(time.Now())
		if !more {
			return
		}
		pause := time.Hour
		if !next.IsZero() {
			pause = max(time.Until(next), 0)
		}
		timer.Reset(pause)
		select {
		case <-l.kick:
		case <-timer.C:
		case <-ctx.Done(): // the edge closes, which whoever waits is told by itself
			return
		}
	}
}

// step hands out the verdicts of now.
func (l *Lane) step(now time.Time) (next time.Time, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next = l.line.Step(now, l.o.Gate(), let)
	l.next = next
	l.setStateLocked()
	if l.line.Len() == 0 {
		l.pumping = false
	}
	return next, l.pumping
}
