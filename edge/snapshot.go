package edge

import (
	"context"
	"strings"
	"time"

	"semper"
	"semper/edge/arms"
	"semper/edge/balance"
	"semper/edge/balance/admit"
	"semper/edge/config"
	"semper/edge/heal"
	"semper/edge/hold"
	"semper/edge/lane"
	"semper/edge/ledger"
	"semper/edge/local"
	"semper/edge/mirror"
	"semper/edge/probe"
	"semper/edge/rouse"
	"semper/edge/route"
	"semper/edge/variant"
	"semper/edge/witness"
)

// A snapshot is one table, or one Config, in the form requests use. It is immutable; the edge points to exactly one. The lanes,
// backends and memories it names live on from snapshot to snapshot, with their counters.
type snapshot struct {
	alone   bool // of a Config
	epoch   semper.Epoch
	matcher *route.Matcher
	trusted *config.Networks
	rules   []rule // by their index
	pools   map[semper.PoolKey]*pool
	drain   map[semper.InstanceID]semper.Draining // instances on their way out
	sites   map[int]*local.Site                   // of the rules that answer with files
	places  []*witness.Place
	held    map[string]hold.Terms // of routes by themselves, by the names of their rules
}

// rule is the rule for q; nil when there is none.
func (s *snapshot) rule(q *route.Query) *rule {
	r := s.matcher.Match(q)
	if r == nil {
		return nil
	}
	return &s.rules[r.Index()]
}

// answer has the rules of sites answer with them.
func (s *snapshot) answer(sites map[int]*local.Site) {
	s.sites = sites
	for i, site := range sites {
		s.rules[i].site = site
	}
}

// A line is what lives on of a pool from snapshot to snapshot: who waits in front of it, who is left out for his answers,
// and how much was tried twice, by whatever rule.
type line struct {
	*lane.Lanes
	heal   *heal.Ward // nil: never was one; guarded by Edge.registry
	asked  rouse.Asked
	budget admit.Budget
}

// A pool is a pool of one snapshot.
type pool struct {
	semper.Pool
	tabled   bool // it is a table's, and may be held
	backends []*backend
	members  []balance.Member // the same
	index    map[*balance.Backend]*backend
	lane     *line
	slot     *ledger.Slot
	held     hold.Terms
	bounds   hold.Bounds
	age      time.Duration
	release  []byte    // Pool.Release, as a field has it
	arms     arms.Pool // what it is in a split
	mirror   *mirror.Mirror
	variants *variant.Set
	sleeper  *rouse.Service // nil: it does not sleep

	slowStart  time.Duration
	panicBelow int
	timed      bool            // some rule balances by latency
	ready      *balance.Picker // says whether there is anybody
	foreign    bool            // drivers do not speak to its backends
}

// gate is what stands before a pool at this instant, or before one route to it. A pool that is not there any more is gone.
func (s *snapshot) gate(k semper.PoolKey, route string, now int64) hold.Gate {
	p := s.pools[k]
	if p == nil {
		return hold.Gate{Gone: true}
	}
	g, wall := hold.Gate{Ready: p.ready.Fit(now) > 0, Rate: p.Limits.Rate}, time.Now()
	g.Close(p.held, now, wall)
	g.Close(s.held[route], now, wall)
	return g
}

// add makes b one of the pool's.
func (p *pool) add(b *backend, weight int) {
	p.backends = append(p.backends, b)
	p.members = append(p.members, balance.Member{Backend: b.balance, Weight: uint16(min(max(weight, 0), 1<<16-1))})
	p.index[b.balance] = b
}

// of is the backend that b is of.
func (p *pool) of(b *balance.Backend) *backend {
	if len(p.backends) <= 8 {
		for _, o := range p.backends {
			if o.balance == b {
				return o
			}
		}
	}
	return p.index[b]
}

// empty is the snapshot before the first.
func (e *Edge) empty() *snapshot {
	m, err := route.Compile(nil)
	if err != nil {
		panic(err) // there is nothing in it that could be wrong
	}
	return &snapshot{matcher: m, trusted: e.trusted}
}

