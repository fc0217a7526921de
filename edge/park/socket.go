package park

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrAgain says that a Socket has nothing to be read, or its peer takes no more, now.
var ErrAgain = errors.New("the socket has nothing to be read, or takes no more, for now: wait for it")

// A Socket is a stream socket of which only the descriptor is left. The runtime's poller, a net.Conn and its addresses are
// several times what a Socket is, and one that waits for hours needs none of them: its lot watches it.
//
// One goroutine reads and one writes at a time; all else may be called from any goroutine. Its owner is woken once for
// each Await that succeeded: when there is something to read, an end and an error included, by Wake, and by Close. Nothing
// but Take may be asked of the zero Socket.
type Socket struct {
	lot   *Lot
	owner Sleeper

	mu      sync.Mutex // guards what follows
	fd      int32
	at      int32  // in lot.sockets
	gen     uint32 // of events for it; 0: it was never open
	users   int8   // calls to the kernel that are under way
	waits   bool   // the owner is to be woken
	closed  bool
	writer  chan struct{} // buffered, 1: rung when something can be written; nil when nobody waits for that
	writeBy int64         // since lot.start; 0: no deadline
}

// Take makes s the socket of c, and closes c: nothing of what c is made of is needed any more. If it reports false,
// nothing has changed.
func (l *Lot) Take(s *Socket, c net.Conn, owner Sleeper) bool {
	raw := streamOf(c)
	if l == nil || raw == nil {
		return false
	}
	fd, err := -1, error(nil)
	outer := raw.Control(func(of uintptr) { fd, err = unix.FcntlInt(of, unix.F_DUPFD_CLOEXEC, 0) })
	if err != nil || outer != nil {
		return false
	}
	s.lot, s.owner, s.fd = l, owner, int32(fd) //nolint:gosec // a descriptor
	if !l.enter(s) {
		unix.Close(fd) //nolint:errcheck // a copy
		return false
	}
	c.Close() //nolint:errcheck // the copy keeps the socket open
	return true
}

// streamOf is the descriptor of c, if it is nothing but a socket; else nil.
func streamOf(c net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	switch c := c.(type) {
	case *net.TCPConn:
		raw, _ = c.SyscallConn() //nolint:errcheck // then it is nil
	case *net.UnixConn:
		raw, _ = c.SyscallConn() //nolint:errcheck // then it is nil
	}
	return raw
}

// enter has the kernel watch s, for nothing yet: later it cannot refuse to.
func (l *Lot) enter(s *Socket) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	s.at = int32(len(l.sockets)) //nolint:gosec // there are fewer descriptors
	n := len(l.vacant)
	if n > 0 {
		s.at = l.vacant[n-1]
	}
	l.gen = max(l.gen+1, 1)
	s.gen = l.gen
	if s.watch(unix.EPOLL_CTL_ADD, 0) != nil {
		s.gen = 0
		return false
	}
	if n == 0 {
		l.sockets = append(l.sockets, s)
		return true
	}
	l.vacant, l.sockets[s.at] = l.vacant[:n-1], s
	return true
}

// quit forgets s.
func (l *Lot) quit(s *Socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sockets[s.at] = nil
	l.vacant = append(l.vacant, s.at)
}

// find is whom an event is for; nil if it comes too late.
func (l *Lot) find(at int32, gen uint32) *Socket {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.sockets[at]; s != nil && s.gen == gen {
		return s
	}
	return nil
}

func (s *Socket) watch(op int, events uint32) error {
	e := unix.EpollEvent{Events: events | unix.EPOLLONESHOT, Fd: s.at, Pad: int32(s.gen)} //nolint:gosec // only compared
	return unix.EpollCtl(s.lot.epoll, op, int(s.fd), &e)
}

// watchLocked has the kernel tell of what is waited for. It reports false if it cannot: nobody would be woken.
func (s *Socket) watchLocked() bool {
	var events uint32
	if s.waits {
		events = unix.EPOLLIN | unix.EPOLLRDHUP
	}
	if s.writer != nil {
		events |= unix.EPOLLOUT
	}
	if events == 0 {
		return true
	}
	s.lot.mu.Lock() // by which epoll stays open; the kernel lets only one at a time change what it watches as well
	defer s.lot.mu.Unlock()
	return !s.lot.over && s.watch(unix.EPOLL_CTL_MOD, events) == nil
}

// A Prompt is an owner of a Socket that does what can be done at once without a goroutine of its own.
type Prompt interface {
	Sleeper
	// Ready is called instead of Wake where there is something to be read, in the lot's goroutine: it must not wait. b is
	// for what it reads, and not its own afterwards.
	Ready(b []byte)
}

// few is up to how many events at one time the lot deals with those who are prompt by itself. Of more, whoever is woken
// gets a goroutine, so that all processors have a share.
const few = 4

