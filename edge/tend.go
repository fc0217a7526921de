package edge

import (
	"context"
	"time"

	"semper/edge/config"
	"semper/edge/flight"
)

// tend asks the loop to look after the backends that are on their way out.
func (e *Edge) tend() {
	select {
	case e.kick <- struct{}{}:
	default:
	}
}

// loop gives up backends nobody needs any more and cuts what is past its instant, until ctx ends.
func (e *Edge) loop(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		pause := time.Hour
		if next := e.look(time.Now()); !next.IsZero() {
			pause = max(time.Until(next), 0)
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return nil
		case <-e.kick:
		case <-timer.C:
		}
	}
}

// look does what is due at now, and says when the next thing is; zero for never.
func (e *Edge) look(now time.Time) (next time.Time) {
	e.registry.Lock()
	defer e.registry.Unlock()
	s := e.snapshot()
	e.retired.Close(e.log)
	for in, b := range e.backends {
		if b.balance.InFlight.Idle() {
			delete(e.backends, in)
			b.retire()
			e.closePool(b)
			e.drivers.retire(b.target)
			continue
		}
		for c, at := range e.instants(s, b) {
			switch {
			case at.IsZero() || b.inFlight(flight.Class(c)) == 0 && b.isCut(flight.Class(c)):
			case flight.Class(c) == flight.WebSocket:
				b.closeTunnels(now, at)
			case !now.Before(at):
				b.cutClass(flight.Class(c))
			default:
				next = config.Sooner(next, at)
			}
		}
	}
	for _, l := range e.lanes {
		if l.heal != nil {
			next = config.Sooner(next, now.Add(l.heal.Sweep(e.now())))
		}
	}
	return next
}

// closePool closes the connections to a backend that nobody uses any more. That waits for whoever still reads a body that
// was not wanted to its end, so it has a place of its own.
func (e *Edge) closePool(b *backend) {
	if !e.background.Spawn(&e.background.Backends, "close "+string(b.id)+" "+b.address, func(context.Context) { b.pool.Close() }) {
		b.pool.CloseIdle() // the edge closes, and every connection with it
	}
}

// instants are when what is in flight to b is cut, per class; zero for never.
func (e *Edge) instants(s *snapshot, b *backend) (at [flight.Classes]time.Time) {
	if d, ok := s.drain[b.id]; ok && b.left.Load() {
		at = [flight.Classes]time.Time{flight.Request: d.Request, flight.Write: d.Request, flight.Stream: d.Stream, flight.WebSocket: d.WebSocket}
	}
	if e.draining.Load() {
		for c := range flight.Classes {
			at[c] = config.Sooner(at[c], e.end.deadline(c))
		}
	}
	return at
}
