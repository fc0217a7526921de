package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// A shared is the HTTP/2 side of a pool: one connection that all requests share, and a further one only while that has
// no stream left. The protocol itself is package http2's: what net/http has in its place sends no extended CONNECT.
type shared struct {
	pool   *Pool
	scheme string
	make   *http2.Transport //nolint:staticcheck // see above
	chosen atomic.Uint32    // by the instance, of Auto: a Protocol, H1 or H2; Auto until it has

	mu      sync.Mutex // guards what follows
	conns   []*sharedConn
	dialing *dialing // nil for none
	closed  bool
}

// A sharedConn is one connection.
type sharedConn struct {
	*http2.ClientConn //nolint:staticcheck // see shared
	nc                net.Conn
	used              atomic.Bool
}

// A dialing is an attempt to connect that all who need it wait for. It belongs to none of them.
type dialing struct {
	done chan struct{}
	err  error
}

//nolint:staticcheck // see shared
func newShared(p *Pool) *shared {
	s := &shared{pool: p, scheme: "http"}
	s.chosen.Store(uint32(p.o.Protocol))
	s.make = &http2.Transport{
		DisableCompression: true,
		IdleConnTimeout:    p.o.IdleTimeout,
		MaxHeaderListSize:  uint32(min(p.o.Limits.Head, math.MaxInt32)), //nolint:gosec // it fits
		ReadIdleTimeout:    pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: p.o.BodyTimeout,
	}
	if p.o.Protocol != H2C {
		s.scheme = "https"
	}
	return s
}

// spent reports whether c is of no use any more, and nothing is under way on it.
func (c *sharedConn) spent() bool {
	st := c.State()
	return st.Closed || st.Closing && c.inFlight() == 0
}

// inFlight is how many requests are under way on c.
func (c *sharedConn) inFlight() int {
	st := c.State()
	return st.StreamsActive + st.StreamsReserved + st.StreamsPending
}

// roundTrip sends req over a connection that has a stream left.
func (s *shared) roundTrip(req *http.Request, within time.Duration) (*http.Response, error) {
	cc, err := s.reserve(req.Context(), within)
	if err != nil {
		closeBody(req)
		return nil, &Error{Op: Connect, Err: err, unsent: true}
	}
	var begun atomic.Bool // something of it may have been written
	ctx, cancel := context.WithCancelCause(req.Context())
	w := &patience{cancel: cancel}
	trace := httptrace.ContextClientTrace(ctx)
	if trace != nil && trace.GotConn != nil {
		reused := cc.used.Swap(true)
		trace.GotConn(httptrace.GotConnInfo{Conn: cc.nc, Reused: reused})
	}
	interim := 0
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteHeaderField: func(string, []string) { begun.Store(true) },
		WroteRequest:     func(httptrace.WroteRequestInfo) { w.begin(s.pool.o.HeadTimeout) },
		Got1xxResponse: func(int, textproto.MIMEHeader) error {
			if interim++; interim > s.pool.o.MaxInterim {
				return errInterim
			}
			return nil
		},
	})
	resp, err := cc.RoundTrip(s.outgoing(ctx, req))
	if err != nil {
		w.end()
		return nil, s.fault(ctx, Await, err, !begun.Load() || disclaimed(err))
	}
	resp.Request = req
	w.pause()
	if resp.Body == http.NoBody {
		w.end()
		return resp, nil
	}
	b := &sharedContent{ReadCloser: resp.Body, pool: s.pool, ctx: ctx, patience: w, wait: s.pool.o.BodyTimeout}
	if t := resp.Header.Get("Content-Type"); strings.HasPrefix(t, "application/grpc") || strings.HasPrefix(t, "text/event-stream") {
		b.wait = s.pool.o.StreamTimeout
	}
	resp.Body = b
	return resp, nil
}

// outgoing is req as HTTP/2 has it: without what is about a connection (RFC 9113, 8.2.2), an upgrade included, which a
// server may always ignore.
func (s *shared) outgoing(ctx context.Context, req *http.Request) *http.Request {
	out := req.Clone(ctx)
	out.URL.Scheme = s.scheme
	if out.Host == "" {
		out.Host = out.URL.Host
	}
	out.URL.Host = "instance"
	trailers := false
	for _, line := range out.Header["Te"] {
		for e := range strings.SplitSeq(line, ",") {
			trailers = trailers || strings.EqualFold(strings.Trim(e, " \t"), "trailers")
		}
	}
	for _, line := range out.Header["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.Trim(name, " \t"); !strings.EqualFold(name, "close") {
				out.Header.Del(name)
			}
		}
	}
	for k := range out.Header {
		switch http.CanonicalHeaderKey(k) {
		case "Connection", "Proxy-Connection", "Keep-Alive", "Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", "Expect":
			delete(out.Header, k)
		}
	}
	if trailers {
		out.Header["Te"] = []string{"trailers"}
	}
	if out.Header["User-Agent"] == nil {
		out.Header["User-Agent"] = []string{""} // else net/http would put its own
	}
	out.Trailer = req.Trailer // filled when the body has ended
	return out
}

