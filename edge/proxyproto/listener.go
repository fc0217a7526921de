package proxyproto

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// DefaultTimeout is how long a trusted source has for its header: the retransmission of a lost segment fits in.
const DefaultTimeout = 5 * time.Second

// Listener hands out connections that are read behind their PROXY header, with the addresses it names. Accept reads
// nothing: the header is read by the first call to Read, WriteTo, RemoteAddr, LocalAddr or Header of the connection, so in
// the goroutine that serves it, and nobody waits for another's header. Set the fields before the first Accept.
type Listener struct {
	net.Listener
	// Trusted are the networks of those whose header is believed. From anybody else a header ends the connection: it
	// is a client that pretends to be one, or a balancer that was forgotten here. A peer on a Unix socket is
	// trusted: who may open that is for its permissions to say.
	Trusted []netip.Prefix
	// Required: a connection without a believed header is closed. The specification wants it so; without it a trusted
	// source may also come without a header, which is for listeners shared with, for example, health checks.
	Required bool
	// Timeout for the header, from the first call that wants it; 0 means DefaultTimeout.
	Timeout time.Duration
}

// What a connection's reads fail with, wrapped with its peer. Each of them has closed it.
var (
	ErrUntrusted = errors.New("a PROXY header came from a source that is not trusted: add its network to the trusted ones, or stop it sending")
	ErrRequired  = errors.New("no PROXY header came, and this listener requires one: make the balancer send it, or use another listener")
	ErrTimeout   = errors.New("the PROXY header did not come in time")
)

// Accept waits for the next connection. The connection is a [*Conn].
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(c), nil
}

func (l *Listener) wrap(c net.Conn) *Conn {
	w := &Conn{Conn: c, required: l.Required, timeout: l.Timeout}
	if w.timeout <= 0 {
		w.timeout = DefaultTimeout
	}
	w.trusted = trusts(l.Trusted, c.RemoteAddr())
	return w
}

func trusts(networks []netip.Prefix, a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		ip := a.AddrPort().Addr().Unmap().WithZone("")
		return slices.ContainsFunc(networks, func(p netip.Prefix) bool { return p.Contains(ip) })
	case *net.UnixAddr:
		return true
	}
	return false
}

// fail closes the connection for good and says why.
func (c *Conn) fail(err error) error {
	c.Conn.Close()
	return fmt.Errorf("connection from %s: %w", c.Conn.RemoteAddr(), err)
}
