package edge

import (
	"time"

	"semper"
	"semper/edge/arms"
	"semper/edge/route"
	"semper/edge/route/sticky"
)

// pinned reports whether clients of r stick to a release of an app.
func (r *rule) pinned() bool {
	s := &r.Policy.Sticky
	return s.Cookie != "" && s.By == route.ByRelease && r.targets[0].pool.tabled
}

// addBefore finds the previous release, which some of r's clients may go back to.
func (e *Edge) addBefore(s *snapshot, r *rule) {
	if k := r.targets[0].pool.Key.PoolOf(semper.ArmPrevious); r.pinned() && s.pools[k] != nil {
		t := e.target(s, r, k, false)
		r.before = &t
	}
}

// addPins makes what the cookies of r's clients are read by.
func (r *rule) addPins() {
	if r.pins = arms.NewPins(r.stick, &r.targets[0].pool.Pool); r.before != nil {
		r.pins.GoBack(r.stick, &r.before.pool.Pool, r.Policy.Sticky.For)
	}
}

// toRelease is stick for a rule whose clients stick to a release.
func (a *asking) toRelease(c sticky.Claim, now time.Time) bool {
	t := &a.rule.targets[0]
	switch a.rule.pins.Way(c, now) {
	case arms.Back: // by its cookie until the window ends, not by a new one
		a.target, a.stable, a.pinned, a.since = a.rule.before, t, true, c.Expires
		return true
	case arms.Here: // but for the release that its variant is of, which it knows from then on
		if a.target = a.armOf(t); !c.IsRelease(a.target.ours) {
			return true
		}
	case arms.Stays:
		a.target, a.pinned = t, true
		a.arm.Stay()
	case arms.Drawn:
		if a.target = a.armOf(t); !c.IsRelease(a.target.ours) {
			return true
		}
	default:
		if a.target = a.variantOf(t); !c.IsRelease(a.target.ours) {
			return false
		}
	}
	a.keep(c, now)
	return true
}
