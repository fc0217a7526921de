package supervise

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

// mailbox is where everything reaches the loop, in one order. Putting never blocks.
type mailbox struct {
	mu    sync.Mutex // guards items
	items []input
	wake  chan struct{} // readable when items may not be empty
}

func (m *mailbox) put(in input) {
	m.mu.Lock()
	m.items = append(m.items, in)
	m.mu.Unlock()
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// take swaps what has come for an empty slice to fill.
func (m *mailbox) take(empty []input) []input {
	m.mu.Lock()
	defer m.mu.Unlock()
	items := m.items
	m.items = empty[:0]
	return items
}

// An incarnation is one start and the child that came of it. Its goroutine calls the StartFunc and then watches the
// child, so that every call into a child is made where blocking hurts nobody else.
type incarnation struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	child  Child         // written before answered is put, read after it is taken
	asks   chan verb     // doShutdown, doKill; one of each fits
	free   chan struct{} // the supervisor's released
}

// run is the supervisor's goroutine. It performs what the core decides, and never waits for a child.
func (s *Supervisor) run() {
	defer close(s.gone)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	defer timer.Stop()
	var batch []input
	for {
		select {
		case <-s.box.wake:
		case <-timer.C:
			s.step(tick{})
		case <-s.released:
			s.letGo()
			return
		}
		batch = s.box.take(batch)
		for i, in := range batch {
			batch[i] = nil
			s.step(in)
		}
		if s.ended() {
			s.works.Wait()
			close(s.done)
			return
		}
		if at, ok := s.core.next(); ok {
			timer.Reset(time.Until(at))
		} else {
			timer.Stop()
		}
	}
}

// step lets the core decide, tells the observer, and performs, in this order: an end is observed before the next
// incarnation can be.
func (s *Supervisor) step(in input) {
	s.mu.Lock()
	events, commands := s.core.step(time.Now(), in)
	for _, c := range commands {
		if c.verb == doStart {
			c.kid.run = s.incarnation()
		}
	}
	s.mu.Unlock()
	if s.observe != nil {
		for _, e := range events {
			s.observe(e)
		}
	}
	for _, c := range commands {
		s.perform(c)
	}
}

func (s *Supervisor) perform(c command) {
	switch c.verb {
	case doStart:
		k, run := c.kid, c.kid.run
		start := k.spec.Start
		s.works.Go(func() { s.live(k, c.n, run, start) })
	case doCancel:
		c.kid.run.cancel(c.err)
	case doShutdown, doKill:
		select {
		case c.kid.run.asks <- c.verb:
		default: // the same has been asked already
		}
	case doRetry:
		s.box.put(retry{kid: c.kid, n: c.n})
	case doAnswer:
		c.call.ret <- c.err
	}
}

func (s *Supervisor) incarnation() *incarnation {
	ctx, cancel := context.WithCancelCause(s.base)
	return &incarnation{ctx: ctx, cancel: cancel, asks: make(chan verb, 2), free: s.released}
}

// live is the goroutine of one incarnation.
func (s *Supervisor) live(k *kid, n int, run *incarnation, start StartFunc) {
	err := run.start(start, func(err error) { s.box.put(answered{kid: k, n: n, err: err}) })
	if err != nil {
		return
	}
	for {
		select {
		case <-run.child.Done():
			s.box.put(ended{kid: k, n: n, reason: run.child.Reason()})
			return
		case what := <-run.asks:
			if what == doKill {
				run.child.Kill()
			} else {
				run.child.Shutdown()
			}
		case <-run.free:
			return
		}
	}
}

// start calls the StartFunc and tells the outcome, whatever it is: a panic is a failed start, as an exception is in
// OTP, and so is the end of the goroutine.
func (run *incarnation) start(start StartFunc, tell func(error)) (err error) {
	err = errors.New("the start ended its goroutine")
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
		}
		tell(err)
	}()
	child, err := start(run.ctx)
	switch {
	case err != nil: // child is possibly a nil pointer of a real type
	case child == nil:
		err = errors.New("the start returned neither a child nor an error")
	default:
		run.child = child
	}
	return err
}

func (s *Supervisor) ended() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.stage == over
}

// letGo ends the goroutines of all incarnations without touching a child that runs.
func (s *Supervisor) letGo() {
	var runs []*incarnation
	s.mu.Lock()
	for k := range s.core.forward() {
		if k.run != nil {
			runs = append(runs, k.run)
			if k.phase == starting {
				k.run.cancel(ErrReleased)
			}
		}
	}
	s.mu.Unlock()
	s.works.Wait()
	for _, run := range runs {
		if nested, ok := run.child.(interface{ Release() }); ok {
			nested.Release()
		}
	}
}
