package openloop

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"semper/bench/load"
)

// Options of a run.
type Options struct {
	Address     string        // IPv4 address and port
	Request     []byte        // one whole request
	Rate        float64       // requests a second, on average
	Duration    time.Duration // of the timetable
	Connections int           // how many requests may be under way
	Seed        uint64        // of the timetable
	Grace       time.Duration // how long after the timetable's end answers are waited for
}

// A Result is what came of a run. Latencies of failed requests are in it too.
type Result struct {
	Sent      uint64          // requests of the timetable
	Failed    uint64          // of them: no answer, or not a good one
	Corrected *load.Histogram // from when the request was due
	Service   *load.Histogram // from when it was sent: what a closed loop would tell
	Lag       *load.Histogram // how late the generator sent, a connection being free: its own fault
	Err       error           // the first failure's reason
}

// Run sends o.Request on its timetable and returns when every answer is there or o.Grace is over. It uses the calling goroutine's thread.
// The error is one of the run itself; that of a request is in the result.
func Run(ctx context.Context, o Options) (Result, error) {
	to, err := netip.ParseAddrPort(o.Address)
	if err != nil || !to.Addr().Is4() {
		return Result{}, fmt.Errorf("the open loop wants an IPv4 address and a port, not %q", o.Address)
	}
	if o.Rate <= 0 || o.Connections < 1 {
		return Result{}, fmt.Errorf("the open loop wants a rate and connections, not %v and %d", o.Rate, o.Connections)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := &loop{to: &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}, request: o.Request, timer: -1, poll: -1}
	defer l.close()
	if err := l.open(o.Connections); err != nil {
		return Result{}, err
	}
	l.book = newBook(NewTimetable(o.Rate, o.Duration, o.Seed), o.Connections)
	return l.run(ctx, o.Duration+o.Grace)
}

// A loop is the connections of one run and the thread that waits for them. Only its goroutine touches it.
type loop struct {
	to          *unix.SockaddrInet4
	request     []byte
	book        *book
	poll, timer int
	fds         []int
	answers     []answer
	buf         [64 << 10]byte
	began       time.Time
	armed       time.Duration // what the timer is set to; 0: nothing
	failure     error
}

// timerTag is the timer among the indexes of connections.
const timerTag = -1

func (l *loop) open(connections int) (err error) {
	if l.poll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("epoll_create1: %w", err)
	}
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return fmt.Errorf("timerfd_create: %w", err)
	}
	if err := unix.EpollCtl(l.poll, unix.EPOLL_CTL_ADD, l.timer, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: timerTag}); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	l.answers = make([]answer, connections)
	for c := range connections {
		l.fds = append(l.fds, -1)
		if err := l.connect(c); err != nil {
			return err
		}
	}
	return nil
}

// connect opens connection c, again when it was open.
func (l *loop) connect(c int) error {
	if l.fds[c] >= 0 {
		unix.Close(l.fds[c])
	}
	l.answers[c] = answer{head: l.answers[c].head[:0]}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	l.fds[c] = fd
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	if err := unix.Connect(fd, l.to); err != nil {
		return fmt.Errorf("connect to port %d: %w", l.to.Port, err)
	}
	return errors.Join(unix.SetNonblock(fd, true), unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.EpollCtl(l.poll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(c)}))
}

func (l *loop) close() {
	for _, fd := range append(l.fds, l.timer, l.poll) {
		if fd >= 0 {
			unix.Close(fd)
		}
	}
}

func (l *loop) now() time.Duration { return time.Since(l.began) }

func (l *loop) run(ctx context.Context, limit time.Duration) (Result, error) {
	l.began = time.Now()
	events := make([]unix.EpollEvent, 256)
	for !l.book.finished() && l.now() < limit {
		if err := ctx.Err(); err != nil {
			return Result{}, err
		}
		for {
			c, ok := l.book.send(l.now())
			if !ok {
				break
			}
			if err := l.write(c); err != nil {
				return Result{}, err
			}
		}
		if err := l.arm(); err != nil {
			return Result{}, err
		}
		n, err := unix.EpollWait(l.poll, events, 100) // so often ctx and the limit are looked at
		if err != nil && !errors.Is(err, unix.EINTR) {
			return Result{}, fmt.Errorf("epoll_wait: %w", err)
		}
		for _, e := range events[:max(n, 0)] {
			if err := l.event(int(e.Fd)); err != nil {
				return Result{}, err
			}
		}
	}
	r := l.book.close(l.now())
	r.Err = l.failure
	return r, nil
}

// write sends the request on c. It is small, so that a socket that does not take it at once has a fault.
func (l *loop) write(c int) error {
	n, err := unix.Write(l.fds[c], l.request)
	if err == nil && n < len(l.request) {
		err = unix.EAGAIN
	}
	if err != nil {
		return l.failed(c, fmt.Errorf("send a request: %w", err))
	}
	return nil
}

// arm sets the timer to when the next request is due.
func (l *loop) arm() error {
	at, ok := l.book.wake()
	if !ok || at == l.armed {
		return nil
	}
	l.armed = at
	in := max(at-l.now(), 1) // 0 would disarm it
	if err := unix.TimerfdSettime(l.timer, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(in))}, nil); err != nil {
		return fmt.Errorf("timerfd_settime: %w", err)
	}
	return nil
}

func (l *loop) event(c int) error {
	if c == timerTag {
		_, _ = unix.Read(l.timer, l.buf[:8]) // only to make it quiet
		return nil
	}
	n, err := unix.Read(l.fds[c], l.buf[:])
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return l.failed(c, fmt.Errorf("read an answer: %w", err))
	case n == 0:
		return l.failed(c, errors.New("the connection was closed"))
	case !l.book.carry[c].busy:
		return l.failed(c, fmt.Errorf("%d bytes came that nobody had asked for", n))
	}
	done, err := l.answers[c].take(l.buf[:n])
	if err != nil {
		return l.failed(c, err)
	}
	if done {
		l.book.answered(c, l.now(), true)
	}
	return nil
}

// failed ends what c carries, keeps the first reason, and opens the connection anew.
func (l *loop) failed(c int, why error) error {
	if l.failure == nil {
		l.failure = why
	}
	l.book.answered(c, l.now(), false)
	return l.connect(c)
}
