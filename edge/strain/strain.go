package strain

import (
	"context"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/room"
)

// A Strain is what one edge is short of. Its methods are safe for concurrent use.
type Strain struct {
	clients *room.Room
	limit   uint64 // of memory, in bytes; 0: none
	log     *slog.Logger
	count   func(error) // is told of each pause
	start   time.Time

	shedding atomic.Bool
	told     atomic.Int64 // when a pause was logged last, in nanoseconds since start; 0: never
}

// New looks what this process may have. count is told of each pause of a listener, as Paused is. Where no limit of memory is set, but its cgroup has one, the collector is given one
// below it.
func New(log *slog.Logger, count func(error)) *Strain {
	return &Strain{clients: room.New(clients(descriptors())), limit: memoryLimit(), log: log, count: count, start: time.Now()}
}

// Room is a room for the connections of one listener, of places places, 0 for any number, within that for all clients.
func (s *Strain) Room(places int) *room.Room { return s.clients.Part(places) }

// OfMemory reports whether there is so little memory left that requests are to be refused.
func (s *Strain) OfMemory() bool { return s.shedding.Load() }

// tellEvery is how often it is logged at most that connections wait.
const tellEvery = 10 * time.Second

// Paused says that a listener takes no connections for a moment, because of err; nil: as many are there as may be.
func (s *Strain) Paused(err error) {
	s.count(err)
	now := int64(time.Since(s.start))
	told := s.told.Load()
	if told != 0 && now-told < int64(tellEvery) || !s.told.CompareAndSwap(told, now) {
		return
	}
	if err != nil {
		s.log.Warn("no connection is taken for a moment: who comes waits in the kernel's queue", "error", err, "descriptors", descriptors())
		return
	}
	s.log.Warn("as many connections are open as may be: who comes waits in the kernel's queue", "descriptors", descriptors(),
		"hint", "raise the limit of descriptors (ulimit -n; LimitNOFILE= in a systemd unit), or the listener's connections")
}

// descriptors is how many this process may have open.
func descriptors() uint64 {
	var l unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &l) != nil {
		return 1024 // what POSIX systems begin with
	}
	return l.Cur
}

// clients is how many connections of clients fit so many descriptors: three quarters, and at least one.
func clients(descriptors uint64) int {
	const most = 1 << 30 // no machine has as many, and four times as many is a number still
	return int(max(min(descriptors, most)/4*3, 1))
}

// How often memory is looked at: seldom, while less than half of it is in use.
const (
	seldom = 250 * time.Millisecond
	often  = 25 * time.Millisecond
	// collectAfter is how long nothing was collected while requests are refused, until a collection is asked for: how much is
	// in use is known by collections only, and an edge that refuses everything allocates too little for the next one.
	collectAfter = time.Second
)

// Watch looks at memory until ctx ends.
func (s *Strain) Watch(ctx context.Context) error {
	if s.limit == 0 {
		<-ctx.Done()
		return nil
	}
	look := newLook()
	timer := time.NewTimer(seldom)
	defer timer.Stop()
	var cycles uint64
	collected := time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-timer.C:
			used, cycle := look.read()
			if cycle != cycles {
				cycles, collected = cycle, now
			}
			s.judge(used)
			if s.OfMemory() && now.Sub(collected) >= collectAfter {
				runtime.GC()
			}
			if used < s.limit/2 {
				timer.Reset(seldom)
			} else {
				timer.Reset(often)
			}
		}
	}
}

// judge decides by how many bytes are in use.
func (s *Strain) judge(used uint64) {
	was := s.OfMemory()
	is := sheds(was, used, s.limit)
	if was == is {
		return
	}
	s.shedding.Store(is)
	if is {
		s.log.Warn("memory is short: requests are refused until some of those under way have ended", "used", used, "limit", s.limit)
		return
	}
	s.log.Info("there is memory again: requests are taken", "used", used, "limit", s.limit)
}

// Shares of the limit, in percent, at which refusing begins and ends.
const (
	shedAt  = 85
	serveAt = 75
)

// sheds is whether requests are refused when so much of limit is used, and whether they were before.
func sheds(was bool, used, limit uint64) bool {
	at := limit / 100 * shedAt
	if was {
		at = limit / 100 * serveAt
	}
	return used >= at
}