// promptly has a prompt owner do what can be done; it reports false where there is none who waits.
func (s *Socket) promptly(b []byte) bool {
	p, ok := s.owner.(Prompt)
	if !ok {
		return false
	}
	s.mu.Lock()
	ok = s.waits && !s.closed && s.writer == nil
	s.waits = s.waits && !ok
	s.mu.Unlock()
	if ok {
		p.Ready(b)
	}
	return ok
}

// happened tells those who wait for it.
func (s *Socket) happened(events uint32) {
	const fault = unix.EPOLLERR | unix.EPOLLHUP
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	if events&(unix.EPOLLIN|unix.EPOLLRDHUP|fault) != 0 {
		s.wakeLocked()
	}
	if events&(unix.EPOLLOUT|fault) != 0 {
		s.ringLocked()
	}
	if !s.watchLocked() {
		s.wakeLocked()
		s.ringLocked()
	}
}

func (s *Socket) wakeLocked() {
	if s.waits {
		s.waits = false
		s.owner.Wake()
	}
}

func (s *Socket) ringLocked() {
	if s.writer != nil {
		s.writer <- struct{}{}
		s.writer = nil
	}
}

// Await has the owner woken. It reports false, and wakes nobody, if the socket or the lot is closed.
func (s *Socket) Await() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.waits = true
	s.waits = s.watchLocked()
	return s.waits
}

// Wake wakes the owner, if it waits.
func (s *Socket) Wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakeLocked()
}

// use keeps the descriptor from being closed, and so from being another's, until leave.
func (s *Socket) use() (fd int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return -1, false
	}
	s.users++
	return int(s.fd), true
}

func (s *Socket) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.closed && s.users == 0 {
		unix.Close(int(s.fd)) //nolint:errcheck // nothing is to be saved
	}
}

// Close closes the socket. Whoever waits is woken, and finds it closed.
func (s *Socket) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return net.ErrClosed
	}
	s.closed = true
	s.lot.quit(s)
	if s.users == 0 {
		unix.Close(int(s.fd)) //nolint:errcheck // nothing is to be saved
	}
	s.wakeLocked()
	s.ringLocked()
	return nil
}

// Read takes what is there, and never waits: where nothing is, that is ErrAgain.
func (s *Socket) Read(p []byte) (int, error) {
	fd, ok := s.use()
	if !ok {
		return 0, net.ErrClosed
	}
	defer s.leave()
	for {
		n, err := unix.Read(fd, p)
		switch {
		case n > 0:
			return n, nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return 0, ErrAgain
		case err != nil:
			return 0, os.NewSyscallError("read", err)
		default:
			return 0, io.EOF
		}
	}
}

// Write writes all of p, and waits until the peer takes it.
func (s *Socket) Write(p []byte) (n int, err error) {
	for n < len(p) {
		m, err := s.write(p[n:])
		n += m
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			if err := s.await(); err != nil {
				return n, err
			}
		case err != nil:
			return n, err
		}
	}
	return n, nil
}

// TryWrite writes what the peer takes now; ErrAgain says that it is less than p.
func (s *Socket) TryWrite(p []byte) (int, error) {
	n, err := s.write(p)
	if err == nil && n < len(p) || errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
		err = ErrAgain
	}
	return n, err
}

func (s *Socket) write(p []byte) (int, error) {
	fd, ok := s.use()
	if !ok {
		return 0, net.ErrClosed
	}
	defer s.leave()
	n, err := unix.Write(fd, p)
	return max(n, 0), os.NewSyscallError("write", err)
}

// await waits until something can be written, the deadline, or the end.
func (s *Socket) await() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	rung := make(chan struct{}, 1)
	s.writer = rung
	if !s.watchLocked() {
		s.writer = nil
		s.mu.Unlock()
		return net.ErrClosed
	}
	by := s.writeBy
	s.mu.Unlock()
	if by == 0 {
		<-rung
		return nil
	}
	t := time.NewTimer(time.Until(s.lot.start.Add(time.Duration(by))))
	defer t.Stop()
	select {
	case <-rung:
		return nil
	case <-t.C:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writer == rung {
		s.writer = nil
	}
	return os.ErrDeadlineExceeded
}

// SetWriteDeadline bounds the Writes that begin later.
func (s *Socket) SetWriteDeadline(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writeBy = 0
	if !at.IsZero() {
		s.writeBy = max(int64(at.Sub(s.lot.start)), 1)
	}
	return nil
}

// CloseWrite ends what is sent and leaves what is received.
func (s *Socket) CloseWrite() error {
	fd, ok := s.use()
	if !ok {
		return net.ErrClosed
	}
	defer s.leave()
	return os.NewSyscallError("shutdown", unix.Shutdown(fd, unix.SHUT_WR))
}
