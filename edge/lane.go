package edge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"semper"
	"semper/edge/balance/admit"
	"semper/edge/heal"
	"semper/edge/hold"
)

// A lane is what lives on of a pool from snapshot to snapshot: who waits in front of it, who is left out for his answers,
// and how much was tried twice.
type lane struct {
	key  semper.PoolKey
	edge *Edge
	heal *heal.Ward // nil: never was one; guarded by Edge.registry

	budget admit.Budget // of its requests, whatever rule they come by

	// state is 0 while nobody waits, so that most requests need no lock.
	state atomic.Int32
	kick  chan struct{} // buffered, 1

	mu      sync.Mutex // guards what follows
	line    hold.Line
	pumping bool
}

// What lane.state says.
const (
	nobodyWaits int32 = iota
	unsafeWait        // unsafe requests go behind those who wait
	everyWait         // all do
)

func newLane(e *Edge, k semper.PoolKey) *lane {
	return &lane{key: k, edge: e, kick: make(chan struct{}, 1)}
}

// behind reports whether a request has to go behind those who wait.
func (l *lane) behind(unsafe bool) bool {
	switch l.state.Load() {
	case nobodyWaits:
		return false
	case unsafeWait:
		return unsafe
	}
	return true
}

func (l *lane) setStateLocked() {
	switch {
	case l.line.Len() == 0:
		l.state.Store(nobodyWaits)
	case l.line.Behind(false):
		l.state.Store(everyWait)
	default:
		l.state.Store(unsafeWait)
	}
}

// join puts w in line, again when it was let go in vain, and reports whether it waits now.
func (l *lane) join(w *hold.Waiter, b hold.Bounds, again bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	g := l.edge.snapshot().pools[l.key].gate(l.edge.now())
	if again {
		l.line.Rejoin(w, g)
	} else if l.line.Join(w, g, b) != hold.Wait {
		return false
	}
	l.setStateLocked()
	if !l.pumping {
		l.pumping = l.edge.spawn(&l.edge.background.lines, string(l.key), l.pump)
	}
	l.wake()
	return true
}

// leave takes w out; false when its verdict is on its way.
func (l *lane) leave(w *hold.Waiter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	ok := l.line.Leave(w)
	l.setStateLocked()
	l.wake()
	return ok
}

// wake makes the pump look again. It is called after everything that may let somebody go.
func (l *lane) wake() {
	select {
	case l.kick <- struct{}{}:
	default:
	}
}

func (l *lane) waiting() int {
	if l.state.Load() == nobodyWaits {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.line.Len()
}

// pump lets waiters go until nobody waits or ctx ends. There is at most one per lane.
func (l *lane) pump(ctx context.Context) {
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
func (l *lane) step(now time.Time) (next time.Time, more bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	next = l.line.Step(now, l.edge.snapshot().pools[l.key].gate(l.edge.now()), func(w *hold.Waiter, v hold.Verdict) {
		w.Let(v)
	})
	l.setStateLocked()
	if l.line.Len() == 0 {
		l.pumping = false
	}
	return next, l.pumping
}
