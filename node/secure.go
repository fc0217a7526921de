package node

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
)

// secureListener serves TLS, and on a loopback address plain HTTP too, told apart by the first byte
// of a connection: a token must never cross a network in the clear, while a page on one's own machine
// should open without a warning about a certificate nobody signed.
type secureListener struct {
	net.Listener
	config *tls.Config
}

func newSecureListener(l net.Listener, c *tls.Config) *secureListener {
	c = c.Clone()
	c.NextProtos = []string{"http/1.1"} // the server behind sees no TLS connection to negotiate on
	return &secureListener{l, c}
}

// Accept does not wait for the first byte: the connection finds out when it is read.
func (l *secureListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &secureConn{Conn: conn, config: l.config}, nil
}

type secureConn struct {
	net.Conn
	config *tls.Config
	inner  atomic.Pointer[net.Conn] // set by the first Read, which comes before every Write of a server
}

const recordHandshake = 0x16 // the first byte of a TLS connection

const refusedPlain = "HTTP/1.1 403 Forbidden\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nthis API speaks https on this address\n"

func (c *secureConn) Read(b []byte) (int, error) {
	if inner := c.inner.Load(); inner != nil {
		return (*inner).Read(b)
	}
	var first [1]byte
	if _, err := io.ReadFull(c.Conn, first[:]); err != nil {
		return 0, err
	}
	var inner net.Conn = &prefixed{Conn: c.Conn, first: first[0], has: true}
	switch {
	case first[0] == recordHandshake:
		inner = tls.Server(inner, c.config)
	case !loopback(c.LocalAddr()):
		if _, err := io.WriteString(c.Conn, refusedPlain); err != nil {
			return 0, err
		}
		return 0, io.EOF
	}
	c.inner.Store(&inner)
	return inner.Read(b)
}

func (c *secureConn) Write(b []byte) (int, error) {
	if inner := c.inner.Load(); inner != nil {
		return (*inner).Write(b)
	}
	return c.Conn.Write(b)
}

// Close ends TLS in order where there is TLS.
func (c *secureConn) Close() error {
	if inner := c.inner.Load(); inner != nil {
		return (*inner).Close()
	}
	return c.Conn.Close()
}

func loopback(a net.Addr) bool {
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// prefixed gives the byte that was looked at back to who reads next.
type prefixed struct {
	net.Conn
	first byte
	has   bool
}

func (p *prefixed) Read(b []byte) (int, error) {
	if !p.has || len(b) == 0 {
		return p.Conn.Read(b)
	}
	p.has = false
	b[0] = p.first
	return 1, nil
}
