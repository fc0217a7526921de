package rollout

import (
	"fmt"
	"slices"
	"time"

	"semper"
)

// inHand tells whether anything that lost its traffic still holds some and may, until when, how many.
func (d *step) inHand() (left bool, until time.Time, n int) {
	for _, p := range d.outgoing() {
		if p.CutEpoch > d.w.Acked || d.w.Acked == 0 {
			left = true
			continue
		}
		for _, u := range p.Instances {
			f := d.w.InFlight[u.ID]
			if f.Total() == 0 {
				continue
			}
			if end := drainEnd(p, f); d.w.Now.Before(end) {
				left, n = true, n+f.Total()
				if until.IsZero() || end.Before(until) {
					until = end
				}
			}
		}
	}
	return left, until, n
}

// outgoing are the placements that lost their traffic and still have instances.
func (d *step) outgoing() []semper.Placement {
	out := slices.Clone(d.Env.Retiring)
	if p := d.Env.Previous; p != nil && len(p.Instances) > 0 && !pinned(p) {
		out = append(out, *p)
	}
	return out
}

// drainEnd is when the last class that has anything in flight has been cut by every edge.
func drainEnd(p semper.Placement, f semper.InFlight) time.Time {
	end := time.Duration(0)
	for class, n := range f {
		if n > 0 {
			end = max(end, deadline(p.Drain, class))
		}
	}
	return p.CutAt.Add(end + cutGrace)
}

func deadline(d semper.DrainDeadlines, c semper.Class) time.Duration {
	switch c {
	case semper.ClassStream:
		return d.Stream.D()
	case semper.ClassWebSocket:
		return d.WebSocket.D()
	}
	return d.Request.D()
}

func (d *step) warm() bool {
	return d.Env.Previous != nil && len(d.Env.Previous.Instances) > 0
}

func (d *step) warmUntil() time.Time {
	warm := time.Duration(0)
	if c := d.Env.Current; c != nil {
		warm = d.w.Releases[c.Release].Spec.Warm.D()
	}
	return d.Env.Previous.WarmSince().Add(warm)
}

// expireWarm ends the warm time of a release no rollout watches any more.
func (d *step) expireWarm() {
	if !d.warm() {
		return
	}
	if r := d.Env.Rollout; r != nil && !r.State.Ended() && (!tried(r) || r.Target.Generation == d.Env.Previous.Generation) {
		return // its own watch, or the next rollout, decides; but a trial takes as long as it takes
	}
	until := d.warmUntil()
	if d.w.Now.Before(until) {
		d.wake(until)
		return
	}
	d.coolDown("warm time over")
	d.Changed = true
}

// coolDown gives up the warm release: from now on it is only drained and ended.
func (d *step) coolDown(why string) {
	p := d.unpin(*d.Env.Previous)
	d.Env.Retiring = append(d.Env.Retiring, p)
	p.Instances = nil
	d.Env.Previous = &p
	d.event("release.retiring", fmt.Sprintf("%s is retired: %s", p.Release, why), func(e *semper.Event) { e.Release = p.Release })
}

// retire stops what lost its traffic and holds nothing any more, and forgets what has ended.
func (d *step) retire() {
	var rest []semper.Placement
	for _, p := range d.Env.Retiring {
		var left []semper.PlacedUnit
		for _, u := range p.Instances {
			in, known := d.w.Instances[u.ID]
			if !known || in.State == semper.Ended {
				continue
			}
			left = append(left, u)
			if d.mayStop(p, u.ID) {
				d.Commands = append(d.Commands, Stop{u.ID, fmt.Sprintf("%s lost its traffic at epoch %d and holds nothing", p.Release, p.CutEpoch)})
			}
		}
		if len(left) == 0 {
			d.Changed = true
			continue
		}
		if len(left) != len(p.Instances) {
			p.Instances = left
			d.Changed = true
		}
		rest = append(rest, p)
	}
	had := len(d.Env.Retiring)
	d.Env.Retiring = rest
	if had > 0 && len(rest) == 0 {
		for d.advance() {
			d.Changed = true
		}
	}
}

// mayStop is law L4 for an outgoing instance: every live edge leaves it out, and nothing is in
// flight to it, or the deadlines of what is have passed.
func (d *step) mayStop(p semper.Placement, id semper.InstanceID) bool {
	if p.CutEpoch == 0 { // never had traffic
		return true
	}
	if d.w.Acked == 0 || d.w.Acked < p.CutEpoch {
		return false
	}
	f := d.w.InFlight[id]
	if f.Total() == 0 {
		return true
	}
	end := drainEnd(p, f)
	if !d.w.Now.Before(end) {
		return true
	}
	d.wake(end)
	return false
}
