package edge

import (
	"net"
	"runtime"
	"sync"

	"semper/edge/carry"
	"semper/edge/config"
	"semper/edge/dial"
	"semper/edge/front"
	"semper/edge/loop"
	"semper/edge/server"
	"semper/edge/tunnel"
	"semper/edge/upstream"
)

// Driver is what carries plaintext connections. All treat a request alike.
type Driver string

// The drivers.
const (
	// Loops carries the ordinary request in loops over epoll, which costs least, and gives every other connection to a
	// goroutine of its own. It is the zero Driver.
	Loops Driver = "epoll"
	// Goroutines has a goroutine for each connection from its beginning.
	Goroutines Driver = "goroutine"
)

// drivers are what carries connections.
type drivers struct {
	loops   *loop.Driver    // plaintext; nil when goroutines carry that too
	tunnels *tunnel.Tunnels // what has changed its protocol
	others  carry.Carriers
	edge    *Edge

	mu      sync.Mutex               // guards what follows
	servers map[Terms]*server.Server // TLS, HTTP/2, and what is unusual, by terms without their TLS
	closed  bool
}

func (e *Edge) startDrivers() (err error) {
	d := &e.drivers
	d.edge, d.servers = e, make(map[Terms]*server.Server)
	if d.tunnels, err = tunnel.Open(); err != nil {
		return err
	}
	if e.o.Driver == Goroutines {
		return nil
	}
	d.loops, err = loop.New(loop.Options{
		Edge: e, Pass: func(c net.Conn, _ []byte, _ *front.Handover) { c.Close() }, OnIdle: e.sayIdle, Paused: e.strain.Paused, Log: e.log, Origin: e.origin, Loops: runtime.NumCPU(),
		Body: config.BodyIdle, Write: config.WriteIdle, Connect: dial.Timeout,
	})
	if err != nil {
		d.tunnels.Close()
	}
	return err
}

// server is the one for terms, made when there is none.
func (d *drivers) server(t Terms) (*server.Server, error) {
	t.TLS, t.MaxConns = nil, 0
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, net.ErrClosed
	}
	s := d.servers[t]
	if s == nil {
		e := d.edge
		s = server.New(server.Options{
			Edge: e, Handler: e, Pool: poolOf, OnIdle: e.sayIdle, Paused: e.strain.Paused, Log: e.log, Origin: e.origin, Limits: t.Limits(), H2C: t.H2C, AltSvc: t.AltSvc,
			Head: t.Head, Idle: t.Idle, Body: config.BodyIdle, Write: config.WriteIdle,
		})
		d.servers[t] = s
	}
	return s, nil
}

// poolOf is the connections to a target that a session has chosen.
func poolOf(t *front.Target) *upstream.Pool { return t.Owner.(*backend).pool } //nolint:errcheck,forcetypeassert // as newBackend makes it

// all are the drivers; loops come first, since they give to the others.
func (d *drivers) all() (all []front.Driver) {
	if d.loops != nil {
		all = append(all, d.loops)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range d.servers {
		all = append(all, s)
	}
	return append(all, d.others.Drivers()...)
}

// serve takes connections from l until its door is shut.
func (d *drivers) serve(l *door, t Terms) error {
	if c, ok := l.Listener.(front.Carrier); ok {
		return d.others.Serve(l.ctx, c, d.edge.sayIdle)
	}
	t = t.Whole()
	s, err := d.server(t)
	if err != nil {
		return err
	}
	places, from := d.edge.strain.Room(t.MaxConns), l.Listener
	if t.TLS == nil && d.loops != nil && loop.Takes(from) {
		return d.loops.Serve(l.ctx, &loop.Listener{
			Listener: from, Limits: t.Limits(), Head: t.Head, Idle: t.Idle, H2C: t.H2C, Room: places,
			Pass: func(c net.Conn, read []byte, h *front.Handover) { s.ServeIn(places, c, read, h) },
		})
	}
	if t.TLS != nil {
		from = &server.TLSListener{Listener: from, Config: t.TLS}
	}
	return s.Serve(l.ctx, &server.Bounded{Listener: from, Room: places})
}

func (d *drivers) sweep() {
	for _, d := range d.all() {
		d.Sweep()
	}
}

// Cut breaks off what sessions have in hand, where which says so.
func (d *drivers) cut(which func(*session) bool) {
	for _, d := range d.all() {
		d.Cut(func(s front.Session) bool { return which(s.(*session)) }) //nolint:errcheck,forcetypeassert // there are no others
	}
}

func (d *drivers) retire(t *front.Target) {
	for _, d := range d.all() {
		d.Retire(t)
	}
}

func (d *drivers) connections() (n int) {
	for _, d := range d.all() {
		n += d.Connections()
	}
	return n
}

// close ends all connections and waits for what serves them; tunnels, whose connections are the servers' too, are closed
// already. What loops would give away finds the servers closed only after them.
func (d *drivers) close() (errs []error) {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.others.Shut()
	for _, d := range d.all() {
		errs = append(errs, d.Close())
	}
	return errs
}
