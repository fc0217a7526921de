package upstream

import (
	"context"
	"crypto/tls"
	"errors"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A Pool is the connections to one incarnation of an instance: another life of it never gets a request that was written
// for this one. It is safe for concurrent use. (It is no semper.Pool, whose backends have one of these each.)
type Pool struct {
	o   Options
	h2  *shared // HTTP/2; nil where it is not spoken
	own sync.WaitGroup

	reused, stale atomic.Uint64
	yielded       atomic.Int64    // see Changed.Yield
	over          context.Context // done when the pool is closed
	end           context.CancelFunc

	mu      sync.Mutex // guards what follows
	open    []*Conn    // all of them, in no order
	changed map[*Changed]struct{}
	idle    []*Conn // the one that was used last is the last, and goes first
	timer   *time.Timer
	armed   bool
	closed  bool
	dialled uint64
}

// Stats are counts of a pool's connections.
type Stats struct {
	Open int // now, whether used or idle
	Idle int // now; of HTTP/1.1

	Dialled uint64 // since the beginning
	Reused  uint64 // uses of a connection that was idle
	Stale   uint64 // idle connections that were not fit for use any more
}

// New makes a pool. It connects when it is asked to. It must be closed.
func New(o Options) *Pool {
	p := &Pool{o: o.settled(), changed: make(map[*Changed]struct{})}
	p.over, p.end = context.WithCancel(context.Background())
	if o.Protocol != H1 {
		p.h2 = newShared(p)
	}
	return p
}

// Get is a connection of HTTP/1.1: the idle one that was used last, if it is fit for use, or a new one. The caller has
// to Release it. An error is an *Error; nothing was sent.
func (p *Pool) Get(ctx context.Context) (*Conn, error) { return p.GetWithin(ctx, 0) }

// GetWithin is Get, and a new connection has to be there within d; 0 is no bound but those of ctx and Dial.
func (p *Pool) GetWithin(ctx context.Context, d time.Duration) (*Conn, error) {
	if p.h2 != nil {
		spoken, err := p.h2.spoken(ctx, d)
		if err == nil && spoken != H1 {
			err = ErrMultiplexed
		}
		if err != nil {
			return nil, &Error{Op: Connect, Err: err, unsent: true}
		}
	}
	for {
		c := p.pop()
		if c == nil {
			break
		}
		if c.quiet() {
			c.begin()
			return c, nil
		}
		p.stale.Add(1)
		c.Close() //nolint:errcheck // it is of no use
	}
	ctx, cancel := bounded(ctx, d)
	defer cancel()
	nc, socket, err := p.dial(ctx, H1)
	if err != nil {
		return nil, &Error{Op: Connect, Err: err, unsent: true}
	}
	c, err := p.register(nc, socket)
	if err != nil {
		return nil, &Error{Op: Connect, Err: err, unsent: true}
	}
	c.begin()
	return c, nil
}

// pop takes an idle connection, nil for none.
func (p *Pool) pop() *Conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.idle) - 1
	if last < 0 {
		return nil
	}
	c := p.idle[last]
	p.idle[last] = nil
	p.idle = p.idle[:last]
	return c
}

// put keeps c for the next use.
func (p *Pool) put(c *Conn) {
	p.mu.Lock()
	if p.closed || len(p.idle) >= p.o.MaxIdle || c.at < 0 {
		p.mu.Unlock()
		c.Close() //nolint:errcheck // nothing is to be saved
		return
	}
	c.since = time.Now()
	p.idle = append(p.idle, c)
	if !p.armed {
		p.armLocked(p.o.IdleTimeout)
	}
	p.mu.Unlock()
}

// armLocked has the idle connections looked at in a while. There is one timer, and none while nothing is idle.
func (p *Pool) armLocked(d time.Duration) {
	p.armed = true
	p.own.Add(1) // for expire
	if p.timer == nil {
		p.timer = time.AfterFunc(d, p.expire)
		return
	}
	p.timer.Reset(d)
}

// expire closes what has been idle for too long. Those stand at the beginning.
func (p *Pool) expire() {
	defer p.own.Done()
	p.mu.Lock()
	now, n := time.Now(), 0
	for n < len(p.idle) && now.Sub(p.idle[n].since) >= p.o.IdleTimeout {
		n++
	}
	old := slices.Clone(p.idle[:n])
	p.idle = slices.Delete(p.idle, 0, n)
	p.armed = false
	if len(p.idle) > 0 && !p.closed {
		p.armLocked(p.idle[0].since.Add(p.o.IdleTimeout).Sub(now))
	}
	p.mu.Unlock()
	closeAll(old)
}

