package server

import (
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// lookEvery is how often it is looked whether the client of a request that takes its time is there.
const lookEvery = 250 * time.Millisecond

// expireTurns is in how many such turns it is looked for idle connections whose time has come.
const expireTurns = 4

// A janitor is the one goroutine of a server that belongs to no connection.
type janitor struct {
	over chan struct{}
	done chan struct{}
	bell chan struct{} // buffered, 1
	fd   [1]unix.PollFd
	hung bool
	look func(fd uintptr)

	mu   sync.Mutex // guards what follows
	todo []func()
}

func (j *janitor) start(s *Server) {
	j.over, j.done, j.bell = make(chan struct{}), make(chan struct{}), make(chan struct{}, 1)
	j.look = j.poll
	go j.run(s)
}

func (j *janitor) stop() {
	close(j.over)
	<-j.done
}

// post has f done soon, in the janitor's goroutine: whoever asks may hold locks that a Session wants.
func (j *janitor) post(f func()) {
	j.mu.Lock()
	j.todo = append(j.todo, f)
	j.mu.Unlock()
	select {
	case j.bell <- struct{}{}:
	default:
	}
}

func (j *janitor) run(s *Server) {
	defer close(j.done)
	t := time.NewTicker(lookEvery)
	defer t.Stop()
	for turn := 0; ; {
		select {
		case <-j.over:
			return
		case <-j.bell:
			j.mu.Lock()
			todo := j.todo
			j.todo = nil
			j.mu.Unlock()
			for _, f := range todo {
				f()
			}
		case <-t.C:
			turn++
			j.watch(s, turn)
			if turn%expireTurns == 0 {
				s.parked.WakeDue(s.now())
				s.streams.Sweep()
			}
			if s.swept.Load() && s.Connections() > 0 {
				s.sweepH2() // those that came since
			}
		}
	}
}

// watch looks for clients that have reset their connection while a request of theirs is under way. What is young is not
// looked at, for most requests end young; what is old, a stream, is in every fourth turn.
func (j *janitor) watch(s *Server, turn int) {
	now := s.now()
	s.eachBusy(func(shard int, c *conn) {
		age := now - c.since
		if age < int64(lookEvery) || age > 20*int64(lookEvery) && (turn+shard)%4 != 0 || c.raw == nil {
			return
		}
		j.hung, j.fd[0].Events = false, 0
		if c.held.Load() { // for its turn, in a place that others may want
			j.fd[0].Events = unix.POLLRDHUP
		}
		if c.raw.Control(j.look) == nil && j.hung {
			c.interrupt(markGone)
		}
	})
}

// poll asks for nothing, and so is told only of an error and of an end in both directions. A client that has ended only
// what it sends is there, and waits; unless it waits for its turn, where it is taken to have given up.
func (j *janitor) poll(fd uintptr) {
	j.fd[0].Fd, j.fd[0].Revents = int32(fd), 0 //nolint:gosec // a descriptor
	n, err := unix.Poll(j.fd[:], 0)
	j.hung = err == nil && n > 0 && j.fd[0].Revents&(unix.POLLERR|unix.POLLHUP|unix.POLLRDHUP) != 0
}
