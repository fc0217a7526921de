package supervise

import (
	"errors"
	"reflect"
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
	k := c.find(in)
	if k != nil && k.phase == starting && in.op == opTerminate {
		p := k.waits()
		p.stoppers = append(p.stoppers, in)
		c.doom(k)
		return
	}
	if c.busy() {
		c.queue = append(c.queue, in)
		return
	}
	switch {
	case in.op == opChange:
		c.change(in)
	case in.op == opStart && c.most > 0 && c.kids.size >= c.most:
		c.answer(in, ErrMaxChildren)
	case k == nil && in.op == opStart:
		c.work(c.add(in.spec), forStart, in)
	case k == nil:
		c.answer(in, ErrNotFound)
	case in.op == opTerminate:
		c.terminate(k, in)
	case k.phase == stopping || k.phase == starting && k.why != forRestart:
		p := k.waits()
		p.queue = append(p.queue, in)
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

// find is the kid that a call is about; nil when there is none.
func (c *core) find(in *call) *kid {
	switch {
	case in.op == opChange || c.dynamic && in.op == opStart:
		return nil
	case c.dynamic:
		return c.byChild[in.child]
	}
	return c.byID[in.id]
}

func (c *core) bootAll(in *call) {
	c.boot = in
	c.round = &round{why: forBoot}
	for k := range c.kids.forward() {
		c.round.start = append(c.round.start, k)
	}
}

// work starts k for a call.
func (c *core) work(k *kid, why why, in *call) {
	k.starter = in
	k.forgive()
	c.begin(k, why)
	if c.ordered() {
		c.active = k
	}
}

// terminate ends k, whatever it does, and its restarting with it.
func (c *core) terminate(k *kid, in *call) {
	was := k.phase
	if k.ended() != nil {
		was = idle
	}
	if c.halt(k) {
		p := k.waits()
		p.stoppers = append(p.stoppers, in)
		if c.ordered() {
			c.active = k
		}
		return
	}
	k.forgive()
	if was == waiting {
		c.emit(k, Event{Kind: Terminated, Reason: k.known().last, Decision: "none"})
	}
	c.forget(k)
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
		c.answeredDoomed(k, in)
		return
	case in.err == nil:
		c.running(k, in)
		c.answerStarter(k, nil)
	case errors.Is(in.err, ErrIgnore):
		c.ignored(k)
	default:
		c.startFailed(k, in.err)
	}
	c.settle(k)
}

// ignored takes the word of a start that there is no child this time. It is a success, and a dynamic core, where
// nobody could ever start it again, says so to the caller.
func (c *core) ignored(k *kid) {
	k.run = nil
	if k.past != nil {
		k.past.err = nil
	}
	c.enter(k, idle)
	c.emit(k, Event{Kind: Started, Err: ErrIgnore})
	var word error
	if c.dynamic {
		word = ErrIgnore
	}
	c.answerStarter(k, word)
	c.forget(k)
}

// answeredDoomed takes the outcome of a start that is not wanted any more.
func (c *core) answeredDoomed(k *kid, in answered) {
	cause := ErrTerminated
	if c.stage == ending {
		cause = ErrStopping
	}
	c.answerStarter(k, cause)
	if in.err == nil {
		c.running(k, in)
		if c.stage == ending && c.active != k && !c.killing && !c.dynamic && len(k.stoppers()) == 0 {
			return // it came up before its turn to stop, and lives until then
		}
		c.halt(k)
		return
	}
	k.record().err, k.run = in.err, nil
	c.enter(k, idle)
	c.emit(k, Event{Kind: StartFailed, Err: in.err, Decision: "none"})
	if len(k.stoppers()) > 0 {
		c.emit(k, Event{Kind: Terminated, Reason: k.known().last, Decision: "none"})
	}
	if c.ordered() && c.stage == serving {
		c.round = nil // as after any start that fails; nobody retries this one
	}
	c.released(k)
}

func (c *core) running(k *kid, in answered) {
	if c.dynamic {
		c.unname(k)
		if reflect.ValueOf(in.child).Comparable() {
			c.byChild[in.child] = k
		}
	}
	k.child, k.run, k.started = in.child, in.run, c.at
	if k.restart == Temporary {
		k.start = nil
	}
	if k.past != nil {
		k.past.err = nil
	}
	c.enter(k, running)
	c.emit(k, Event{Kind: Started})
}

// unname makes a dynamic core forget the last incarnation of k, by which calls know it.
func (c *core) unname(k *kid) {
	if k.child != nil && reflect.ValueOf(k.child).Comparable() && c.byChild[k.child] == k {
		delete(c.byChild, k.child)
	}
}

// ended takes the end of an incarnation.
func (c *core) ended(in *ended) {
	k := in.kid
	if in.n != k.n {
		return
	}
	switch {
	case k.phase == stopping:
		c.note(k, in.reason)
		kind := Stopped
		if len(k.stoppers()) > 0 {
			kind = Terminated
		}
		c.emit(k, Event{Kind: kind, Reason: in.reason, Decision: "none"})
		c.released(k)
	case k.phase != running:
	case c.stage == ending:
		c.swallow(k, in.reason)
	case c.busy():
		k.waits().ended = &in.reason
		c.queue = append(c.queue, in)
	default:
		c.crashed(k, in.reason)
	}
}

// released is the end of a stop: nothing of k is left.
func (c *core) released(k *kid) {
	if waited := k.stoppers(); len(waited) > 0 {
		k.forgive()
		for _, in := range waited {
			c.answer(in, nil)
		}
		k.pending.stoppers = nil
	}
	c.settle(k)
	if k.doomed && k.why == forStart {
		c.remove(k) // its StartChild was answered with an error
		return
	}
	c.forget(k)
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
	if k == nil || k.phase != waiting || k.due == 0 {
		return
	}
	c.wakeAt(k, 0)
	c.retry(retry{kid: k, n: k.n})
}

func (c *core) add(s ChildSpec) *kid {
	k := &kid{since: c.at, seq: c.seq}
	k.adopt(s)
	c.seq++
	c.kids.push(k)
	if !c.dynamic {
		c.byID[k.id] = k
	}
	return k
}

func (c *core) remove(k *kid) {
	c.kids.drop(k)
	if c.dynamic {
		c.unname(k)
		return
	}
	delete(c.byID, k.id)
}

// forget removes a kid that does not run and is not to run again.
func (c *core) forget(k *kid) {
	if k.listed && (k.restart == Temporary || c.dynamic) {
		c.remove(k)
	}
}

func (c *core) do(cmd command) { c.commands = append(c.commands, cmd) }

func (c *core) answer(in *call, err error) {
	if in != nil {
		c.do(command{verb: doAnswer, call: in, err: err})
	}
}

func (c *core) answerStarter(k *kid, err error) {
	if k.starter != nil {
		k.starter.child = k.child
	}
	c.answer(k.starter, err)
	k.starter = nil
}

func (c *core) emit(k *kid, e Event) {
	if c.unheard {
		return
	}
	e.Supervisor, e.Child, e.At = c.flags.Name, k.name(), c.now
	e.Window, e.Restarts = c.window.size(c.now, c.flags.Period), k.known().restarts
	c.events = append(c.events, e)
}

// info is k as an outsider may see it.
func (c *core) info(k *kid, now time.Time) ChildInfo {
	p := k.known()
	i := ChildInfo{
		ID: k.name(), State: k.state(), Restart: k.restart, Supervisor: k.supervisor, Significant: k.significant,
		Restarts: p.restarts, Last: p.last, Ends: p.ends, Err: p.err, Since: c.epoch.Add(time.Duration(k.since)),
	}
	switch i.State {
	case StateRunning, StateStopping:
		i.Child = k.child
	case StateBackoff:
		i.Next = c.epoch.Add(time.Duration(k.due))
	}
	i.GivenUp = c.window.up && p.gaveUp == c.window.gen && c.window.size(now, c.flags.Period) > 0
	return i
}
