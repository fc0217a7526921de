package supervise

import (
	"errors"
	"fmt"
	"slices"
)

// startFailed decides about a start that returned an error.
func (c *core) startFailed(k *kid, err error) {
	k.err, k.run = err, nil
	c.enter(k, idle)
	if k.why == forRestart {
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
			c.wakeAt(k, c.now.Add(v.delay))
		}
		return
	}
	c.emit(k, Event{Kind: StartFailed, Err: err, Decision: "none"})
	failure := error(&StartError{Child: k.spec.ID, Err: err})
	if k.why == forBoot {
		c.end(Reason{Kind: Shutdown, Err: failure})
		return
	}
	if k.why == forStart {
		c.remove(k)
	}
	if errors.Is(err, ErrAlreadyStarted) {
		failure = err // the child of the same name lives elsewhere: not a failure of this start
	}
	c.answerStarter(k, failure)
}

// crashed decides about a kid that has ended by itself.
func (c *core) crashed(k *kid, r Reason) {
	c.note(k, r)
	if !k.restartsAfter(r) {
		c.emit(k, Event{Kind: Ended, Reason: r, Decision: "none"})
		c.dropTemporary(k)
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
		c.wakeAt(k, c.now.Add(v.delay))
		if c.ordered() {
			// Those that depend on k stop now, not when k comes back: they would run, crash and be restarted without it.
			c.round = c.roundFor(k)
			c.round.start = nil
		}
	}
}

// gaveUp reports a passed limit, and whether the supervisor ends for it.
func (c *core) gaveUp(k *kid, v verdict, cause error) bool {
	if !v.giveUp {
		return false
	}
	escalate := c.flags.GiveUp == Escalate
	if k.gaveUp != c.window.gen || escalate {
		k.gaveUp = c.window.gen
		c.emit(k, Event{Kind: GaveUp, Err: cause, Delay: v.delay, Decision: v.words})
	}
	if escalate {
		c.end(Reason{Kind: Shutdown, Err: fmt.Errorf("%s: %w: %d restarts in %v",
			k.spec.ID, ErrIntensity, v.window, c.flags.Period)})
	}
	return escalate
}

// attempt restarts k and whom the strategy adds to it.
func (c *core) attempt(k *kid) {
	if c.ordered() {
		c.round = c.roundFor(k)
		return
	}
	c.begin(k, forRestart)
}

// roundFor is the restart of k under an ordered strategy. Every spec in its range is started, also one that did not run
// before; temporary ones are stopped and forgotten.
func (c *core) roundFor(k *kid) *round {
	r := &round{why: forRestart, cause: k.spec.ID}
	first := c.kids.Front()
	if c.flags.Strategy == RestForOne {
		first = k.at
	}
	for e := first; e != nil; e = e.Next() {
		other := e.Value.(*kid)
		if other != k {
			r.stop = append(r.stop, other)
		}
		if other.spec.Restart != Temporary {
			r.start = append(r.start, other)
		}
	}
	slices.Reverse(r.stop)
	return r
}
