package edge

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"semper"
	"semper/edge/balance"
	"semper/edge/dial"
	"semper/edge/flight"
	"semper/edge/front"
	"semper/edge/heal"
	"semper/edge/metrics"
	"semper/edge/probe"
	"semper/edge/tunnel"
	"semper/edge/upstream"
	"semper/edge/witness"
)

// incarnation names one life of an instance: what a table says of it, as far as it tells lives apart. Of a Config's it is an
// upstream of a pool.
type incarnation struct {
	id      semper.InstanceID
	address string
	pid     int
	ticks   uint64
	speech  speech
}

// speech is how a backend is spoken to.
type speech struct {
	protocol upstream.Protocol
	tls      *tls.Config
	proxy    int // version of the PROXY protocol
	idle     int // connections at rest; 0: as many as is usual; negative: none
	rest     time.Duration
}

// life is what else is known of a backend.
type life struct {
	app     string
	release semper.ReleaseName
	key     metrics.Key
}

// A backend is an incarnation as this edge knows it. It lives from the first snapshot that names it until one leaves it
// out and nothing is in flight to it.
type backend struct {
	incarnation
	life
	edge    *Edge
	place   atomic.Pointer[witness.Place] // of what befalls no request; that of the pool it was in last
	balance *balance.Backend              // counts what is in flight, of all classes

	pool   *upstream.Pool
	target *front.Target   // the same for drivers
	ctx    context.Context // of the watch on it and the probes; ends with it
	retire context.CancelFunc

	left    atomic.Bool  // no snapshot names it any more
	classes flight.Count // of what is in flight
	heal    atomic.Pointer[heal.Ward]

	mu       sync.Mutex            // guards what follows
	running  map[*attempt]struct{} // what is in flight by net/http's way, to cut it
	cut      [flight.Classes]bool  // the class is past its instant: whatever joins it is cut at once
	probing  bool
	examined bool // examine
	check    probe.Check
}

func (e *Edge) newBackend(in incarnation, l life) *backend {
	b := &backend{incarnation: in, life: l, edge: e, running: make(map[*attempt]struct{})}
	b.place.Store(e.witness.Place(l.key))
	b.balance = balance.NewBackend(string(in.id), &e.changes, e.now())
	b.balance.InFlight.OnIdle(e.tend)
	b.ctx, b.retire = context.WithCancel(e.ctx)
	b.pool = b.newPool()
	b.target = &front.Target{Owner: b, Idle: b.speech.idle, IdleFor: b.speech.rest}
	b.target.Network, b.target.Address = dial.Network(in.address)
	if in.pid > 0 {
		b.watchProcess()
	}
	return b
}

// asks makes c what b is asked.
func (b *backend) asks(c probe.Check) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.check = c
	if c.Interval > 0 && !b.examined {
		b.examined = b.edge.background.Spawn(&b.edge.background.Backends, fmt.Sprintf("examine %s %p", b.id, b), b.examine)
	}
}

// question is what b is asked now. When it is nothing, asking ends.
func (b *backend) question() probe.Check {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.check.Interval == 0 {
		b.examined = false
	}
	return b.check
}

// up reports whether it is not known to be dead.
func (b *backend) up() bool { return !b.balance.Down() }

// inFlight is how much of a class is in flight to it.
func (b *backend) inFlight(c flight.Class) int64 { return b.classes.Load(c, b.balance.InFlight.Load()) }

// An attempt is one request given to one backend.
type attempt struct {
	backend *backend
	class   flight.Class // guarded by backend.mu after begin
	cancel  context.CancelCauseFunc
	tunnel  *tunnel.Tunnel // guarded by backend.mu; of an upgraded connection
	over    bool           // the exchange has settled it
}

// claim counts one request of class c in flight to b, if s is still current. Who sees the claim sees its class.
func (b *backend) claim(s *snapshot, c flight.Class) bool {
	b.classes.Turn(flight.Request, c)
	if b.edge.current.Claim(s, &b.balance.InFlight) {
		return true
	}
	b.classes.Turn(c, flight.Request)
	return false
}

// drop ends a claim of class c.
func (b *backend) drop(c flight.Class) {
	b.classes.Turn(c, flight.Request)
	b.balance.InFlight.Release()
}

