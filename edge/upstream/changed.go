package upstream

import (
	"bytes"
	"errors"
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
	x.pool.mu.Lock()
	_, open := x.pool.changed[x]
	delete(x.pool.changed, x)
	x.pool.mu.Unlock()
	if !open {
		return net.ErrClosed
	}
	return x.Conn.Close()
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
