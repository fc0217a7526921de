package server

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/room"
)

const (
	// lingerFor and lingerBytes are what a client gets to read its last answer: a socket closed over unread bytes is
	// reset, and a reset can overtake the answer.
	lingerFor   = 2 * time.Second
	lingerBytes = 256 << 10
	// settleFor is how long a connection is idle before it is parked.
	settleFor = 5 * time.Second
	// lastWrite is how long a client that is cut off may take for what it is still told.
	lastWrite = time.Second
)

var past = time.Unix(1, 0)

// Why an owner is woken. The first is taken back when it has been dealt with.
const (
	markCut  uint32 = 1 << iota // by Driver.Cut: of the request under way
	markGone                    // the client has reset the connection
	markOver                    // the server is closed
	markHalt                    // whoever reads content for the owner is to stop
)

// An ending is what becomes of a connection.
type ending uint8

const (
	proceed  ending = iota // what was to be done next can be
	keep                   // it takes another request
	rest                   // it is parked
	linger                 // it closes when its client has read the last answer
	over                   // it closes, for nothing is under way
	drop                   // it closes at once, so that no client takes anything for whole
	hijacked               // somebody else has it
)

var (
	errStopped = errors.New("woken by another goroutine")
	errSwept   = errors.New("to be closed while idle")
)

// A conn is a client's connection. While it is idle this is all there is of it.
type conn struct {
	server  *Server
	nc      net.Conn        // what is spoken over
	socket  net.Conn        // below TLS and the like
	raw     syscall.RawConn // the socket's; nil when it has none
	plain   bool            // nc is the socket
	session front.Session
	room    *room.Room // it has a place in

	// The shard's, guarded by its mutex.
	home       *shard
	at         int
	since      int64 // of the request under way; 0 for none
	prev, next *conn

	// The reader's.
	in    input
	recv  func(fd uintptr) bool
	n     int // of the last receive
	err   error
	one   [1]byte
	armed int64 // the read deadline, as far as the reader has set it

	armedW    int64 // the write deadline; the writer's
	idleUntil int64
	idle      atomic.Bool   // waits for a request
	held      atomic.Bool   // its request waits for its turn
	user      atomic.Int64  // a handler's own read deadline; 0 for none
	userW     atomic.Bool   // a handler has set the write deadline
	marks     atomic.Uint32 // written with mu held

	mu     sync.Mutex              // guards what follows, and every call of session
	flow   *flow                   // the request under way, unless a handler has it
	cancel context.CancelCauseFunc // ends the context of the request that a handler has

	base context.Context // of requests that handlers get; nil before the first
}

func newConn(s *Server, nc net.Conn, buffered []byte) *conn {
	c := &conn{server: s, nc: nc, socket: below(nc)}
	if sc, ok := c.socket.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			c.raw, c.plain = raw, c.socket == nc
		}
	}
	c.recv = c.receive // made once: a closure for each read would be an allocation for each
	if len(buffered) > 0 {
		c.in = input{buf: buffered, w: len(buffered)}
	}
	return c
}

// serve is a connection's goroutine. h is a request that has begun elsewhere; nil: none has.
func (c *conn) serve(h *front.Handover) {
	end := drop
	defer func() { c.finish(end) }() // a handler may end the goroutine
	end = c.begin(h)
}

// resume is the goroutine of a connection that was parked.
func (c *conn) resume() {
	end := drop
	defer func() { c.finish(end) }()
	end = c.requests(nil)
}

// park gives the goroutine of an idle connection away. It reports false when there is no place, or the connection is to be
// closed.
func (c *conn) park() bool {
	s := c.server
	if c.raw == nil || s.swept.Load() {
		return false
	}
	at, ok := s.parked.Park(c, c.raw, c.idleUntil)
	if ok && s.swept.Load() { // whoever swept may have looked before c was there
		s.parked.Wake(c, at)
	}
	return ok
}

// Wake implements park.Sleeper.
func (c *conn) Wake() { go c.resume() }

func (c *conn) begin(h *front.Handover) ending {
	if end := c.open(); end != proceed {
		if h != nil {
			h.Story.Lost()
		}
		return end
	}
	c.idleUntil = c.server.now() + int64(c.server.o.Head) // for its first byte it has as long as for a head
	return c.requests(h)
}

func (c *conn) finish(end ending) {
	if end == rest {
		if !c.park() {
			go c.resume() // a deeper call would stand on this one
		}
		return
	}
	if end == linger && !c.marked(markOver) {
		c.linger()
	}
	c.close(end)
	c.server.works.Done()
}

// requests serves requests until the connection takes no more, or is idle for long. h is the first of them; nil: it is yet to
// be read.
func (c *conn) requests(h *front.Handover) (end ending) {
	defer func() {
		if p := recover(); p != nil {
			c.server.o.Log.Error("a panic in the edge ends a connection: report it", "panic", p, "stack", string(debug.Stack()))
			end = c.crash()
		}
	}()
	for {
		if h == nil && c.in.empty() {
			if end := c.await(); end != proceed {
				return end
			}
		}
		c.idleUntil = 0
		f := c.server.flows.Get().(*flow) //nolint:errcheck // nothing else is put there
		f.c = c
		end := c.request(f, h)
		h = nil
		c.server.give(f)
		switch {
		case end != keep:
			return end
		case c.marked(markOver): // it was cut before, and had a last word
			return over
		}
	}
}

// crash ends what was under way when the edge itself was at fault.
func (c *conn) crash() ending {
	c.home.leave(c)
	if f := c.flow; f != nil {
		f.stopUpload()
		f.abandon(front.BrokenOff)
	}
	return drop
}

