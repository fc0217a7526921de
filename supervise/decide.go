package supervise

import (
	"container/heap"
	"container/list"
	"time"
)

// stage is how far the supervisor itself has come: booting → serving → ending → over.
type stage int

const (
	booting stage = iota // the first starts, in order
	serving
	ending // stopping all, in reverse order
	over   // nothing runs
)

// core decides. It is a function of its state, an input and the time: it starts no goroutine, reads no clock, and
// touches no child. What is to be done comes out as commands, what has happened as events.
//
// one_for_one treats each kid by itself; any number of starts and stops may be under way at once. The ordered
// strategies do one thing at a time: while a round is on, or a call works on a kid (active), other inputs wait in queue
// in the order they came, exactly as they would in the mailbox of an OTP supervisor that is blocked.
type core struct {
	flags Flags
	rand  func() float64

	stage   stage
	reason  Reason // of ending and over
	killing bool   // ending without asking
	boot    *call  // waits for the end of booting
	kids    *list.List
	byID    map[string]*kid
	window  window
	timers  timers
	seq     int

	round  *round
	active *kid    // what the round, or an ordered strategy's call, waits for
	queue  []input // what waits until there is neither round nor active

	// of the step under way
	now      time.Time
	events   []Event
	commands []command
}

// A round stops some kids, one at a time, and then starts some, one at a time.
type round struct {
	stop, start []*kid
	why         why
	cause       string // the id of the child that ended; empty for the supervisor's own start and end
}

func newCore(f Flags, specs []ChildSpec, now time.Time, rand func() float64) *core {
	c := &core{flags: f, rand: rand, now: now, kids: list.New(), byID: make(map[string]*kid, len(specs))}
	for _, s := range specs {
		c.add(s)
	}
	return c
}

// step takes one input. What it returns is valid until the next step.
func (c *core) step(now time.Time, in input) ([]Event, []command) {
	c.now, c.events, c.commands = now, c.events[:0], c.commands[:0]
	c.dispatch(in)
	c.pump()
	return c.events, c.commands
}

func (c *core) dispatch(in input) {
	switch in := in.(type) {
	case *call:
		c.call(in)
	case answered:
		c.answered(in)
	case ended:
		c.ended(in)
	case retry:
		c.retry(in)
	case nudge:
		c.nudge(in)
	case tick:
		c.tick()
	case stop:
		c.end(in.reason)
	case kill:
		c.kill()
	}
}

// pump goes on with the round, then with what has waited for its end.
func (c *core) pump() {
	for c.active == nil {
		switch {
		case c.round != nil:
			c.advance()
		case len(c.queue) > 0:
			in := c.queue[0]
			c.queue[0] = nil
			c.queue = c.queue[1:]
			c.dispatch(in)
		default:
			return
		}
	}
}

func (c *core) advance() {
	r := c.round
	switch {
	case len(r.stop) > 0:
		k := r.stop[0]
		r.stop = r.stop[1:]
		if c.halt(k) {
			c.active = k
		}
	case len(r.start) > 0:
		k := r.start[0]
		r.start = r.start[1:]
		c.active = k
		c.begin(k, r.why)
	default:
		c.round = nil
		c.finished()
	}
}

// finished is called at the end of each round.
func (c *core) finished() {
	switch c.stage {
	case booting:
		c.stage = serving
		c.answer(c.boot, nil)
	case ending:
		c.stage = over
		c.answer(c.boot, c.reason.Err)
	}
	c.boot = nil
}

func (c *core) ordered() bool { return c.flags.Strategy != OneForOne }

// busy reports whether other inputs must wait: under an ordered strategy, and during any supervisor's own start.
func (c *core) busy() bool {
	return (c.ordered() || c.stage == booting) && (c.round != nil || c.active != nil)
}

// begin starts a kid that is idle or waiting.
func (c *core) begin(k *kid, why why) {
	k.n++
	k.why, k.doomed = why, false
	c.enter(k, starting)
	if why == forRestart {
		k.restarts++
		c.emit(k, Event{Kind: Restarting})
	}
	c.do(command{verb: doStart, kid: k, n: k.n})
}

