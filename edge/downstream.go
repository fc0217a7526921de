package edge

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const maxHead = 32 << 10

// Connections bounds the connections of an edge. What is zero has a default.
type Connections struct {
	Head    time.Duration // for a request's head, whole; 10 s
	Idle    time.Duration // of a client's connection between two requests; 75 s
	Kept    int           // idle connections to one backend; in loops: of each loop; 256
	KeptFor time.Duration // how long an idle connection to a backend is kept; 60 s
}

func (c Connections) whole() Connections {
	return Connections{
		Head: cmp.Or(c.Head, 10*time.Second), Idle: cmp.Or(c.Idle, 75*time.Second),
		Kept: cmp.Or(c.Kept, idlePerBackend), KeptFor: cmp.Or(c.KeptFor, idleTimeout),
	}
}

func (e *Edge) newServer(c *tls.Config) *http.Server {
	return &http.Server{
		Handler: e, TLSConfig: c, ReadHeaderTimeout: e.o.Connections.Head, IdleTimeout: e.o.Connections.Idle, MaxHeaderBytes: maxHead,
		ConnState: e.connState, ConnContext: withConn, ErrorLog: slog.NewLogLogger(e.log.Handler(), slog.LevelDebug),
	}
}

// A door is a listener this edge accepts from.
type door struct {
	net.Listener
	edge *Edge
	once sync.Once
	ctx  context.Context // ends with it
	end  context.CancelFunc
	left atomic.Bool // before the edge ends: that it is closed is no fault
}

// open makes l a door; false when the edge takes no connections any more, and l is closed then.
func (e *Edge) open(l net.Listener) (*door, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := &door{Listener: l, edge: e}
	d.ctx, d.end = context.WithCancel(e.ctx)
	if e.closed || e.draining.Load() {
		d.Close() //nolint:errcheck // nobody ever accepted from it
		return nil, false
	}
	e.doors[d] = struct{}{}
	return d, true
}

// Accept wraps, so that a drain knows every connection.
func (d *door) Accept() (net.Conn, error) {
	c, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	w := &downstreamConn{Conn: c, edge: d.edge}
	d.edge.mu.Lock()
	d.edge.conns[w] = struct{}{}
	d.edge.mu.Unlock()
	return w, nil
}

// Close gives this process's descriptor back, once.
func (d *door) Close() (err error) {
	d.once.Do(func() {
		d.end()
		err = d.Listener.Close()
	})
	return err
}

// A downstreamConn is a client's connection.
type downstreamConn struct {
	net.Conn
	edge *Edge
	idle atomic.Bool // waits for a request
	last atomic.Bool // takes no further request
	once sync.Once
}

// Close takes it out of the edge's count as well.
func (c *downstreamConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(func() {
		c.edge.mu.Lock()
		delete(c.edge.conns, c)
		c.edge.mu.Unlock()
		c.edge.sayIdle()
	})
	return err
}

// CloseWrite ends what is sent and leaves what is received.
func (c *downstreamConn) CloseWrite() error { return closeWrite(c.Conn) }

// pending reports whether bytes of a next request have arrived already.
func (c *downstreamConn) pending() bool {
	inner := c.Conn
	if a, ok := inner.(*readAhead); ok {
		if len(a.read) > 0 {
			return true
		}
		inner = a.Conn
	}
	sc, ok := inner.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	var one [1]byte
	err = raw.Control(func(fd uintptr) {
		n, _, _ = unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT) //nolint:errcheck // then n is not above 0
	})
	return err == nil && n > 0
}

type connKey struct{}

// withConn lets a handler find its connection.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, downstream(c))
}

// retireConn makes r the last request of its HTTP/1 connection.
func retireConn(r *http.Request) {
	if d, ok := r.Context().Value(connKey{}).(*downstreamConn); ok && d != nil && r.ProtoMajor == 1 {
		d.last.Store(true)
	}
}

// downstream is the client's connection below c; nil when it came from elsewhere.
func downstream(c net.Conn) *downstreamConn {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	d, _ := c.(*downstreamConn) //nolint:errcheck // nil says it
	return d
}

// connState keeps idle up to date.
func (e *Edge) connState(c net.Conn, s http.ConnState) {
	d := downstream(c)
	if d == nil {
		return
	}
	d.idle.Store(s == http.StateNew || s == http.StateIdle)
	if s == http.StateIdle && (d.last.Load() || e.swept.Load() && !d.pending()) {
		d.Close() //nolint:errcheck // the peer learns it either way
	}
}