// begin makes a claim an attempt that can be cut.
func (b *backend) begin(a *attempt) {
	b.mu.Lock()
	b.running[a] = struct{}{}
	cut := b.cut[a.class]
	b.mu.Unlock()
	if cut {
		a.cancel(errCut)
	}
}

// end ends a; the claim is still to be dropped, of the class that it says.
func (b *backend) end(a *attempt) flight.Class {
	a.cancel(nil)
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.running, a)
	return a.class
}

// become moves a to another class.
func (b *backend) become(a *attempt, c flight.Class, t *tunnel.Tunnel) {
	b.mu.Lock()
	b.classes.Turn(a.class, c)
	if a.class, a.tunnel = c, t; t != nil {
		a.cancel = func(error) {} // what is of the request ends with its handler
	}
	cut := b.cut[c]
	b.mu.Unlock()
	switch {
	case cut && t == nil:
		a.cancel(errCut)
	case cut:
		now := time.Now()
		t.Plan(tunnel.Farewell{Soft: now, Force: now})
	}
	if t != nil && (b.left.Load() || b.edge.draining.Load()) {
		b.edge.tend()
	}
}

// cutClass ends what is in flight of c, and what joins it later, until uncut.
func (b *backend) cutClass(c flight.Class) {
	b.mu.Lock()
	b.cut[c] = true
	for a := range b.running {
		if a.class == c {
			a.cancel(errCut)
		}
	}
	b.mu.Unlock() // a driver may ask its sessions at once, and they know backends
	b.edge.drivers.cut(func(s *session) bool { return s.in(b, c) })
}

func (b *backend) isCut(c flight.Class) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cut[c]
}

// cutTunnels ends every tunnel as soon as it can be, within about a second.
func (b *backend) cutTunnels(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut[flight.WebSocket] = true
	for a := range b.running {
		if a.tunnel != nil {
			a.tunnel.Plan(tunnel.Farewell{Soft: now, Force: now})
		}
	}
}

// uncut ends the draining: the backend is back in a pool.
func (b *backend) uncut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut = [flight.Classes]bool{}
	for a := range b.running {
		if a.tunnel != nil {
			a.tunnel.Plan(tunnel.Farewell{})
		}
	}
}

// closeTunnels plans the end of every tunnel for at, spread over the moments before it.
func (b *backend) closeTunnels(now, at time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i, n := 0, 0
	for a := range b.running {
		if a.tunnel != nil {
			n++
		}
	}
	for a := range b.running {
		if a.tunnel != nil {
			a.tunnel.Plan(tunnel.Paced(now, at, i, n))
			i++
		}
	}
}

// eject takes the backend out of the balance until a probe passes. why says what was found.
func (b *backend) eject(why string, err error) {
	if b.ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	again := b.balance.Down()
	b.balance.SetDown(true, b.edge.now())
	start := !b.probing
	b.probing = true
	b.mu.Unlock()
	if !again {
		b.place.Load().Count(metrics.EjectDead)
		b.edge.log.Info("backend ejected", "instance", b.id, "address", b.address, "why", why, "error", err)
	}
	if start {
		b.edge.background.Spawn(&b.edge.background.Backends, "probe "+string(b.id), b.probe)
	}
}

// newPool is the pool of connections to b: another life of the instance never sees a request that was written for this one.
func (b *backend) newPool() *upstream.Pool {
	s := &b.speech
	o := upstream.Options{Dial: b.dial, Protocol: s.protocol, TLS: s.tls, MaxIdle: s.idle, IdleTimeout: s.rest}
	if s.idle == 0 {
		o.MaxIdle, o.IdleTimeout = 256, time.Minute
	}
	if s.proxy > 0 {
		o.MaxIdle = -1
	}
	if s.tls != nil && s.tls.ServerName == "" {
		o.TLS = s.tls.Clone()
		o.TLS.ServerName = dial.Host(b.address)
	}
	return upstream.New(o)
}

// dial connects to the backend. A refusal ejects it at once: nobody is there.
func (b *backend) dial(ctx context.Context) (net.Conn, error) {
	c, err := dial.Dial(ctx, b.address, b.speech.proxy)
	if err != nil && dial.Refused(err) {
		b.eject("it does not accept connections", err)
	}
	return c, err
}
