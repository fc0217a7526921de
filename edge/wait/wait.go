// Package wait is how one request waits: in the line of a lane, or for room at a gate.
//
// # Problem
//
// A verdict comes from another goroutine, at any time: while the request waits, while its client goes away, never. Whoever
// carries the request is told to come back, and then asks what the verdict was. There may be very many who wait, and all that a
// wait needs of memory stands in one place.
//
// # Invariants
//
//   - A request waits at one place at a time.
//   - Its driver is woken once for each verdict, and the verdict is there before that.
//   - After Quit nothing is left of the wait: room that it was given meanwhile is given back.
//
// # What it does not do
//
// It does not decide who goes on: that is for packages hold and admit.
package wait

import (
	"sync/atomic"

	"semper/edge/balance/admit"
	"semper/edge/front"
	"semper/edge/gate"
	"semper/edge/hold"
	"semper/edge/lane"
)

// A Wait is all waits of one request, one after the other. The zero Wait waits for nothing. Whoever carries the request calls its
// methods; it is not copied.
type Wait struct {
	// Waiter is the request's place in lines, with its fields set but Let before the first Join. It comes back to where it stood.
	hold.Waiter

	lane *lane.Lane // where it waits, or
	gate *gate.Gate
	room *gate.Wait // at that

	waker  front.Waker // of the carrier
	ticket uint64
	told   atomic.Int32 // the verdict of the lane, or the gate's
}

// Wakes says whom to wake, and by which ticket, when the next wait is over.
func (w *Wait) Wakes(waker front.Waker, ticket uint64) { w.waker, w.ticket = waker, ticket }

// Join stands in the line of l, where it stood before when again says so. It waits when the verdict is hold.Wait.
func (w *Wait) Join(l *lane.Lane, b hold.Bounds, again bool) hold.Verdict {
	if w.Let == nil {
		w.Let = w.let
	}
	w.told.Store(0)
	v := l.Join(&w.Waiter, b, again)
	if v == hold.Wait {
		w.lane = l
	}
	return v
}

func (w *Wait) let(v hold.Verdict) { w.tell(int32(v)) } //nolint:gosec // there are few

func (w *Wait) tell(v int32) {
	w.told.Store(v)
	w.waker.Wake(w.ticket)
}

// Enter waits at g, where there is no room; see [gate.Gate.Join]. It waits when the verdict is admit.Wait.
func (w *Wait) Enter(g *gate.Gate, p admit.Priority, most int64, full bool) admit.Verdict {
	w.told.Store(0)
	room := &gate.Wait{Priority: p, Told: func(v admit.Verdict) { w.tell(int32(v)) }}
	v := g.Join(room, most, full)
	if v == admit.Wait {
		w.gate, w.room = g, room
	}
	return v
}

// Lane ends a wait in a line, and is its verdict; false: it was at a gate.
func (w *Wait) Lane() (v hold.Verdict, ok bool) {
	ok = w.lane != nil
	w.lane = nil
	return hold.Verdict(w.told.Load()), ok
}

// Gate ends a wait at a gate, and is its verdict. With admit.Go the gate has counted the request.
func (w *Wait) Gate() (admit.Verdict, *gate.Gate) {
	g := w.gate
	w.gate, w.room = nil, nil
	return admit.Verdict(w.told.Load()), g //nolint:gosec // it was one
}

// Quit gives up a wait, if there is one. What it was told meanwhile is given back. It may be called on nil.
func (w *Wait) Quit() {
	if w == nil {
		return
	}
	if l := w.lane; l != nil {
		w.lane = nil
		l.Leave(&w.Waiter)
		return
	}
	if g := w.gate; g != nil {
		if room := w.room; !g.Quit(room) && admit.Verdict(w.told.Load()) == admit.Go { //nolint:gosec // it was one
			g.Leave()
		}
		w.gate, w.room = nil, nil
	}
}
