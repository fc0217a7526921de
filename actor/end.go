package actor

import (
	"runtime"
	"runtime/debug"

	"semper/actor/internal/few"
)

// stop ends the process for the error of a callback.
func (s *Self[M]) stop(err error) {
	r := reasonOf(err)
	if _, ok := s.server.(Terminator[M]); !ok && !r.Abnormal() {
		// Nothing is left to run or to report, so end would do only this. It has a large frame, for which the runtime
		// would copy the stack of a process that has just been started: that costs as much as starting it.
		s.finishing = true
		s.last(&r)
		return
	}
	stop, _ := err.(*stopError) //nolint:errorlint // one that was wrapped was returned by a callback
	makeRoom()
	s.end(r, stop == nil || !stop.foreign)
}

// makeRoom makes the stack large enough for a report at once, while there is little on it: grown step by step, deep in
// the formatting, it would be copied several times, which took longer than a restart.
//
//go:noinline
func makeRoom() {
	var room [4 << 10]byte
	runtime.KeepAlive(&room)
}

// end is the orderly end of a process, by its own goroutine: Terminate, a report, the death. Each of them happens even
// when the one before panics or ends the goroutine. own says that the cause is in the process: what ends of the crash
// of another has nothing to report.
func (s *Self[M]) end(r Reason, own bool) {
	s.finishing = true
	s.busy()
	if !s.PID().Alive() { // killed: it has its reason, and everyone has been told
		defer s.retire()
		if panics(r) {
			s.report(r)
		}
		return
	}
	defer s.last(&r)
	defer func() {
		if own && r.Abnormal() {
			s.report(r)
		}
	}()
	server, ok := s.server.(Terminator[M])
	if !ok {
		return
	}
	done := false
	defer func() {
		if !done { // a fault in Terminate takes the place of the reason before it
			r, own = Reason{Kind: Crash, Err: panicked(recover())}, true
		}
	}()
	server.Terminate(finalContext{&s.process}, s, r)
	done = true
}

// last is the last act of the goroutine of a process.
func (s *Self[M]) last(r *Reason) {
	if !s.die(*r, true) {
		s.retire()
	}
}

// broke is the end of a process whose callback panicked, or ended its goroutine.
func (s *Self[M]) broke(v any) {
	switch {
	case s.finishing: // end sees to the rest
	case s.serving && v == nil:
		// It was the control of somebody else that ended the goroutine. The process gets another one.
		s.serving = false
		s.mu.Lock()
		s.putBack()
		s.mu.Unlock()
		go s.loop()
	default:
		s.end(Reason{Kind: Crash, Err: panicked(v)}, true)
	}
}

func panicked(v any) error {
	if v == nil {
		return ErrGoexit
	}
	return &PanicError{Value: v, Stack: debug.Stack()}
}

// panics reports whether a reason is a panic, or what is like one.
func panics(r Reason) bool {
	_, ok := r.Err.(*PanicError)    //nolint:errorlint // one that a callback returned is not this process's own
	return ok || r.Err == ErrGoexit //nolint:errorlint // the same
}

// retire is the last act of the goroutine of a process that was killed.
func (s *Self[M]) retire() {
	s.mu.Lock()
	s.forget()
	s.left()
	s.mu.Unlock()
}

// forget lets go of what a process that has ended does not need, as its PID may be kept for long. No goroutine is
// inside it any more, and mu is held.
func (s *Self[M]) forget() {
	s.busy()
	s.batch, s.at, s.continues, s.server = nil, 0, nil, nil
	if s.clock != nil {
		s.clock.drop()
	}
}

// die is the end: no message is taken any more, names are free, and then everyone who must know is told. It reports
// whether this was the call that ended the process. last says that it comes from the goroutine of the process, in which
// nothing of the Server runs any more.
func (p *process) die(r Reason, last bool) bool {
	p.mu.Lock()
	if p.phase == dead {
		p.mu.Unlock()
		return false
	}
	p.phase, p.reason = dead, r
	p.alarm.Store(true)
	p.active = p.active && !last
	names, controls := p.names, p.controls
	p.names, p.controls = nil, nil
	calls := p.self.drain()
	for q := p.open; q != nil; q = q.next {
		calls = append(calls, q)
	}
	p.open = nil
	p.endContext()
	if p.naming > 0 {
		p.rare().rest = func() { p.bury(names, calls, controls) }
		p.mu.Unlock()
		return true
	}
	p.mu.Unlock()
	p.bury(names, calls, controls)
	return true
}

// bury frees the names, and then tells everyone; also when a Registrar panics.
func (p *process) bury(names []Registrar, calls []*request, controls []func()) {
	defer p.tell(calls, controls)
	for _, n := range names {
		n.Unregister(PID{p})
	}
}

// tell tells everyone who must know of the death.
func (p *process) tell(calls []*request, controls []func()) {
	defer p.tellStop()
	r := p.reason // which does not change any more
	for _, f := range controls {
		f() // sees that the process is dead
	}
	for _, q := range calls {
		q.fail(&ExitError{PID: PID{p}, Reason: r})
	}
	p.mu.Lock()
	p.over = true
	c := p.cold
	if c == nil {
		p.told = true
		p.mu.Unlock()
		return
	}
	linked, watchers, monitoring := c.links, c.watchers, c.monitoring
	c.links, c.watchers, c.monitoring = few.Set[process]{}, nil, nil
	p.mu.Unlock()
	for ref, other := range monitoring {
		other.unwatch(ref)
	}
	for other := range linked.All() {
		other.severed(p, r)
	}
	for ref, w := range watchers {
		w.down(p, ref, r)
	}
	p.mu.Lock()
	p.told = true
	after := c.after
	c.after = few.Funcs{}
	if c.ended != nil {
		close(c.ended)
	}
	p.closeGone()
	p.mu.Unlock()
	after.Call()
}

// left notes that no goroutine is inside the process any more; mu is held.
func (p *process) left() {
	p.active = false
	p.closeGone()
}

// closeGone closes gone when it is time; mu is held.
func (p *process) closeGone() {
	if p.told && !p.active && p.cold != nil && p.cold.gone != nil {
		close(p.cold.gone)
		p.cold.gone = nil
	}
}
