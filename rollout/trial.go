package rollout

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"semper"
	"semper/internal/stepwords"
)

// steps are those the release of r asks for.
func (d *step) steps(r *semper.Rollout) []semper.Step {
	if dep := d.w.Releases[r.To].Spec.Deploy; dep != nil {
		return dep.Steps
	}
	return nil
}

// place decides what runs for the trial of r: of every service that both releases have and run and that gets its work from semper, in the same way, as many instances of the
// candidate as its largest share asks for, and as many new ones of the current release. They are placed once, before the first
// step, so that both arms stay equally old, and none of them has to be started while it is judged. Where no such service is,
// there is no trial. The result says why the rollout cannot go on, or is empty.
func (d *step) place(r *semper.Rollout) string {
	t, cur := r.Trial, d.Env.Current
	if _, ok := d.w.Releases[cur.Release]; !ok {
		return fmt.Sprintf("release %s, which it would be compared with, does not exist", cur.Release)
	}
	to, from := d.w.Releases[r.To].Spec, d.w.Releases[cur.Release].Spec
	largest := 0.0
	for _, s := range d.steps(r) {
		largest = max(largest, s.Share)
	}
	t.Scale, t.Against = make(map[string]int), to.Deploy.Baseline
	for name, svc := range to.Services {
		n := r.Target.Scale[name]
		if !alike(svc, from.Services[name]) || n == 0 || cur.Scale[name] == 0 {
			continue
		}
		t.Scale[name] = min(n, max(1, int(math.Ceil(largest*float64(n)-1e-9)))) // 0.07 × 100 is a little more than 7
		if cur.Scale[name]+t.Scale[name] > maxInstances {
			t.Against = semper.BaselineStable
		}
	}
	switch {
	case len(t.Scale) == 0 && t.Until != "":
		return fmt.Sprintf("no service of %s serves already: there is no step of %s to pause after", r.To, t.Until)
	case len(t.Scale) == 0:
		r.Trial = nil
		d.event("rollout.untried", fmt.Sprintf("%s has no trial: no service of %s serves already, so there is nothing to compare", r.ID, r.To), nil)
	case t.Against != semper.BaselineStable:
		t.Against = semper.BaselineFresh
		fresh := resize(&d.Env, semper.Placement{Release: cur.Release, Drain: cur.Drain}, t.Scale)
		fresh.Generation = nextGeneration(&d.Env)
		t.Baseline = &fresh
	}
	return ""
}

// Due are the instances of r's target that have to run by now: a part of them while steps of its trial are left.
func Due(r *semper.Rollout) []semper.PlacedUnit {
	if r.Trial == nil || r.Trial.Over || r.Trial.Scale == nil {
		return r.Target.Instances
	}
	var out []semper.PlacedUnit
	left := maps.Clone(r.Trial.Scale)
	for _, u := range r.Target.Instances {
		if left[u.Service] > 0 {
			left[u.Service]--
			out = append(out, u)
		}
	}
	return out
}

// trial waits out the present step, which ends by the judge's word alone.
func (d *step) trial(r *semper.Rollout) bool {
	if d.fallen(r) || d.weaken(r) {
		return true
	}
	t, steps := r.Trial, d.steps(r)
	if d.w.Acked < r.Epoch {
		d.Waiting = fmt.Sprintf("every edge to acknowledge epoch %d (the slowest is at %d)", r.Epoch, d.w.Acked)
		return false
	}
	if t.Step >= len(steps) { // of a release that is gone
		return d.fail(r, fmt.Sprintf("release %s has no step %d", r.To, t.Step+1), "")
	}
	if t.Since.IsZero() {
		t.Since = d.w.Now
		return true
	}
	d.hear(r)
	s := steps[t.Step]
	if why := d.undecided(r, s); why != "" {
		d.Waiting = fmt.Sprintf("step %d of %d, %s: %s", t.Step+1, len(steps), stepwords.Sentence(s), why)
		return false
	}
	if t.Until == s.Kind && lastOf(steps, s.Kind) == t.Step {
		t.Until, t.Paused, t.PausedBy = "", true, orSomebody(r.By)
		d.event("rollout.paused", fmt.Sprintf("%s is paused after its last step of %s, as it was asked to", r.ID, s.Kind), nil)
		return true
	}
	d.pass(r, "")
	return true
}