// await waits for the first byte of a request, and holds no buffer meanwhile.
func (c *conn) await() ending {
	s := c.server
	c.in.free()
	if c.idleUntil == 0 {
		c.idleUntil = s.now() + int64(s.o.Idle)
	}
	c.idle.Store(true)
	defer c.idle.Store(false)
	d := time.Duration(c.idleUntil - s.now())
	if c.raw != nil {
		d = min(d, s.settle)
	}
	switch err := c.fill(c.loosely(c.armed, d)); {
	case err == nil:
		return proceed
	case errors.Is(err, errSwept) && c.pending(): // a request is there already
		c.idle.Store(false)
		if c.fill(s.now()+int64(s.o.Head)) == nil {
			return proceed
		}
	case errors.Is(err, os.ErrDeadlineExceeded) && s.now() < c.idleUntil:
		return rest
	}
	return over
}

// request reads a head and does what it asks for, unless h has one.
func (c *conn) request(f *flow, h *front.Handover) ending {
	if h != nil {
		c.home.enter(c, c.server.now())
		defer c.home.leave(c)
		return c.inherit(f, h)
	}
	n, err := c.head(&f.req)
	if err != nil {
		var e *http1.Error
		switch {
		case errors.As(err, &e):
			return c.refuse(e.Refusal())
		case errors.Is(err, os.ErrDeadlineExceeded):
			return c.refuse(slowHead)
		}
		return drop
	}
	c.home.enter(c, c.server.now())
	end := c.answer(f, n)
	c.home.leave(c)
	return end
}

// head reads a head, which stands at the beginning of the input then. It has o.Head for it.
func (c *conn) head(r *http1.Request) (int, error) {
	r.Reset()
	var at int64
	for {
		n, err := r.Parse(c.in.bytes(), c.server.o.Limits)
		if n > 0 || err != nil {
			return n, err
		}
		if at == 0 {
			at = c.server.now() + int64(c.server.o.Head)
		}
		if err := c.fill(at); err != nil {
			return 0, err
		}
	}
}

var (
	slowHead = http1.Refusal{Status: 408, Word: "slow-head", Text: "The request's head did not arrive in time.", Close: true}
	slowBody = http1.Refusal{Status: 408, Word: "slow-body", Text: "The request's body did not arrive in time.", Close: true}
)

// refuse answers what is no request.
func (c *conn) refuse(r http1.Refusal) ending {
	r.Date, r.Close = c.server.today(), true
	if o, ok := c.session.(front.Observer); ok {
		o.Refused(c.server.now(), &r)
	}
	w := http1.AppendRefusal(takeOut(), &r)
	defer give(w)
	if c.write(w) != nil {
		return drop
	}
	return linger
}

// interrupt marks c and wakes its owner, wherever it is blocked.
func (c *conn) interrupt(mark uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.interruptLocked(mark)
}

func (c *conn) interruptLocked(mark uint32) {
	c.marks.Or(mark)
	if c.flow != nil {
		c.flow.interruptLocked()
	}
	if c.cancel != nil {
		c.cancel(errClientGone)
	}
	// What was cut, and what a handler ends, has a last word: the last chunk of an event stream, or a reset.
	if ending := c.cancel != nil || c.flow != nil && c.marked(markCut); mark == markOver && !ending {
		c.socket.Close()
		return
	}
	c.nc.SetReadDeadline(past)                       //nolint:errcheck // a closed connection wakes its owner by itself
	c.nc.SetWriteDeadline(time.Now().Add(lastWrite)) //nolint:errcheck // the same
}

func (c *conn) marked(mark uint32) bool { return c.marks.Load()&mark != 0 }

// linger ends what is sent, and reads on until the client has ended too.
func (c *conn) linger() {
	c.nc.SetDeadline(time.Now().Add(lingerFor)) //nolint:errcheck // a closed connection says so in the read
	if closeWrite(c.nc) != nil || c.socket != c.nc && closeWrite(c.socket) != nil {
		return
	}
	p := larges.Get().(*[largeBuffer]byte) //nolint:errcheck // nothing else is put there
	defer larges.Put(p)
	for total := 0; total < lingerBytes; {
		n, err := c.socket.Read(p[:])
		if err != nil {
			return
		}
		total += n
	}
}

// close takes the connection out of the world, unless somebody else has it.
func (c *conn) close(end ending) {
	switch end {
	case hijacked:
	case linger, over:
		c.nc.Close()
	default:
		c.socket.Close() // TLS would say that this is a good end
	}
	if c.session != nil {
		c.mu.Lock()
		c.session.Close()
		c.session = nil
		c.mu.Unlock()
	}
	c.in.free()
	if end != hijacked {
		c.server.remove(c)
	}
}

// reset makes the end of the connection one that nobody takes for that of the content.
func (c *conn) reset() {
	if t, ok := c.socket.(*net.TCPConn); ok {
		t.SetLinger(0) //nolint:errcheck // a closed connection is broken off
	}
}

// pending reports whether bytes of a next request have arrived.
func (c *conn) pending() bool {
	n := 0
	if c.raw == nil {
		return false
	}
	err := c.raw.Control(func(fd uintptr) {
		n, _, _ = unix.Recvfrom(int(fd), c.one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT) //nolint:errcheck // then n is not above 0
	})
	return err == nil && n > 0
}

func peerOf(nc net.Conn) netip.AddrPort {
	if a, ok := nc.RemoteAddr().(*net.TCPAddr); ok {
		p := a.AddrPort()
		return netip.AddrPortFrom(p.Addr().Unmap(), p.Port())
	}
	return netip.AddrPort{}
}

func closeWrite(c net.Conn) error {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return errors.ErrUnsupported
}