// compileTable makes the snapshot of t by m, with the backends and lanes that are there already. e.registry is held.
func (e *Edge) compileTable(t semper.Table, m *route.Matcher) (*snapshot, error) {
	s := &snapshot{epoch: t.Epoch, matcher: m, trusted: e.trusted, pools: make(map[semper.PoolKey]*pool, len(t.Pools)), drain: make(map[semper.InstanceID]semper.Draining)}
	keys := e.keys(StickyKeys{Current: t.StickyKey})
	plan, err := e.arms.Plan(t.Pools, [2][]byte{keys.Current, keys.Previous}, time.Now())
	if err != nil {
		e.log.Warn("a split says what this edge does not know; it goes by the rest", "epoch", t.Epoch, "error", err)
	}
	mirrors, err := e.mirrors.Plan(t.Pools, e.sender, time.Now())
	if err != nil {
		e.log.Warn("a shadow is not understood; nothing is copied for it", "epoch", t.Epoch, "error", err)
	}
	e.ends.Turn(time.Now(), e.now())
	for _, p := range plan {
		c := e.newPool(p.Pool)
		c.held = e.ends.OfPool(p.Hold)
		c.tabled, c.arms, c.mirror = true, p, mirrors[p.Key]
		c.bounds, c.age = config.Holds(&c.Limits)
		c.sleeper = rouse.New(&c.Pool, &c.lane.asked, &e.bell)
		said, err := config.OfPool(&c.Pool)
		if err != nil {
			e.log.Warn("a pool's settings are not known; the rest holds", "pool", p.Key, "error", err)
		}
		if c.variants, err = variant.Compile(p.Variations, [2][]byte{keys.Current, keys.Previous}); err != nil {
			e.log.Warn("an experiment says what this edge does not know; it goes by the rest", "pool", p.Key, "error", err)
		}
		speech := c.treat(&said)
		for _, d := range c.Backend {
			in := incarnation{id: d.ID, address: d.Address, pid: d.PID, ticks: d.StartTicks, speech: speech}
			c.add(e.backend(in, life{app: p.App, release: p.Release, key: arms.SeriesOf(&c.Pool)}, probe.OfTable(d.Health)), 1)
		}
		c.ready = balance.NewPicker(balance.Options{Panic: config.OrNever(said.Panic)}, c.members)
		e.heal(c, &said.Outlier)
		s.pools[p.Key] = c
	}
	old := e.current.Load()
	for _, d := range t.Draining {
		for _, id := range d.Instances {
			s.drain[id] = config.Steady(old.drain[id], d, time.Now())
		}
	}
	if err := e.addRules(s); err != nil {
		return nil, err
	}
	return s, e.addSigners(s, keys)
}

// newPool is p with what lives on of it.
func (e *Edge) newPool(p semper.Pool) *pool {
	c := &pool{Pool: p, lane: e.lanes[p.Key], release: []byte(p.Release), index: make(map[*balance.Backend]*backend)}
	if c.lane == nil {
		c.lane = &line{Lanes: lane.NewLanes(func(route string) *lane.Lane {
			return lane.New(lane.Options{
				Gate: func() hold.Gate { return e.snapshot().gate(p.Key, route, e.now()) },
				Pump: func(f func(context.Context)) bool {
					return e.background.Spawn(&e.background.Lines, strings.TrimSpace(string(p.Key)+" "+route), f)
				},
			})
		})}
		e.lanes[p.Key] = c.lane
	}
	var err error
	if c.slot, err = e.books.Slot(Key{App: p.App, Release: p.Release}); err != nil {
		e.log.Warn("a release is counted in memory only", "app", p.App, "release", p.Release, "error", err)
	}
	return c
}

// addRules makes the rules of s from those of its matcher.
func (e *Edge) addRules(s *snapshot) error {
	known := e.memories
	e.memories = make(map[string]*config.Memory, len(known))
	e.gates.Turn()
	s.rules, s.held = make([]rule, len(s.matcher.Rules())), make(map[string]hold.Terms)
	for i := range s.rules {
		r := &s.matcher.Rules()[i]
		made, err := config.NewRule(r)
		if err != nil {
			return err
		}
		if len(r.Held) > 0 {
			s.held[r.Name] = e.ends.OfRule(r.Held)
		}
		c := rule{Rule: made}
		n := config.Name(r)
		if c.Memory = known[n]; c.Memory == nil {
			c.Memory = config.NewMemory(&r.Policy)
		}
		e.memories[n] = c.Memory
		if c.Forward != nil {
			for _, share := range c.Forward.Pools {
				c.targets = append(c.targets, e.target(s, &c, semper.PoolKey(share.Pool), false))
			}
			e.addBefore(s, &c)
		}
		s.rules[i] = c
	}
	return nil
}
