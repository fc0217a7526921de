package edge

import (
	"crypto/tls"
	"net"
	"os"
	"runtime"
	"slices"

	"semper/edge/dial"
	"semper/edge/front"
	"semper/edge/loop"
	"semper/edge/plan"
	"semper/edge/server"
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
	server *server.Server // TLS, HTTP/2, and what is unusual
	loops  *loop.Driver   // plaintext; nil when goroutines carry that too
}

func (e *Edge) startDrivers() (d drivers, err error) {
	c := e.o.Connections
	d.server = server.New(server.Options{
		Edge: e, Handler: e, Pool: poolOf, OnIdle: e.sayIdle, Log: e.log,
		Head: c.Head, Idle: c.Idle, Body: plan.BodyIdle, Write: plan.WriteIdle,
	})
	if e.o.Driver == Goroutines {
		return d, nil
	}
	d.loops, err = loop.New(loop.Options{
		Edge: e, Pass: d.server.ServeConn, OnIdle: e.sayIdle, Log: e.log, Loops: loopsOf(runtime.NumCPU()),
		Head: c.Head, Idle: c.Idle, Body: plan.BodyIdle, Write: plan.WriteIdle, Connect: dial.Timeout,
		IdleTargets: c.Kept, IdleTarget: c.KeptFor,
	})
	if err != nil {
		d.server.Close() //nolint:errcheck // it has no connection
		return drivers{}, err
	}
	// A loop that is busy keeps its processor; something has to be left for everything else.
	if n := loopsOf(runtime.NumCPU()) + 1; runtime.GOMAXPROCS(0) < n {
		runtime.GOMAXPROCS(n)
	}
	return d, nil
}

// loopsOf is how many loops a machine with n processors gets.
func loopsOf(n int) int { return max(n, 1) }

// poolOf is the connections to a target that a session has chosen.
func poolOf(t *front.Target) *upstream.Pool { return t.Owner.(*backend).pool } //nolint:errcheck,forcetypeassert // as newBackend makes it

func (d *drivers) all() []front.Driver {
	if d.loops == nil {
		return []front.Driver{d.server}
	}
	return []front.Driver{d.loops, d.server}
}

// serve takes connections from l until its door is shut.
func (d *drivers) serve(l *door, c *tls.Config) error {
	switch {
	case c != nil:
		if len(c.NextProtos) == 0 {
			c = c.Clone()
			c.NextProtos = []string{"h2", "http/1.1"}
		}
		return d.server.Serve(l.ctx, &server.TLSListener{Listener: l.Listener, Config: c})
	case d.loops != nil && descriptor(l.Listener):
		return d.loops.Serve(l.ctx, l.Listener)
	}
	return d.server.Serve(l.ctx, l.Listener)
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

// close ends all connections and waits for what serves them. What loops would give away finds the server closed only
// after them.
func (d *drivers) close() (errs []error) {
	for _, d := range d.all() {
		errs = append(errs, d.Close())
	}
	return slices.DeleteFunc(errs, func(err error) bool { return err == nil })
}

// descriptor reports whether l is a socket of the kernel's, which a loop can watch.
func descriptor(l net.Listener) bool {
	_, ok := l.(interface{ File() (*os.File, error) })
	return ok
}
