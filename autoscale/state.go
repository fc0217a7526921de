package autoscale

import (
	"fmt"
	"math"
	"time"
)

const (
	// Tolerance is how far the load of an instance may be from its target before anything changes, as a part of the target.
	Tolerance = 0.1
	// Every is how often at most instances are added where those before are not ready yet, or taken away.
	Every = 10 * time.Second
	// Memory is the time constant by which requests in flight are averaged, as short ones are in flight at one look and not at the
	// next. More of them are believed sooner.
	Memory       = 5 * time.Second
	MemoryRising = 2 * time.Second
	// Gap is how long nothing may have been seen before that is a gap: twice what who calls Step needs at the worst.
	Gap = 10 * time.Second
)

// A State is what was seen of a service before. The zero State has seen nothing. It is a value that only Step makes.
type State struct {
	seen      time.Time // of the last signals
	load      float64   // requests in flight and waiting, averaged until then
	averaged  time.Time // zero: load is none
	up, down  window
	idleSince time.Time // zero: it is not idle
	grown     time.Time // when instances were added last
	shrunk    time.Time // when some were taken away last
}

// A Decision is how many instances there should be.
type Decision struct {
	Want int // in all; what there is where nothing changes
	// Need is how many the signals ask for, which Want follows.
	Need int
	Why  string // in words, for people
	// Load is what was averaged of the requests.
	Load float64
}

// Step is what s wants under p where sig is seen at now, and what it has seen then.
func (s State) Step(p Policy, sig Signals, now time.Time) (State, Decision) {
	d := Decision{Want: sig.Placed, Need: sig.Placed}
	if now.Sub(s.seen) > Gap || now.Before(s.seen) { // the clock was set, or nobody looked
		s.forget()
	}
	s.seen = now
	s = s.average(sig, now)
	d.Load = s.load
	need, why := s.need(p, &sig, now)
	d.Need, d.Why = need, why
	s.idleSince = s.idle(p, &sig, now)
	switch {
	case sig.Placed < p.Min && need <= p.Min:
		d.Need, d.Why = p.Min, fmt.Sprintf("there are to be %d at least", p.Min)
		return s.grow(p, &sig, now, d)
	case need > sig.Placed:
		return s.rise(p, &sig, now, d)
	}
	s.up = window{}
	return s.fall(p, &sig, now, d)
}

// forget leaves nothing that a decision to take away could go by.
func (s *State) forget() {
	s.up, s.down, s.idleSince, s.averaged = window{}, window{}, time.Time{}, time.Time{}
}

// average takes sig into the load.
func (s State) average(sig Signals, now time.Time) State {
	if sig.Requests == nil {
		s.averaged = time.Time{}
		return s
	}
	n, part := float64(sig.Requests.InFlight+sig.Requests.Waiting), 1.0
	if !s.averaged.IsZero() {
		memory := Memory
		if n > s.load {
			memory = MemoryRising
		}
		part = 1 - math.Exp(-float64(now.Sub(s.averaged))/float64(memory))
	}
	s.load += part * (n - s.load)
	s.averaged = now
	return s
}

// idle is since when there was nothing to do.
func (s State) idle(p Policy, sig *Signals, now time.Time) time.Time {
	switch {
	case !sig.idle(p):
		return time.Time{}
	case s.idleSince.IsZero():
		return now
	}
	return s.idleSince
}

// rise adds what is asked for, once that was asked for long enough.
func (s State) rise(p Policy, sig *Signals, now time.Time, d Decision) (State, Decision) {
	s.down = s.down.put(now, d.Need, p.Down.After.D(), most)
	if sig.Placed == 0 {
		return s.grow(p, sig, now, d)
	}
	s.up = s.up.put(now, d.Need, p.Up.After.D(), least)
	if !s.up.whole(now, p.Up.After.D()) {
		d.Why += ", for " + span(now.Sub(s.up.since)) + " of " + span(p.Up.After.D())
		return s, d
	}
	d.Need = min(d.Need, s.up.first())
	return s.grow(p, sig, now, d)
}

// grow adds what is needed and may be, a step at a time, each when the one before can show.
func (s State) grow(p Policy, sig *Signals, now time.Time, d Decision) (State, Decision) {
	if d.Need > p.Max {
		d.Why += ", and there may be " + count(p.Max, "instance") + " at most"
	}
	step := p.Up.Step
	if step == 0 {
		step = max(sig.Placed, LeastStep)
	}
	switch to := min(d.Need, p.Max, sig.Placed+step); {
	case to <= sig.Placed:
	case sig.Placed > 0 && sig.Ready < sig.Placed && now.Sub(s.grown) < Every:
		d.Why += "; those that were added are on their way"
	default:
		d.Want, s.grown = to, now
	}
	return s, d
}

// fall takes away what was not asked for during the whole of Down.After, or everything.
func (s State) fall(p Policy, sig *Signals, now time.Time, d Decision) (State, Decision) {
	if sig.missing(p) || sig.Held {
		s.forget() // what was not seen may have been asked for
		return s, d
	}
	s.down = s.down.put(now, d.Need, p.Down.After.D(), most)
	if sig.Rollout {
		if d.Need < sig.Placed {
			d.Why += "; nothing is taken away while a rollout is under way"
		}
		return s, d
	}
	if p.Min == 0 && sig.Placed > 0 && !s.idleSince.IsZero() {
		if since := now.Sub(s.idleSince); since >= p.ToZeroAfter.D() {
			d.Want, d.Need, d.Why = 0, 0, "nothing to do for "+span(p.ToZeroAfter.D())+": it sleeps until there is"
			return s.after(now), d
		}
	}
	keep := min(max(s.down.first(), p.Min, min(sig.Placed, 1)), p.Max)
	switch {
	case keep >= sig.Placed:
		if d.Need < sig.Placed {
			d.Why += fmt.Sprintf("; %d were needed during the last ", s.down.first()) + span(p.Down.After.D())
		}
		return s, d
	case !s.down.whole(now, p.Down.After.D()):
		d.Why += "; taken away once that has been so for " + span(p.Down.After.D())
		return s, d
	case now.Sub(s.shrunk) < Every:
		return s, d
	}
	step := p.Down.Step
	if step == 0 {
		step = (sig.Placed + 1) / 2
	}
	d.Want = max(keep, sig.Placed-step)
	d.Why += fmt.Sprintf("; %d were enough during the last %s", keep, span(p.Down.After.D()))
	return s.after(now), d
}

// after is s when instances were taken away at now.
func (s State) after(now time.Time) State {
	s.shrunk = now
	return s
}

// IdleFor is how long the service has had nothing to do; 0 where it has.
func (s State) IdleFor(now time.Time) time.Duration {
	if s.idleSince.IsZero() {
		return 0
	}
	return now.Sub(s.idleSince)
}
