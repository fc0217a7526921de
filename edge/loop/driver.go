package loop

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/room"
)

// Options say what a Driver is made of. Edge and Pass are needed; what is zero elsewhere has a default.
type Options struct {
	Edge front.Edge
	// Pass takes a connection over, with what was read of the request that is not for a loop, and behind it. A request that the
	// loop has begun comes in h, which is nil else, and read is only what is behind the part of it in there. It must not block: a
	// loop calls it.
	Pass PassFunc
	// OnIdle is called when a connection has ended. It must not block.
	OnIdle func()
	// Paused is called when a listener takes no connections for a moment, because of err; nil: its room is full. It must not block.
	Paused func(err error)
	Log    *slog.Logger // nil discards
	Origin time.Time    // of Exchange.Now; zero: when the loops begin

	Loops     int           // how many; zero: as many as there are processors
	Limits    *http1.Limits // of requests
	Responses *http1.Limits

	Head     time.Duration // for a request's head, from its first byte to its last; 10 s
	Idle     time.Duration // of a client's connection between requests; 75 s
	Body     time.Duration // in which some of a request's content has to come; 60 s
	Rate     int64         // bytes per second that content has to come at on the whole, after Body; 100
	Write    time.Duration // in which a client has to take some of its answer; 90 s
	Connect  time.Duration // to a target; 3 s
	Response time.Duration // from a request's end to its response's head; zero: for ever
	Stall    time.Duration // in which some of a response's content has to come, unless it is a stream; zero: for ever

	IdleTargets int           // idle connections kept to one target by one loop; 256
	IdleTarget  time.Duration // for how long; 60 s
}

// A PassFunc takes a connection over: see Options.Pass.
type PassFunc func(c net.Conn, read []byte, h *front.Handover)

func (o *Options) fill() {
	set := func(d *time.Duration, to time.Duration) {
		if *d == 0 {
			*d = to
		}
	}
	set(&o.Head, 10*time.Second)
	set(&o.Idle, 75*time.Second)
	set(&o.Body, time.Minute)
	set(&o.Write, 90*time.Second)
	set(&o.Connect, 3*time.Second)
	set(&o.IdleTarget, time.Minute)
	if o.Origin.IsZero() {
		o.Origin = time.Now()
	}
	if o.Rate == 0 {
		o.Rate = 100
	}
	if o.IdleTargets == 0 {
		o.IdleTargets = 256
	}
	if o.Loops == 0 {
		o.Loops = runtime.NumCPU()
	}
	if o.Limits == nil {
		o.Limits = &http1.Default
	}
	if o.Responses == nil {
		o.Responses = &http1.DefaultResponse
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.OnIdle == nil {
		o.OnIdle = func() {}
	}
	if o.Paused == nil {
		o.Paused = func(error) {}
	}
}

// Driver is a front.Driver of loops.
type Driver struct {
	o     Options
	own   front.Bounds // of requests whose Session names none
	loops []*loop
	conns atomic.Int64
	works sync.WaitGroup
	once  sync.Once
}

var _ front.Driver = (*Driver)(nil)

// New starts the loops. A loop that is busy keeps its processor, and something has to be left for everything else: the process
// may use one more than there are loops, as long as it lives.
func New(o Options) (*Driver, error) {
	o.fill()
	if n := o.Loops + 1; runtime.GOMAXPROCS(0) < n {
		runtime.GOMAXPROCS(n)
	}
	d := &Driver{o: o, own: front.Bounds{
		Connect: o.Connect, Response: o.Response, Upload: o.Body, Rate: o.Rate, Stall: o.Stall, Write: o.Write,
	}}
	for i := range o.Loops {
		l, err := newLoop(d, i+1)
		if err != nil {
			d.Close() //nolint:errcheck // it never fails
			return nil, fmt.Errorf("start a loop: %w", err)
		}
		d.loops = append(d.loops, l)
		d.works.Add(1)
		go l.run()
	}
	return d, nil
}

// A Listener is one whose connections have terms of their own, in the place of those in Options.
type Listener struct {
	net.Listener
	Limits     *http1.Limits
	Head, Idle time.Duration
	Pass       PassFunc
	H2C        bool       // Pass takes connections that begin with HTTP/2; else they are refused
	Room       *room.Room // bounds how many there are; Pass takes over a connection's place in it
}

// Takes reports whether l is a socket of the kernel's, which a loop can watch.
func Takes(l net.Listener) bool {
	_, ok := l.(interface{ File() (*os.File, error) })
	return ok
}

// terms are a listener's. Its connections share them.
type terms struct {
	limits     *http1.Limits
	head, idle int64
	pass       PassFunc
	h2c        bool
	room       *room.Room
}

// termsOf finds the terms of l, and the listener itself.
func (d *Driver) termsOf(l net.Listener) (*terms, net.Listener) {
	if own, ok := l.(*Listener); ok {
		return &terms{own.Limits, int64(own.Head), int64(own.Idle), own.Pass, own.H2C, own.Room}, own.Listener
	}
	return &terms{d.o.Limits, int64(d.o.Head), int64(d.o.Idle), d.o.Pass, false, nil}, l
}

// Serve implements front.Driver. Every loop takes connections from l, and the kernel wakes one of them for each. l may be a
// *Listener.
func (d *Driver) Serve(ctx context.Context, l net.Listener) error {
	terms, l := d.termsOf(l)
	file, ok := l.(interface{ File() (*os.File, error) })
	if !ok {
		return fmt.Errorf("serve %s: a %T has no descriptor: give the listener itself", l.Addr(), l)
	}
	f, err := file.File()
	if err != nil {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	defer f.Close() //nolint:errcheck // a copy
	raw, err := f.SyscallConn()
	if err != nil {
		return fmt.Errorf("serve %s: %w", l.Addr(), err)
	}
	_, network := l.Addr().(*net.TCPAddr)
	var doors []*door
	failed := make(chan error, len(d.loops)+1)
	defer func() {
		for _, door := range doors {
			door.loop.sync(func(*loop) { door.close() })
		}
	}()
	for _, lp := range d.loops {
		door := &door{loop: lp, terms: terms, tcp: network, failed: failed}
		var dup error
		if err := raw.Control(func(fd uintptr) { door.fd, dup = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) }); err != nil || dup != nil {
			return fmt.Errorf("serve %s: %w", l.Addr(), errors.Join(err, dup))
		}
		doors = append(doors, door)
		var opened error
		if !lp.sync(func(*loop) { opened = door.open() }) {
			return net.ErrClosed
		}
		if opened != nil {
			return fmt.Errorf("serve %s: %w", l.Addr(), opened)
		}
	}
	look := time.NewTicker(time.Second)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.loops[0].gone:
			return nil
		case err := <-failed:
			return fmt.Errorf("serve %s: %w", l.Addr(), err)
		case <-look.C: // the loops have descriptors of their own, and would not notice that l is closed
			if isClosed(l) && ctx.Err() == nil {
				return fmt.Errorf("serve %s: %w", l.Addr(), net.ErrClosed)
			}
		}
	}
}