// undecided says in words what keeps the present step from being passed, or "".
func (d *step) undecided(r *semper.Rollout, s semper.Step) string {
	t := r.Trial
	end := t.Since.Add(s.For.D())
	v := d.verdict(r)
	switch {
	case t.Paused && t.PausedBy != "":
		return "paused by " + t.PausedBy
	case t.Paused:
		return "it goes on with semper promote or semper resume"
	case s.Kind == semper.StepPause:
		return ""
	case d.w.Now.Before(end):
		d.wake(end)
		return "until " + end.UTC().Format(time.TimeOnly) + " at least"
	case s.Share >= 1 && s.Kind == semper.StepTraffic:
		return "" // with all requests on one side nothing is left to compare it with
	case v == nil || v.Step != t.Step:
		return "the judge has not spoken yet"
	case v.Outcome != semper.BetterOrEqual:
		return v.Why
	}
	return ""
}

// verdict is the newest word of the judge on r, or nil.
func (d *step) verdict(r *semper.Rollout) *semper.Verdict {
	if v := d.w.Verdict; v != nil && v.Rollout == r.ID {
		return v
	}
	return nil
}

// hear keeps the verdict where it comes to something else than the one before: the newest is shown from elsewhere, and
// nothing that changes with each look is worth a write to the store.
func (d *step) hear(r *semper.Rollout) {
	v, had := d.verdict(r), r.Trial.Verdict
	if v == nil || v.Step != r.Trial.Step || had != nil && had.Outcome == v.Outcome && had.Cause == v.Cause && had.Metric == v.Metric {
		return
	}
	heard := *v
	r.Trial.Verdict, d.Changed = &heard, true
}

// worse reports whether the judge has convicted r's release. Evidence is gathered over all steps and never forgotten, so that a
// verdict on an earlier step, come late, holds as well.
func (d *step) worse(r *semper.Rollout) bool {
	v := d.verdict(r)
	return v != nil && v.Outcome == semper.Worse && (r.Trial == nil || v.Step <= r.Trial.Step)
}

// fallen returns a candidate that was convicted, or that does not keep running, in the step that hears of it.
func (d *step) fallen(r *semper.Rollout) bool {
	if d.worse(r) {
		heard := *d.verdict(r)
		r.Trial.Verdict = &heard
		return d.fail(r, heard.Why, "")
	}
	for _, u := range Due(r) {
		if in := d.w.Instances[u.ID]; broken(in, r.StartedAt) {
			return d.failInstance(r, u.ID, fmt.Sprintf("%s does not keep running (%s)", u.ID, in.LastEnd.Reason))
		}
	}
	return false
}

// broken reports whether in's supervisor has given it up since a time.
func broken(in Instance, since time.Time) bool {
	e := in.LastEnd
	return e != nil && !e.At.Before(since) && (e.GaveUp || in.State == semper.Ended && !asked(*e))
}

// asked reports whether e is an end that somebody asked for. Nobody asks for that of what is still to run but a keeper that stops with
// all it has: it starts it again when it starts itself.
func asked(e semper.End) bool {
	return !e.GaveUp && (e.Reason.Kind == semper.ReasonShutdown || e.Reason.Kind == semper.ReasonKilled)
}

// weaken goes on against the stable release when the fresh baseline does not keep running: that says nothing of the candidate.
func (d *step) weaken(r *semper.Rollout) bool {
	b := r.Trial.Baseline
	if b == nil {
		return false
	}
	for _, u := range b.Instances {
		if in := d.w.Instances[u.ID]; broken(in, r.StartedAt) {
			d.forgo(r, fmt.Sprintf("%s does not keep running (%s)", u.ID, in.LastEnd.Reason))
			return true
		}
	}
	return false
}

