package proxyproto

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Conn is a connection whose PROXY header is read when it is first wanted. What a net.Conn may be used for at the same
// time, it may.
type Conn struct {
	net.Conn
	trusted  bool
	required bool
	timeout  time.Duration

	once   sync.Once
	header Header
	ok     bool // there is a header
	remote net.Addr
	local  net.Addr
	err    error

	plain   atomic.Bool // the rest is the connection's below, byte for byte
	reading sync.Mutex  // guards, until then:
	left    []byte      // what was read beyond the header, for whoever reads next
	scan    scan

	// mu guards the deadline the user wants for reads, and, until, the header's own while it is read.
	mu    sync.Mutex
	wants time.Time
	until time.Time
}

var buffers = sync.Pool{New: func() any { return new([MaxLen]byte) }}

// Header reads the header if that has not been done, and returns it. ok is false where the connection has none and may
// do without. It blocks at most for the listener's Timeout. After an error the connection is closed.
func (c *Conn) Header() (h Header, ok bool, err error) {
	c.once.Do(c.first)
	return c.header, c.ok, c.err
}

func (c *Conn) first() {
	c.remote, c.local = c.Conn.RemoteAddr(), c.Conn.LocalAddr()
	switch {
	case c.trusted:
		c.err = c.read()
	case c.required:
		c.err = c.fail(ErrRequired)
	}
}

// read reads the header of a trusted source.
func (c *Conn) read() error {
	buf := buffers.Get().(*[MaxLen]byte) //nolint:errcheck // nothing else is in the pool
	defer buffers.Put(buf)
	c.headerDeadline(time.Now().Add(c.timeout))
	defer c.headerDeadline(time.Time{})
	for have := 0; ; {
		n, readErr := c.Conn.Read(buf[have:])
		have += n
		h, length, err := Parse(buf[:have])
		switch {
		case errors.Is(err, ErrAbsent):
			if c.required {
				return c.fail(ErrRequired)
			}
			c.keep(buf[:have])
			return nil
		case err != nil:
			return c.fail(err)
		case length > 0:
			c.accept(h)
			c.keep(buf[length:have])
			return nil
		case readErr != nil:
			return c.cut(readErr, buf[:have])
		case n == 0 && have == len(buf):
			return c.fail(errV2Long)
		}
	}
}

// cut is the end of a connection, or of the time for its header, before the header's.
func (c *Conn) cut(err error, have []byte) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded) && c.ownDeadline():
		return c.fail(ErrTimeout)
	case errors.Is(err, io.EOF) && (len(have) > 0 || c.required):
		return c.fail(io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF):
		return nil // and so will the next read say
	}
	return c.fail(err)
}

// accept takes over what a header says. Extensions are copied: they live as long as the connection.
func (c *Conn) accept(h Header) {
	h.Extensions = append([]byte(nil), h.Extensions...)
	c.header, c.ok = h, true
	if h.HasAddresses() {
		c.remote, c.local = net.TCPAddrFromAddrPort(h.Source), net.TCPAddrFromAddrPort(h.Destination)
	}
}

// keep holds what came behind the header until it is asked for.
func (c *Conn) keep(b []byte) {
	c.reading.Lock()
	defer c.reading.Unlock()
	c.left = append([]byte(nil), b...)
}

// Read reads what comes behind the header.
func (c *Conn) Read(b []byte) (int, error) {
	if _, _, err := c.Header(); err != nil {
		return 0, err
	}
	if c.plain.Load() || len(b) == 0 {
		return c.Conn.Read(b)
	}
	if c.trusted {
		if n := c.take(b); n > 0 {
			return n, nil
		}
		return c.Conn.Read(b)
	}
	n, err := c.Conn.Read(b)
	if c.forged(b[:n]) {
		return 0, c.fail(ErrUntrusted)
	}
	return n, err
}

// take hands out what was read beyond the header.
func (c *Conn) take(b []byte) int {
	c.reading.Lock()
	defer c.reading.Unlock()
	n := copy(b, c.left)
	if c.left = c.left[n:]; len(c.left) == 0 {
		c.left = nil
		c.plain.Store(true)
	}
	return n
}

// forged reports whether an untrusted source has begun a header.
func (c *Conn) forged(b []byte) bool {
	c.reading.Lock()
	defer c.reading.Unlock()
	found := c.scan.header(b)
	if c.scan.off {
		c.plain.Store(true)
	}
	return found
}

// WriteTo copies until the end of the connection, and leaves what it can to the connection below.
func (c *Conn) WriteTo(w io.Writer) (int64, error) {
	buf := buffers.Get().(*[MaxLen]byte) //nolint:errcheck // nothing else is in the pool
	defer buffers.Put(buf)
	var total int64
	for !c.plain.Load() {
		n, err := c.Read(buf[:])
		wrote, writeErr := w.Write(buf[:n])
		total += int64(wrote)
		switch {
		case writeErr != nil:
			return total, writeErr
		case errors.Is(err, io.EOF):
			return total, nil
		case err != nil:
			return total, err
		}
	}
	n, err := io.Copy(w, c.Conn)
	return total + n, err
}

// RemoteAddr is the source the header names, or the peer where there is none or it says nothing; after an error the peer.
func (c *Conn) RemoteAddr() net.Addr {
	c.once.Do(c.first)
	return c.remote
}

// LocalAddr is the destination the header names, or the socket's own.
func (c *Conn) LocalAddr() net.Addr {
	c.once.Do(c.first)
	return c.local
}

// NetConn is the connection below: its addresses are those of the socket.
func (c *Conn) NetConn() net.Conn { return c.Conn }

// CloseWrite ends the direction to the peer, where the connection below can.
func (c *Conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return errors.ErrUnsupported
}

// ReadFrom leaves the copying to the connection below, which may have the kernel do it.
func (c *Conn) ReadFrom(r io.Reader) (int64, error) { return io.Copy(c.Conn, r) }

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline holds for the header too, which has its own deadline besides.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wants = t
	return c.Conn.SetReadDeadline(earlier(c.wants, c.until))
}

func (c *Conn) headerDeadline(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	c.Conn.SetReadDeadline(earlier(c.wants, c.until)) //nolint:errcheck // a closed connection says so to the read
}

// ownDeadline reports whether the header's deadline is the one that ran out.
func (c *Conn) ownDeadline() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return earlier(c.wants, c.until).Equal(c.until)
}

// earlier is the earlier of two deadlines, of which the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// scan looks for a signature in what an untrusted source sends, and keeps and delays none of it: what is handed on before
// the signature is whole is at most two empty lines and no request yet. "PROXY " is no request's method either.
type scan struct {
	at   int // how many bytes have come, and were those of prefix
	from string
	off  bool
}

// header reports whether with b a whole signature has come.
func (s *scan) header(b []byte) bool {
	for _, c := range b {
		if s.off {
			return false
		}
		if s.at == 0 {
			s.from = prefixV1
			if c == signatureV2[0] {
				s.from = signatureV2
			}
		}
		if c != s.from[s.at] {
			s.off = true
			return false
		}
		if s.at++; s.at == len(s.from) {
			s.off = true
			return true
		}
	}
	return false
}
