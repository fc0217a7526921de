package edge

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"semper"
	"semper/edge/balance"
	"semper/edge/gate"
	"semper/edge/hold"
	"semper/edge/ledger"
	"semper/edge/message"
	"semper/edge/route"
	"semper/edge/witness"
)

// A snapshot is one table, or one Config, in the form requests use. It is immutable; the edge points to exactly one. The lanes,
// backends and memories it names live on from snapshot to snapshot, with their counters.
type snapshot struct {
	alone   bool // of a Config
	epoch   semper.Epoch
	matcher *route.Matcher
	rules   []rule // by their index
	pools   map[semper.PoolKey]*pool
	drain   map[semper.InstanceID]semper.Draining // instances on their way out
	sites   map[int]*site                         // of the rules that answer with files
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
	defaultHeld      = 1000
	defaultHeldBytes = 64 << 20
	defaultHoldAge   = 30 * time.Second
	defaultRate      = 500
)

func (p *pool) setBounds() {
	l := &p.Limits
	if l.Requests <= 0 {
		l.Requests = defaultHeld
	}
	if l.Bytes <= 0 {
		l.Bytes = defaultHeldBytes
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
func empty() *snapshot {
	m, err := route.Compile(nil)
	if err != nil {
		panic(err) // there is nothing in it that could be wrong
	}
	return &snapshot{matcher: m}
}

// tableTries bounds how often a request of a table's is given to a backend that turns out not to take it.
const tableTries = 8

// defaultMinRate is how many bytes a second a request's content has to bring in the long run.
const defaultMinRate = 100

// rulesOf are the rules that t's routes are.
func rulesOf(t semper.Table) (*route.Matcher, error) {
	type place struct{ host, path string }
	seen := make(map[place]bool, len(t.Routes))
	rules := make([]route.Rule, 0, len(t.Routes))
	for _, r := range t.Routes {
		at := place{message.CanonicalHost(r.Host), strings.TrimRight(r.Path, "/")}
		path, ok := encode(at.path)
		if seen[at] || !ok { // the first wins; what no request has in it needs no rule
			continue
		}
		seen[at] = true
		m := route.Match{Path: path}
		if at.host != "" {
			m.Hosts = []string{at.host}
		}
		rules = append(rules, route.Rule{
			Name: at.host + cmp.Or(at.path, "/"), Match: m, Action: &route.Forward{Pools: []route.Share{{Pool: string(r.Pool), Weight: 1}}},
			Policy: route.Policy{
				Retry:    route.Retry{Tries: tableTries, Share: 0.2, Floor: 10},
				Timeouts: route.Timeouts{Connect: dialTimeout, Body: bodyIdle, Write: writeIdle},
			},
		})
	}
	m, err := route.Compile(rules)
	if err != nil {
		return nil, &semper.Error{Code: semper.Invalid, Op: fmt.Sprintf("route table %d", t.Epoch), Err: err}
	}
	return m, nil
}

// encode is a path of a table's, which is written as people read it, as a rule has it. ok is false for one that no request has.
func encode(path string) (encoded string, ok bool) {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for segment := range strings.SplitSeq(path, "/") {
		if segment == "." || segment == ".." {
			return "", false
		}
	}
	for i := range len(path) {
		c := path[i]
		switch {
		case c == 0 || c == '\\':
			return "", false
		case c > ' ' && c < 0x7f && strings.IndexByte(`%?#*"<>^{}|`, c) < 0:
			b.WriteByte(c)
		default:
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String(), true
}

// compileTable makes the snapshot of t by m, with the backends and lanes that are there already. e.registry is held.
func (e *Edge) compileTable(t semper.Table, m *route.Matcher) (*snapshot, error) {
	s := &snapshot{epoch: t.Epoch, matcher: m, pools: make(map[semper.PoolKey]*pool, len(t.Pools)), drain: make(map[semper.InstanceID]semper.Draining)}
	for _, p := range t.Pools {
		c := e.newPool(p)
		c.tabled = true
		c.setBounds()
		for _, d := range p.Backend {
			in := incarnation{id: d.ID, address: d.Address, pid: d.PID, ticks: d.StartTicks}
			c.add(e.backend(in, life{app: p.App, release: p.Release, key: keyOf(p)}, checkOf(d.Health)), 1)
		}
		c.ready = balance.NewPicker(balance.Options{Panic: -1}, c.members)
		s.pools[p.Key] = c
	}
	old := e.current.Load()
	for _, d := range t.Draining {
		for _, id := range d.Instances {
			s.drain[id] = steady(old.drain[id], d, time.Now())
		}
	}
	return s, e.addRules(s)
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
	e.memories = make(map[string]*memory, len(known))
	gates := e.gates
	e.gates = make(map[gateKey]*gate.Gate, len(gates))
	s.rules = make([]rule, len(s.matcher.Rules()))
	now := e.now()
	for i := range s.rules {
		r := &s.matcher.Rules()[i]
		c, err := newRule(r)
		if err != nil {
			return err
		}
		n := name(r)
		if c.memory = known[n]; c.memory == nil {
			c.memory = newMemory(&r.Policy, now)
		}
		e.memories[n] = c.memory
		if c.forward != nil {
			for _, share := range c.forward.Pools {
				p := s.pools[semper.PoolKey(share.Pool)]
				t := newTarget(p, &r.Policy)
				t.place = s.place(e.witness, p, r)
				t.gate = e.gateOf(p, &r.Policy, gates)
				c.targets = append(c.targets, t)
				p.timed = p.timed || r.Policy.Balance.Algorithm == route.LeastTime
				c.aside = c.aside || p.foreign
				if p.tabled { // an instance may be silent in the middle of an answer for as long as it likes
					c.bounds.Stall, c.bounds.Rate = 0, defaultMinRate
				}
			}
		}
		s.rules[i] = c
	}
	return nil
}
