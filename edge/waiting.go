package edge

import (
	"time"

	"semper/edge/balance/admit"
	"semper/edge/config"
	"semper/edge/hold"
	"semper/edge/ledger"
	"semper/edge/refusal"
	"semper/edge/wait"
)

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
	w := a.waits()
	if w.Held.IsZero() {
		wall := time.Now()
		w.Unsafe, w.Class, w.Bytes = a.unsafe, config.Class(a.rule.Priority), a.length
		w.Held, w.Backend = wall.Add(age), wall.Add(min(age, p.sleeper.Patience(backendWait)))
	}
	if v := w.Join(t.lane, bounds, again); v != hold.Wait {
		return a.refuse(heldTooMuch[v], ledger.Shed)
	}
	p.sleeper.Rouse()
	a.entry.Hold()
	a.seen.Hold(now)
	return waits
}

// waits is what the request waits with.
func (a *asking) waits() *wait.Wait {
	if a.wait == nil {
		a.wait = new(wait.Wait)
	}
	a.wait.Wakes(a.waker, a.turn)
	return a.wait
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
	switch a.waits().Enter(t.gate, a.rule.Priority, t.room(now), full) {
	case admit.Go:
		a.gate = t.gate
		return a.claim(now)
	case admit.Wait:
		a.entry.Hold()
		a.seen.Hold(now)
		return waits
	}
	return a.refuse(refusal.Busy, ledger.Shed)
}

// woken goes on after a wait.
func (a *asking) woken(now int64) decision {
	if v, ok := a.wait.Lane(); ok {
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
	v, g := a.wait.Gate()
	a.seen.Let(now, v == admit.Go)
	if v != admit.Go {
		return a.refuse(refusal.Busy, ledger.Shed)
	}
	a.gate = g // which has counted it
	if a.target == nil || a.target.gate != g {
		a.leaveGate()
	}
	return a.claim(now)
}
