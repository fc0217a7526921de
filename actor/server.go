package actor

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// A Server is the behaviour of a process: what it does with its messages. M is the type of the messages, most often a
// sealed interface with one struct for each. A call is a message with a From in it, a cast one without.
//
// Handle, and the other callbacks that a Server may have (Initer, Informed, Continuer, Terminator, Redactor), run one at
// a time, so that a Server needs no lock for what is its own. An error ends the process: Stop(reason) on purpose, any
// other as a Crash. A panic ends it too, and nothing else.
//
// The context of a callback is the Self: it ends when the process is asked to end.
type Server[M any] interface {
	Handle(self *Self[M], m M) error
}

// An Initer is a Server with something to do before its start is acknowledged. ErrIgnore means that no process is
// needed, and any other error that it cannot start.
type Initer[M any] interface {
	Init(self *Self[M]) error
}

// An Informed Server gets what comes besides messages: Down, Exit, Timeout. Without it they are dropped.
type Informed[M any] interface {
	Info(self *Self[M], info any) error
}

// A Continuer does what Self.Continue asked for, before anything in the mailbox.
type Continuer[M any] interface {
	Continue(self *Self[M], with any) error
}

// A Terminator cleans up. Terminate runs last, whatever the reason, except after a Kill. Its context ends only by a
// Kill, so that calls can be made with it.
type Terminator[M any] interface {
	Terminate(ctx context.Context, self *Self[M], r Reason)
}

// A Redactor says how its state and its messages may be shown in crash reports and in introspection: what is the state
// (the Server itself) or a message; the result is printed in its stead.
type Redactor interface {
	Redact(what any) any
}

// Timeout is the Info after a Self.Timeout in which nothing came.
type Timeout struct{}

// Self is a process as its own callbacks see it: what it can do to itself, and to others as itself. A callback gets its
// own and need not keep it. It is also the context.Context of what the callback does: given to [Call] or [Start] it says
// who calls or starts, and it ends when the process is asked to end (see [Self.Done]).
//
// Continue and Timeout are for callbacks only. All other methods may be called by any goroutine.
type Self[M any] struct {
	process
	box   mailbox[M] // guarded by mu
	clock *clock[M]  // the same; made by the first After

	// What follows belongs to the goroutine that runs it.
	finishing bool          // Terminate runs, or has run
	serving   bool          // a control runs
	hand      atomic.Int32  // the message of batch in hand; read by those who look from outside
	batch     []envelope[M] // changed with mu held: a Kill looks for the calls in it
	at        int           // how many of batch have been begun
	server    Server[M]
	idler     *time.Timer
	lull      uint64 // grows with each message, so that a late Timeout is known
	continues []any
}

// Ref is the address of the process: what to give away, so that others can send to it.
func (s *Self[M]) Ref() Ref[M] { return Ref[M]{s} }

// PID identifies the process, for those who do not know the type of its messages.
func (p *process) PID() PID { return PID{p} }

// Continue asks for Continue(with) after the callback that is running, before anything in the mailbox. In Init it is
// the way to acknowledge the start first and do slow work then. Several are done in the order they were asked for. The
// Server must be a [Continuer].
func (s *Self[M]) Continue(with any) { s.continues = append(s.continues, with) }

// Timeout asks for a [Timeout] when nothing comes within d. Any message or Info cancels it, and so does a d of zero. There
// is one at a time: another call replaces it.
func (s *Self[M]) Timeout(d time.Duration) {
	s.busy()
	if d <= 0 {
		return
	}
	lull := s.lull
	s.idler = time.AfterFunc(d, func() { _ = s.post(lulled(lull)) })
}

type lulled uint64

// busy cancels the Timeout that is awaited.
func (s *Self[M]) busy() {
	if s.idler != nil {
		s.idler.Stop()
		s.idler = nil
		s.lull++
	}
}

// run is the goroutine of a process that is busy.
func (s *Self[M]) run() {
	done := false
	defer func() {
		if !done {
			s.broke(recover())
		}
	}()
	s.turns()
	done = true
}

// turns handles messages until there are none, or the process has ended.
func (s *Self[M]) turns() {
	for {
		more, err := s.turn()
		if err != nil {
			s.stop(err)
		}
		if !more {
			return
		}
	}
}

