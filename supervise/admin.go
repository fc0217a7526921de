package supervise

import (
	"errors"
	"iter"
	"time"
)

// call serves an administrative call, or lets it wait where OTP would.
func (c *core) call(in *call) {
	if in.op == opBoot {
		c.bootAll(in)
		return
	}
	if c.stage >= ending {
		c.answer(in, ErrStopping)
		return
	}
	if c.stage == booting {
		c.queue = append(c.queue, in)
		return
	}
	k := c.byID[in.id]
	if k != nil && k.phase == starting && in.op == opTerminate {
		k.stoppers = append(k.stoppers, in)
		c.doom(k)
		return
	}
	if c.busy() {
		c.queue = append(c.queue, in)
		return
	}
	switch {
	case k == nil && in.op == opStart:
		c.work(c.add(in.spec), forStart, in)
	case k == nil:
		c.answer(in, ErrNotFound)
	case in.op == opTerminate:
		c.terminate(k, in)
	case k.phase == stopping || k.phase == starting && k.why != forRestart:
		k.queue = append(k.queue, in)
	case in.op == opStart && k.phase == running:
		c.answer(in, ErrAlreadyStarted)
	case in.op == opStart:
		c.answer(in, ErrAlreadyPresent)
	case k.phase == running:
		c.answer(in, ErrRunning)
	case k.phase != idle:
		c.answer(in, ErrRestarting)
	case in.op == opRestart:
		c.work(k, forAgain, in)
	default:
		c.remove(k)
		c.answer(in, nil)
	}
}

func (c *core) bootAll(in *call) {
	c.boot = in
	c.round = &round{why: forBoot}
	for k := range c.forward() {
		c.round.start = append(c.round.start, k)
	}
}

// work starts k for a call.
func (c *core) work(k *kid, why why, in *call) {
	k.starter, k.tries = in, 0
	c.begin(k, why)
	if c.ordered() {
		c.active = k
	}
}

// terminate ends k, whatever it does, and its restarting with it.
func (c *core) terminate(k *kid, in *call) {
	was := k.phase
	if k.ended != nil {
		was = idle
	}
	if c.halt(k) {
		k.stoppers = append(k.stoppers, in)
		if c.ordered() {
			c.active = k
		}
		return
	}
	k.tries = 0
	if was == waiting {
		c.emit(k, Event{Kind: Terminated, Reason: k.last, Decision: "none"})
	}
	c.answer(in, nil)
}

// answered takes the outcome of a start.
func (c *core) answered(in answered) {
	k := in.kid
	if in.n != k.n || k.phase != starting {
		return
	}
	switch {
	case k.doomed:
		c.answeredDoomed(k, in.err)
		return
	case in.err == nil:
		c.running(k)
		c.answerStarter(k, nil)
	case errors.Is(in.err, ErrIgnore):
		k.err, k.run = nil, nil
		c.enter(k, idle)
		c.emit(k, Event{Kind: Started, Err: ErrIgnore})
		c.answerStarter(k, nil)
		c.dropTemporary(k)
	default:
		c.startFailed(k, in.err)
	}
	c.settle(k)
}

// answeredDoomed takes the outcome of a start that is not wanted any more.
func (c *core) answeredDoomed(k *kid, err error) {
	cause := ErrTerminated
	if c.stage == ending {
		cause = ErrStopping
	}
	c.answerStarter(k, cause)
	if err == nil {
		c.running(k)
		if c.stage == ending && c.active != k && !c.killing {
			return // it came up before its turn to stop, and lives until then
		}
		c.halt(k)
		return
	}
	k.err, k.run = err, nil
	c.enter(k, idle)
	c.emit(k, Event{Kind: StartFailed, Err: err, Decision: "none"})
	if len(k.stoppers) > 0 {
		c.emit(k, Event{Kind: Terminated, Reason: k.last, Decision: "none"})
	}
	if c.ordered() && c.stage == serving {
		c.round = nil // as after any start that fails; nobody retries this one
	}
	c.released(k)
}

func (c *core) running(k *kid) {
	k.err, k.started = nil, c.now
	c.enter(k, running)
	c.emit(k, Event{Kind: Started})
}

