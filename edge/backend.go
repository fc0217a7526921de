package edge

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"semper"
	"semper/edge/front"
	"semper/edge/metrics"
	"semper/edge/tunnel"
	"semper/edge/upstream"
	"semper/edge/witness"
)

// class indexes the counters of a backend.
type class int

const (
	classRequest class = iota
	classStream
	classWebSocket
	classes
)

func (c class) name() semper.Class {
	return [classes]semper.Class{semper.ClassRequest, semper.ClassStream, semper.ClassWebSocket}[c]
}

// incarnation names one life of an instance: what a table says of it, as far as it tells lives apart.
type incarnation struct {
	id      semper.InstanceID
	address string
	pid     int
	ticks   uint64
}

// A backend is an incarnation as this edge knows it. It lives from the first table that names it until
// a table leaves it out and nothing is in flight to it.
type backend struct {
	incarnation
	app     string
	release semper.ReleaseName
	health  semper.Health
	edge    *Edge
	place   *witness.Place

	pool   *upstream.Pool
	target *front.Target   // the same for drivers
	ctx    context.Context // of the watch on it and the probes; ends with it
	retire context.CancelFunc

	ejected  atomic.Bool // found dead; gets nothing until a probe passes
	left     atomic.Bool // no table names it any more
	inFlight [classes]atomic.Int64

	mu      sync.Mutex            // guards what follows
	running map[*attempt]struct{} // what is in flight, to cut it
	cut     [classes]bool         // the class is past its instant: whatever joins it is cut at once
	probing bool
}

func (e *Edge) newBackend(in incarnation, p semper.Pool, h semper.Health) *backend {
	b := &backend{incarnation: in, app: p.App, release: p.Release, health: h, edge: e, place: e.witness.Place(keyOf(p)), running: make(map[*attempt]struct{})}
	b.ctx, b.retire = context.WithCancel(e.ctx)
	b.pool = upstream.New(upstream.Options{Dial: b.dial, MaxIdle: e.o.Connections.Kept, IdleTimeout: e.o.Connections.KeptFor})
	b.target = &front.Target{Owner: b}
	b.target.Network, b.target.Address = network(in.address)
	if in.pid > 0 {
		b.watchProcess()
	}
	return b
}

// up reports whether it may get requests.
func (b *backend) up() bool { return !b.ejected.Load() }

// load is how much is in flight to it.
func (b *backend) load() int64 {
	var n int64
	for c := range b.inFlight {
		n += b.inFlight[c].Load()
	}
	return n
}

// An attempt is one request given to one backend.
type attempt struct {
	backend *backend
	class   class // guarded by backend.mu after begin
	cancel  context.CancelCauseFunc
	tunnel  *tunnel.Tunnel // guarded by backend.mu; of an upgraded connection
}

// claim counts one more request in flight. It is undone by drop, or becomes an attempt by begin.
func (b *backend) claim() { b.inFlight[classRequest].Add(1) }

func (b *backend) drop(c class) {
	if b.inFlight[c].Add(-1); b.left.Load() && b.load() == 0 {
		b.edge.tend()
	}
}

// begin makes a claim an attempt that can be cut.
func (b *backend) begin(a *attempt) {
	b.mu.Lock()
	b.running[a] = struct{}{}
	cut := b.cut[classRequest]
	b.mu.Unlock()
	if cut {
		a.cancel(errCut)
	}
}

// end gives a back.
func (b *backend) end(a *attempt) {
	a.cancel(nil)
	b.mu.Lock()
	delete(b.running, a)
	c := a.class
	b.mu.Unlock()
	b.drop(c)
}

// become moves a to another class.
func (b *backend) become(a *attempt, c class, t *tunnel.Tunnel) {
	b.mu.Lock()
	b.inFlight[c].Add(1)
	b.inFlight[a.class].Add(-1)
	a.class, a.tunnel = c, t
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
func (b *backend) cutClass(c class) {
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

func (b *backend) isCut(c class) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cut[c]
}

// cutTunnels ends every tunnel as soon as it can be, within about a second.
func (b *backend) cutTunnels(now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut[classWebSocket] = true
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
	b.cut = [classes]bool{}
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
	again := b.ejected.Swap(true)
	start := !b.probing
	b.probing = true
	b.mu.Unlock()
	if !again {
		b.place.Count(metrics.EjectDead)
		b.edge.log.Info("backend ejected", "instance", b.id, "address", b.address, "why", why, "error", err)
	}
	if start {
		b.edge.spawn(&b.edge.background.backends, "probe "+string(b.id), b.probe)
	}
}
