package rollout

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"semper"
)

// inHand tells whether anything that lost its traffic still holds some and may, until when, how many.
func (d *step) inHand() (left bool, until time.Time, requests, jobs int) {
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
			end := d.drainEnd(p, u, f)
			if !end.IsZero() && !d.w.Now.Before(end) {
				continue
			}
			if left = true; d.service(p, u).Type == semper.Worker {
				jobs += f.Total()
			} else {
				requests += f.Total()
			}
			if until.IsZero() || !end.IsZero() && end.Before(until) {
				until = end
			}
		}
	}
	return left, until, requests, jobs
}

// InHand says in words what is left to finish: "2 jobs", "1 request", "3 requests and 1 job".
func InHand(requests, jobs int) string {
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{requests, "request"}, {jobs, "job"}} {
		switch {
		case c.n == 1:
			parts = append(parts, "1 "+c.what)
		case c.n > 1:
			parts = append(parts, fmt.Sprintf("%d %ss", c.n, c.what))
		}
	}
	return strings.Join(parts, " and ")
}

// service is what p's release says of u's service.
func (d *step) service(p semper.Placement, u semper.PlacedUnit) semper.Service {
	return d.w.Releases[p.Release].Spec.Services[u.Service]
}

// outgoing are the placements that lost their traffic and still have instances.
func (d *step) outgoing() []semper.Placement {
	out := slices.Clone(d.Env.Retiring)
	if p := d.Env.Previous; p != nil && len(p.Instances) > 0 && !pinned(p) {
		out = append(out, *p)
	}
	return out
}

// drainEnd is when the last class that has anything in flight has been cut by every edge; zero for never: jobs take what they take,
// unless their service says how long they may.
func (d *step) drainEnd(p semper.Placement, u semper.PlacedUnit, f semper.InFlight) time.Time {
	if svc := d.service(p, u); svc.Type == semper.Worker {
		if svc.Drain == 0 {
			return time.Time{}
		}
		return p.CutAt.Add(svc.Drain.D() + cutGrace)
	}
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
			if why := d.mayStop(p, u); why != "" {
				d.Commands = append(d.Commands, Stop{u.ID, why})
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

// mayStop is law L4 for an outgoing instance: every live edge leaves it out, and nothing is in flight to it, or the deadlines of what
// is have passed. It says why it may, or nothing.
func (d *step) mayStop(p semper.Placement, u semper.PlacedUnit) string {
	if p.CutEpoch == 0 {
		return fmt.Sprintf("%s has no traffic and holds nothing", p.Release)
	}
	if d.w.Acked == 0 || d.w.Acked < p.CutEpoch {
		return ""
	}
	f := d.w.InFlight[u.ID]
	if f.Total() == 0 && !d.quiesces(p, u) {
		return fmt.Sprintf("%s lost its traffic at epoch %d and holds nothing", p.Release, p.CutEpoch)
	}
	end := d.drainEnd(p, u, f)
	if !end.IsZero() && !d.w.Now.Before(end) {
		return fmt.Sprintf("%s lost its traffic at epoch %d, and its time to finish what it holds is over", p.Release, p.CutEpoch)
	}
	d.wake(end)
	return ""
}