// ended takes the end of an incarnation.
func (c *core) ended(in ended) {
	k := in.kid
	if in.n != k.n {
		return
	}
	switch {
	case k.phase == stopping:
		c.note(k, in.reason)
		kind := Stopped
		if len(k.stoppers) > 0 {
			kind = Terminated
		}
		c.emit(k, Event{Kind: kind, Reason: in.reason, Decision: "none"})
		c.released(k)
	case k.phase != running:
	case c.stage == ending:
		c.swallow(k, in.reason)
	case c.busy():
		k.ended = &in.reason
		c.queue = append(c.queue, in)
	default:
		c.crashed(k, in.reason)
	}
}

// released is the end of a stop: nothing of k is left.
func (c *core) released(k *kid) {
	if len(k.stoppers) > 0 {
		k.tries = 0
		for _, in := range k.stoppers {
			c.answer(in, nil)
		}
		k.stoppers = nil
	}
	c.settle(k)
	if k.doomed && k.why == forStart {
		c.remove(k) // its StartChild was answered with an error
		return
	}
	c.dropTemporary(k)
}

// retry makes the attempt that k waits for.
func (c *core) retry(in retry) {
	k := in.kid
	switch {
	case k.phase != waiting || in.n != k.n:
	case c.busy():
		c.queue = append(c.queue, in)
	default:
		c.attempt(k)
	}
}

func (c *core) nudge(in nudge) {
	k := c.byID[in.id]
	if k == nil || k.phase != waiting || k.due.IsZero() {
		return
	}
	c.wakeAt(k, time.Time{})
	c.retry(retry{kid: k, n: k.n})
}

// tick serves the kids whose moment has come.
func (c *core) tick() {
	for len(c.timers) > 0 && !c.timers[0].due.After(c.now) {
		k := c.timers[0]
		c.wakeAt(k, time.Time{})
		if k.phase == stopping {
			c.do(command{verb: doKill, kid: k, n: k.n})
		} else {
			c.retry(retry{kid: k, n: k.n})
		}
	}
}

// next is the moment of the next tick.
func (c *core) next() (time.Time, bool) {
	if len(c.timers) == 0 {
		return time.Time{}, false
	}
	return c.timers[0].due, true
}

func (c *core) add(s ChildSpec) *kid {
	if s.Shutdown == 0 {
		s.Shutdown = DefaultShutdown
		if s.Supervisor {
			s.Shutdown = Infinity
		}
	}
	k := &kid{spec: s, since: c.now, seq: c.seq}
	c.seq++
	k.at = c.kids.PushBack(k)
	c.byID[s.ID] = k
	return k
}

func (c *core) remove(k *kid) {
	c.kids.Remove(k.at)
	k.at = nil
	delete(c.byID, k.spec.ID)
}

func (c *core) dropTemporary(k *kid) {
	if k.spec.Restart == Temporary {
		c.remove(k)
	}
}

func (c *core) forward() iter.Seq[*kid] {
	return func(yield func(*kid) bool) {
		for e := c.kids.Front(); e != nil; e = e.Next() {
			if !yield(e.Value.(*kid)) {
				return
			}
		}
	}
}

func (c *core) backward() iter.Seq[*kid] {
	return func(yield func(*kid) bool) {
		for e := c.kids.Back(); e != nil; e = e.Prev() {
			if !yield(e.Value.(*kid)) {
				return
			}
		}
	}
}

func (c *core) do(cmd command) { c.commands = append(c.commands, cmd) }

func (c *core) answer(in *call, err error) {
	if in != nil {
		c.do(command{verb: doAnswer, call: in, err: err})
	}
}

func (c *core) answerStarter(k *kid, err error) {
	c.answer(k.starter, err)
	k.starter = nil
}

func (c *core) emit(k *kid, e Event) {
	e.Supervisor, e.Child, e.At = c.flags.Name, k.spec.ID, c.now
	e.Window, e.Restarts = c.window.size(c.now, c.flags.Period), k.restarts
	c.events = append(c.events, e)
}

// info is k as an outsider may see it; the loop adds the incarnation.
func (c *core) info(k *kid, now time.Time) ChildInfo {
	i := ChildInfo{
		ID: k.spec.ID, State: k.state(), Restart: k.spec.Restart, Supervisor: k.spec.Supervisor,
		Restarts: k.restarts, Last: k.last, Ends: k.ends, Err: k.err, Since: k.since,
	}
	if i.State == StateBackoff {
		i.Next = k.due
	}
	i.GivenUp = c.window.up && k.gaveUp == c.window.gen && c.window.size(now, c.flags.Period) > 0
	return i
}
