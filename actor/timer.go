package actor

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Timer is a message that a process will send to itself.
type Timer struct {
	state   atomic.Int32
	stopped *atomic.Int64 // of its clock
}

const (
	timerWaits int32 = iota
	timerStopped
	timerSent
)

// Stop takes the message back, and reports whether that was in time. It may be called by any goroutine, more than once.
func (t *Timer) Stop() bool {
	if !t.state.CompareAndSwap(timerWaits, timerStopped) {
		return false
	}
	t.stopped.Add(1)
	return true
}

// After casts m to the process itself when d has passed; messages of the same moment come in the order in which After
// was called. Stop of the timer takes the message back if it has not been sent. A process that has ended meanwhile gets
// nothing.
func (s *Self[M]) After(d time.Duration, m M) *Timer {
	s.mu.Lock()
	if s.clock == nil {
		s.clock = &clock[M]{origin: time.Now()}
	}
	c := s.clock
	s.mu.Unlock()
	return c.after(s, d, m)
}

// A clock holds all messages that a process will send to itself, with one timer of the runtime for them all: a million
// of those would each cost a goroutine when it fires. Stopped messages stay in the queue until they are most of it.
type clock[M any] struct {
	origin  time.Time
	stopped atomic.Int64 // of queue, or about to be taken from it

	mu      sync.Mutex // guards the following
	queue   []alarm[M] // a heap of four children each, which lie side by side in memory
	called  uint64
	over    bool // the process has ended
	firing  bool // a goroutine is in fire, and will look again
	next    time.Duration
	runtime *time.Timer
}

type alarm[M any] struct {
	at    time.Duration // since origin
	n     uint64        // of the call, for those of the same moment
	entry *entry[M]
}

type entry[M any] struct {
	Timer
	m M
}

func (a *alarm[M]) before(b *alarm[M]) bool { return a.at < b.at || a.at == b.at && a.n < b.n }

func (c *clock[M]) after(s *Self[M], d time.Duration, m M) *Timer {
	at := time.Since(c.origin) + max(d, 0)
	e := &entry[M]{Timer: Timer{stopped: &c.stopped}, m: m}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return &e.Timer
	}
	if n := c.stopped.Load(); n > 64 && n > int64(len(c.queue)/2) {
		c.compact()
	}
	c.called++
	c.push(alarm[M]{at: at, n: c.called, entry: e})
	switch {
	case c.firing:
	case c.runtime == nil:
		c.next = at
		c.runtime = time.AfterFunc(max(d, 0), func() { c.fire(s) })
	case at < c.next:
		c.next = at
		c.runtime.Reset(max(d, 0))
	}
	return &e.Timer
}

// fire sends what is due.
func (c *clock[M]) fire(s *Self[M]) {
	c.mu.Lock()
	if c.firing { // a Reset came while the one before fired
		c.mu.Unlock()
		return
	}
	c.firing = true
	var due []*entry[M]
	for {
		now := time.Since(c.origin)
		due = due[:0]
		for len(c.queue) > 0 && c.queue[0].at <= now {
			e := c.pop().entry
			if e.state.CompareAndSwap(timerWaits, timerSent) {
				due = append(due, e)
			} else {
				c.stopped.Add(-1)
			}
		}
		if len(due) == 0 {
			break
		}
		c.mu.Unlock()
		for i, e := range due {
			due[i] = nil
			if s.put(context.Background(), envelope[M]{m: e.m}) == ErrNoProc { //nolint:errorlint // put returns it bare
				c.drop()
				return
			}
		}
		c.mu.Lock()
	}
	c.firing = false
	if c.over || len(c.queue) == 0 {
		c.queue, c.runtime = nil, nil
	} else {
		c.next = c.queue[0].at
		c.runtime.Reset(c.next - time.Since(c.origin))
	}
	c.mu.Unlock()
}

// drop forgets everything: the process has ended.
func (c *clock[M]) drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue, c.firing, c.over = nil, false, true
	if c.runtime != nil {
		c.runtime.Stop()
	}
}

// compact forgets what was stopped.
func (c *clock[M]) compact() {
	all := c.queue
	c.queue = make([]alarm[M], 0, len(all)/2+1)
	for _, a := range all {
		if a.entry.state.Load() == timerWaits {
			c.push(a)
		} else {
			c.stopped.Add(-1)
		}
	}
}

func (c *clock[M]) push(a alarm[M]) {
	c.queue = append(c.queue, a)
	i := len(c.queue) - 1
	for i > 0 {
		up := (i - 1) / 4
		if !a.before(&c.queue[up]) {
			break
		}
		c.queue[i] = c.queue[up]
		i = up
	}
	c.queue[i] = a
}

func (c *clock[M]) pop() alarm[M] {
	q := c.queue
	first, last := q[0], q[len(q)-1]
	q[len(q)-1] = alarm[M]{}
	q = q[:len(q)-1]
	c.queue = q
	i := 0
	for {
		least := 4*i + 1
		if least >= len(q) {
			break
		}
		for j := least + 1; j < min(4*i+5, len(q)); j++ {
			if q[j].before(&q[least]) {
				least = j
			}
		}
		if !q[least].before(&last) {
			break
		}
		q[i] = q[least]
		i = least
	}
	if len(q) > 0 {
		q[i] = last
	}
	return first
}
