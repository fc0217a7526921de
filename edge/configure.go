package edge

import (
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	"semper"
	"semper/edge/arms"
	"semper/edge/balance"
	"semper/edge/config"
	"semper/edge/gate"
	"semper/edge/local"
	"semper/edge/probe"
	"semper/edge/route"
	"semper/edge/route/sticky"
	"semper/edge/upstream"
)

// Configure makes c what requests are served by, in the place of the Config before: it is checked, and then swapped in as one
// value. What goes for Apply goes for it: when it returns nil, no request whose head is read later goes by what was before.
// What is the same in both keeps its state: connections, health, what is in flight, rate limits and budgets. An error
// leaves everything as it was. An edge with tables takes no Config.
func (e *Edge) Configure(c Config) error {
	bad := func(err error) error {
		return &semper.Error{Code: semper.Invalid, Op: "configure the edge", Err: err}
	}
	if err := c.Check(); err != nil {
		return bad(err)
	}
	e.order.Lock()
	defer e.order.Unlock()
	if e.Epoch() > 0 {
		return &semper.Error{Code: semper.Conflict, Op: "configure the edge", Message: "it goes by route tables"}
	}
	if e.ctx.Err() != nil {
		return &semper.Error{Code: semper.Unavailable, Op: "configure the edge", Message: "the edge is closed"}
	}
	sites, err := local.Open(c.Rules, e.tend)
	if err != nil {
		return bad(err)
	}
	e.registry.Lock()
	s, err := e.compileConfig(&c, sites)
	if err != nil {
		e.registry.Unlock()
		return errors.Join(bad(err), local.Close(sites))
	}
	e.retired.Add(e.install(s).sites)
	e.registry.Unlock()
	e.tend()
	return nil
}

// compileConfig makes the snapshot of c, with the backends and lanes that are there already. e.registry is held.
func (e *Edge) compileConfig(c *Config, sites map[int]*local.Site) (*snapshot, error) {
	s := &snapshot{alone: true, matcher: c.Rules, trusted: e.trusted.With(c.Trusted), pools: make(map[semper.PoolKey]*pool, len(c.Pools))}
	mirrors, _ := e.mirrors.Copy(c.Shadows(), e.sender, time.Now()) //nolint:errcheck // c was checked
	for name, p := range c.Pools {
		one := e.configPool(name, &p)
		one.mirror, s.pools[one.Key] = mirrors[one.Key], one
	}
	if err := e.addRules(s); err != nil {
		return nil, err
	}
	s.answer(sites)
	return s, e.addSigners(s, e.keys(c.Sticky))
}

// addSigners makes the cookies of the rules that want some.
func (e *Edge) addSigners(s *snapshot, keys StickyKeys) error {
	for i := range s.rules {
		r := &s.rules[i]
		if r.Forward == nil || r.Policy.Sticky.Cookie == "" {
			continue
		}
		if err := r.addSigner(keys); err != nil {
			return err
		}
	}
	return nil
}

// keys are given, or the one of this process. e.registry is held.
func (e *Edge) keys(given StickyKeys) StickyKeys {
	if given.Current == nil {
		if e.key == nil {
			e.key = make([]byte, 32)
			rand.Read(e.key) //nolint:errcheck // it never fails
		}
		given.Current = e.key
	}
	return given
}

// addSigner makes the cookies of r, and the tags of where they may lead.
func (r *rule) addSigner(keys StickyKeys) (err error) {
	scope := r.Policy.Sticky.Cookie
	for _, s := range r.Forward.Pools {
		scope += " " + s.Pool
	}
	if r.pinned() {
		scope = arms.PinScope(r.Policy.Sticky.Cookie, r.targets[0].pool.Key)
	}
	if r.stick, err = sticky.New(scope, keys.Current, keys.Previous); err != nil {
		return err
	}
	if r.addTags(r.targets); r.pinned() {
		r.addPins()
	}
	return nil
}

func (r *rule) addTags(targets []target) {
	for i := range targets {
		t := &targets[i]
		if t.pool == nil {
			continue
		}
		if t.ours = r.stick.Tag(string(t.pool.Key)); r.pinned() {
			t.ours = r.stick.Tag(string(t.pool.Release))
		}
		for _, b := range t.pool.backends {
			name := b.address
			if t.pool.tabled { // whose instances of two releases may have had one address
				name = string(b.id)
			}
			t.tags = append(t.tags, r.stick.Tag(name))
		}
		r.addTags(t.arms)
		r.addTags(t.variants)
	}
}

// configPool is the pool called name.
func (e *Edge) configPool(name string, p *PoolConfig) *pool {
	c := e.newPool(semper.Pool{Key: semper.PoolKey(name), App: name})
	c.Limits.Rate = config.HeldRate
	speech := c.treat(p)
	for _, u := range p.Upstreams {
		in := incarnation{id: semper.InstanceID(name + " " + u.Address), address: u.Address, speech: speech}
		c.add(e.backend(in, life{app: name, key: arms.SeriesOf(&c.Pool)}, probe.Of(&p.Probe)), u.Weight)
	}
	c.ready = balance.NewPicker(balance.Options{Panic: config.OrNever(p.Panic)}, c.members)
	e.heal(c, &p.Outlier)
	return c
}

// treat makes by how p is treated, and says how its backends are spoken to.
func (p *pool) treat(by *PoolConfig) speech {
	p.slowStart, p.panicBelow = by.SlowStart, by.Panic
	p.foreign = by.TLS != nil || by.Protocol != upstream.H1 || by.ProxyProtocol > 0 || by.MaxIdle < 0
	return speech{protocol: by.Protocol, tls: by.TLS, proxy: by.ProxyProtocol, idle: by.MaxIdle, rest: by.IdleTimeout}
}

// gateOf is the gate before p for a policy; nil where nothing bounds what is in flight.
func (e *Edge) gateOf(p *pool, o *route.Policy) *gate.Gate {
	if o.MaxInFlight == 0 && !o.Adaptive {
		return nil
	}
	return e.gates.Of(gate.Key{Pool: string(p.Key), Length: o.Queue.Length, Deadline: o.Queue.Deadline, Adaptive: o.Adaptive}, o.Class == route.Critical)
}

func (e *Edge) pumpGate(g *gate.Gate) bool {
	return e.background.Spawn(&e.background.Lines, fmt.Sprintf("gate %p", g), g.Pump)
}

// What Configure takes. See package config.
type (
	Config        = config.Config
	PoolConfig    = config.Pool
	Upstream      = config.Upstream
	ProbeConfig   = config.Probe
	OutlierConfig = config.Outlier
	StickyKeys    = config.StickyKeys
	Terms         = config.Terms
)

// DefaultPool is a pool that says nothing but where.
func DefaultPool(addresses ...string) PoolConfig { return config.DefaultPool(addresses...) }
