package server

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/proxyproto"
	"semper/edge/room"
)

// A TLSListener hands out connections that speak TLS. Their handshake is made by whoever serves them. It is what
// tls.NewListener makes, but can be asked to stop: see Server.Serve.
type TLSListener struct {
	net.Listener
	Config *tls.Config // shared, and not written
}

// A Bounded listener hands out as many connections at a time as its room has places. It is for Server.Serve, which sees to it.
type Bounded struct {
	net.Listener
	Room *room.Room
}

// roomOf is the room that l is bound by; nil for none.
func roomOf(l net.Listener) *room.Room {
	if b, ok := l.(*Bounded); ok {
		return b.Room
	}
	return nil
}

// Accept implements net.Listener. The connection is a *tls.Conn.
func (l *TLSListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tls.Server(c, l.Config), nil
}

// deadliner is what in l can be told to stop; nil when nothing can.
func deadliner(l net.Listener) deadline {
	for {
		switch w := l.(type) {
		case deadline:
			return w
		case *TLSListener:
			l = w.Listener
		case *Bounded:
			l = w.Listener
		case *proxyproto.Listener:
			l = w.Listener
		default:
			return nil
		}
	}
}

// below is the socket that c comes over.
func below(c net.Conn) net.Conn {
	for {
		w, ok := c.(interface{ NetConn() net.Conn })
		if !ok {
			return c
		}
		c = w.NetConn()
	}
}

// open does what stands before the first request: the PROXY header, the handshake, and finding out what is spoken.
func (c *conn) open() ending {
	t, secure := c.nc.(*tls.Conn)
	from := c.nc
	if secure {
		from = t.NetConn()
	}
	if p, ok := from.(*proxyproto.Conn); ok {
		if _, _, err := p.Header(); err != nil {
			c.server.o.Log.Debug("a connection without a PROXY header that is believed", "error", err)
			return drop
		}
	}
	of := front.Connection{Peer: peerOf(c.nc), Extra: c.server.extra}
	if secure {
		if end := c.handshake(t); end != proceed {
			return end
		}
		state := t.ConnectionState()
		of.TLS = &state
		switch state.NegotiatedProtocol {
		case "", "http/1.1":
		case "h2":
			return c.serveH2(c.nc)
		default: // the certificate was all that was wanted, as by ACME
			return linger
		}
	}
	if c.server.o.H2C && !secure {
		if end := c.preface(); end != proceed {
			return end
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = c.server.o.Edge.Open(of)
	return proceed
}

// handshake makes the TLS handshake, for which there is as long as for a head.
func (c *conn) handshake(t *tls.Conn) ending {
	ctx, cancel := context.WithTimeout(c.server.ctx, c.server.o.Head)
	defer cancel()
	err := t.HandshakeContext(ctx)
	if err == nil {
		return proceed
	}
	c.server.o.Log.Debug("a TLS handshake", "peer", c.nc.RemoteAddr().String(), "error", err)
	var plain tls.RecordHeaderError
	if !errors.As(err, &plain) || plain.Conn == nil || !speaksHTTP(plain.RecordHeader[:]) {
		return drop
	}
	r := http1.Refusal{
		Status: 400, Word: "not-tls", Text: "This port speaks TLS: use https.", Date: c.server.today(), Close: true,
	}
	c.nc = c.socket                                      // there will be no TLS on it
	c.socket.SetWriteDeadline(time.Now().Add(lastWrite)) //nolint:errcheck // a closed connection says so in the write
	if _, err := c.socket.Write(http1.AppendRefusal(nil, &r)); err != nil {
		return drop
	}
	return linger
}

// speaksHTTP reports whether a first record is the beginning of a plain request.
func speaksHTTP(record []byte) bool {
	for _, method := range []string{"GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET"} {
		if string(record) == method {
			return true
		}
	}
	return false
}

// preface finds out whether the client begins with HTTP/2.
func (c *conn) preface() ending {
	want := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	at := c.server.now() + int64(c.server.o.Head)
	for {
		have := c.in.bytes()
		n := min(len(have), len(want))
		if !bytes.Equal(have[:n], want[:n]) {
			return proceed
		}
		if n == len(want) {
			return c.serveH2(c.unread())
		}
		if c.fill(at) != nil {
			return drop
		}
	}
}

// unread is the connection with what was read of it before what comes.
func (c *conn) unread() net.Conn {
	read := bytes.Clone(c.in.bytes())
	c.in.free()
	return &prefixed{Conn: c.nc, read: read}
}

// A prefixed connection begins with bytes that were read already.
type prefixed struct {
	net.Conn
	read []byte
}

// Read implements net.Conn.
func (p *prefixed) Read(b []byte) (int, error) {
	if len(p.read) > 0 {
		n := copy(b, p.read)
		p.read = p.read[n:]
		return n, nil
	}
	return p.Conn.Read(b)
}