func closeAll(conns []*Conn) {
	for _, c := range conns {
		c.Close() //nolint:errcheck // nothing is to be saved
	}
}

// register makes nc a connection of the pool's.
func (p *Pool) register(nc, socket net.Conn) (*Conn, error) {
	c := newConn(p, nc, socket)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		nc.Close() //nolint:errcheck // nothing is to be saved
		return nil, ErrClosed
	}
	c.at = len(p.open)
	p.open = append(p.open, c)
	return c, nil
}

// spare keeps a new connection that nobody has asked for.
func (p *Pool) spare(nc, socket net.Conn) error {
	c, err := p.register(nc, socket)
	if err != nil {
		return err
	}
	if c.raw == nil {
		return c.Close()
	}
	p.put(c)
	return nil
}

// dial connects, and shakes hands where there is TLS: to speak one protocol, or to find out which.
func (p *Pool) dial(ctx context.Context, protocol Protocol) (nc, socket net.Conn, err error) {
	p.mu.Lock()
	closed := p.closed
	p.mu.Unlock()
	if closed {
		return nil, nil, ErrClosed
	}
	if socket, err = p.o.Dial(ctx); err != nil && p.makeRoom(err) {
		socket, err = p.o.Dial(ctx)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, nil, err
	}
	p.mu.Lock()
	p.dialled++
	p.mu.Unlock()
	if p.o.TLS == nil {
		return socket, socket, nil
	}
	config := p.o.TLS.Clone()
	config.NextProtos = protocol.names()
	t := tls.Client(socket, config)
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
	}
	if err := t.HandshakeContext(ctx); err != nil {
		socket.Close() //nolint:errcheck // nothing is to be saved
		return nil, nil, err
	}
	return t, socket, nil
}

// makeRoom closes the connections that nobody uses, for one that is needed more, where err is the want of a descriptor. It
// reports whether there were any.
func (p *Pool) makeRoom(err error) bool {
	if !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE) {
		return false
	}
	return p.closeIdle() > 0
}

// closeIdle closes the connections of HTTP/1.1 that nobody uses, and says how many there were.
func (p *Pool) closeIdle() int {
	p.mu.Lock()
	old := p.idle
	p.idle = nil
	p.mu.Unlock()
	closeAll(old)
	return len(old)
}

// enter counts a goroutine of the pool's own, which says p.own.Done; it reports false when the pool is closed.
func (p *Pool) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.own.Add(1)
	}
	return !p.closed
}

// forget takes a closed connection out of the pool's books.
func (p *Pool) forget(c *Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.forgetLocked(c)
}

func (p *Pool) forgetLocked(c *Conn) {
	last := len(p.open) - 1
	p.open[c.at] = p.open[last]
	p.open[c.at].at = c.at
	p.open[last] = nil
	p.open = p.open[:last]
	c.at = -1
}

// Stats are the counts as they are now.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	s := Stats{Open: len(p.open) + len(p.changed) + int(p.yielded.Load()), Idle: len(p.idle), Dialled: p.dialled, Reused: p.reused.Load(), Stale: p.stale.Load()}
	p.mu.Unlock()
	if p.h2 != nil {
		s.Open += p.h2.open()
	}
	return s
}

// CloseIdle closes the connections that nobody uses.
func (p *Pool) CloseIdle() {
	p.closeIdle()
	if p.h2 != nil {
		p.h2.closeIdle()
	}
}

// Close cuts all connections and waits for the goroutines of the pool. One of them may be reading the body of a request:
// it ends when that Read returns. It must not be called twice at once.
func (p *Pool) Close() {
	p.end()
	p.mu.Lock()
	p.closed = true
	if p.armed && p.timer.Stop() {
		p.armed = false
		p.own.Done()
	}
	all := slices.Clone(p.open)
	changed := slices.Collect(maps.Keys(p.changed))
	p.idle = nil
	p.mu.Unlock()
	closeAll(all)
	for _, c := range changed {
		c.Close() //nolint:errcheck // nothing is to be saved
	}
	if p.h2 != nil {
		p.h2.close()
	}
	p.own.Wait()
}
