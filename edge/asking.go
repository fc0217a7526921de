package edge

import (
	"math/rand/v2"
	"time"

	"semper"
	"semper/edge/arms"
	"semper/edge/balance"
	"semper/edge/config"
	"semper/edge/flight"
	"semper/edge/front"
	"semper/edge/gate"
	"semper/edge/ledger"
	"semper/edge/metrics"
	"semper/edge/mirror"
	"semper/edge/refusal"
	"semper/edge/route"
	"semper/edge/route/sticky"
	"semper/edge/variant"
	"semper/edge/wait"
	"semper/edge/witness"
)

// An asking is one request as the edge decides about it, whoever carries it: a session for the drivers, an exchange for
// net/http. It belongs to the goroutine of whoever does.
type asking struct {
	edge *Edge
	// What the request is. What query points to of a driver's request is good in Begin; see reread.
	query      route.Query
	driven     *request // that it is of: by a driver, whose head is gone behind Begin, and for which some rules are not; else nil
	unsafe     bool
	idempotent bool
	length     int64 // of its content, as far as is known

	course
	vary variant.Request

	backend *backend // claimed
	class   flight.Class
	tried   int64 // when the attempt began
	tries   int
	avoid   balance.Tried

	waker front.Waker // tells that a wait is over
	turn  uint64      // for waker

	// Of a refusal.
	refusal refusal.Refusal
	end     ledger.End
}

// A course is where a request has come to before any attempt: what its head does not say.
type course struct {
	snap   *snapshot // that rule is of
	rule   *rule
	target *target // of the rule
	stable *target // of an arm that target is: for what it cannot serve; else nil
	arm    arms.Request
	hash   uint64    // of the key by which the rule balances
	pin    *backend  // where its cookie leads to
	since  time.Time // its cookie's end; zero: it has none that is of use
	gate   *gate.Gate
	entry  ledger.Entry
	seen   *witness.Request
	copied *mirror.Copy
	wait   *wait.Wait // nil before it has waited

	pinned  bool // to a release, whatever a split says
	counted bool // against the rate limits
	exam    bool // asks whether a service is well that is held, or was until a moment ago, or that may sleep
	ticket  bool // let go by a line: goes before those who wait
}

// A decision is what becomes of a request next.
type decision uint8

const (
	given     decision = iota // backend is claimed for it
	waits                     // until waker is called, and woken then
	refused                   // with refusal
	elsewhere                 // its rule is for net/http's way
)

// claim finds a backend and counts the request in flight to it, by a snapshot that is current while it does. The order is
// package epoch's.
func (a *asking) claim(now int64) decision {
	if a.edge.strain.OfMemory() {
		a.entry.Accept(a.target.pool.slot)
		a.seen.Enter(a.target.place)
		a.seen.Count(metrics.ShedMemory)
		return a.refuse(refusal.Memory, ledger.Shed)
	}
	for {
		if s := a.edge.current.Load(); s != a.snap {
			if d := a.turnTo(s, now); d != given {
				return d
			}
		}
		t := a.target
		p := t.pool
		a.entry.Accept(p.slot)
		a.seen.Enter(t.place)
		a.arm.Enter(t.tally, a.seen.Shard())
		if !a.exam && (t.held.Holds(a.unsafe, now) || !a.ticket && t.lane.Behind(a.unsafe)) {
			return a.inLine(t, now)
		}
		if t.gate != nil && a.gate == nil {
			if !t.gate.Enter(t.room(now), a.rule.Priority) {
				return a.atGate(now, false)
			}
			a.gate = t.gate
		}
		b, v := a.pick(now)
		switch v {
		case balance.NoneFit:
			if a.fall() {
				continue
			}
			return a.inLine(t, now)
		case balance.AllBusy:
			a.leaveGate()
			return a.atGate(now, true)
		}
		if c := flight.Of(a.unsafe); b.claim(a.snap, c) {
			a.backend, a.class, a.ticket, a.tried = b, c, false, now
			a.seen.Try(now, string(b.id))
			return given
		}
	}
}

