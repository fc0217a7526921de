package stream

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// A socket is the content of a request that asks for a WebSocket.
type socket struct{ io.Reader }

// protocolOf is what an extended CONNECT asks for; empty for any other request. Package http2 has it as a field, quic-go in
// the place of the version.
func protocolOf(r *http.Request) string {
	if r.Method != http.MethodConnect {
		return ""
	}
	if v := r.Header[":protocol"]; len(v) > 0 {
		return v[0]
	}
	if r.ProtoMajor > 2 && !strings.HasPrefix(r.Proto, "HTTP/") {
		return r.Proto
	}
	return ""
}

// upgrade makes an extended CONNECT the request that it would be in HTTP/1.1 (RFC 8441, 5). It is nil for any other.
func upgrade(r *http.Request) *socket {
	if protocolOf(r) == "" {
		return nil
	}
	s := &socket{r.Body}
	r.Method, r.Body, r.ContentLength = http.MethodGet, http.NoBody, 0
	if r.ProtoMajor > 2 {
		r.Proto = "HTTP/3.0"
	}
	var key [16]byte
	rand.Read(key[:]) //nolint:errcheck // it never fails
	h := r.Header
	delete(h, ":protocol")
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	h["Sec-Websocket-Key"] = []string{base64.StdEncoding.EncodeToString(key[:])}
	return s
}

// Switch implements message.Switcher: it answers 200 with h, and gives the stream away, which lasts until the connection is
// closed.
func (w *writer) Switch(h http.Header) (net.Conn, error) {
	if w.socket == nil || w.conn != nil {
		return nil, http.ErrNotSupported
	}
	to := w.ResponseWriter.Header()
	for k, v := range h {
		switch k {
		case "Connection", "Upgrade", "Sec-Websocket-Accept": // of HTTP/1.1 alone
		default:
			to[k] = v
		}
	}
	w.ResponseWriter.WriteHeader(http.StatusOK)
	if err := w.FlushError(); err != nil {
		return nil, err
	}
	w.conn = &Conn{w: w, from: w.socket, done: make(chan struct{})}
	return w.conn, nil
}

// A Conn is a stream as a connection. Of its deadlines nothing comes back: each ends the stream.
type Conn struct {
	w    *writer
	from io.Reader
	done chan struct{} // closed by Close

	writing sync.Mutex // held during a write, and for ever when the handler has returned
	mu      sync.Mutex // guards what follows, and each use of the stream's deadlines
	over    bool
}

// wait returns when the stream may end: its handler does then.
func (c *Conn) wait() {
	<-c.done
	if !c.writing.TryLock() {
		c.w.deal.SetWriteDeadline(past) //nolint:errcheck // it ends either way
		c.writing.Lock()
	}
}

// Read implements net.Conn.
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.from.Read(p)
	if err != nil && c.ended() {
		err = io.EOF
	}
	return n, err
}

func (c *Conn) ended() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.over
}

// Write implements net.Conn.
func (c *Conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.ended() {
		return 0, net.ErrClosed
	}
	n, err := c.w.Write(p)
	return n, errors.Join(err, c.w.FlushError())
}

// Close implements net.Conn. The client finds the end of the stream.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return net.ErrClosed
	}
	c.w.deal.SetReadDeadline(past) //nolint:errcheck // a stream that is gone is not read
	c.over = true
	close(c.done)
	return nil
}

// CloseWrite ends the stream both ways: a handler cannot end what it sends and go on reading. Behind the Close frame of a
// WebSocket nothing comes that anybody needs.
func (c *Conn) CloseWrite() error { return c.Close() }

// LocalAddr implements net.Conn.
func (c *Conn) LocalAddr() net.Addr {
	a, _ := c.w.r.Context().Value(http.LocalAddrContextKey).(net.Addr) //nolint:errcheck // nil says it
	return a
}

// RemoteAddr implements net.Conn.
func (c *Conn) RemoteAddr() net.Addr { return name(c.w.r.RemoteAddr) }

// name is an address of which no more than its text is known.
type name string

func (name) Network() string  { return "stream" }
func (n name) String() string { return string(n) }

// SetDeadline implements net.Conn.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.deadline(c.w.deal.SetReadDeadline, t) }

// SetWriteDeadline implements net.Conn.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.deadline(c.w.SetWriteDeadline, t) }

func (c *Conn) deadline(set func(time.Time) error, t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return net.ErrClosed
	}
	return set(t)
}
