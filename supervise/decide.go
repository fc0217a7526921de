package supervise

import (
	"container/heap"
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
//
// A dynamic core is one_for_one over kids without ids. It forgets a kid that neither runs nor will, and ends them all
// at once.
type core struct {
	flags   Flags
	dynamic bool
	most    int // how many kids there may be; zero: any number
	rand    func() float64
	unheard bool // nobody wants the events

	stage   stage
	reason  Reason // of ending and over
	killing bool   // ending without asking
	boot    *call  // waits for the end of booting
	kids    family
	byID    map[string]*kid
	byChild map[Child]*kid // of a dynamic core: by the last incarnation
	window  window
	timers  timers
	seq     int

	round    *round
	active   *kid    // what the round, or an ordered strategy's call, waits for
	changing *call   // a change that waits until no kid starts or stops
	queue    []input // what waits until there is neither round nor active nor changing

	epoch time.Time

	// of the step under way
	now      time.Time
	at       moment
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
	c := &core{flags: f, rand: rand, epoch: now, now: now, byID: make(map[string]*kid, len(specs))}
	for _, s := range specs {
		c.add(s)
	}
	return c
}

func newDynamicCore(f Flags, most int, now time.Time, rand func() float64) *core {
	return &core{flags: f, most: most, dynamic: true, rand: rand, epoch: now, now: now, byChild: map[Child]*kid{}}
}

// step takes one input. What it returns is valid until the next step.
func (c *core) step(now time.Time, in input) ([]Event, []command) {
	c.now, c.at = now, moment(now.Sub(c.epoch))
	c.events, c.commands = c.events[:0], c.commands[:0]
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
	case *ended:
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
		case c.changing != nil:
			if c.kids.moving() > 0 {
				return
			}
			in := c.changing
			c.changing = nil
			c.change(in)
		case len(c.queue) > 0:
			in := c.queue[0]
			c.queue[0] = nil
			c.queue = c.queue[1:]
			c.dispatch(in)
		case c.dynamic && c.stage == ending && c.kids.size == 0:
			c.finished()
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
		} else {
			c.forget(k)
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

// busy reports whether other inputs must wait: under an ordered strategy, during any supervisor's own start, and while
// a change waits.
func (c *core) busy() bool {
	return c.changing != nil || (c.ordered() || c.stage == booting) && (c.round != nil || c.active != nil)
}

// begin starts a kid that is idle or waiting.
func (c *core) begin(k *kid, why why) {
	k.n++
	k.why, k.doomed, k.killed = why, false, false
	c.enter(k, starting)
	if why == forRestart {
		k.record().restarts++
		c.emit(k, Event{Kind: Restarting})
	}
	c.do(command{verb: doStart, kid: k, n: k.n})
}

// halt stops a kid whatever it does, and reports whether that takes time.
func (c *core) halt(k *kid) bool {
	switch k.phase {
	case running:
		if r := k.ended(); r != nil {
			c.swallow(k, *r)
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
	switch d := k.shutdown; {
	case c.killing || d == Brutal:
		c.finish(k)
	default:
		c.do(command{verb: doShutdown, kid: k, n: k.n})
		if d != Infinity {
			c.wakeAt(k, c.at.after(d))
		}
	}
}

// finish kills a kid, once.
func (c *core) finish(k *kid) {
	if !k.killed {
		k.killed = true
		c.do(command{verb: doKill, kid: k, n: k.n})
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
	if c.round != nil && c.round.cause != "" && k.restart != Temporary {
		words = "restart with " + c.round.cause
	}
	c.emit(k, Event{Kind: Ended, Reason: r, Decision: words})
	c.forget(k)
}

// note records the end of an incarnation; the kid is idle afterwards.
func (c *core) note(k *kid, r Reason) {
	c.window.prune(c.now, c.flags.Period)
	p := k.record()
	if !c.window.up && time.Duration(c.at-k.started) >= c.healthy(k) {
		p.tries = 0
	}
	p.ends++
	p.last = r
	k.run = nil
	if k.pending != nil {
		k.pending.ended = nil
		k.tidy()
	}
	if !c.dynamic {
		k.child = nil
	}
	c.enter(k, idle)
}

// settle lets go on what waited for k to be neither starting nor stopping.
func (c *core) settle(k *kid) {
	if c.active == k {
		c.active = nil
	}
	if p := k.pending; p != nil {
		for _, in := range p.queue {
			c.queue = append(c.queue, in)
		}
		p.queue = nil
		k.tidy()
	}
}

// end stops everything for the reason given: in reverse start order, or, when dynamic, at once. The first reason
// stands.
func (c *core) end(r Reason) {
	if c.stage >= ending {
		return
	}
	c.stage, c.reason = ending, r
	for _, in := range c.queue {
		c.refuse(in)
	}
	if c.changing != nil {
		c.refuse(c.changing)
	}
	c.queue, c.active, c.changing, c.round = nil, nil, nil, nil
	if !c.dynamic {
		c.round = &round{}
	}
	for k := range c.kids.backward() {
		if k.pending != nil {
			for _, in := range k.pending.queue {
				c.refuse(in)
			}
			k.pending.queue = nil
		}
		switch {
		case k.phase == starting:
			c.doom(k)
		case k.phase == waiting:
			c.enter(k, idle)
			if c.dynamic {
				c.remove(k)
			}
		case c.dynamic && k.phase == idle: // the one that gave the reason
			c.remove(k)
		case c.dynamic:
			c.halt(k)
		}
		if !c.dynamic {
			c.round.stop = append(c.round.stop, k)
		}
	}
}

// kill ends everything at once, without asking and in no order.
func (c *core) kill() {
	if c.stage == over || c.killing {
		return
	}
	c.killing = true
	c.end(Reason{Kind: Killed})
	c.reason.Kind = Killed
	for k := range c.kids.forward() {
		switch k.phase {
		case running:
			if k.ended() == nil {
				c.halt(k)
			}
		case stopping:
			c.wakeAt(k, 0)
			c.finish(k)
		}
	}
}

// refuse answers what waited, if it is a call.
func (c *core) refuse(in input) {
	if in, ok := in.(*call); ok {
		c.answer(in, ErrStopping)
	}
}

func (c *core) enter(k *kid, p phase) {
	c.wakeAt(k, 0)
	c.kids.enter(k, p)
	k.since = c.at
}

// wakeAt sets the one moment that k waits for; zero clears it.
func (c *core) wakeAt(k *kid, at moment) {
	if k.due != 0 {
		heap.Remove(&c.timers, k.slot)
	}
	k.due = at
	if at != 0 {
		heap.Push(&c.timers, k)
	}
}