// turnTo finds the rule and the target by s.
func (a *asking) turnTo(s *snapshot, now int64) decision {
	if a.snap != nil && a.driven != nil {
		a.driven.reread()
	}
	a.snap, a.pin, a.target, a.stable, a.pinned, a.since = s, nil, nil, nil, false, time.Time{}
	a.arm.At(now)
	if a.rule = s.rule(&a.query); a.rule == nil {
		return a.refuse(refusal.Route, ledger.EdgeErrors)
	}
	r := a.rule
	if a.driven != nil && (r.Forward == nil || r.Aside || r.copies && a.length > 0 || r.Hedge.On() && a.hedgeable(r) || a.driven.unlike(r)) {
		return elsewhere
	}
	known := a.counted
	if !known {
		a.counted = true
		if early := r.Take(now, &a.query); early > 0 {
			f := refusal.Rate
			f.Retry = config.Seconds(early)
			return a.refuse(f, ledger.Shed)
		}
	}
	if r.Forward == nil {
		return elsewhere
	}
	if r.stick == nil || !a.stick() {
		share := 0
		if len(r.targets) > 1 {
			h, ok := r.Forward.By.Hash(&a.query, config.SplitSalt)
			if !ok {
				h = rand.Uint64()
			}
			share = r.Forward.Pick(h)
		}
		a.target = a.armOf(&r.targets[share])
	}
	if !known {
		a.target.pool.lane.budget.Count()
	}
	if r.Hashed {
		h, ok := r.Policy.Balance.Key.Hash(&a.query, config.BalanceSalt)
		if !ok {
			h = rand.Uint64()
		}
		a.hash = h
	}
	if a.gate != a.target.gate {
		a.leaveGate()
	}
	// Who asks whether a service is well is answered while it is held, or would take it for dead.
	t := a.target
	a.exam = (len(t.held) > 0 || t.lane.Behind(false)) && len(t.pool.Backend) > 0 && r.Examines(&a.query, &t.pool.Backend[0].Health)
	a.exam = t.pool.sleeper.Take(&r.Rule, &a.query) || a.exam
	return given
}

// armOf is the arm of t that the request belongs to, or the release of its variant; t itself where that is it.
func (a *asking) armOf(t *target) *target {
	a.stable = nil
	if t.split == nil {
		return a.variantOf(t)
	}
	i := a.arm.Pick(t.split, &a.query, a.rule.stick != nil)
	if i == arms.Stable {
		return t
	}
	a.stable = t
	return &t.arms[i]
}

// variantOf is where a release serves that the request has of an experiment; t where none does.
func (a *asking) variantOf(t *target) *target {
	if len(t.variants) == 0 {
		return t
	}
	a.vary.Pick(t.pool.variants, &a.query, &a.arm)
	if i := a.vary.Release(); i != variant.None && t.variants[i].pool != nil {
		a.stable = t
		return &t.variants[i]
	}
	return t
}

// part gives the request its variants of the experiments that it is part of.
func (a *asking) part() {
	if a.target != nil {
		a.vary.Pick(a.target.pool.variants, &a.query, &a.arm)
		a.vary.ServedBy(a.target.pool.Arm)
	}
}

// fall gives a request that its arm cannot serve to the stable pool, for none may fail for the sake of a split. It reports whether
// there is one.
func (a *asking) fall() bool {
	if a.stable == nil {
		return false
	}
	a.arm.Fall()
	a.vary.ServedBy(semper.ArmStable)
	if a.pinned { // to a release that cannot serve it: it knows the current one from now on
		a.since = time.Time{}
	}
	a.target, a.stable, a.pin = a.stable, nil, nil
	if a.gate != a.target.gate {
		a.leaveGate()
	}
	return true
}

