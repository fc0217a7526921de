package edge

import (
	"math/rand/v2"

	"semper"
	"semper/edge/arms"
	"semper/edge/balance"
	"semper/edge/config"
	"semper/edge/gate"
	"semper/edge/hold"
	"semper/edge/lane"
	"semper/edge/local"
	"semper/edge/route"
	"semper/edge/route/sticky"
	"semper/edge/witness"
)

// A rule is a rule of one snapshot, with what it leads to.
type rule struct {
	config.Rule
	site    *local.Site    // of Files
	targets []target       // of Forward, in the order of its shares
	stick   *sticky.Signer // nil: clients do not stick
	pins    *arms.Pins     // nil: they stick to no release
	before  *target        // of the release before; nil: nobody may go back to it
	copies  bool           // requests with content are copied, too
}

// A target is one pool that a rule leads to.
type target struct {
	pool   *pool
	picker *balance.Picker
	place  *witness.Place
	held   hold.Terms // of the pool's, and of the rule
	lane   *lane.Lane
	gate   *gate.Gate // nil: there is always room
	most   int64      // in flight to each backend; 0: any number
	ours   sticky.Tag // the pool's
	tags   []sticky.Tag
	tally  *arms.Tally
	split  *arms.Split // nil: all of its requests are its own
	arms   []target    // of split

	variants []target // of the releases that requests have of experiments, as the pool's; without a pool where there is none
}

// room is how many may be in flight to all of the target's backends; 0: any number.
func (t *target) room(now int64) int64 {
	if t.most == 0 {
		return 0
	}
	return max(t.most*int64(t.picker.Fit(now)), 1)
}

// pick picks a backend by the rule's way, another than those of avoid where there is one.
func (t *target) pick(now int64, key uint64, avoid []*balance.Backend) (*backend, balance.Verdict) {
	b, v := t.picker.Pick(balance.Query{Now: now, Random: rand.Uint64(), Key: key, Avoid: avoid})
	if v != balance.Picked {
		return nil, v
	}
	return t.pool.of(b), v
}

// target is the pool k as c leads to it, with its arms. tester says that it is theirs.
func (e *Edge) target(s *snapshot, c *rule, k semper.PoolKey, tester bool) target {
	p, o := s.pools[k], &c.Policy
	t := target{pool: p, most: int64(o.MaxInFlight), tally: p.arms.Tally, split: p.arms.Split, picker: balance.NewPicker(balance.Options{
		Policy: config.Balancing(o.Balance.Algorithm), SlowStart: p.slowStart, Panic: config.OrNever(p.panicBelow), MaxInFlight: int64(o.MaxInFlight),
	}, p.members)}
	own := s.held[c.Name]
	t.held, t.lane = append(p.held[:len(p.held):len(p.held)], own...), p.lane.Of(c.Name, len(own) > 0)
	p.timed = p.timed || o.Balance.Algorithm == route.LeastTime
	c.Aside = c.Aside || p.foreign
	c.copies = c.copies || p.mirror != nil && o.Shadow == route.ShadowAll
	series := arms.SeriesOf(&p.Pool)
	if tester {
		series.Arm = string(semper.ArmTester)
	}
	t.place = s.place(e.witness, series, c.Rule.Rule)
	t.gate = e.gateOf(p, o)
	if t.split != nil {
		for _, a := range t.split.Arms {
			arm := e.target(s, c, a.Pool, a.Arm == semper.ArmTester)
			arm.tally = a.Tally
			t.arms = append(t.arms, arm)
		}
	}
	if p.arms.Stable != p.Key {
		return t
	}
	for _, r := range p.variants.Releases() {
		var v target
		if k := k.PoolOf(semper.Arm(r)); s.pools[k] != nil {
			v = e.target(s, c, k, false)
		}
		t.variants = append(t.variants, v)
	}
	return t
}
