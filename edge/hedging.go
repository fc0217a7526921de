package edge

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"semper/edge/account"
	"semper/edge/balance"
	"semper/edge/balance/admit"
	"semper/edge/flight"
	"semper/edge/gate"
	"semper/edge/hedge/race"
	"semper/edge/metrics"
)

// A lap is one try by net/http's way, which may have another beside it. Until it is the one whose end is the request's, what it
// claims is its own.
type lap struct {
	race.Lap
	*attempt
	ctx    context.Context // of the try; its cause says why it was ended
	gate   *gate.Gate
	began  int64
	reused atomic.Bool // its connection had carried a request before
	second bool
}

// lap is a try at b, which is claimed.
func (x *exchange) lap(b *backend) *lap {
	ctx, cancel := context.WithCancelCause(x.r.Context())
	l := &lap{attempt: &attempt{backend: b, class: flight.Of(x.unsafe), cancel: cancel}, ctx: ctx, began: x.tried}
	l.Trip = func() (*http.Response, error) {
		defer x.watch(cancel)()
		return b.pool.RoundTripWithin(x.outgoing(ctx, l), x.rule.Bounds.Connect)
	}
	l.Stop = func() { cancel(errBeaten) }
	l.Settle = func() {
		b.drop(b.end(l.attempt))
		if l.gate != nil {
			l.gate.Leave()
		}
	}
	x.early.Bar(false)
	b.begin(l.attempt)
	return l
}

// errBeaten: another try was faster.
var errBeaten = errors.New("another instance has answered")

// hedgeable reports whether the request may have two tries at once by r: it may be carried out twice, and has no more content
// than may be sent twice.
func (a *asking) hedgeable(r *rule) bool {
	return a.idempotent && a.length <= r.Policy.Hedge.Content.Bytes()
}

// hedges reports whether this try may have another beside it. A client that is brought back to its backend wants that one.
func (x *exchange) hedges() bool {
	return x.rule.Hedge.On() && !x.hedged && x.hedgeable(x.rule) && x.upgrade == "" && x.pin == nil
}

// race has *first run, and another try beside it where it is slow, and makes *first the one whose end is the request's.
func (x *exchange) race(first **lap) {
	begun, laps := time.Now(), map[*race.Lap]*lap{&(*first).Lap: *first}
	(*first).gate, x.gate, x.backend = x.gate, nil, nil
	b := (*first).backend
	wait, ok := x.rule.Pace.Delay((*first).began, x.rule.Hedge)
	x.laps = race.Race{
		Second: func() (*race.Lap, time.Duration) {
			if left := x.body.Left(begun, wait); left > 0 { // it is the client that is slow
				return nil, left
			}
			l := x.beside(b)
			if l == nil {
				return nil, 0
			}
			laps[&l.Lap] = l
			return &l.Lap, 0
		},
		Wants: func(r *http.Response) bool { return x.rule.Wants(r.StatusCode) },
		Out:   func(l *race.Lap) { x.out(laps[l]) },
	}
	l := laps[x.laps.Run(&(*first).Lap, wait, ok)]
	*first, x.gate, x.backend, x.tried = l, l.gate, l.backend, l.began
	if l.Err == nil {
		if took, whole := x.body.Since(begun); whole {
			x.rule.Pace.Note(x.edge.now(), took)
		}
		if l.second {
			x.seen.Won()
		}
	}
}

// beside is a try at another backend than b, where one has room at once and the budget allows it; else nil. It goes by the
// request's snapshot or not at all, so that no hold, and no cutover, is gone round.
func (x *exchange) beside(b *backend) *lap {
	now, t, p := x.edge.now(), x.target, x.target.pool
	if x.early.Any() || !x.body.Replayable() || x.edge.snapshot() != x.snap || t.held.Holds(x.unsafe, now) || t.lane.Behind(x.unsafe) {
		return nil
	}
	x.avoid.Add(b.balance)
	other, v := t.pick(now, x.hash, x.avoid.All())
	if v != balance.Picked || slices.Contains(x.avoid.All(), other.balance) {
		return nil
	}
	if t.gate != nil && !t.gate.Enter(t.room(now), admit.Low) { // a first try is worth more than anybody's second
		return nil
	}
	switch {
	case !p.lane.budget.Hedge(now, x.rule.Budget, x.rule.Hedges):
		x.seen.Count(metrics.HedgeDenied)
	case other.claim(x.snap, flight.Of(x.unsafe)):
		x.hedged = true
		x.seen.Hedge(now, string(other.id))
		l := x.lap(other)
		l.began, l.gate, l.second = now, t.gate, true
		return l
	}
	if t.gate != nil {
		t.gate.Leave()
	}
	return nil
}

// out notes a try that is not the one whose end is the request's.
func (x *exchange) out(l *lap) {
	now, why := x.edge.now(), metrics.FailCanceled
	switch {
	case l.Beaten:
		if !l.second && x.target.pool.timed { // it would have taken longer than that
			l.backend.balance.Observe(now, time.Duration(now-l.began))
		}
	case l.Err != nil:
		f := x.failure(l.ctx, l.Err)
		why = account.Failures[f.kind]
		if l.backend.failed(now, &f); f.blames() {
			x.arm.Fail()
		}
	default:
		why = metrics.FailReset
		x.unwanted(l.Response.StatusCode)
		l.backend.saw(now, l.Response.StatusCode, false)
	}
	if !l.Beaten {
		x.tries++
		x.avoid.Add(l.backend.balance)
	}
	x.seen.Drop(now, l.second, why, l.reused.Load())
}