// stick finds where the client's cookie says that it was, and reports whether that is still a place to go.
func (a *asking) stick() bool {
	r := a.rule
	value, ok := a.query.Cookie(r.Policy.Sticky.Cookie)
	if !ok {
		return false
	}
	now := time.Now()
	c, err := r.stick.Open(value, now)
	if err != nil {
		return false
	}
	if r.pins != nil {
		return a.toRelease(c, now)
	}
	for i := range r.targets {
		t := a.armOf(&r.targets[i]) // a split goes before the cookie, or who came once would never change sides
		if r.Policy.Sticky.By == route.ByRelease {
			if c.IsRelease(t.ours) {
				a.target = t
				a.keep(c, now)
				return true
			}
			continue
		}
		for n, b := range t.pool.backends {
			if c.IsInstance(t.tags[n]) {
				a.target, a.pin = t, b
				a.keep(c, now)
				return true
			}
		}
	}
	return false
}

// keep remembers that the cookie need not be set anew, unless it is time.
func (a *asking) keep(c sticky.Claim, now time.Time) {
	if !c.Stale(now, a.rule.Policy.Sticky.Age) {
		a.since = c.Expires
	}
}

// pick picks a backend of the target.
func (a *asking) pick(now int64) (*backend, balance.Verdict) {
	t := a.target
	if b := a.pin; b != nil && b.balance.Fit() && len(a.avoid.All()) == 0 && (t.most == 0 || b.balance.InFlight.Load() < t.most) {
		return b, balance.Picked
	}
	return t.pick(now, a.hash, a.avoid.All())
}

// answered notes that a response's head is there.
func (a *asking) answered(b *backend, now int64, status int) {
	took := time.Duration(now - a.tried)
	b.saw(now, status, false)
	a.vary.Expose(&a.edge.exposures)
	if a.target.pool.timed {
		b.balance.Observe(now, took)
	}
	if a.gate != nil && status < 500 {
		a.gate.Answered(now, took)
	}
}

// drop gives the claim back.
func (a *asking) drop() *backend {
	b := a.backend
	if b != nil {
		a.backend = nil
		b.drop(a.class)
		a.class = flight.Request
	}
	return b
}

// leave gives back all that the request holds; it is over.
func (a *asking) leave() {
	a.wait.Quit()
	a.drop()
	a.leaveGate()
	a.copied.End(false)
}

func (a *asking) leaveGate() {
	if a.gate != nil {
		a.gate.Leave()
		a.gate = nil
	}
}

// enter has the request seen as the rule says, and counted for it though it comes no further.
func (a *asking) enter() {
	if a.target == nil && a.rule != nil && len(a.rule.targets) > 0 {
		a.seen.Enter(a.rule.targets[0].place)
	}
	if a.rule != nil && !a.rule.Policy.AccessLog {
		a.seen.Unlogged()
	}
}

// refuse is the decision to answer in the backend's stead.
func (a *asking) refuse(f refusal.Refusal, how ledger.End) decision {
	a.refusal, a.end = f, how
	return refused
}

// cookie appends the Set-Cookie value by which the client comes back to where it is; nothing if it has one.
func (a *asking) cookie(dst []byte, b *backend, tls bool) []byte {
	r := a.rule
	if r.stick == nil || !a.since.IsZero() && (a.pin == nil || a.pin == b) {
		return dst
	}
	s := &r.Policy.Sticky
	var tag sticky.Tag
	if r.pins != nil {
		tag = r.pins.Mark(a.pinned)
	}
	for i, o := range a.target.pool.backends {
		if r.pins == nil && o == b {
			tag = a.target.tags[i]
		}
	}
	var value [96]byte
	c := sticky.Cookie{Name: s.Cookie, Age: s.Age, SameSite: s.SameSite, Secure: tls}
	return c.AppendSetCookie(dst, r.stick.Append(value[:0], a.target.ours, tag, time.Now().Add(s.Age)))
}
