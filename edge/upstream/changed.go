package upstream

import (
	"bytes"
	"errors"
	"io"
	"net"
)

// A Changed is a connection that has changed its protocol: the body of a response with 101. What HTTP needed is gone. One
// goroutine may read from it while another one writes; deadlines are their user's.
type Changed struct {
	net.Conn
	pool *Pool
	read []byte // of what follows the head; the reader's
}

// change takes c out of HTTP, for good.
func (c *Conn) change() *Changed {
	x := &Changed{Conn: c.nc, pool: c.pool, read: bytes.Clone(c.in.buf[c.in.r:c.in.w])}
	c.in.free()
	c.once.Do(func() { // else it is closed already
		p := c.pool
		p.mu.Lock()
		defer p.mu.Unlock()
		p.forgetLocked(c)
		if p.changed[x] = struct{}{}; p.closed {
			x.Conn.Close() //nolint:errcheck // whoever closed the pool may have looked before x was there
		}
	})
	return x
}

// Read implements net.Conn.
func (x *Changed) Read(p []byte) (int, error) {
	if len(x.read) > 0 {
		n := copy(p, x.read)
		if x.read = x.read[n:]; len(x.read) == 0 {
			x.read = nil
		}
		return n, nil
	}
	return x.Conn.Read(p)
}

// Close implements net.Conn. The pool does not know the connection any more then.
func (x *Changed) Close() error {
	if !x.leave() {
		return net.ErrClosed
	}
	return x.Conn.Close()
}

// leave has the pool forget x, and reports whether it knew it.
func (x *Changed) leave() bool {
	x.pool.mu.Lock()
	defer x.pool.mu.Unlock()
	_, known := x.pool.changed[x]
	delete(x.pool.changed, x)
	return known
}

// Yield says that the socket below belongs to whoever calls it, and x is not used any more. The pool counts the connection
// until what is returned is closed, which is done once; the socket is closed before the pool is.
func (x *Changed) Yield() io.Closer {
	if x.leave() {
		x.pool.yielded.Add(1)
		return (*place)(x.pool)
	}
	return (*place)(nil)
}

// place is that of a connection which was yielded, in the count of its pool. That of nil is in none.
type place Pool

// Close implements io.Closer.
func (p *place) Close() error {
	if p != nil {
		p.yielded.Add(-1)
	}
	return nil
}

// CloseWrite ends what is sent and leaves what is received.
func (x *Changed) CloseWrite() error {
	if h, ok := x.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}

// NetConn is the connection below. What was read of it already Read hands out first.
func (x *Changed) NetConn() net.Conn { return x.Conn }
