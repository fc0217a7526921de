package upstream

import (
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 names it; it protects nothing
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"time"
)

// wantsSocket reports whether req asks for a WebSocket, the one protocol that a stream of HTTP/2 can become here.
func wantsSocket(req *http.Request) bool {
	up := req.Header["Upgrade"]
	return len(up) == 1 && strings.EqualFold(up[0], "websocket")
}

// errPlain: the instance does not take an extended CONNECT.
var errPlain = errors.New("the instance does not announce SETTINGS_ENABLE_CONNECT_PROTOCOL")

// openSocket asks for a WebSocket by an extended CONNECT (RFC 8441), and answers as an instance of HTTP/1.1 would. The error is
// errPlain when that cannot be asked for; nothing was sent then.
func (s *shared) openSocket(req *http.Request, within time.Duration) (*http.Response, error) {
	cc, err := s.reserve(req.Context(), within)
	if err != nil {
		return nil, &Error{Op: Connect, Err: err, unsent: true}
	}
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{Conn: cc.nc, Reused: cc.used.Swap(true)})
	}
	// The stream outlives the request: its context has a say until the answer is there.
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(req.Context()))
	watch := context.AfterFunc(req.Context(), func() { cancel(context.Cause(req.Context())) })
	late := &patience{cancel: cancel}
	late.begin(s.pool.o.HeadTimeout)
	from, to := io.Pipe()
	resp, err := cc.RoundTrip(s.extended(ctx, req, from))
	late.pause()
	if !watch() && err == nil {
		resp.Body.Close() //nolint:errcheck // nobody waits for it
		err = context.Cause(ctx)
	}
	if err != nil {
		defer cancel(nil)
		to.Close() //nolint:errcheck // a pipe
		if strings.Contains(err.Error(), "extended connect not supported") {
			return nil, errPlain
		}
		return nil, s.fault(ctx, Await, err, disclaimed(err))
	}
	resp.Request = req
	if resp.StatusCode/100 != 2 {
		to.Close() //nolint:errcheck // a pipe
		resp.Body = &refusedSocket{resp.Body, cancel}
		return resp, nil
	}
	resp.StatusCode, resp.Status = http.StatusSwitchingProtocols, "101 Switching Protocols"
	resp.Header["Connection"], resp.Header["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	if key := req.Header.Get("Sec-WebSocket-Key"); key != "" {
		sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see above
		resp.Header["Sec-Websocket-Accept"] = []string{base64.StdEncoding.EncodeToString(sum[:])}
	}
	resp.Body = &socket{in: resp.Body, out: to, nc: cc.nc, cancel: cancel}
	return resp, nil
}

// extended is req as an extended CONNECT, whose content is what the client sends.
func (s *shared) extended(ctx context.Context, req *http.Request, content io.ReadCloser) *http.Request {
	out := s.outgoing(ctx, req)
	out.Method, out.Body, out.ContentLength, out.Trailer = http.MethodConnect, content, -1, nil
	delete(out.Header, "Sec-Websocket-Key")
	delete(out.Header, "Content-Length")
	out.Header[":protocol"] = []string{"websocket"}
	return out
}

// A refusedSocket is the content of an answer that opens none.
type refusedSocket struct {
	io.ReadCloser
	cancel context.CancelCauseFunc
}

// Close implements io.Closer.
func (r *refusedSocket) Close() error {
	defer r.cancel(nil)
	return r.ReadCloser.Close()
}

// A socket is a stream of HTTP/2 as a connection. Of its deadlines nothing comes back: each that passes ends the stream.
type socket struct {
	in     io.ReadCloser
	out    *io.PipeWriter
	nc     net.Conn // that the stream is of
	cancel context.CancelCauseFunc

	mu    sync.Mutex // guards what follows
	times [2]*time.Timer
	over  bool
}

// Read implements net.Conn.
func (c *socket) Read(p []byte) (int, error) { return c.in.Read(p) }

// Write implements net.Conn.
func (c *socket) Write(p []byte) (int, error) { return c.out.Write(p) }

// CloseWrite ends what is sent and leaves what is received.
func (c *socket) CloseWrite() error { return c.out.Close() }

// Close implements net.Conn.
func (c *socket) Close() error {
	c.mu.Lock()
	was := c.over
	c.over = true
	for _, t := range c.times {
		if t != nil {
			t.Stop()
		}
	}
	c.mu.Unlock()
	if was {
		return net.ErrClosed
	}
	c.abort(net.ErrClosed)
	return nil
}

// abort ends the stream both ways.
func (c *socket) abort(why error) {
	c.out.CloseWithError(why) //nolint:errcheck // it never fails
	c.cancel(why)
	c.in.Close() //nolint:errcheck // nothing is to be saved
}

// LocalAddr implements net.Conn.
func (c *socket) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr implements net.Conn.
func (c *socket) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// SetDeadline implements net.Conn.
func (c *socket) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline implements net.Conn.
func (c *socket) SetReadDeadline(t time.Time) error { return c.deadline(0, t) }

// SetWriteDeadline implements net.Conn.
func (c *socket) SetWriteDeadline(t time.Time) error { return c.deadline(1, t) }

func (c *socket) deadline(which int, at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return net.ErrClosed
	}
	if t := c.times[which]; t != nil {
		t.Stop()
		c.times[which] = nil
	}
	if !at.IsZero() {
		c.times[which] = time.AfterFunc(time.Until(at), func() { c.Close() }) //nolint:errcheck // whoever closed it before did the same
	}
	return nil
}
