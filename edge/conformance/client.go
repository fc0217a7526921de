package conformance

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"semper/edge/conformance/wire"
)

// client is one HTTP/1.1 connection to the proxy that can send anything. Its goroutine reads what comes back.
type client struct {
	conn   net.Conn
	target *Target
	done   chan struct{} // closed when nothing more will be read

	mu      sync.Mutex // guards what follows
	seen    Seen
	heads   int // responses so far, interim ones too
	changed chan struct{}
	closing bool
}

// dial connects to the proxy; host is the server name where there is TLS.
func dial(ctx context.Context, t *Target, tr Transport, addr, host string, protocols ...string) (net.Conn, error) {
	d := net.Dialer{Timeout: t.patience()}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("connect to the proxy: %w", err)
	}
	if tr == Plain {
		return c, nil
	}
	s := tls.Client(c, t.tlsConfig(host, protocols...))
	c.SetDeadline(time.Now().Add(t.patience())) //nolint:errcheck // a socket just made takes one
	if err := s.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("TLS handshake with the proxy: %w", err)
	}
	c.SetDeadline(time.Time{}) //nolint:errcheck // the same
	return s, nil
}

// newClient reads answers from conn until it ends; methods are those of the requests that will be sent.
func newClient(conn net.Conn, t *Target, methods []string) *client {
	c := &client{conn: conn, target: t, done: make(chan struct{}), changed: make(chan struct{})}
	go c.read(methods)
	return c
}

// close ends the connection and returns what was seen of it.
func (c *client) close() Seen {
	c.mu.Lock()
	c.closing = true
	c.mu.Unlock()
	c.conn.Close()
	<-c.done
	return c.seen
}

func (c *client) change(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

// wait returns when ok holds, or the connection has ended, or within is over; true for the first two.
func (c *client) wait(within time.Duration, ok func(s *Seen, heads int) bool) bool {
	late := time.NewTimer(within)
	defer late.Stop()
	for {
		c.mu.Lock()
		fine, changed := c.seen.Ended != Open || ok(&c.seen, c.heads), c.changed
		c.mu.Unlock()
		if fine {
			return true
		}
		select {
		case <-changed:
		case <-late.C:
			return false
		}
	}
}

func (c *client) read(methods []string) {
	defer close(c.done)
	in := bufio.NewReader(c.conn)
	for n := 0; ; {
		method := "GET"
		if n < len(methods) {
			method = methods[n]
		}
		p, err := wire.ReadResponse(in, method)
		c.change(func() {
			if p != nil {
				c.heads++
				if p.Interim() {
					c.seen.Interim = append(c.seen.Interim, p)
				} else {
					n++
					c.seen.Answers = append(c.seen.Answers, p)
				}
			}
			if err != nil {
				c.endLocked(err)
			}
		})
		if err != nil {
			return
		}
		if p.Status == 101 {
			c.tunnel(in)
			return
		}
	}
}

// tunnel counts what follows a 101.
func (c *client) tunnel(in *bufio.Reader) {
	var buf [4 << 10]byte
	for {
		n, err := in.Read(buf[:])
		c.change(func() {
			c.seen.Tunnel += int64(n)
			if err != nil {
				c.endLocked(err)
			}
		})
		if err != nil {
			return
		}
	}
}

// endLocked says how the connection ended, unless the end is our own.
func (c *client) endLocked(err error) {
	var bad *wire.SyntaxError
	switch {
	case errors.As(err, &bad):
		c.seen.Ended = Garbage
	case c.closing:
		return
	case errors.Is(err, io.EOF):
		c.seen.Ended = Closed
	case errors.Is(err, wire.ErrTruncated):
		c.seen.Ended = Truncated
	default: // a reset, or TLS that broke off
		c.seen.Ended = ResetByPeer
	}
	c.seen.Error = err
}

// do runs the steps. That the proxy takes no more is for the judge to say, so errors of writes end the sending only.
func (c *client) do(r *run, steps []Step) {
	for _, s := range steps {
		data := r.target.fill(s.Data)
		c.conn.SetWriteDeadline(time.Now().Add(r.target.patience())) //nolint:errcheck // the write tells
		switch s.Do {
		case Send:
			if _, err := io.WriteString(c.conn, data); err != nil && !gone(err) {
				return
			}
		case SendEach:
			for i := range len(data) {
				if _, err := io.WriteString(c.conn, data[i:i+1]); err != nil {
					break
				}
			}
		case Dribble:
			every := s.Every(r.target.Deadlines)
			c.pace(r, data, 1, every, r.target.late(4*every))
		case Steady:
			c.pace(r, data, len(data)/20, s.Every(r.target.Deadlines), 0)
		case Quiet:
			c.wait(r.target.late(s.Every(r.target.Deadlines)), func(*Seen, int) bool { return false })
		case HalfClose:
			if h, ok := c.conn.(interface{ CloseWrite() error }); ok {
				h.CloseWrite() //nolint:errcheck // a connection that is gone cannot be half closed
			}
		case AwaitResponse:
			r.awaited++
			c.wait(r.target.patience(), func(_ *Seen, heads int) bool { return heads >= r.awaited })
		case AwaitRequest, AwaitGone, Release:
			r.backendStep(s.Do)
		}
	}
}

// pace sends data in pieces with pauses between them: once where within is 0, else round and round, until the
// connection ends or within is over.
func (c *client) pace(r *run, data string, piece int, every, within time.Duration) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	var late <-chan time.Time
	if within > 0 {
		late = time.After(within)
	}
	for i, due := 0, time.Now().Add(every); within > 0 || i < len(data); i, due = i+piece, time.Now().Add(every) {
		select {
		case <-c.done:
			return
		case <-late:
			return
		case <-tick.C:
			r.late(due)
			at := i % len(data)
			c.conn.SetWriteDeadline(time.Now().Add(c.target.patience())) //nolint:errcheck // the write tells
			io.WriteString(c.conn, data[at:min(at+piece, len(data))])    //nolint:errcheck // the reader sees the end
		}
	}
}

// gone reports whether a write failed because the peer has closed.
func gone(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, os.ErrDeadlineExceeded)
}

// fill puts what is the target's own into an input.
func (t *Target) fill(s string) string {
	return strings.NewReplacer("{host}", t.Host, "{other}", t.Other, "{case}", strconv.Itoa(t.cases)).Replace(s)
}
