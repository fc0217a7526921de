package actor

import (
	"context"
	"fmt"
	"time"
)

// Info is what can be seen of a process from outside. It is taken between two callbacks.
type Info struct {
	PID       PID
	Label     string
	Status    Status
	Since     time.Time // its start
	Mailbox   int       // messages that wait
	Dropped   uint64    // messages that a bounded mailbox has dropped
	Messages  uint64    // messages handled so far: the reductions
	Links     []PID
	Monitors  int // processes it watches
	WatchedBy int // monitors on it, its supervisor's included
	OpenCalls int // calls taken and not answered yet
	TrapExit  bool
	Ancestors []string // who started it, nearest first
	Reason    Reason   // why it ended, when it has
}

// Status is what a process does at a moment.
type Status string

// The statuses of a process.
const (
	StatusStarting  Status = "starting"  // in Init
	StatusIdle      Status = "idle"      // waits for a message; it has no goroutine
	StatusBusy      Status = "busy"      // in a callback, or about to be
	StatusSuspended Status = "suspended" // takes messages and handles none
	StatusEnded     Status = "ended"
	StatusAbandoned Status = "abandoned" // killed, while a callback that does not return goes on
)

// Info never waits for the process: it also tells of one that is stuck.
func (id PID) Info() Info {
	p := id.p
	if p == nil {
		return Info{Status: StatusEnded, Reason: noProc}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.self.counts()
	i := Info{
		PID: id, Label: p.label, Status: p.status(), Since: p.since, Mailbox: n.waiting, Messages: p.handled + n.handled,
		Dropped: n.dropped, TrapExit: p.trap, Ancestors: p.kin.names(), Reason: p.reason,
	}
	for q := p.open; q != nil && p.phase != starting; q = q.next { // before that it is the start that is open
		i.OpenCalls++
	}
	if c := p.cold; c != nil {
		i.Monitors, i.WatchedBy = len(c.monitoring), len(c.watchers)+c.after.Len()
		for other := range c.links.All() {
			i.Links = append(i.Links, PID{other})
		}
	}
	return i
}

func (p *process) status() Status {
	switch {
	case p.phase == dead && p.active:
		return StatusAbandoned
	case p.phase == dead:
		return StatusEnded
	case p.suspended:
		return StatusSuspended
	case p.phase == starting:
		return StatusStarting
	case p.phase == busy:
		return StatusBusy
	}
	return StatusIdle
}

func (l *lineage) names() []string {
	var all []string
	for ; l != nil; l = l.up {
		all = append(all, l.name)
	}
	return all
}

// Suspend makes the process handle no message until Resume. It returns when the callback that runs has returned, so
// that nothing of it is in motion. Messages wait meanwhile; an exit ends it all the same.
func (id PID) Suspend(ctx context.Context) error {
	return id.control(ctx, func(p *process) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.suspended = true
		if p.exit == nil {
			p.exit = p.self.ordered()
		}
		return nil
	})
}

// Resume takes a Suspend back.
func (id PID) Resume(ctx context.Context) error {
	return id.control(ctx, func(p *process) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.suspended = false
		return nil
	})
}

// State calls look with the Server of the process, between two of its callbacks: nothing else touches it meanwhile, and
// look must not keep it. It is served before the messages that wait.
func (id PID) State(ctx context.Context, look func(server any)) error {
	if look == nil {
		return fmt.Errorf("%w: State wants a function that looks at the server", ErrInvalid)
	}
	return id.control(ctx, func(p *process) error {
		look(p.self.behaviour())
		return nil
	})
}

// ReplaceState puts another Server in the place of the one there is, between two callbacks. It must take the same
// messages.
func (id PID) ReplaceState(ctx context.Context, change func(server any) any) error {
	if change == nil {
		return fmt.Errorf("%w: ReplaceState wants a function that makes the next server", ErrInvalid)
	}
	return id.control(ctx, func(p *process) error { return p.self.replace(change(p.self.behaviour())) })
}

// control runs f in the goroutine of the process, between two callbacks and before the messages that wait, also when
// the process is suspended.
func (id PID) control(ctx context.Context, f func(*process) error) error {
	p := id.p
	switch {
	case p == nil:
		return ErrNoProc
	case ctx == nil:
		return fmt.Errorf("%w: want a context that says how long to wait", ErrInvalid)
	case caller(ctx) == p:
		return ErrCallingSelf
	case ctx.Err() != nil:
		return fmt.Errorf("control of %v: the context was over before it: %w", id, context.Cause(ctx))
	}
	w := &waiter{c: make(chan struct{}, 1)}
	q := &request{to: p, w: w}
	p.mu.Lock()
	switch p.phase {
	case dead:
		p.mu.Unlock()
		return ErrNoProc
	case starting:
		p.mu.Unlock()
		return fmt.Errorf("%v: %w", id, ErrNotRunning)
	}
	p.controls = append(p.controls, func() { q.serve(f) })
	p.alarm.Store(true)
	p.wake()
	select {
	case <-w.c:
	case <-ctx.Done():
		if q.state.CompareAndSwap(waiting, left) {
			return fmt.Errorf("%v is in a callback and does not answer: %w", id, context.Cause(ctx))
		}
		<-w.c
	}
	return q.err
}

// serve runs a control, unless nobody waits for it any more; a panic in it is the asker's, not the process's.
func (q *request) serve(f func(*process) error) {
	if !q.state.CompareAndSwap(waiting, settled) {
		return
	}
	done := false
	defer func() {
		if !done {
			q.err = panicked(recover())
		}
		q.w.c <- struct{}{}
	}()
	if !(PID{q.to}).Alive() {
		q.err, done = ErrNoProc, true
		return
	}
	q.err = f(q.to)
	done = true
}

func (s *Self[M]) behaviour() any { return s.server }

// counts are numbers that the typed half knows.
type counts struct {
	waiting int
	handled uint64 // of the batch in hand
	dropped uint64
}

func (s *Self[M]) counts() counts {
	c := counts{waiting: s.box.len()}
	if len(s.batch) > 0 {
		hand := int(s.hand.Load())
		c.waiting += max(len(s.batch)-hand-1, 0)
		c.handled = uint64(hand)
	}
	if s.box.bound != nil {
		c.dropped = s.box.bound.dropped
	}
	return c
}

func (s *Self[M]) replace(server any) error {
	next, ok := server.(Server[M])
	if !ok {
		return fmt.Errorf("%w: a %T does not take the messages of %v", ErrInvalid, server, s.String())
	}
	s.server = next
	return nil
}