// turn handles what has come, and reports whether there may be more. An error is to end the process.
func (s *Self[M]) turn() (more bool, err error) {
	if s.alarm.Load() && !s.alarmed() {
		return false, nil
	}
	s.mu.Lock()
	if n := s.at; n > 0 {
		s.handled += uint64(n)
		clear(s.batch)
		s.batch = s.batch[:0]
		s.at = 0
		if s.hand.Load() > 0 {
			s.hand.Store(0)
		}
	}
	if s.box.empty() || s.suspended {
		return s.pause(), nil
	}
	s.batch = s.box.take(s.batch)
	s.mu.Unlock()
	for i := range s.batch {
		if i > 0 {
			s.hand.Store(int32(i))
			if s.alarm.Load() && !s.alarmed() {
				return false, nil
			}
			if i >= len(s.batch) { // a Suspend gave the rest back
				break
			}
		}
		s.at = i + 1
		if err := s.handle(&s.batch[i]); err != nil {
			return false, err
		}
	}
	return true, nil
}

// pause ends a goroutine that has nothing to do; mu is held and released.
func (s *Self[M]) pause() bool {
	if s.alarm.Load() {
		s.mu.Unlock()
		return true
	}
	s.phase = idle
	s.active = false
	if s.box.full != nil || cap(s.box.waiting) > restCap || cap(s.batch) > restCap {
		if s.box.empty() {
			s.box.rest()
		}
		s.batch = nil
	}
	s.mu.Unlock()
	return false
}

func (s *Self[M]) handle(e *envelope[M]) (err error) {
	switch {
	case e.x == nil:
		s.busy()
		err = s.server.Handle(s, e.m)
	case e.x.info != nil:
		err = s.informed(e.x.info)
	default:
		s.busy()
		err = s.server.Handle(s, e.m)
		if e.x.state.Load() == waiting {
			e.x.keep()
		}
	}
	if err == nil && len(s.continues) > 0 {
		err = s.carryOn()
	}
	return err
}

func (s *Self[M]) informed(info any) error {
	switch i := info.(type) {
	case ending:
		return &stopError{reason: i.reason, foreign: true}
	case lulled:
		if s.idler == nil || uint64(i) != s.lull {
			return nil // a message came in between
		}
		info = Timeout{}
	}
	s.busy()
	if server, ok := s.server.(Informed[M]); ok {
		return server.Info(s, info)
	}
	return nil
}

// carryOn does what Continue asked for, unless the process is to end.
func (s *Self[M]) carryOn() error {
	for len(s.continues) > 0 && !s.leaving() {
		with := s.continues[0]
		s.continues[0] = nil
		s.continues = s.continues[1:]
		if len(s.continues) == 0 {
			s.continues = nil
		}
		server, ok := s.server.(Continuer[M])
		if !ok {
			return fmt.Errorf("%w: Self.Continue was called, but %T has no method Continue", ErrInvalid, s.server)
		}
		if err := server.Continue(s, with); err != nil {
			return err
		}
	}
	return nil
}

// alarmed does what cannot wait for the next message, and reports whether the process goes on.
func (s *Self[M]) alarmed() bool {
	for {
		s.mu.Lock()
		if s.phase == dead {
			s.forget()
			s.left()
			s.mu.Unlock()
			return false
		}
		if s.exit != nil {
			r := *s.exit
			s.putBack()
			s.mu.Unlock()
			s.end(r, false)
			return false
		}
		if len(s.controls) > 0 {
			f := s.controls[0]
			s.controls[0] = nil
			s.controls = s.controls[1:]
			s.mu.Unlock()
			s.serving = true
			f()
			s.serving = false
			continue
		}
		s.controls = nil
		s.alarm.Store(false)
		if s.suspended {
			s.putBack()
		}
		s.mu.Unlock()
		return true
	}
}

// putBack ends the batch between two of its messages: the rest goes back to where it came from. mu is held.
func (s *Self[M]) putBack() {
	if rest := s.batch[s.at:]; len(rest) > 0 {
		s.box.giveBack(rest)
	}
	s.handled += uint64(s.at)
	clear(s.batch)
	s.batch, s.at = s.batch[:0], 0
	s.hand.Store(0)
}