// spoken is what the instance speaks, H1 or not. Of Auto the first connection tells.
func (s *shared) spoken(ctx context.Context, within time.Duration) (Protocol, error) {
	ctx, cancel := bounded(ctx, within)
	defer cancel()
	for {
		if p := Protocol(s.chosen.Load()); p != Auto {
			return p, nil
		}
		s.mu.Lock()
		d, err := s.dialLocked(within)
		s.mu.Unlock()
		if err == nil {
			err = d.wait(ctx)
		}
		if err != nil {
			return Auto, err
		}
	}
}

// reserve takes a stream of a connection. It connects where none is left.
func (s *shared) reserve(ctx context.Context, within time.Duration) (*sharedConn, error) {
	ctx, cancel := bounded(ctx, within)
	defer cancel()
	for {
		s.mu.Lock()
		s.conns = slices.DeleteFunc(s.conns, func(c *sharedConn) bool { return c.spent() })
		for _, c := range s.conns {
			if c.ReserveNewRequest() {
				s.mu.Unlock()
				return c, nil
			}
		}
		d, err := s.dialLocked(within)
		s.mu.Unlock()
		if err == nil {
			err = d.wait(ctx)
		}
		if err != nil {
			return nil, err
		}
	}
}

// bounded is ctx for as long as d, if that is a bound.
func bounded(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	if d <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d)
}

// dialLocked begins to connect, unless somebody has.
func (s *shared) dialLocked(within time.Duration) (*dialing, error) {
	if s.dialing != nil {
		return s.dialing, nil
	}
	if s.closed || !s.pool.enter() {
		return nil, ErrClosed
	}
	d := &dialing{done: make(chan struct{})}
	s.dialing = d
	go func() {
		defer s.pool.own.Done()
		ctx, cancel := bounded(s.pool.over, within)
		err := s.connect(ctx)
		cancel()
		s.mu.Lock()
		s.dialing, d.err = nil, err
		s.mu.Unlock()
		close(d.done)
	}()
	return d, nil
}

// wait waits for it until ctx is over. Where whoever began it had less patience than that, it was no answer: there is no error.
func (d *dialing) wait(ctx context.Context) error {
	select {
	case <-d.done:
		if errors.Is(d.err, context.DeadlineExceeded) && ctx.Err() == nil {
			if _, bounded := ctx.Deadline(); bounded {
				return nil
			}
		}
		return d.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// connect makes a connection, and of what it finds itself speaking what the pool speaks.
func (s *shared) connect(ctx context.Context) error {
	if s.scheme == "https" && s.pool.o.TLS == nil {
		return errNoTLS
	}
	nc, socket, err := s.pool.dial(ctx, Protocol(s.chosen.Load()))
	if err != nil {
		return err
	}
	t, ok := nc.(*tls.Conn)
	switch {
	case !ok || t.ConnectionState().NegotiatedProtocol == "h2":
		return s.adopt(nc)
	case s.chosen.CompareAndSwap(uint32(Auto), uint32(H1)):
		return s.pool.spare(nc, socket)
	}
	nc.Close() //nolint:errcheck // nothing is to be saved
	return errNoH2
}

// adopt makes a connection of HTTP/2 one of the pool's.
func (s *shared) adopt(nc net.Conn) error {
	cc, err := s.make.NewClientConn(nc) //nolint:staticcheck // see shared
	if err != nil {
		nc.Close() //nolint:errcheck // nothing is to be saved
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		cc.Close() //nolint:errcheck // nothing is to be saved
		return ErrClosed
	}
	s.conns = append(s.conns, &sharedConn{ClientConn: cc, nc: nc})
	s.chosen.CompareAndSwap(uint32(Auto), uint32(H2))
	return nil
}

func (s *shared) open() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.conns {
		if !c.State().Closed {
			n++
		}
	}
	return n
}

func (s *shared) closeIdle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(s.conns, func(c *sharedConn) bool {
		idle := c.inFlight() == 0
		if idle {
			c.Close() //nolint:errcheck // nothing is to be saved
		}
		return idle
	})
}

func (s *shared) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, c := range s.conns {
		c.Close() //nolint:errcheck // nothing is to be saved
	}
	s.conns = nil
}

// fault is err as what it means.
func (s *shared) fault(ctx context.Context, op Op, err error, unsent bool) error {
	switch {
	case s.pool.over.Err() != nil:
		err = ErrClosed
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return &Error{Op: op, Err: err, unsent: unsent}
}

// disclaimed reports whether the instance has said that it did nothing about the request (RFC 9113, 8.7).
func disclaimed(err error) bool {
	var e http2.StreamError
	if errors.As(err, &e) && e.Code == http2.ErrCodeRefusedStream {
		return true
	}
	// Of a GOAWAY that names an earlier stream as the last one package http2 has no error to ask for.
	return strings.Contains(err.Error(), "graceful shutdown GOAWAY") || strings.Contains(err.Error(), "client conn not usable")
}
