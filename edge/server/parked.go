package server

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// parked are the idle connections that have no goroutine: a goroutine is more than half of what an idle connection costs.
// One epoll instance watches them all, and one goroutine watches that. A connection is parked when it has been idle for a
// while, so that none is that comes and goes.
type parked struct {
	file   *os.File // the epoll instance; nil: nobody is parked
	raw    syscall.RawConn
	done   chan struct{}
	take   func(fd uintptr) bool
	events [128]unix.EpollEvent
	n      int // of events

	mu    sync.Mutex // guards what follows
	spots []spot
	free  []int32
	over  bool
}

// A spot is one connection, and when it has been idle for long enough.
type spot struct {
	c     *conn // nil: free
	until int64
}

func (p *parked) start(s *Server) {
	p.done, p.take = make(chan struct{}), p.look
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err == nil {
		err = unix.SetNonblock(fd, true) // so that package os has the scheduler wait for it
	}
	if err != nil {
		s.o.Log.Warn("idle connections keep their goroutines", "error", err)
		close(p.done)
		return
	}
	p.file = os.NewFile(uintptr(fd), "idle connections")
	if p.raw, err = p.file.SyscallConn(); err != nil {
		s.o.Log.Warn("idle connections keep their goroutines", "error", err)
	}
	go p.run()
}

func (p *parked) stop() {
	if p.file != nil {
		p.file.Close()
	}
	<-p.done
}

func (p *parked) run() {
	defer close(p.done)
	for p.raw != nil && p.raw.Read(p.take) == nil {
		for _, e := range p.events[:p.n] {
			p.leave(e.Fd)
		}
	}
}

// look takes events; where there are none it reports false. It runs within run.
func (p *parked) look(fd uintptr) bool {
	n, err := unix.EpollWait(int(fd), p.events[:], 0)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.EpollWait(int(fd), p.events[:], 0)
	}
	p.n = max(n, 0)
	return n > 0
}

// park takes c from its goroutine, which ends. It reports false when c has to stay: it cannot be watched, or is to be
// closed.
func (p *parked) park(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over || p.file == nil || p.raw == nil || c.raw == nil || c.server.swept.Load() {
		return false
	}
	at := int32(len(p.spots)) //nolint:gosec // there are fewer descriptors
	if n := len(p.free); n > 0 {
		at = p.free[n-1]
		p.free = p.free[:n-1]
	} else {
		p.spots = append(p.spots, spot{})
	}
	p.spots[at] = spot{c: c, until: c.idleUntil}
	if p.watch(c, unix.EPOLL_CTL_ADD, at) != nil {
		p.spots[at] = spot{}
		p.free = append(p.free, at)
		return false
	}
	return true
}

func (p *parked) watch(c *conn, op int, at int32) (err error) {
	e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: at}
	outer := p.raw.Control(func(epfd uintptr) {
		inner := c.raw.Control(func(fd uintptr) { err = unix.EpollCtl(int(epfd), op, int(fd), &e) })
		err = errors.Join(err, inner)
	})
	return errors.Join(err, outer)
}

// leave gives the connection at a spot a goroutine again. An event that comes late finds the spot free, or wakes another
// connection too early, which goes back.
func (p *parked) leave(at int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.leaveLocked(at)
}

func (p *parked) leaveLocked(at int32) {
	c := p.spots[at].c
	if c == nil {
		return
	}
	p.spots[at] = spot{}
	p.free = append(p.free, at)
	p.watch(c, unix.EPOLL_CTL_DEL, at) //nolint:errcheck // a descriptor that was closed is gone from there already
	go c.resume()
}

// leaveAll gives all of them a goroutine whose time has come by until.
func (p *parked) leaveAll(until int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for at := range p.spots {
		if p.spots[at].until <= until {
			p.leaveLocked(int32(at)) //nolint:gosec // see park
		}
	}
}

// close ends the parking. Nobody is parked any more when it returns.
func (p *parked) close() {
	p.mu.Lock()
	p.over = true
	p.mu.Unlock()
	p.leaveAll(1<<63 - 1)
}

// count is how many there are.
func (p *parked) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.spots) - len(p.free)
}