func isClosed(l net.Listener) bool {
	c, ok := l.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := c.SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}

// Sweep implements front.Driver.
func (d *Driver) Sweep() {
	for _, l := range d.loops {
		l.post((*loop).sweep)
	}
}

// Cut implements front.Driver.
func (d *Driver) Cut(which func(front.Session) bool) {
	for _, l := range d.loops {
		l.post(func(l *loop) { l.cut(which) })
	}
}

// Retire implements front.Driver.
func (d *Driver) Retire(t *front.Target) {
	for _, l := range d.loops {
		l.post(func(l *loop) { l.retire(t) })
	}
}

// Connections implements front.Driver.
func (d *Driver) Connections() int { return int(d.conns.Load()) }

// Close implements front.Driver.
func (d *Driver) Close() error {
	d.once.Do(func() {
		for _, l := range d.loops {
			l.post(func(l *loop) { l.over = true })
		}
		d.works.Wait()
	})
	return nil
}

// A door is a listening socket as one loop has it.
type door struct {
	endpoint
	loop  *loop
	terms *terms
	tcp   bool
	shut  bool
	later bool // out of descriptors: to be tried again
	// failed is told, once, when the socket takes no more connections.
	failed chan<- error
}

func (a *door) open() error {
	a.endpoint.timer = timer{owner: &a.endpoint, slot: -1}
	a.door = a
	a.loop.register(&a.endpoint)
	// Level-triggered: a loop takes one connection for each time it looks, so that the other loops get theirs.
	if err := a.loop.poll.add(a.fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE, a.slot, a.gen); err != nil {
		a.close()
		return err
	}
	return nil
}

func (a *door) close() {
	if a.shut {
		return
	}
	a.shut = true
	// The socket lives on elsewhere, and with it the kernel's watch on it.
	a.loop.poll.remove(a.fd) //nolint:errcheck // while it pauses it is not watched
	a.loop.forget(&a.endpoint)
	unix.Close(a.fd) //nolint:errcheck // a copy of the socket
}

// accept takes what waits, up to a few.
func (a *door) accept() {
	for range 8 {
		if !a.terms.room.Take() {
			a.pause(nil)
			return
		}
		fd, peer, err := accept(a.fd)
		if err != nil {
			a.terms.room.Leave()
		}
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case exhausted(err):
			a.pause(err)
			return
		case err != nil:
			a.close()
			a.failed <- err
			return
		}
		if a.tcp {
			noDelay(fd)
		}
		a.loop.open(fd, peer, a.terms)
	}
}

// pause stops taking connections for a moment: they wait in the kernel. err is what is wrong; nil where the room is full.
func (a *door) pause(err error) {
	if !a.later {
		a.loop.d.o.Paused(err)
		a.later = true
		a.loop.poll.remove(a.fd) //nolint:errcheck // then it is tried again at once
	}
	a.loop.wheel.arm(&a.timer, a.loop.now+int64(100*time.Millisecond))
}

func (a *door) resume() {
	a.later = false
	if err := a.loop.poll.add(a.fd, unix.EPOLLIN|unix.EPOLLEXCLUSIVE, a.slot, a.gen); err != nil && !errors.Is(err, syscall.EEXIST) {
		a.pause(err)
	}
}
