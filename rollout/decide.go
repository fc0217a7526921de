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
	d.compare()
	d.endHolds()
	d.expirePins()
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
	case semper.RolloutTrial:
		return d.trial(r)
	case semper.RolloutHold:
		return d.holding(r)
	case semper.RolloutMigrate:
		return d.migrating(r)
	case semper.RolloutUndo:
		return d.undoing(r)
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
	if r.Trial != nil && !r.Trial.Over {
		if why := d.place(r); why != "" {
			return d.fail(r, why, "")
		}
	}
	d.enter(r, semper.RolloutStart, time.Time{}, fmt.Sprintf("artifact %s checked", rel.Artifact.Short()))
	return true
}

func (d *step) start(r *semper.Rollout) bool {
	if tried(r) && d.fallen(r) {
		return true
	}
	units := d.needed(r)
	if !tried(r) {
		units = append(slices.Clone(units), fresh(r)...)
	}
	for _, u := range units {
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
	d.enter(r, semper.RolloutReady, d.w.Now.Add(grace), fmt.Sprintf("%d instances started", len(units)))
	return true
}

// fresh are the instances of r's fresh baseline.
func fresh(r *semper.Rollout) []semper.PlacedUnit {
	if r.Trial == nil || r.Trial.Baseline == nil {
		return nil
	}
	return r.Trial.Baseline.Instances
}

func (d *step) ready(r *semper.Rollout) bool {
	if tried(r) && d.fallen(r) {
		return true
	}
	waiting, lost, why := d.unready(r, d.needed(r))
	if lost != "" {
		return d.failInstance(r, lost, why)
	}
	if waiting == "" && !tried(r) {
		if waiting, lost, why = d.unready(r, fresh(r)); lost != "" {
			d.forgo(r, why)
			return true
		}
	}
	switch t := r.Trial; {
	case waiting != "":
		d.Waiting = why
		d.wake(r.Deadline)
		return false
	case t == nil:
		d.migrateOrCutOver(r)
	case t.Paused:
		d.Waiting = "paused by " + t.PausedBy
		return false
	case t.Over:
		d.migrateOrCutOver(r)
	default:
		d.begin(r)
	}
	return true
}

// unready is the first of units that has to be waited for, or the first that need not be, with the reason in words.
func (d *step) unready(r *semper.Rollout, units []semper.PlacedUnit) (waiting, lost semper.InstanceID, why string) {
	for _, u := range units {
		in, known := d.w.Instances[u.ID]
		if known && in.State == semper.Ready {
			continue
		}
		if why := hopeless(in, r.StartedAt, d.ran(u)); known && why != "" {
			return "", u.ID, fmt.Sprintf("%s %s before it was ready", u.ID, why)
		}
		if waiting == "" {
			waiting = u.ID
		}
	}
	if waiting == "" {
		return "", "", ""
	}
	what := d.w.Instances[waiting].Why
	if what != "" {
		what = ": " + what
	}
	if !r.Deadline.IsZero() && !d.w.Now.Before(r.Deadline) {
		return "", waiting, fmt.Sprintf("%s was not ready within %s%s", waiting, r.Deadline.Sub(r.EnteredAt).Round(time.Millisecond), what)
	}
	return waiting, "", fmt.Sprintf("%s is not ready%s", waiting, what)
}

// hopeless says in words why a not yet ready instance need not be waited for, or "". What happened
// before since says nothing about it (a warm instance may have a long life behind it), and
// neither does a kill from outside.
func hopeless(in Instance, since time.Time, ran bool) string {
	e := in.LastEnd
	if e == nil || e.At.Before(since) || e.Reason.Kind == semper.ReasonSignal && e.Reason.Signal == "SIGKILL" {
		return ""
	}
	ends := in.Restarts
	if in.State == semper.Waiting {
		ends++ // the end whose restart is still to come
	}
	switch {
	case e.Reason.Kind == semper.ReasonStart:
		return e.Reason.String()
	case in.State == semper.Ended && !asked(*e):
		return "ended (" + e.Reason.String() + ")"
	case e.GaveUp:
		return fmt.Sprintf("is in a crash loop (%s)", e.Reason)
	case !ran && ends >= startTries:
		return fmt.Sprintf("ended %d times (%s)", ends, e.Reason)
	}
	return ""
}

// ran reports whether u ran before the rollout began: its restarts count its whole life.
func (d *step) ran(u semper.PlacedUnit) bool {
	for _, p := range []*semper.Placement{d.Env.Current, d.Env.Previous} {
		if p != nil && slices.Contains(p.Instances, u) {
			return true
		}
	}
	return false
}

// cutOver makes the target current, in the same value and by the same epoch for all its services.
func (d *step) cutOver(r *semper.Rollout) {
	e, now := &d.Env, d.w.Now
	r.Epoch = d.w.NextEpoch
	target := r.Target
	target = serving(target)
	e.Retiring = slices.DeleteFunc(e.Retiring, func(p semper.Placement) bool { return p.Generation == target.Generation })
	if cur := e.Current; cur != nil {
		old := without(*cur, target)
		old.CutAt, old.CutEpoch = now, d.w.NextEpoch
		old = d.letGo(old)
		switch {
		case old.Release != target.Release:
			if p := e.Previous; p != nil { // of the target's own instances those stay that it has no need of
				if left := without(*p, target); len(left.Instances) > 0 {
					e.Retiring = append(e.Retiring, d.unpin(left))
				}
			}
			d.replace(r, old)
		case len(old.Instances) > 0:
			e.Retiring = append(e.Retiring, old)
		}
	}
	if t := r.Trial; t != nil {
		d.retireBaseline(r)
		t.Share, t.Shadow = 1, 0
	}
	e.Current = &target
	d.enter(r, semper.RolloutConnect, time.Time{}, fmt.Sprintf("epoch %d sends everything to %s", r.Epoch, r.To))
}

// serving is p as it is while it is current.
func serving(p semper.Placement) semper.Placement {
	p.CutAt, p.CutEpoch, p.ReplacedAt, p.PinnedUntil = time.Time{}, 0, time.Time{}, time.Time{}
	return p
}

// without is p but for the instances that q names as well.
func without(p, q semper.Placement) semper.Placement {
	p.Instances = slices.DeleteFunc(slices.Clone(p.Instances), func(u semper.PlacedUnit) bool { return slices.Contains(q.Instances, u) })
	return p
}

func (d *step) connect(r *semper.Rollout) bool {
	if d.crashLoop(r) || d.convicted(r) {
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
	if d.crashLoop(r) || d.convicted(r) {
		return true
	}
	left, until, requests, jobs := d.inHand()
	if left {
		d.Waiting = "draining the old instances"
		if what := InHand(requests, jobs); what != "" {
			d.Waiting = "draining " + what + " on the old instances"
		}
		d.wake(until)
		return false
	}
	if d.warm() {
		until := d.warmUntil()
		d.enter(r, semper.RolloutWatch, until, fmt.Sprintf("%s stays warm until %s", d.Env.Previous.Release, until.UTC().Format(time.TimeOnly)))
		return true
	}
	d.enter(r, semper.RolloutRetire, time.Time{}, "")
	return true
}

func (d *step) watch(r *semper.Rollout) bool {
	if d.crashLoop(r) || d.convicted(r) {
		return true
	}
	if d.warm() {
		until := d.warmUntil()
		d.Waiting = fmt.Sprintf("watching %s; %s is warm until %s", r.To, d.Env.Previous.Release, until.UTC().Format(time.TimeOnly))
		if pinned(d.Env.Previous) {
			d.Waiting += ", and serves who sticks to it until " + d.Env.Previous.PinnedUntil.UTC().Format(time.TimeOnly)
		}
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

// convicted turns the rollout back when the judge finds the new release worse than the one before was and that can still serve. A
// hotfix is not turned back: it stands in for a release that is broken, and errors that go on do not make it worse than that.
func (d *step) convicted(r *semper.Rollout) bool {
	if !d.worse(r) || r.Hotfix != "" || !d.warm() || d.Env.Current.Release == d.Env.Previous.Release || !d.previousServes() {
		return false
	}
	v := *d.verdict(r)
	if r.Trial != nil {
		r.Trial.Verdict = &v
	}
	d.turnBack(r, "", v.Why)
	return true
}

// previousServes reports whether each service of the warm release that gets its work from semper has a ready instance.
func (d *step) previousServes() bool {
	p := d.Env.Previous
	spec := d.w.Releases[p.Release].Spec
	for name, svc := range spec.Services {
		if !svc.Pooled() && !svc.Pulls() || p.Scale[name] == 0 {
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
	good = resize(e, serving(good), good.Scale) // of workers with a broker of their own, new ones
	bad.CutAt, bad.CutEpoch, bad.ReplacedAt = d.w.Now, d.w.NextEpoch, d.w.Now
	e.Current = &good
	e.Retiring = append(e.Retiring, bad)
	bad.Instances = nil
	e.Previous = &bad
	r.Epoch = d.w.NextEpoch
	r.Reason, r.Instance = why, culprit
	if r.Trial != nil {
		r.Trial.Share = 0
	}
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
