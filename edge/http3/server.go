package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/room"
	"semper/edge/stream"
)

const (
	// askEvery is how often a silent client is asked whether it lives, and lostAfter when it does not.
	askEvery, lostAfter = 15 * time.Second, 45 * time.Second
	// lookEvery is how often it is looked for clients that take nothing, and for connections that are to end.
	lookEvery = time.Second
	// lingers is how long a connection that is to end has to be silent after an answer: nobody tells when the client has all of
	// it, and what is still on its way, or to be sent once more, goes with the connection.
	lingers = 5 * time.Second
	// handshakes is how long those may take that have begun one when no more connections are taken.
	handshakes = 2 * time.Second
)

// Options say what the connections of a Listener may do. All are needed but where it says otherwise.
type Options struct {
	Handler     http.Handler
	TLS         *tls.Config // shared, and not written
	Limits      *http1.Limits
	Streams     int64         // requests under way on a connection
	Connections int           // at once; 0: no bound
	Head        time.Duration // for the handshake
	Idle        time.Duration // between two requests
	Write       time.Duration // in which a client has to take some of its answer; 0: 90 s
	Log         *slog.Logger  // nil discards
}

// A Listener takes connections of a Port. It is a front.Carrier.
type Listener struct {
	port *Port
	quic *quic.Listener
	ctx  context.Context // ends with it
	end  context.CancelFunc
	s    *server
}

var _ front.Carrier = (*Listener)(nil)

// Listen takes the Port's connections from now on, but for those that a process or a Listener before has: what is there stays as
// it was. The Listener before should be closed afterwards.
func (p *Port) Listen(o Options) (*Listener, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Write == 0 {
		o.Write = 90 * time.Second
	}
	p.terms.Store(&terms{http3.ConfigureTLSConfig(o.TLS), &quic.Config{
		HandshakeIdleTimeout: o.Head, MaxIdleTimeout: lostAfter, KeepAlivePeriod: askEvery,
		MaxIncomingStreams: o.Streams, MaxIncomingUniStreams: 8,
		InitialStreamReceiveWindow: 64 << 10, MaxStreamReceiveWindow: 256 << 10,
		InitialConnectionReceiveWindow: 256 << 10, MaxConnectionReceiveWindow: 1 << 20,
	}})
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.listen(); err != nil {
		return nil, fmt.Errorf("listen for HTTP/3 at %s: %w", p.Addr(), err)
	}
	l := &Listener{port: p, quic: p.quic}
	l.ctx, l.end = context.WithCancel(context.Background())
	l.s = newServer(o, l)
	p.last = l
	return l, nil
}

// Accept implements net.Listener: nobody but its driver takes its connections.
func (l *Listener) Accept() (net.Conn, error) { return nil, errors.ErrUnsupported }

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return l.port.Addr() }

// Close implements net.Listener. Connections stay.
func (l *Listener) Close() error {
	l.end()
	return nil
}

// Driver implements front.Carrier.
func (l *Listener) Driver(onIdle func()) front.Driver {
	l.s.onIdle = onIdle
	return l.s
}

// A server is the front.Driver of a Listener.
type server struct {
	o       Options
	from    *Listener
	h3      *http3.Server
	streams *stream.Streams
	room    *room.Room
	onIdle  func()

	ctx   context.Context
	stop  context.CancelFunc
	works sync.WaitGroup
	once  sync.Once
	conns atomic.Int64

	mu    sync.Mutex // guards what follows
	open  map[*quic.Conn]*use
	swept bool
}

// A use is what is under way on a connection. It is guarded by the server's mutex.
type use struct {
	requests int
	since    time.Time // it has had none

	// When the client has been told to go, and stays.
	silent   time.Time     // since when
	patience time.Duration // how long it may be
	packets  uint64        // sent and received, at the last look
}

func newUse(now time.Time) *use { return &use{since: now, silent: now, patience: lookEvery} }

// answered ends a request.
func (u *use) answered(now time.Time) {
	u.requests--
	u.since, u.silent, u.patience = now, now, lingers
}

// told gives the client the time to hear that it is to go.
func (u *use) told(now time.Time) {
	u.silent = now
	if now.Sub(u.since) > lingers {
		u.patience = lookEvery // its last answer has had its time
	}
}

// heard takes note of how many packets the connection has sent and received.
func (u *use) heard(now time.Time, packets uint64) {
	if packets != u.packets {
		u.silent, u.packets = now, packets
	}
}

// over reports whether the connection is to end: the client was told to go and is silent, or it asks for nothing, idle being what
// there may be between two requests.
func (u *use) over(now time.Time, told bool, idle time.Duration) bool {
	return u.requests == 0 && (told && now.Sub(u.silent) > u.patience || now.Sub(u.since) > idle+lookEvery)
}

type useKey struct{}

