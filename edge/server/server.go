package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/park"
	"semper/edge/room"
	"semper/edge/stream"
)

// A Server is a front.Driver of goroutines. Its methods may be called from any goroutine.
type Server struct {
	o     Options
	extra string       // field lines of each answer
	own   front.Bounds // of requests whose Session names none
	start time.Time    // all instants are nanoseconds since then
	ctx   context.Context
	stop  context.CancelFunc
	flows sync.Pool // of *flow
	date  atomic.Pointer[date]
	// settle is settleFor, but in tests.
	settle time.Duration
	// drain is drainFor, but in tests.
	drain time.Duration

	shards [shards]shard
	turn   atomic.Uint32 // of the shards
	conns  atomic.Int64
	swept  atomic.Bool

	streams *stream.Streams
	base    *http.Server  // what HTTP/2 and handlers know of this server
	h2      *http2.Server //nolint:staticcheck // net/http's own cannot serve one connection

	janitor janitor
	parked  *park.Lot      // idle connections; nil: they keep their goroutines
	works   sync.WaitGroup // goroutines of connections and handlers
	once    sync.Once

	mu     sync.Mutex // guards what follows
	closed bool
}

var _ front.Driver = (*Server)(nil)

// New makes a server, which serves what it is given.
func New(o Options) *Server {
	o.fill()
	s := &Server{o: o, own: front.Bounds{Upload: o.Body, Rate: o.Rate, Write: o.Write}, start: o.Origin, settle: settleFor, drain: drainFor}
	s.flows.New = func() any { return newFlow() }
	if o.AltSvc != "" {
		line, _ := http1.AppendField(nil, "Alt-Svc", o.AltSvc) //nolint:errcheck // what is none is left out
		s.extra = string(line)
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	s.streams = stream.New(stream.Options{Handler: s.o.Handler, Limits: s.o.Limits, Write: s.o.Write, Date: s.today, AltSvc: s.o.AltSvc})
	s.prepareH2()
	var err error
	if s.parked, err = park.Open(); err != nil {
		s.o.Log.Warn("idle connections keep their goroutines", "error", err)
	}
	s.janitor.start(s)
	return s
}

// now is the monotonic clock.
func (s *Server) now() int64 { return int64(time.Since(s.start)) }

// when is an instant as package net wants it; the zero one for 0.
func (s *Server) when(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return s.start.Add(time.Duration(at))
}

// A date is a second as responses have it.
type date struct {
	second int64
	text   []byte
}

func (s *Server) today() []byte {
	now := time.Now()
	d := s.date.Load()
	if d == nil || d.second != now.Unix() {
		d = &date{second: now.Unix(), text: http1.AppendDate(nil, now)}
		s.date.Store(d)
	}
	return d.text
}

// enter counts a goroutine that Close waits for; false when the server is closed. It ends with s.works.Done.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.works.Add(1)
	}
	return !s.closed
}

// Serve implements front.Driver. l, or what it wraps, must have SetDeadline, as the listeners of package net do: Serve ends
// by it, and leaves it unset. Connections of TLS come from a TLSListener or one of crypto/tls; those behind a PROXY header
// from a proxyproto.Listener, below TLS where there is both.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	d := deadliner(l)
	if d == nil {
		return fmt.Errorf("serve %s: a %T has no SetDeadline: give a listener of package net, or one that shows it", l.Addr(), l)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	fired := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		d.SetDeadline(time.Unix(1, 0)) //nolint:errcheck // a closed listener says so in Accept
		close(fired)
	})
	defer func() {
		if !stop() {
			<-fired
			d.SetDeadline(time.Time{}) //nolint:errcheck // for whoever serves it next
		}
	}()
	places := roomOf(l)
	for {
		if !places.Take() {
			s.o.Paused(nil)
			if err := places.Wait(ctx); err != nil {
				return nil //nolint:nilerr // its end was asked for
			}
		}
		c, err := l.Accept()
		if err == nil {
			s.ServeIn(places, c, nil, nil)
			continue
		}
		places.Leave()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("serve %s: %w", l.Addr(), err)
		default: // out of descriptors, most likely: those who come wait in the kernel
			s.o.Paused(err)
			pause(ctx, acceptPause)
		}
	}
}

const acceptPause = 100 * time.Millisecond

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

type deadline interface{ SetDeadline(t time.Time) error }

// ServeConn serves c, of which buffered has been read already and is this server's from now on. It returns at once.
func (s *Server) ServeConn(c net.Conn, buffered []byte) { s.ServeIn(nil, c, buffered, nil) }

// ServeIn is ServeConn for a connection that has a place in a room, which it leaves at its end. h is a request that has begun
// elsewhere, and buffered is what is behind the part of it in there; nil: none has.
func (s *Server) ServeIn(in *room.Room, c net.Conn, buffered []byte, h *front.Handover) {
	k := newConn(s, c, buffered)
	k.room = in
	if !s.add(k) {
		c.Close()
		in.Leave()
		if h != nil {
			h.Story.Lost()
		}
		return
	}
	go k.serve(h)
}

// Sweep implements front.Driver. It tells HTTP/2 clients to go.
func (s *Server) Sweep() {
	s.swept.Store(true)
	s.janitor.post(s.sweep)
}

// Cut implements front.Driver. It returns before the exchanges have ended.
func (s *Server) Cut(which func(front.Session) bool) {
	s.janitor.post(func() { s.cut(which) })
}

// Retire implements front.Driver. Connections that are in use now are idle after it: closing the pool is up to whoever
// made it.
func (s *Server) Retire(t *front.Target) {
	if p := s.o.Pool(t); p != nil {
		p.CloseIdle()
	}
}

// Connections implements front.Driver. Those that a handler has hijacked count until it closes them.
func (s *Server) Connections() int { return int(s.conns.Load()) }

// Close implements front.Driver. It waits for handlers too, whose requests' contexts end.
func (s *Server) Close() error {
	s.once.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		s.stop()
		over := make(chan struct{})
		s.janitor.post(func() { // behind what is to be cut, which may have a last word
			s.each(func(c *conn) { c.interrupt(markOver) })
			close(over)
		})
		<-over
		s.closeHanded()
		s.parked.Close()
		s.works.Wait()
		s.janitor.stop()
		s.base.Close() //nolint:errcheck // it has no listener
	})
	return nil
}
