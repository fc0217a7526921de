package rollout

import (
	"fmt"
	"slices"
	"time"

	"semper"
)

const (
	// startTries is how often a new instance may end before it was ready until the rollout fails.
	startTries = 3
	// cutGrace is what an edge gets, after a class deadline, to cut what is left before the instance is stopped.
	cutGrace = 5 * time.Second
)

// Step moves env on as far as w allows. The result is a function of its arguments alone.
func Step(env semper.Environment, w World) Decision {
	d := &step{Decision: Decision{Env: clone(env)}, w: w}
	for d.advance() {
		d.Changed = true
	}
	d.expireWarm()
	d.retire()
	d.want()
	return d.Decision
}

type step struct {
	Decision
	w World
}

// advance makes at most one transition and reports whether it did.
func (d *step) advance() bool {
	r := d.Env.Rollout
	if r == nil || r.State.Ended() {
		return false
	}
	switch r.State {
	case semper.RolloutStage:
		return d.stage(r)
	case semper.RolloutStart:
		return d.start(r)
	case semper.RolloutReady:
		return d.ready(r)
	case semper.RolloutConnect:
		return d.connect(r)
	case semper.RolloutDrain:
		return d.drain(r)
	case semper.RolloutWatch:
		return d.watch(r)
	case semper.RolloutRetire:
		return d.retiring(r)
	case semper.RolloutRollingBack:
		return d.rollingBack(r)
	}
	return d.fail(r, "unknown rollout state "+string(r.State), "")
}

func (d *step) stage(r *semper.Rollout) bool {
	rel, ok := d.w.Releases[r.To]
	if !ok {
		return d.fail(r, fmt.Sprintf("release %s does not exist", r.To), "")
	}
	err, known := d.w.Staged[rel.Artifact]
	switch {
	case !known:
		d.Commands = append(d.Commands, Stage{rel.Artifact})
		d.Waiting = "unpacking and checking artifact " + rel.Artifact.Short()
		return false
	case err != nil:
		return d.fail(r, fmt.Sprintf("artifact of %s: %v", r.To, err), "")
	}
	d.enter(r, semper.RolloutStart, time.Time{}, fmt.Sprintf("artifact %s checked", rel.Artifact.Short()))
	return true
}

func (d *step) start(r *semper.Rollout) bool {
	for _, u := range r.Target.Instances {
		if _, ok := d.w.Instances[u.ID]; !ok {
			d.Waiting = fmt.Sprintf("starting %s", u.ID)
			d.wake(r.Deadline)
			return false // want() gives the command
		}
	}
	grace := time.Duration(0)
	for svc := range r.Target.Scale {
		grace = max(grace, d.w.Releases[r.To].Spec.Services[svc].Health.Grace.D())
	}
	d.enter(r, semper.RolloutReady, d.w.Now.Add(grace), fmt.Sprintf("%d instances started", len(r.Target.Instances)))
	return true
}

func (d *step) ready(r *semper.Rollout) bool {
	var waiting semper.InstanceID
	for _, u := range r.Target.Instances {
		in, known := d.w.Instances[u.ID]
		if known && in.State == semper.Ready {
			continue
		}
		if why := hopeless(in); known && why != "" {
			return d.failInstance(r, u.ID, fmt.Sprintf("%s %s before it was ready", u.ID, why))
		}
		if waiting == "" {
			waiting = u.ID
		}
	}
	if waiting == "" {
		d.cutOver(r)
		return true
	}
	why := d.w.Instances[waiting].Why
	if !r.Deadline.IsZero() && !d.w.Now.Before(r.Deadline) {
		msg := fmt.Sprintf("%s was not ready within %s", waiting, r.Deadline.Sub(r.EnteredAt).Round(time.Millisecond))
		if why != "" {
			msg += ": " + why
		}
		return d.failInstance(r, waiting, msg)
	}
	d.Waiting = fmt.Sprintf("%s is not ready", waiting)
	if why != "" {
		d.Waiting += ": " + why
	}
	d.wake(r.Deadline)
	return false
}

