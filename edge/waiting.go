package edge

import (
	"sync/atomic"
	"time"

	"semper/edge/balance/admit"
	"semper/edge/config"
	"semper/edge/gate"
	"semper/edge/hold"
	"semper/edge/lane"
	"semper/edge/ledger"
	"semper/edge/refusal"
)

// waiting is one wait: in the line of a lane, or at a gate.
type waiting struct {
	lane *lane.Lane
	gate *gate.Gate
	at   gate.Wait
	told atomic.Int32 // the lane's verdict, or the gate's
}

// heldTooMuch are the refusals of a lane.
var heldTooMuch = [...]refusal.Refusal{hold.Wait: refusal.HoldRequests, hold.ShedRequests: refusal.HoldRequests, hold.ShedBytes: refusal.HoldBytes, hold.ShedAge: refusal.HoldAge}

// inLine stands in the line before the pool, or before the route to it. A health check that nobody could answer does not wait.
func (a *asking) inLine(t *target, now int64) decision {
	p := t.pool
	if a.leaveGate(); a.exam && (p.sleeper != nil || t.held.Holds(false, now)) {
		return a.refuse(p.sleeper.Exam())
	}
	again := a.ticket
	bounds, age := p.bounds, p.age
	if !p.tabled { // it has no holds: it is a backend that there is none of
		if bounds, age = a.rule.Room, a.rule.Age; bounds.Requests == 0 {
			return a.refuse(refusal.Backend, ledger.EdgeErrors)
		}
	}
	w := &waiting{lane: t.lane}
	if a.waiter == nil {
		wall := time.Now()
		a.waiter = &hold.Waiter{Unsafe: a.unsafe, Class: config.Class(a.rule.Priority), Bytes: a.length, Held: wall.Add(age), Backend: wall.Add(min(age, p.sleeper.Patience(backendWait)))}
	}
	waker, turn := a.waker, a.turn
	a.waiter.Let = func(v hold.Verdict) {
		w.told.Store(int32(v))
		waker.Wake(turn)
	}
	if v := t.lane.Join(a.waiter, bounds, again); v != hold.Wait {
		return a.refuse(heldTooMuch[v], ledger.Shed)
	}
	p.sleeper.Rouse()
	a.wait = w
	a.entry.Hold()
	a.seen.Hold(now)
	return waits
}

// missed is the answer to a request that no backend came for in time.
func (a *asking) missed() refusal.Refusal {
	if p := a.edge.snapshot().pools[a.target.pool.Key]; p != nil {
		return p.sleeper.Late()
	}
	return refusal.Backend
}

// atGate waits for room; full says that there is none behind the gate.
func (a *asking) atGate(now int64, full bool) decision {
	t := a.target
	if t.gate == nil {
		return a.refuse(refusal.Busy, ledger.Shed)
	}
	w := &waiting{gate: t.gate}
	waker, turn := a.waker, a.turn
	w.at = gate.Wait{Priority: a.rule.Priority, Told: func(v admit.Verdict) {
		w.told.Store(int32(v))
		waker.Wake(turn)
	}}
	switch t.gate.Join(&w.at, t.room(now), full) {
	case admit.Go:
		a.gate = t.gate
		return a.claim(now)
	case admit.Wait:
		a.wait = w
		a.entry.Hold()
		a.seen.Hold(now)
		return waits
	}
	return a.refuse(refusal.Busy, ledger.Shed)
}

// woken goes on after a wait.
func (a *asking) woken(now int64) decision {
	w := a.wait
	a.wait = nil
	if w.lane != nil {
		v := hold.Verdict(w.told.Load())
		a.seen.Let(now, v == hold.Go)
		switch v {
		case hold.Go:
			a.ticket = true
			return a.claim(now)
		case hold.NoBackend:
			return a.refuse(a.missed(), ledger.EdgeErrors)
		}
		return a.refuse(heldTooMuch[v], ledger.Shed)
	}
	v := admit.Verdict(w.told.Load()) //nolint:gosec // it was one
	a.seen.Let(now, v == admit.Go)
	if v != admit.Go {
		return a.refuse(refusal.Busy, ledger.Shed)
	}
	a.gate = w.gate // which has counted it
	if a.target == nil || a.target.gate != w.gate {
		a.leaveGate()
	}
	return a.claim(now)
}

// quit gives up a wait. What it was told meanwhile is given back.
func (a *asking) quit() {
	w := a.wait
	if w == nil {
		return
	}
	a.wait = nil
	switch {
	case w.lane != nil:
		w.lane.Leave(a.waiter)
	case !w.gate.Quit(&w.at) && admit.Verdict(w.told.Load()) == admit.Go:
		w.gate.Leave()
	}
}
