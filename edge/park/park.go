// Package park has connections wait without a goroutine each.
//
// A goroutine with its stack is most of what a connection costs on which nothing happens. A parked one costs an entry of
// a list: one epoll instance watches all of them, and one goroutine watches that. Whoever parks a connection is woken when
// it can be read, when its time has come, or when somebody wants it, and gives it a goroutine again.
//
// There are two ways to wait. A Spot is for a net.Conn that goes on being one: it comes to the lot and leaves it each time.
// A Socket is what is left of one that is used by nobody else any more, and is the lot's until it is closed.
package park

import (
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Never is when whoever waits for no time is due.
const Never int64 = math.MaxInt64

// A Sleeper is who waits.
type Sleeper interface {
	// Wake is called once for each Park or Await that succeeded. The lot or the socket is locked meanwhile: Wake starts a
	// goroutine, and does nothing else. It may be early: nothing may be there to be read.
	Wake()
}

// A Spot is where in a Lot somebody waits.
type Spot int32

// A Lot is a place for parked connections. Its methods may be called from any goroutine; those of a nil Lot do nothing.
type Lot struct {
	file   *os.File // the epoll instance
	raw    syscall.RawConn
	done   chan struct{}
	events [128]unix.EpollEvent // run's, as is n
	n      int
	start  time.Time // deadlines of sockets count from there

	mu    sync.Mutex // guards what follows
	epoll int        // file's descriptor; good until over
	spots []spot
	free  []Spot
	over  bool

	sockets []*Socket // by Socket.at; nil: vacant
	vacant  []int32
	gen     uint32 // of the newest of sockets
}

type spot struct {
	who Sleeper // nil: free
	fd  syscall.RawConn
	due int64
}

// Open makes a lot. It must be closed.
func Open() (*Lot, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("make an epoll instance for idle connections: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // so that package os has the scheduler wait for it
		return nil, errors.Join(fmt.Errorf("watch idle connections without a thread: %w", err), unix.Close(fd))
	}
	l := &Lot{file: os.NewFile(uintptr(fd), "idle connections"), epoll: fd, done: make(chan struct{}), start: time.Now()}
	if l.raw, err = l.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("watch idle connections: %w", err), l.file.Close())
	}
	go l.run()
	return l, nil
}

// Close wakes everybody; nobody can park from then on. Nothing of the lot runs any more when it returns.
func (l *Lot) Close() {
	if l == nil {
		return
	}
	l.mu.Lock()
	was := l.over
	if l.over = true; !was {
		l.wakeLocked(Never)
	}
	sockets := slices.Clone(l.sockets)
	l.mu.Unlock()
	if !was {
		for _, s := range sockets {
			if s != nil {
				s.happened(unix.EPOLLHUP)
			}
		}
		l.file.Close() //nolint:errcheck // nothing was written
	}
	<-l.done
}

func (l *Lot) run() {
	defer close(l.done)
	look := l.look // made once: it would be an allocation for each look
	b := make([]byte, 32<<10)
	for l.raw.Read(look) == nil {
		for _, e := range l.events[:l.n] {
			if e.Pad == 0 {
				l.leave(Spot(e.Fd))
			} else if s := l.find(e.Fd, uint32(e.Pad)); s != nil { //nolint:gosec // only compared
				if l.n > few || !s.promptly(b) {
					s.happened(e.Events)
				}
			}
		}
	}
}

// look takes events; where there are none it reports false. It runs within run.
func (l *Lot) look(fd uintptr) bool {
	n, err := unix.EpollWait(int(fd), l.events[:], 0)
	for errors.Is(err, unix.EINTR) {
		n, err = unix.EpollWait(int(fd), l.events[:], 0)
	}
	l.n = max(n, 0)
	return n > 0
}

// Park has who wait until there is something to read from fd, an end or an error included, or somebody wakes it; due is
// for WakeDue. It reports false, and calls nothing, if fd cannot be watched or the lot is closed. A descriptor that is
// closed is forgotten without a word: whoever closes it wakes the sleeper.
func (l *Lot) Park(who Sleeper, fd syscall.RawConn, due int64) (Spot, bool) {
	if l == nil {
		return 0, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return 0, false
	}
	at := Spot(len(l.spots)) //nolint:gosec // there are fewer descriptors
	if n := len(l.free); n > 0 {
		at = l.free[n-1]
		l.free = l.free[:n-1]
	} else {
		l.spots = append(l.spots, spot{})
	}
	if l.watchLocked(fd, unix.EPOLL_CTL_ADD, at) != nil {
		l.free = append(l.free, at)
		return 0, false
	}
	l.spots[at] = spot{who, fd, due}
	return at, true
}

func (l *Lot) watchLocked(of syscall.RawConn, op int, at Spot) (err error) {
	outer := of.Control(func(fd uintptr) {
		e := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(at)}
		err = unix.EpollCtl(l.epoll, op, int(fd), &e)
	})
	return errors.Join(err, outer)
}

func (l *Lot) leave(at Spot) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveLocked(at)
}

// leaveLocked wakes whoever waits at a spot. An event that comes late finds it free, or wakes somebody else too early.
func (l *Lot) leaveLocked(at Spot) {
	s := l.spots[at]
	if s.who == nil {
		return
	}
	l.spots[at] = spot{}
	l.free = append(l.free, at)
	l.watchLocked(s.fd, unix.EPOLL_CTL_DEL, at) //nolint:errcheck // a descriptor that was closed is gone from there already
	s.who.Wake()
}

// Wake wakes who, if it still waits at a spot.
func (l *Lot) Wake(who Sleeper, at Spot) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if int(at) < len(l.spots) && l.spots[at].who == who {
		l.leaveLocked(at)
	}
}

// WakeDue wakes all who are due by now.
func (l *Lot) WakeDue(now int64) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakeLocked(now)
}

func (l *Lot) wakeLocked(now int64) {
	for at := range l.spots {
		if l.spots[at].due <= now {
			l.leaveLocked(Spot(at)) //nolint:gosec // see Park
		}
	}
}

// Len is how many wait at a spot.
func (l *Lot) Len() int {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.spots) - len(l.free)
}