// hopeless says in words why a not yet ready instance need not be waited for, or "".
func hopeless(in Instance) string {
	e := in.LastEnd
	if e == nil {
		return ""
	}
	switch {
	case e.Reason.Kind == semper.ReasonStart:
		return e.Reason.String()
	case in.State == semper.Ended:
		return "ended (" + e.Reason.String() + ")"
	case e.GaveUp || in.Restarts >= startTries-1 && in.State == semper.Waiting || in.Restarts >= startTries:
		return fmt.Sprintf("ended %d times (%s)", in.Restarts+boolInt(in.State == semper.Waiting), e.Reason)
	}
	return ""
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// cutOver makes the target current, in the same value and by the same epoch for all its services.
func (d *step) cutOver(r *semper.Rollout) {
	e, now := &d.Env, d.w.Now
	r.Epoch = d.w.NextEpoch
	target := r.Target
	target.CutAt, target.CutEpoch = time.Time{}, 0
	e.Retiring = slices.DeleteFunc(e.Retiring, func(p semper.Placement) bool { return p.Generation == target.Generation })
	if cur := e.Current; cur != nil {
		old := *cur
		old.Instances = slices.DeleteFunc(slices.Clone(cur.Instances), func(u semper.PlacedUnit) bool {
			return slices.Contains(target.Instances, u)
		})
		old.CutAt, old.CutEpoch = now, d.w.NextEpoch
		switch {
		case old.Release != target.Release:
			if p := e.Previous; p != nil && p.Generation != target.Generation && len(p.Instances) > 0 {
				e.Retiring = append(e.Retiring, *p)
			}
			e.Previous = &old
		case len(old.Instances) > 0:
			e.Retiring = append(e.Retiring, old)
		}
	}
	e.Current = &target
	d.enter(r, semper.RolloutConnect, time.Time{}, fmt.Sprintf("epoch %d sends everything to %s", r.Epoch, r.To))
}

func (d *step) connect(r *semper.Rollout) bool {
	if d.crashLoop(r) {
		return true
	}
	if d.w.Acked < r.Epoch {
		d.Waiting = fmt.Sprintf("every edge to acknowledge epoch %d (the slowest is at %d)", r.Epoch, d.w.Acked)
		return false
	}
	d.enter(r, semper.RolloutDrain, time.Time{}, fmt.Sprintf("epoch %d acknowledged: %s is live", r.Epoch, r.To))
	return true
}

func (d *step) drain(r *semper.Rollout) bool {
	if d.crashLoop(r) {
		return true
	}
	left, until, n := d.inHand()
	if left {
		d.Waiting = fmt.Sprintf("%d in flight on the old instances", n)
		d.wake(until)
		return false
	}
	if d.warm() {
		until := d.Env.Previous.CutAt.Add(d.warmFor())
		d.enter(r, semper.RolloutWatch, until, fmt.Sprintf("%s stays warm until %s", d.Env.Previous.Release, until.UTC().Format(time.TimeOnly)))
		return true
	}
	d.enter(r, semper.RolloutRetire, time.Time{}, "")
	return true
}

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
	if p := d.Env.Previous; p != nil && len(p.Instances) > 0 {
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

func (d *step) watch(r *semper.Rollout) bool {
	if d.crashLoop(r) {
		return true
	}
	if d.warm() {
		until := d.Env.Previous.CutAt.Add(d.warmFor())
		d.Waiting = fmt.Sprintf("watching %s; %s is warm until %s", r.To, d.Env.Previous.Release, until.UTC().Format(time.TimeOnly))
		if d.w.Now.Before(until) {
			d.wake(until)
			return false
		}
		d.coolDown("warm time over")
	}
	d.enter(r, semper.RolloutRetire, time.Time{}, "")
	return true
}

func (d *step) retiring(r *semper.Rollout) bool {
	if n := len(d.Env.Retiring); n > 0 {
		d.Waiting = fmt.Sprintf("%s to end", d.Env.Retiring[0].Release)
		return false
	}
	d.end(r, semper.RolloutDone, "")
	return true
}

// crashLoop turns the rollout back when an instance of the new release exceeded its restart
// intensity and the old release can still serve.
func (d *step) crashLoop(r *semper.Rollout) bool {
	cur := d.Env.Current
	if cur == nil || !d.warm() || cur.Release == d.Env.Previous.Release {
		return false
	}
	for _, u := range cur.Instances {
		in := d.w.Instances[u.ID]
		if in.LastEnd == nil || !in.LastEnd.GaveUp || in.LastEnd.At.Before(r.StartedAt) {
			continue
		}
		if !d.previousServes() {
			return false
		}
		d.turnBack(r, u.ID, fmt.Sprintf("%s is in a crash loop (%s; %d restarts within the period)", u.ID, in.LastEnd.Reason, in.LastEnd.Window))
		return true
	}
	return false
}

// previousServes reports whether each web service of the warm release has a ready instance.
func (d *step) previousServes() bool {
	p := d.Env.Previous
	spec := d.w.Releases[p.Release].Spec
	for name, svc := range spec.Services {
		if svc.Type != semper.Web || p.Scale[name] == 0 {
			continue
		}
		if !slices.ContainsFunc(p.Instances, func(u semper.PlacedUnit) bool { return u.Service == name && d.w.ready(u.ID) }) {
			return false
		}
	}
	return true
}

// turnBack publishes the previous release again: one table back.
func (d *step) turnBack(r *semper.Rollout, culprit semper.InstanceID, why string) {
	e := &d.Env
	bad, good := *e.Current, *e.Previous
	good.CutAt, good.CutEpoch = time.Time{}, 0
	bad.CutAt, bad.CutEpoch = d.w.Now, d.w.NextEpoch
	e.Current = &good
	e.Retiring = append(e.Retiring, bad)
	bad.Instances = nil
	e.Previous = &bad
	r.Epoch = d.w.NextEpoch
	r.Reason, r.Instance = why, culprit
	if in, ok := d.w.Instances[culprit]; ok && in.LastEnd != nil {
		r.Tail = in.LastEnd.Tail
	}
	d.enter(r, semper.RolloutRollingBack, time.Time{}, fmt.Sprintf("back to %s: %s", good.Release, why))
}

func (d *step) rollingBack(r *semper.Rollout) bool {
	if d.w.Acked < r.Epoch {
		d.Waiting = fmt.Sprintf("every edge to acknowledge epoch %d", r.Epoch)
		return false
	}
	d.end(r, semper.RolloutRolledBack, fmt.Sprintf("%s serves again", d.Env.Current.Release))
	return true
}

func (d *step) warm() bool {
	return d.Env.Previous != nil && len(d.Env.Previous.Instances) > 0
}

func (d *step) warmFor() time.Duration {
	if d.Env.Current == nil {
		return 0
	}
	return d.w.Releases[d.Env.Current.Release].Spec.Warm.D()
}

// expireWarm ends the warm time of a release no rollout watches any more.
func (d *step) expireWarm() {
	if !d.warm() {
		return
	}
	r := d.Env.Rollout
	if r != nil && !r.State.Ended() {
		return // its own watch, or the next rollout, decides
	}
	until := d.Env.Previous.CutAt.Add(d.warmFor())
	if d.w.Now.Before(until) {
		d.wake(until)
		return
	}
	d.coolDown("warm time over")
	d.Changed = true
}

// coolDown gives up the warm release: from now on it is only drained and ended.
func (d *step) coolDown(why string) {
	p := *d.Env.Previous
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

// want asks for every instance that should run and is not known, and ends every known one that should not.
func (d *step) want() {
	e := d.Env
	wanted := make(map[semper.InstanceID]bool)
	add := func(p *semper.Placement, start bool) {
		if p == nil {
			return
		}
		for _, u := range p.Instances {
			wanted[u.ID] = true
			if _, known := d.w.Instances[u.ID]; !known && start {
				if spec, ok := d.spec(p, u); ok {
					d.Commands = append(d.Commands, Start{spec})
				}
			}
		}
	}
	add(e.Current, true)
	add(e.Previous, true)
	for i := range e.Retiring {
		add(&e.Retiring[i], false)
	}
	if r := e.Rollout; r != nil && !r.State.Ended() && !r.State.Live() && r.State != semper.RolloutConnect && r.State != semper.RolloutRollingBack {
		add(&r.Target, r.State != semper.RolloutStage)
	}
	for id, in := range d.w.Instances {
		if !wanted[id] && in.State != semper.Stopping && in.State != semper.Ended {
			d.Commands = append(d.Commands, Stop{id, "no placement names it"})
		}
	}
}

// spec is what the keeper needs to run u. A release that is gone cannot be started again.
func (d *step) spec(p *semper.Placement, u semper.PlacedUnit) (semper.InstanceSpec, bool) {
	rel, ok := d.w.Releases[p.Release]
	if !ok {
		return semper.InstanceSpec{}, false
	}
	s := semper.InstanceSpec{
		ID: u.ID, App: d.Env.App, Environment: d.Env.Name, Service: u.Service, Release: p.Release,
		Generation: p.Generation, Artifact: rel.Artifact, Spec: rel.Spec.Services[u.Service],
	}
	if c := d.Env.Current; c != nil && c.Release != p.Release {
		s.Previous = c.Release
	}
	return s, true
}

func (d *step) wake(t time.Time) {
	if !t.IsZero() && (d.Wake.IsZero() || t.Before(d.Wake)) {
		d.Wake = t
	}
}
