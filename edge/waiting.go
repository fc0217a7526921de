package edge

import (
	"sync/atomic"
	"time"

	"semper/edge/balance/admit"
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
	told atomic.Int32 // one of the following
}

const (
	untold  int32 = iota
	toGo          // ask again
	toEnter       // the same, and the gate has counted it
	toShed
	toLate
	toNobody // no backend came
)

// inLine stands in the pool's line.
func (a *asking) inLine(p *pool, now int64) decision {
	a.leaveGate()
	again := a.ticket
	bounds, age := p.bounds, p.age
	if !p.tabled { // it has no holds: it is a backend that there is none of
		if bounds, age = a.rule.Room, a.rule.Age; bounds.Requests == 0 {
			return a.refuse(refusal.Backend, ledger.EdgeErrors)
		}
	}
	w := &waiting{lane: p.lane.Lane}
	if a.waiter == nil {
		wall := time.Now()
		a.waiter = &hold.Waiter{Unsafe: a.unsafe, Bytes: a.length, Held: wall.Add(age), Backend: wall.Add(min(age, backendWait))}
	}
	waker, turn := a.waker, a.turn
	a.waiter.Let = func(v hold.Verdict) {
		w.told.Store([...]int32{hold.Go: toGo, hold.Shed: toShed, hold.NoBackend: toNobody}[v])
		waker.Wake(turn)
	}
	if !p.lane.Join(a.waiter, bounds, again) {
		return a.refuse(refusal.Held, ledger.Shed)
	}
	a.wait = w
	a.entry.Hold()
	a.seen.Hold(now)
	return waits
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
		w.told.Store([...]int32{admit.Go: toEnter, admit.Shed: toShed, admit.Late: toLate}[v])
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
	told := w.told.Load()
	a.seen.Let(now, told == toGo || told == toEnter)
	switch told {
	case toEnter:
		a.gate = w.gate
		if a.target == nil || a.target.gate != w.gate {
			a.leaveGate()
		}
		return a.claim(now)
	case toGo:
		a.ticket = true
		return a.claim(now)
	case toNobody:
		return a.refuse(refusal.Backend, ledger.EdgeErrors)
	case toLate:
		return a.refuse(refusal.Busy, ledger.Shed)
	}
	if w.gate != nil {
		return a.refuse(refusal.Busy, ledger.Shed)
	}
	return a.refuse(refusal.Held, ledger.Shed)
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
	case !w.gate.Quit(&w.at) && w.told.Load() == toEnter:
		w.gate.Leave()
	}
}
