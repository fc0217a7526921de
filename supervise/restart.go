package supervise

import (
	"errors"
	"fmt"
	"slices"
)

// startFailed decides about a start that returned an error.
func (c *core) startFailed(k *kid, err error) {
	k.record().err, k.run = err, nil
	c.enter(k, idle)
	if k.why == forRestart && k.restart != Temporary { // Change can make one
		v := c.judge(k, false)
		c.emit(k, Event{Kind: StartFailed, Err: err, Delay: v.delay, Decision: v.words})
		if c.gaveUp(k, v, err) {
			return
		}
		c.enter(k, waiting)
		if c.ordered() {
			c.round = nil // those after k stay down until k is up; OTP's order
		}
		if v.delay == 0 {
			c.do(command{verb: doRetry, kid: k, n: k.n})
		} else {
			c.wakeAt(k, c.at.after(v.delay))
		}
		return
	}
	c.emit(k, Event{Kind: StartFailed, Err: err, Decision: "none"})
	failure := error(&StartError{Child: k.name(), Err: err})
	if k.why == forBoot {
		c.end(Reason{Kind: Shutdown, Err: failure})
		return
	}
	if k.why == forStart || k.why == forRestart {
		c.remove(k)
	}
	var below *StartError // of a supervisor one of whose children lives elsewhere: an ordinary failure here
	if c.dynamic || errors.Is(err, ErrAlreadyStarted) && !errors.As(err, &below) {
		failure = err // as in OTP; the child of the same name lives elsewhere: not a failure of this start
	}
	c.answerStarter(k, failure)
}

// crashed decides about a kid that has ended by itself.
func (c *core) crashed(k *kid, r Reason) {
	c.note(k, r)
	if !k.restartsAfter(r) {
		c.retire(k, r)
		return
	}
	v := c.judge(k, r.External)
	c.emit(k, Event{Kind: Ended, Reason: r, Delay: v.delay, Decision: v.words})
	if c.gaveUp(k, v, r.Err) {
		return
	}
	switch {
	case v.delay == 0:
		c.attempt(k)
	default:
		c.enter(k, waiting)
		c.wakeAt(k, c.at.after(v.delay))
		if c.ordered() {
			// Those that depend on k stop now, not when k comes back: they would run, crash and be restarted without it.
			c.round = c.roundFor(k)
			c.round.start = nil
		}
	}
}

// retire leaves a kid that has ended by itself alone, and ends the supervisor if that was significant.
func (c *core) retire(k *kid, r Reason) {
	words := "none"
	last := k.significant && c.flags.AutoShutdown != Never
	if last && c.flags.AutoShutdown == AllSignificant {
		for other := range c.kids.forward() {
			last = last && (!other.significant || other.gone())
		}
	}
	if last {
		words = "shut down"
	}
	c.emit(k, Event{Kind: Ended, Reason: r, Decision: words})
	c.forget(k)
	if last {
		c.end(Reason{Kind: Shutdown, Err: fmt.Errorf("%s: %w", k.name(), ErrAutoShutdown)})
	}
}

// gaveUp reports a passed limit, and whether the supervisor ends for it.
func (c *core) gaveUp(k *kid, v verdict, cause error) bool {
	if !v.giveUp {
		return false
	}
	escalate := c.flags.GiveUp == Escalate
	if p := k.record(); p.gaveUp != c.window.gen || escalate {
		p.gaveUp = c.window.gen
		c.emit(k, Event{Kind: GaveUp, Err: cause, Delay: v.delay, Decision: v.words})
	}
	if escalate {
		c.end(Reason{Kind: Shutdown, Err: fmt.Errorf("%s: %w: %d restarts in %v",
			k.name(), ErrIntensity, v.window, c.flags.Period)})
	}
	return escalate
}

// attempt restarts k and whom the strategy adds to it.
func (c *core) attempt(k *kid) {
	if c.ordered() {
		// Until its turn comes it is one of the round, as in OTP: should another fail before, that one is tried again.
		c.enter(k, idle)
		c.round = c.roundFor(k)
		return
	}
	c.begin(k, forRestart)
}

// roundFor is the restart of k under an ordered strategy. Every spec in its range is started, also one that did not run
// before; temporary ones are stopped and forgotten.
func (c *core) roundFor(k *kid) *round {
	r := &round{why: forRestart, cause: k.name()}
	first := c.kids.first
	if c.flags.Strategy == RestForOne {
		first = k
	}
	for other := first; other != nil; other = other.next {
		if other != k {
			r.stop = append(r.stop, other)
		}
		if other.restart != Temporary {
			r.start = append(r.start, other)
		}
	}
	slices.Reverse(r.stop)
	return r
}
