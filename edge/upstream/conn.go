package upstream

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/http1"
)

// writePiece is how much of one Write must get on its way within BodyTimeout.
const writePiece = 64 << 10

// A Conn is a connection of HTTP/1.1 in somebody's use, from Get to Release. One goroutine reads from it and one writes
// to it; they may be two. After Release nothing may be asked of it: it may be in another use by then.
//
// It is a net.Conn. Until the protocol is changed the deadlines are its own; after 101 they are the user's.
type Conn struct {
	pool   *Pool
	nc     net.Conn        // what is spoken over
	socket net.Conn        // below TLS; nc itself without
	raw    syscall.RawConn // the socket's; nil for one that cannot be looked at
	look   func(fd uintptr)
	recv   func(fd uintptr) bool

	at    int       // in pool.open, guarded by its lock; negative: closed
	since time.Time // idle since; guarded by the pool's lock

	use      atomic.Uint64 // twice the number of the use, plus one when it was cut
	reused   bool
	sent     atomic.Int64
	patience Patience
	armedW   time.Time // the write deadline; the writer's
	once     sync.Once // closes

	in       input // the reader's
	switched bool  // to another protocol
	silent   bool  // what look has seen
	one      [1]byte
	poll     [1]unix.PollFd
}

func newConn(p *Pool, nc, socket net.Conn) *Conn {
	c := &Conn{pool: p, nc: nc, socket: socket}
	if s, ok := socket.(syscall.Conn); ok {
		if raw, err := s.SyscallConn(); err == nil {
			c.raw = raw
		}
	}
	// Made once: a closure for every look and every read would be an allocation for each.
	c.look, c.recv = c.peek, c.receive
	return c
}

// Reused reports whether the connection has served a request before.
func (c *Conn) Reused() bool { return c.reused }

// Written is how many bytes were written in this use. Where it is 0 the request may be sent elsewhere, whatever its
// method.
func (c *Conn) Written() int64 { return c.sent.Load() }

// Use names this use of the connection, for Kill.
func (c *Conn) Use() uint64 { return c.use.Load() >> 1 }

// Kill closes the connection if it is still in that use; else it does nothing. It may be called from any goroutine, at
// any time. Whoever reads or writes gets ErrKilled, and still has to Release.
func (c *Conn) Kill(use uint64) {
	if c.use.CompareAndSwap(use<<1, use<<1|1) {
		c.socket.Close() //nolint:errcheck // nothing is to be saved
	}
}

func (c *Conn) killed() bool { return c.use.Load()&1 != 0 }

// Release ends the use. whole says that the request was sent to its end. The connection goes back to the pool if the
// response has been read to its end too, neither side wants the connection closed, and nothing stands behind the
// response; else it is closed.
func (c *Conn) Release(whole bool) {
	whole = whole && c.raw != nil && c.in.stage == atEnd && c.in.keep && c.in.r == c.in.w
	c.in.free()
	now := c.use.Load()
	if whole && now&1 == 0 && c.use.CompareAndSwap(now, now+2) {
		c.pool.put(c)
		return
	}
	c.Close() //nolint:errcheck // nothing is to be saved
}

// Close closes the connection, whoever uses it: after a change of protocol it is what Release is before.
func (c *Conn) Close() error {
	err := net.ErrClosed
	c.once.Do(func() {
		if c.use.Or(1)&1 == 0 {
			err = c.nc.Close() // TLS takes leave
		}
		c.pool.forget(c)
	})
	return err
}

// begin begins a use.
func (c *Conn) begin() {
	if c.reused = c.Use() > 0; c.reused {
		c.pool.reused.Add(1)
	}
	c.sent.Store(0)
	c.patience = Patience{Head: c.pool.o.HeadTimeout, Body: c.pool.o.BodyTimeout, Stream: c.pool.o.StreamTimeout, Write: c.pool.o.BodyTimeout}
	c.in.begin()
}

// Patience is how long an instance may do nothing in one exchange: the timeouts of the same names in Options, and Write for how
// long it may take nothing of a request. 0 is no bound.
type Patience struct{ Head, Body, Stream, Write time.Duration }

// SetPatience is for this use, in the place of what the pool's Options say.
func (c *Conn) SetPatience(p Patience) { c.patience = p }

// Write sends p, and counts what was sent. After an error ReadHead says what became of the exchange: an instance may have
// answered before it closed the connection.
func (c *Conn) Write(p []byte) (n int, err error) {
	for {
		if !c.switched {
			arm(&c.armedW, c.patience.Write, c.nc.SetWriteDeadline)
		}
		m, err := c.nc.Write(p[n:min(len(p), n+writePiece)])
		n += m
		c.sent.Add(int64(m))
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// CloseWrite ends what is sent and leaves what is received.
func (c *Conn) CloseWrite() error {
	if h, ok := c.nc.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}

// The rest of net.Conn.

func (c *Conn) LocalAddr() net.Addr                { return c.nc.LocalAddr() }
func (c *Conn) RemoteAddr() net.Addr               { return c.nc.RemoteAddr() }
func (c *Conn) SetDeadline(t time.Time) error      { return c.nc.SetDeadline(t) }
func (c *Conn) SetReadDeadline(t time.Time) error  { return c.nc.SetReadDeadline(t) }
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.nc.SetWriteDeadline(t) }

// TLS is the state of the connection's TLS; nil without.
func (c *Conn) TLS() *tls.ConnectionState {
	if t, ok := c.nc.(*tls.Conn); ok {
		s := t.ConnectionState()
		return &s
	}
	return nil
}

// arm sets a deadline by progress: d from now at the soonest, an eighth of it later at the latest. One that lies
// between stays as it is.
func arm(armed *time.Time, d time.Duration, set func(time.Time) error) {
	if d <= 0 {
		if !armed.IsZero() {
			*armed = time.Time{}
			set(time.Time{}) //nolint:errcheck // a closed connection says so when it is used
		}
		return
	}
	now := time.Now()
	if left := armed.Sub(now); left < d || left > d+d/8 {
		*armed = now.Add(d + d/8)
		set(*armed) //nolint:errcheck // a closed connection says so when it is used
	}
}

// quiet reports whether an idle connection may take a request: the other side has neither closed it nor sent anything.
// Bytes that nobody asked for must never be taken for the response to what is asked next.
func (c *Conn) quiet() bool {
	if err := c.raw.Control(c.look); err != nil || !c.silent {
		return false
	}
	if c.nc == c.socket {
		return true
	}
	// TLS may hold bytes that the socket has not any more. Its read takes what it has, and does not wait.
	c.in.armed = time.Unix(1, 0)
	c.nc.SetReadDeadline(c.in.armed) //nolint:errcheck // a closed connection says so in the read
	n, err := c.nc.Read(c.one[:])
	return n == 0 && errors.Is(err, os.ErrDeadlineExceeded)
}

// peek asks whether there is anything to read, an end included. It takes nothing and does not wait.
func (c *Conn) peek(fd uintptr) {
	c.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN | unix.POLLRDHUP} //nolint:gosec // a descriptor
	n, err := unix.Poll(c.poll[:], 0)
	c.silent = n == 0 && err == nil
}

// fail is err as the end of an exchange, in which op was under way.
func (c *Conn) fail(op Op, err error) *Error {
	e := &Error{Op: op, Err: err, unsent: c.sent.Load() == 0}
	e.silent = !c.in.any && ended(err)
	e.stale = c.reused && e.silent
	switch {
	case c.killed():
		e.Err, e.stale, e.silent = ErrKilled, false, false
	case errors.Is(err, io.EOF):
		e.Err = http1.ErrResponseTruncated
	}
	return e
}