// forgo gives the fresh baseline up. The present step begins anew, since it is another comparison from now on.
func (d *step) forgo(r *semper.Rollout, why string) {
	d.retireBaseline(r)
	r.Trial.Against = semper.BaselineStable
	if tried(r) {
		r.Epoch, r.Trial.Since = d.w.NextEpoch, time.Time{}
	}
	d.event("rollout.baseline", fmt.Sprintf("%s goes on against the stable instances: %s", r.ID, why), nil)
}

// retireBaseline lets the fresh baseline finish what it has.
func (d *step) retireBaseline(r *semper.Rollout) {
	b := r.Trial.Baseline
	if b == nil {
		return
	}
	r.Trial.Baseline = nil
	d.Env.Retiring = append(d.Env.Retiring, d.cut(r, *b))
}

// cut is p of a trial without traffic from the next epoch on, if it ever had any.
func (d *step) cut(r *semper.Rollout, p semper.Placement) semper.Placement {
	p.CutAt, p.CutEpoch = time.Time{}, 0
	if r.Trial != nil && r.Epoch != 0 {
		p.CutAt, p.CutEpoch = d.w.Now, d.w.NextEpoch
	}
	return p
}

// pass goes on to the next step.
func (d *step) pass(r *semper.Rollout, by string) {
	d.leave(r, by)
	r.Trial.Step++
	if r.Trial.Step == len(d.steps(r)) {
		d.finish(r)
		return
	}
	d.begin(r)
}

// leave writes down how the present step ended.
func (d *step) leave(r *semper.Rollout, by string) {
	t := r.Trial
	from := t.Since
	if from.IsZero() {
		from = r.EnteredAt
	}
	var v *semper.Verdict
	if w := d.verdict(r); w != nil && w.Step == t.Step {
		heard := *w
		v = &heard
	}
	t.Passed = append(t.Passed, semper.PassedStep{Step: d.steps(r)[t.Step], From: from, To: d.w.Now, By: by, Verdict: v})
	t.Verdict = nil
}

// begin enters the present step: what it declares is the next epoch, and its time runs from that one's acknowledgement. A pause
// leaves everything as it was.
func (d *step) begin(r *semper.Rollout) {
	t, steps := r.Trial, d.steps(r)
	s := steps[t.Step]
	first := r.Epoch == 0
	t.Paused, t.PausedBy, t.Since = s.Kind == semper.StepPause, "", time.Time{}
	switch s.Kind {
	case semper.StepShadow:
		t.Share, t.Shadow = 0, s.Share
	case semper.StepTraffic:
		t.Share, t.Shadow = s.Share, 0
	}
	if first || s.Kind != semper.StepPause {
		r.Epoch = d.w.NextEpoch
	}
	note := fmt.Sprintf("step %d of %d: %s", t.Step+1, len(steps), stepwords.Sentence(s))
	if first {
		note += ", compared with " + against(t)
	}
	d.enter(r, semper.RolloutTrial, time.Time{}, note)
}

// finish has what is left of the candidate started; the arms keep what they have until the cutover.
func (d *step) finish(r *semper.Rollout) {
	t := r.Trial
	t.Over, t.Paused, t.PausedBy, t.Since = true, false, "", d.w.Now
	d.enter(r, semper.RolloutStart, time.Time{}, fmt.Sprintf("no step is left: all %d instances of %s", len(r.Target.Instances), r.To))
}

func against(t *semper.Trial) string {
	if t.Baseline != nil {
		return "new instances of the current release"
	}
	return "the stable instances"
}

// lastOf is the index of the last step of that kind, -1 where there is none.
func lastOf(steps []semper.Step, k semper.StepKind) int {
	for i, s := range slices.Backward(steps) {
		if s.Kind == k {
			return i
		}
	}
	return -1
}