func newServer(o Options, l *Listener) *server {
	s := &server{o: o, from: l, room: room.New(o.Connections), open: make(map[*quic.Conn]*use), onIdle: func() {}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.streams = stream.New(stream.Options{
		Handler: o.Handler, Limits: o.Limits, Write: o.Write, Date: func() []byte { return http1.AppendDate(nil, time.Now()) },
	})
	s.h3 = &http3.Server{
		Handler: http.HandlerFunc(s.serve), MaxHeaderBytes: o.Limits.Head, IdleTimeout: o.Idle, ConnContext: s.enter,
		Logger: o.Log,
	}
	return s
}

// Serve implements front.Driver: it takes connections until ctx ends or the Listener is closed. Those that have begun their
// handshake by then are taken as well: they would find nobody else. Until they have had the time for it, the driver counts one
// connection more.
func (s *server) Serve(ctx context.Context, _ net.Listener) error {
	taking, stop := context.WithCancel(s.ctx)
	defer context.AfterFunc(ctx, s.from.end)()
	done := make(chan error, 1)
	s.conns.Add(1)
	s.works.Go(s.look)
	s.works.Go(func() {
		defer stop()
		err := s.h3.ServeListener(&bounded{s.from.quic, s.room, taking})
		if taking.Err() != nil || errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		done <- errors.Join(err, s.from.port.leave(s.from))
		s.conns.Add(-1)
		s.onIdle()
	})
	select {
	case <-s.from.ctx.Done():
		time.AfterFunc(handshakes, stop)
		return nil
	case err := <-done:
		if err != nil {
			err = fmt.Errorf("serve HTTP/3 at %s: %w", s.from.Addr(), err)
		}
		return err
	}
}

// A bounded listener takes as many connections at a time as its room has places.
type bounded struct {
	*quic.Listener
	room   *room.Room
	taking context.Context
}

// Accept implements http3.QUICListener.
func (b *bounded) Accept(ctx context.Context) (*quic.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.taking, cancel)()
	if err := b.room.Wait(ctx); err != nil {
		return nil, err
	}
	c, err := b.Listener.Accept(ctx)
	if err != nil {
		b.room.Leave()
	}
	return c, err
}

// enter makes a connection known, until it ends.
func (s *server) enter(ctx context.Context, c *quic.Conn) context.Context {
	u := newUse(time.Now())
	s.conns.Add(1)
	s.mu.Lock()
	s.open[c] = u
	s.mu.Unlock()
	context.AfterFunc(c.Context(), func() {
		s.mu.Lock()
		delete(s.open, c)
		s.mu.Unlock()
		s.room.Leave()
		s.conns.Add(-1)
		s.onIdle()
	})
	return context.WithValue(ctx, useKey{}, u)
}

// serve answers a request, in a goroutine of quic-go, for which Close waits.
func (s *server) serve(w http.ResponseWriter, r *http.Request) {
	u, _ := r.Context().Value(useKey{}).(*use) //nolint:errcheck // enter has put it there
	s.mu.Lock()
	if s.ctx.Err() != nil {
		s.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	s.works.Add(1)
	u.requests++
	s.mu.Unlock()
	defer s.works.Done()
	defer func() {
		s.mu.Lock()
		u.answered(time.Now())
		s.mu.Unlock()
	}()
	s.streams.ServeHTTP(w, r)
}

// look looks now and then for what has taken too long, until the server is closed.
func (s *server) look() {
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-t.C:
			s.streams.Sweep()
			s.endIdle()
		}
	}
}

// endIdle ends the connections of those who have nothing under way and stay: when they have been told to go, and of those who
// have had no request for as long as may be between two. These hold streams whose heads never end; without one, quic-go ends them.
func (s *server) endIdle() {
	var idle []*quic.Conn
	s.mu.Lock()
	for c, u := range s.open {
		stats := c.ConnectionStats()
		u.heard(time.Now(), stats.PacketsSent+stats.PacketsReceived)
		if u.over(time.Now(), s.swept, s.o.Idle) {
			idle = append(idle, c)
		}
	}
	s.mu.Unlock()
	for _, c := range idle {
		c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") //nolint:errcheck // it ends either way
	}
}

// Sweep implements front.Driver: clients are told to begin nothing more (RFC 9114, 5.2), and connections end when their
// requests have.
func (s *server) Sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.swept || s.ctx.Err() != nil {
		return
	}
	s.swept = true
	for _, u := range s.open {
		u.told(time.Now())
	}
	s.works.Go(func() { s.h3.Shutdown(s.ctx) }) //nolint:errcheck // it ends with the last connection, or with Close
}

// Cut implements front.Driver. There are no sessions here.
func (s *server) Cut(func(front.Session) bool) {}

// Retire implements front.Driver.
func (s *server) Retire(*front.Target) {}

// Connections implements front.Driver.
func (s *server) Connections() int { return int(s.conns.Load()) }

// Close implements front.Driver.
func (s *server) Close() error {
	var err error
	s.once.Do(func() {
		s.mu.Lock()
		s.stop()
		s.mu.Unlock()
		err = s.h3.Close()
		s.works.Wait()
	})
	return err
}
