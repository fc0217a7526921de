package supervise

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// A Starting is one start under way: the context that a StartFunc gets from its supervisor. Most StartFuncs need no more
// of it than that. One whose child is a goroutine can acknowledge by itself, as with proc_lib:init_ack of OTP, and go on
// as that goroutine, which saves starting another and waiting for it:
//
//	func(ctx context.Context) (supervise.Child, error) {
//		c := new(connection)
//		if s, ok := ctx.(*supervise.Starting); ok {
//			s.Ack(c)   // whoever started it goes on
//			c.run()    // a panic is c's own from here on
//			return c, nil
//		}
//		…
//
// What the StartFunc returns after that is ignored. A StartFunc that wraps another and has something to do between its
// return and the acknowledgement gives it a context of its own, such as context.WithoutCancel(ctx): then there is no
// Starting to be found, and the other returns when it is done.
//
// All methods are safe for concurrent use.
type Starting struct {
	l    *loop
	kid  *kid
	n    int       // the number of the start
	asks chan verb // of a child that is watched

	ended atomic.Pointer[cancelable] // made when somebody wants to know of the end, or it ends

	mu      sync.Mutex // guards the following
	told    bool       // the outcome is known
	over    bool       // cancelled
	on      Canceler
	whether error // the cause of over
}

// A Canceler is told when a start that was under way is not wanted any more.
type Canceler interface{ Cancel(cause error) }

type cancelable struct {
	context.Context
	cancel context.CancelCauseFunc
}

// Ack acknowledges the start, and reports whether the outcome was not known yet: then child runs, and its supervisor
// sees to it. Otherwise nobody will, and child has to end.
func (s *Starting) Ack(child Child) bool {
	if !s.claim() {
		return false
	}
	watch := s.watcher(child)
	s.put(child, watch, nil)
	if watch == nil {
		s.listen(child.(Notifier))
		s.l.works.Done()
		return true
	}
	go func() { // works waits for it
		defer watch.l.works.Done()
		watch.watch(child)
	}()
	return true
}

// Fail makes the start one that failed, as returning err would, and reports whether the outcome was not known yet.
func (s *Starting) Fail(err error) bool {
	if !s.claim() {
		return false
	}
	s.put(nil, nil, err)
	s.l.works.Done()
	return true
}

// OnCancel has c told, once, when the start is not wanted any more, at once when that is so already. It must not block:
// the supervisor's own goroutine calls it. Another OnCancel replaces it. Done tells the same at a higher price.
func (s *Starting) OnCancel(c Canceler) {
	s.mu.Lock()
	s.on = c
	over, cause := s.over && c != nil, s.whether
	s.mu.Unlock()
	if over {
		c.Cancel(cause)
	}
}

// Values is a context with the values of this one that never ends: what a child keeps.
func (s *Starting) Values() context.Context { return s.l.base }

// claim takes the right to tell the outcome.
func (s *Starting) claim() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told {
		return false
	}
	s.told = true
	return true
}

// cancel ends the context.
func (s *Starting) cancel(cause error) {
	s.canceling().cancel(cause)
	s.mu.Lock()
	on := s.on
	if s.over {
		on = nil
	}
	s.over, s.whether = true, cause
	s.mu.Unlock()
	if on != nil {
		on.Cancel(cause)
	}
}

func (s *Starting) canceling() *cancelable {
	if c := s.ended.Load(); c != nil {
		return c
	}
	c := new(cancelable)
	c.Context, c.cancel = context.WithCancelCause(s.l.base)
	if !s.ended.CompareAndSwap(nil, c) {
		c.cancel(nil)
	}
	return s.ended.Load()
}

// Deadline implements context.Context; a start has none.
func (s *Starting) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }

// Done implements context.Context: it is closed when the supervisor does not want the start any more.
func (s *Starting) Done() <-chan struct{} { return s.canceling().Done() }

// Err implements context.Context.
func (s *Starting) Err() error {
	if c := s.ended.Load(); c != nil {
		return c.Err()
	}
	return nil
}

// Value implements context.Context: the values of whoever started the supervisor.
func (s *Starting) Value(key any) any {
	if c := s.ended.Load(); c != nil {
		return c.Context.Value(key)
	}
	return s.l.base.Value(key)
}
