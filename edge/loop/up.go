package loop

import (
	"cmp"
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/front"
)

// An up is a connection to a target.
type up struct {
	endpoint
	loop   *loop
	target *front.Target
	pool   *pool
	flow   *flow // nil while it is idle, or
	sub    *sub

	connecting bool
	reused     bool
	dead       bool

	prev, next *up // of the idle ones, by their last use
}

// A pool is what one loop has of one target.
type pool struct {
	sa    unix.Sockaddr
	bad   error // the address is none
	last  *up   // the idle one that was used last
	first *up   // the one that was idle longest
	idle  int
	gone  bool // the target is retired
}

func (l *loop) pool(t *front.Target) *pool {
	p := l.pools[t]
	if p == nil {
		p = new(pool)
		p.sa, p.bad = sockaddr(t.Network, t.Address)
		l.pools[t] = p
	}
	return p
}

// idle takes the one that was used last: the others may grow old and go.
func (p *pool) take() *up {
	u := p.last
	if u != nil {
		p.drop(u)
	}
	return u
}

func (p *pool) drop(u *up) {
	if u.prev != nil {
		u.prev.next = u.next
	} else {
		p.first = u.next
	}
	if u.next != nil {
		u.next.prev = u.prev
	} else {
		p.last = u.prev
	}
	u.prev, u.next = nil, nil
	p.idle--
}

// rest makes u idle.
func (u *up) rest() {
	p, l := u.pool, u.loop
	if p.gone || u.ended || l.over {
		u.close()
		return
	}
	u.flow, u.reused = nil, true
	u.prev, u.next = p.last, nil
	if p.last != nil {
		p.last.next = u
	} else {
		p.first = u
	}
	p.last = u
	l.wheel.arm(&u.timer, l.now+int64(cmp.Or(u.target.IdleFor, l.d.o.IdleTarget)))
	if p.idle++; p.idle > cmp.Or(u.target.Idle, l.d.o.IdleTargets) {
		oldest := p.first
		oldest.close()
	}
}

// dial begins a connection to t, for whom it is given to.
func (l *loop) dial(t *front.Target) (*up, error) {
	p := l.pool(t)
	if p.bad != nil {
		return nil, p.bad
	}
	fd, done, err := connect(p.sa)
	for exhausted(err) && l.spare() {
		fd, done, err = connect(p.sa)
	}
	if err != nil {
		return nil, err
	}
	u := &up{loop: l, target: t, pool: p, connecting: !done}
	u.endpoint = endpoint{fd: fd, up: u, timer: timer{owner: &u.endpoint, slot: -1}, writable: done}
	l.register(&u.endpoint)
	if err := l.poll.add(fd, watched, u.slot, u.gen); err != nil {
		u.close()
		return nil, err
	}
	return u, nil
}

// spare closes an idle connection, if there is one, for one that is needed more.
func (l *loop) spare() bool {
	for _, p := range l.pools {
		if u := p.first; u != nil {
			u.close()
			return true
		}
	}
	return false
}

func (u *up) event(events uint32) {
	switch {
	case u.flow == nil && u.sub == nil: // idle: whatever comes now belongs to nothing
		if u.readable {
			u.close()
		}
	case u.connecting:
		u.connected(events)
	case u.sub != nil:
		u.sub.progress()
	default:
		u.flow.progress()
	}
}

func (u *up) connected(events uint32) {
	e, err := unix.GetsockoptInt(u.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	switch {
	case err != nil:
		u.failed(err)
	case e != 0:
		u.failed(unix.Errno(e))
	case events&unix.EPOLLOUT != 0:
		u.connecting = false
		u.readable = events&(unix.EPOLLIN|unix.EPOLLRDHUP|unix.EPOLLHUP) != 0
		if u.sub != nil {
			u.sub.transmit()
		} else {
			u.flow.connected()
		}
	}
}

// failed: there will be no connection.
func (u *up) failed(err error) {
	if u.sub != nil {
		u.sub.end(err)
		return
	}
	u.flow.failed(front.Failure{Kind: front.ConnectFailed, Unsent: true, Err: err})
}

var (
	errConnectTime = errors.New("the target did not take the connection in time")
	errNoResponse  = errors.New("the target did not answer in time")
)

func (u *up) expired() {
	switch {
	case u.flow == nil && u.sub == nil:
		u.close()
	case u.connecting:
		u.failed(errConnectTime)
	case u.sub != nil:
		u.sub.end(errNoResponse)
	default:
		u.flow.slowTarget()
	}
}

// gone reports whether the peer of an idle connection has closed it, or said something, since it was used last.
func (u *up) gone() bool {
	var one [1]byte
	_, errno := peek(u.fd, one[:])
	return errno != unix.EAGAIN
}

func (u *up) arm(d time.Duration) {
	u.timer.at = 0
	if d > 0 {
		u.loop.wheel.arm(&u.timer, u.loop.now+int64(d))
	}
}

func (u *up) close() {
	if u.dead {
		return
	}
	u.dead = true
	if u.flow == nil && (u.prev != nil || u.next != nil || u.pool.first == u) {
		u.pool.drop(u)
	}
	u.flow = nil
	u.loop.forget(&u.endpoint)
	unix.Close(u.fd) //nolint:errcheck // there is nothing to do about it
}

// retire closes the idle connections to t.
func (l *loop) retire(t *front.Target) {
	p := l.pools[t]
	if p == nil {
		return
	}
	p.gone = true
	for p.first != nil {
		p.first.close()
	}
	delete(l.pools, t)
}
