package rollout

import (
	"fmt"

	"semper"
)

// Abort ends a rollout that has not cut over, one on trial among them, or turns back one whose cutover no edge has
// acknowledged yet.
func Abort(env semper.Environment, w World, by string) (Decision, error) {
	r := env.Rollout
	if r == nil || r.State.Ended() || r.State.Live() {
		return Decision{}, &semper.Error{Code: semper.Conflict, Op: "abort", Message: "no rollout is on its way to the cutover", Hint: "semper rollback turns a finished one back"}
	}
	d := &step{Decision: Decision{Env: clone(env), Changed: true}, w: w}
	r = d.Env.Rollout
	switch r.State {
	case semper.RolloutConnect, semper.RolloutRollingBack:
		if !d.warm() || d.Env.Previous.Release != r.From || !d.previousServes() { // what a restart came after is an older release
			return Decision{}, &semper.Error{Code: semper.Conflict, Op: "abort", Message: "the route table is published already", Hint: "wait for its acknowledgement, then semper rollback"}
		}
		d.turnBack(r, "", "aborted by "+orSomebody(by))
	case semper.RolloutMigrate:
		d.spoil(r, "aborted by "+orSomebody(by))
		d.advance()
	case semper.RolloutUndo:
		return Decision{}, &semper.Error{Code: semper.Conflict, Op: "abort", Message: "the migration failed, and what undoes it runs", Hint: "the old release serves again as soon as that has ended"}
	default:
		d.fail(r, "aborted by "+orSomebody(by), "")
	}
	d.want()
	return d.Decision, nil
}

// A Promotion is somebody's word that a rollout need not wait.
type Promotion struct {
	By string
	// Full leaves out all steps that are left, not only the present one.
	Full bool
	// Step is the index of the step that is meant, so that a command that is given twice skips once; -1 means whichever it is.
	Step int
}

// Promote skips the present step of a trial, or all that are left of them. Of a rollout that is watched it ends the watch:
// the old release is retired.
func Promote(env semper.Environment, w World, p Promotion) (Decision, error) {
	d := &step{Decision: Decision{Env: clone(env), Changed: true}, w: w}
	r := d.Env.Rollout
	if r != nil && r.Trial != nil && beforeConnect(r.State) {
		if err := d.skip(r, p); err != nil {
			return Decision{}, err
		}
		d.want()
		return d.Decision, nil
	}
	if !d.warm() || r == nil || !(r.State.Live() || r.State.Ended()) {
		return Decision{}, &semper.Error{Code: semper.Conflict, Op: "promote", Message: "no release is on trial or being watched", Hint: "semper status shows what runs"}
	}
	d.coolDown("promoted by " + orSomebody(p.By))
	return d.Decision, nil
}

func (d *step) skip(r *semper.Rollout, p Promotion) error {
	t := r.Trial
	switch {
	case t.Over || p.Step >= 0 && p.Step < t.Step:
		return nil // it is done already
	case p.Step > t.Step:
		return &semper.Error{Code: semper.Conflict, Op: "promote", Message: fmt.Sprintf("%s is at step %d, not %d", r.ID, t.Step+1, p.Step+1), Hint: "semper status shows where it is"}
	case p.Full:
		d.skipAll(r, p.By)
	case r.State != semper.RolloutTrial:
		return &semper.Error{
			Code: semper.Conflict, Op: "promote", Message: fmt.Sprintf("%s is at %s: its first step has not begun", r.ID, r.State),
			Hint: "wait for it, or leave out all steps: semper promote --full",
		}
	default:
		d.event("rollout.promoted", fmt.Sprintf("%s: %s skips step %d", r.ID, orSomebody(p.By), t.Step+1), func(e *semper.Event) { e.By = p.By })
		d.pass(r, p.By)
	}
	return nil
}

// skipAll leaves out what is left of the steps. Of a trial that has not begun the baseline is not needed any more.
func (d *step) skipAll(r *semper.Rollout, by string) {
	t := r.Trial
	d.event("rollout.promoted", fmt.Sprintf("%s: %s leaves out the steps that are left", r.ID, orSomebody(by)), func(e *semper.Event) { e.By = by })
	if r.State == semper.RolloutTrial {
		d.leave(r, by)
	}
	if !tried(r) {
		d.retireBaseline(r)
	}
	if t.Step = len(d.steps(r)); r.State == semper.RolloutStage {
		t.Over, t.Paused, t.PausedBy = true, false, ""
		return
	}
	d.finish(r)
}

// Pause keeps a rollout with steps from going on; it goes on being judged, and can be returned. Who pauses a paused one changes nothing.
func Pause(env semper.Environment, w World, by string) (Decision, error) {
	d, r, err := steered(env, w, "pause")
	if err != nil || r.Trial.Paused {
		return d.Decision, err
	}
	r.Trial.Paused, r.Trial.PausedBy = true, orSomebody(by)
	d.Changed = true
	d.event("rollout.paused", fmt.Sprintf("%s is paused by %s", r.ID, orSomebody(by)), func(e *semper.Event) { e.By = by })
	d.want()
	return d.Decision, nil
}

// Resume lets a paused rollout go on. Who resumes one that is not paused changes nothing.
func Resume(env semper.Environment, w World, by string) (Decision, error) {
	d, r, err := steered(env, w, "resume")
	if err != nil || !r.Trial.Paused {
		return d.Decision, err
	}
	r.Trial.Paused, r.Trial.PausedBy = false, ""
	d.Changed = true
	d.event("rollout.resumed", fmt.Sprintf("%s is resumed by %s", r.ID, orSomebody(by)), func(e *semper.Event) { e.By = by })
	d.want()
	return d.Decision, nil
}

// steered is a rollout that can be paused: one with steps, before its cutover.
func steered(env semper.Environment, w World, op string) (*step, *semper.Rollout, error) {
	d := &step{Decision: Decision{Env: clone(env)}, w: w}
	r := d.Env.Rollout
	switch {
	case r == nil || r.State.Ended() || r.State.Live():
		return d, r, &semper.Error{Code: semper.Conflict, Op: op, Message: "no rollout is on its way to the cutover", Hint: "semper status shows what runs"}
	case r.Trial == nil:
		return d, r, &semper.Error{Code: semper.Conflict, Op: op, Message: fmt.Sprintf("%s has no steps: it goes live as soon as it is ready", r.ID), Hint: "semper abort ends it; deploy.steps in semper.yaml give a release steps"}
	case !beforeConnect(r.State):
		return d, r, &semper.Error{Code: semper.Conflict, Op: op, Message: fmt.Sprintf("%s is at %s: its steps are over", r.ID, r.State), Hint: "semper rollback turns it back once it is live"}
	}
	return d, r, nil
}

func beforeConnect(s semper.RolloutState) bool {
	switch s {
	case semper.RolloutStage, semper.RolloutStart, semper.RolloutReady, semper.RolloutTrial, semper.RolloutHold, semper.RolloutMigrate, semper.RolloutUndo:
		return true
	}
	return false
}