// halt stops a kid whatever it does, and reports whether that takes time.
func (c *core) halt(k *kid) bool {
	switch k.phase {
	case running:
		if k.ended != nil {
			c.swallow(k, *k.ended)
			return false
		}
		c.enter(k, stopping)
		c.ask(k)
		return true
	case waiting:
		c.enter(k, idle)
		return false
	case starting:
		c.doom(k)
		return true
	}
	return k.phase == stopping
}

// ask tells a kid to end, by the shutdown protocol of its spec.
func (c *core) ask(k *kid) {
	switch d := k.spec.Shutdown; {
	case c.killing || d == Brutal:
		c.do(command{verb: doKill, kid: k, n: k.n})
	default:
		c.do(command{verb: doShutdown, kid: k, n: k.n})
		if d != Infinity {
			c.wakeAt(k, c.now.Add(d))
		}
	}
}

// doom ends a start that is under way: it is cancelled, and a child that comes out of it all the same is stopped.
func (c *core) doom(k *kid) {
	if k.doomed {
		return
	}
	k.doomed = true
	cause := ErrTerminated
	if c.stage == ending {
		cause = ErrStopping
	}
	c.do(command{verb: doCancel, kid: k, n: k.n, err: cause})
}

// swallow takes note of an end that asks for nothing, because the kid was to be stopped anyway.
func (c *core) swallow(k *kid, r Reason) {
	c.note(k, r)
	words := "none"
	if c.round != nil && c.round.cause != "" && k.spec.Restart != Temporary {
		words = "restart with " + c.round.cause
	}
	c.emit(k, Event{Kind: Ended, Reason: r, Decision: words})
	c.dropTemporary(k)
}

// note records the end of an incarnation; the kid is idle afterwards.
func (c *core) note(k *kid, r Reason) {
	c.window.prune(c.now, c.flags.Period)
	if !c.window.up && c.now.Sub(k.started) >= c.healthy(k) {
		k.tries = 0
	}
	k.ends++
	k.last, k.ended, k.run = r, nil, nil
	c.enter(k, idle)
}

// settle lets go on what waited for k to be neither starting nor stopping.
func (c *core) settle(k *kid) {
	if c.active == k {
		c.active = nil
	}
	c.queue = append(c.queue, k.queue...)
	k.queue = nil
}

// end stops everything, in reverse start order, for the reason given. The first reason stands.
func (c *core) end(r Reason) {
	if c.stage >= ending {
		return
	}
	c.stage, c.reason = ending, r
	c.refuse(c.queue)
	c.queue, c.active = nil, nil
	c.round = &round{}
	for k := range c.backward() {
		c.refuse(k.queue)
		k.queue = nil
		switch k.phase {
		case starting:
			c.doom(k)
		case waiting:
			c.enter(k, idle)
		}
		c.round.stop = append(c.round.stop, k)
	}
}

// kill ends everything at once, without asking and in no order.
func (c *core) kill() {
	if c.stage == over || c.killing {
		return
	}
	c.end(Reason{Kind: Killed})
	c.killing = true
	c.reason.Kind = Killed
	for k := range c.forward() {
		switch k.phase {
		case running:
			if k.ended == nil {
				c.halt(k)
			}
		case stopping:
			c.wakeAt(k, time.Time{})
			c.ask(k)
		}
	}
}

// refuse answers the calls among what waited.
func (c *core) refuse(waited []input) {
	for _, in := range waited {
		if in, ok := in.(*call); ok {
			c.answer(in, ErrStopping)
		}
	}
}

func (c *core) enter(k *kid, p phase) {
	c.wakeAt(k, time.Time{})
	k.phase, k.since = p, c.now
}

// wakeAt sets the one moment that k waits for; the zero time clears it.
func (c *core) wakeAt(k *kid, at time.Time) {
	if !k.due.IsZero() {
		heap.Remove(&c.timers, k.slot)
	}
	k.due = at
	if !at.IsZero() {
		heap.Push(&c.timers, k)
	}
}
