package edge

import (
	"time"

	"semper"
	"semper/edge/balance"
	"semper/edge/config"
	"semper/edge/gate"
	"semper/edge/hold"
	"semper/edge/ledger"
	"semper/edge/local"
	"semper/edge/probe"
	"semper/edge/route"
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
}

// rule is the rule for q; nil when there is none.
func (s *snapshot) rule(q *route.Query) *rule {
	r := s.matcher.Match(q)
	if r == nil {
		return nil
	}
	return &s.rules[r.Index()]
}

// A pool is a pool of one snapshot.
type pool struct {
	semper.Pool
	tabled   bool // it is a table's, and may be held
	backends []*backend
	members  []balance.Member // the same
	index    map[*balance.Backend]*backend
	lane     *lane
	slot     *ledger.Slot
	bounds   hold.Bounds
	age      time.Duration
	release  []byte // Pool.Release, as a field has it

	slowStart  time.Duration
	panicBelow int
	timed      bool            // some rule balances by latency
	ready      *balance.Picker // says whether there is anybody
	foreign    bool            // drivers do not speak to its backends
}

// The bounds of a hold where a table names none.
const (
	defaultHeld    = 1000
	defaultHoldAge = 30 * time.Second
	defaultRate    = 500
)

func (p *pool) setBounds() {
	l := &p.Limits
	if l.Requests <= 0 {
		l.Requests = defaultHeld
	}
	if l.Bytes <= 0 {
		l.Bytes = config.HeldBytes
	}
	if l.Age <= 0 {
		l.Age = semper.Duration(defaultHoldAge)
	}
	if l.Rate <= 0 {
		l.Rate = defaultRate
	}
	p.bounds, p.age = hold.Bounds{Requests: l.Requests, Bytes: l.Bytes}, l.Age.D()
}

// gate is what stands before the pool at this instant. A pool that is nil is gone.
func (p *pool) gate(now int64) hold.Gate {
	if p == nil {
		return hold.Gate{Gone: true}
	}
	g := hold.Gate{Ready: p.ready.Fit(now) > 0, Rate: p.Limits.Rate}
	if p.Hold != nil {
		g.All, g.Writes = !p.Hold.Writes, p.Hold.Writes
	}
	return g
}

// holds reports whether a request has to wait for the end of a hold.
func (p *pool) holds(unsafe bool) bool { return p.Hold != nil && (unsafe || !p.Hold.Writes) }

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
	for _, p := range t.Pools {
		c := e.newPool(p)
		c.tabled = true
		c.setBounds()
		said, err := config.OfPool(&p)
		if err != nil {
			e.log.Warn("a pool's settings are not known; the rest holds", "pool", p.Key, "error", err)
		}
		speech := c.treat(&said)
		for _, d := range p.Backend {
			in := incarnation{id: d.ID, address: d.Address, pid: d.PID, ticks: d.StartTicks, speech: speech}
			c.add(e.backend(in, life{app: p.App, release: p.Release, key: keyOf(p)}, probe.OfTable(d.Health)), 1)
		}
		c.ready = balance.NewPicker(balance.Options{Panic: orNever(said.Panic)}, c.members)
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
	return s, e.addSigners(s, StickyKeys{Current: t.StickyKey})
}

// newPool is p with what lives on of it.
func (e *Edge) newPool(p semper.Pool) *pool {
	c := &pool{Pool: p, lane: e.lanes[p.Key], release: []byte(p.Release), index: make(map[*balance.Backend]*backend)}
	if c.lane == nil {
		c.lane = newLane(e, p.Key)
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
	gates := e.gates
	e.gates = make(map[gateKey]*gate.Gate, len(gates))
	s.rules = make([]rule, len(s.matcher.Rules()))
	for i := range s.rules {
		r := &s.matcher.Rules()[i]
		made, err := config.NewRule(r)
		if err != nil {
			return err
		}
		c := rule{Rule: made}
		n := config.Name(r)
		if c.Memory = known[n]; c.Memory == nil {
			c.Memory = config.NewMemory(&r.Policy)
		}
		e.memories[n] = c.Memory
		if c.Forward != nil {
			for _, share := range c.Forward.Pools {
				p := s.pools[semper.PoolKey(share.Pool)]
				t := newTarget(p, &r.Policy)
				t.place = s.place(e.witness, p, r)
				t.gate = e.gateOf(p, &r.Policy, gates)
				c.targets = append(c.targets, t)
				p.timed = p.timed || r.Policy.Balance.Algorithm == route.LeastTime
				c.Aside = c.Aside || p.foreign
			}
		}
		s.rules[i] = c
	}
	return nil
}
