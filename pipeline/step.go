package pipeline

import (
	"fmt"
	"slices"
	"time"

	"semper"
	"semper/pipeline/course"
)

type step struct {
	Decision
	w World
}

// Step moves a run on as far as w allows. The result is a function of its arguments alone.
func Step(run course.Run, w World) Decision {
	d := &step{Decision: Decision{Run: clone(run)}, w: w}
	for d.advance() {
		d.Changed = true
	}
	d.endUnits()
	return d.Decision
}

// advance makes at most one transition and reports whether it did.
func (d *step) advance() bool {
	r := &d.Run
	d.Waiting, d.Person = "", false
	if r.State != course.Running {
		return false
	}
	if r.At >= len(r.Stages) || r.At >= len(r.Pipeline.Stages) {
		d.end(course.Passed, "")
		return true
	}
	s := &r.Stages[r.At]
	switch s.State {
	case course.StagePending:
		return d.arrive(s)
	case course.StageBefore:
		return d.before(s)
	case course.StageDeploy:
		return d.deploying(s)
	case course.StageLive:
		return d.live(s)
	case course.StagePassed:
		r.At++
		return true
	}
	d.end(course.Failed, "unknown state "+string(s.State))
	return true
}

// stage is the definition of the stage the run is at.
func (d *step) stage() semper.Stage { return d.Run.Pipeline.Stages[d.Run.At] }

// arrive brings the run before an environment, unless an older one is to leave it first.
func (d *step) arrive(s *course.Stage) bool {
	if why := d.overtaken(s.Environment); why != "" {
		d.end(course.Superseded, why)
		return true
	}
	if older, ok := d.occupied(s.Environment); ok {
		d.Waiting = fmt.Sprintf("%s to leave %s", older.ID, s.Environment)
		return false
	}
	s.State = course.StageBefore
	d.event("pipeline.arrived", s.Environment, fmt.Sprintf("%s is before %s", d.Run.Release, s.Environment))
	return true
}

// before passes the gates before an environment, one after the other, and then has it entered.
func (d *step) before(s *course.Stage) bool {
	if why := d.overtaken(s.Environment); why != "" {
		d.end(course.Superseded, why)
		return true
	}
	if older, ok := d.occupied(s.Environment); ok { // it came back: it was run again
		d.Waiting = fmt.Sprintf("%s to leave %s", older.ID, s.Environment)
		return false
	}
	if passed, moved := d.gates(s, semper.GateBefore); !passed {
		return moved
	}
	if g, again := d.stale(s); again {
		*g = course.Gate{Gate: g.Gate, State: course.GatePending, Attempt: g.Attempt}
		return true
	}
	err := Admit(d.w.InForce, s.Environment, d.Run.Release, Subject{d.Run.Artifact, d.Run.Config}, d.w.Proofs, d.w.Stopped, d.w.Now)
	switch semper.CodeOf(err) {
	case "":
		d.Deploy = s.Environment
		d.Waiting = "the rollout in " + s.Environment
	case semper.Conflict: // it is only the time
		d.Waiting = err.(*semper.Error).Message //nolint:errorlint,forcetypeassert // Admit's own
		d.wake(d.w.Now.Add(time.Minute))
	default:
		d.end(course.Failed, err.(*semper.Error).Message+"; was the pipeline changed while it ran, or a key revoked? semper pipeline run begins anew") //nolint:errorlint,forcetypeassert // Admit's own
		return true
	}
	return false
}

// stale is a gate that was passed and does not hold any more: its yes has expired, or its window has closed.
func (d *step) stale(s *course.Stage) (*course.Gate, bool) {
	for i := range s.Gates {
		g, def := &s.Gates[i], d.stage().Gates[i]
		if def.When != semper.GateBefore || g.State != course.GatePassed {
			continue
		}
		if open, _ := isOpen(def, d.w.Now); !open {
			return g, true
		}
		if def.Kind == semper.GateApproval && (!g.Expires.IsZero() && !d.w.Now.Before(g.Expires) || g.EndedAt.After(d.w.Now.Add(backdated))) {
			d.event("gate.expired", s.Environment, fmt.Sprintf("the yes of %s to %s does not hold any more", g.By, d.Run.Release))
			return g, true
		}
	}
	return nil, false
}

// Entered is the run after the rollout of its present stage has begun.
func Entered(run course.Run, rollout semper.Rollout, now time.Time) (course.Run, []semper.Event) {
	d := &step{Decision: Decision{Run: clone(run)}, w: World{Now: now}}
	s := &d.Run.Stages[d.Run.At]
	s.State, s.Rollout = course.StageDeploy, rollout.ID
	d.event("pipeline.entered", s.Environment, fmt.Sprintf("%s enters %s by %s", run.Release, s.Environment, rollout.ID))
	if rollout.State == semper.RolloutDone { // it serves there already
		d.isLive(s, nil)
	}
	return d.Run, d.Events
}

// Refused is the run that may not enter an environment whatever it waits for: its release cannot be deployed there.
func Refused(run course.Run, why string, now time.Time) (course.Run, []semper.Event) {
	d := &step{Decision: Decision{Run: clone(run)}, w: World{Now: now}}
	d.end(course.Failed, why)
	return d.Run, d.Events
}

// deploying waits for the rollout.
func (d *step) deploying(s *course.Stage) bool {
	e, known := d.w.Environments[s.Environment]
	if !known {
		d.end(course.Failed, fmt.Sprintf("environment %s is gone", s.Environment))
		return true
	}
	serves := e.Current != nil && e.Current.Release == d.Run.Release
	r := e.Rollout
	switch {
	case r == nil || r.ID != s.Rollout:
		if serves {
			d.isLive(s, nil)
			return true
		}
		d.end(course.Failed, fmt.Sprintf("another rollout took the place of %s in %s", s.Rollout, s.Environment))
		return true
	case r.State.Live() && serves, r.State == semper.RolloutSuperseded && serves:
		d.isLive(s, r)
		return true
	case r.State.Ended():
		why := r.Reason
		if why == "" {
			why = string(r.State)
		}
		d.end(course.Failed, fmt.Sprintf("%s in %s: %s", r.ID, s.Environment, why))
		return true
	}
	d.Waiting = fmt.Sprintf("%s in %s: %s", r.ID, s.Environment, r.State)
	return false
}

func (d *step) isLive(s *course.Stage, r *semper.Rollout) {
	s.State, s.LiveAt = course.StageLive, d.w.Now
	if r != nil && r.Trial != nil {
		t := *r.Trial
		s.Trial = &t
	}
	d.event("pipeline.live", s.Environment, fmt.Sprintf("%s is live in %s", d.Run.Release, s.Environment))
}

// live passes the gates of what serves.
func (d *step) live(s *course.Stage) bool {
	if why := d.gone(s.Environment); why != "" {
		d.end(course.Failed, why)
		return true
	}
	if passed, moved := d.gates(s, semper.GateLive); !passed {
		return moved
	}
	s.State = course.StagePassed
	d.event("pipeline.vetted", s.Environment, fmt.Sprintf("%s has passed %s", d.Run.Release, s.Environment))
	return true
}

// gone says why an environment does not serve by the run's release any more; "" while it does.
func (d *step) gone(environment string) string {
	e := d.w.Environments[environment]
	if e.Current != nil && e.Current.Release == d.Run.Release {
		return ""
	}
	why := fmt.Sprintf("%s does not serve %s any more", environment, d.Run.Release)
	if r := e.Rollout; r != nil && r.Reason != "" {
		why += ": " + r.Reason
	}
	return why
}

// overtaken says which newer run has made this one pointless before an environment; "" for none.
func (d *step) overtaken(environment string) string {
	if o, ok := d.behind(environment); ok {
		return fmt.Sprintf("%s with %s, which is newer, has entered %s", o.ID, o.Release, environment)
	}
	if d.stage().Concurrency == semper.Queue {
		return ""
	}
	for _, o := range d.w.Others {
		if o.Number > d.Run.Number && o.State == course.Running && stateIn(o, environment) == course.StageBefore {
			return fmt.Sprintf("%s with %s, which is newer, is before %s", o.ID, o.Release, environment)
		}
	}
	return ""
}

// behind is a newer run that has entered an environment.
func (d *step) behind(environment string) (course.Run, bool) {
	for _, o := range d.w.Others {
		if o.Number <= d.Run.Number {
			continue
		}
		switch stateIn(o, environment) {
		case course.StageDeploy, course.StageLive, course.StagePassed:
			return o, true
		}
	}
	return course.Run{}, false
}

// stateIn is how far a run is with an environment.
func stateIn(r course.Run, environment string) course.StageState {
	for _, s := range r.Stages {
		if s.Environment == environment {
			return s.State
		}
	}
	return course.StagePending
}

// occupied is the older run that has to leave an environment before this one comes there. A run is in an environment
// while it is deployed there and looked at, where runs queue also while it waits before it, and while it soaks there for the next.
func (d *step) occupied(environment string) (course.Run, bool) {
	for _, o := range d.w.Others {
		if o.Number >= d.Run.Number || o.State != course.Running || o.At >= len(o.Stages) {
			continue
		}
		at := o.Stages[o.At]
		if at.Environment == environment {
			if at.State == course.StageDeploy || at.State == course.StageLive || at.State == course.StageBefore && d.stage().Concurrency == semper.Queue {
				return o, true
			}
			continue
		}
		if next := o.Pipeline.Stages[o.At]; next.After == environment && next.Concurrency == semper.Queue && at.State == course.StageBefore && soaks(o) {
			return o, true
		}
	}
	return course.Run{}, false
}

// soaks reports whether a run has a soak before it still.
func soaks(r course.Run) bool {
	for i, g := range r.Pipeline.Stages[r.At].Gates {
		if g.Kind == semper.GateSoak && r.Stages[r.At].Gates[i].State != course.GatePassed {
			return true
		}
	}
	return false
}

func (d *step) end(state course.State, why string) {
	r := &d.Run
	r.State, r.EndedAt, r.Reason = state, d.w.Now, why
	msg := fmt.Sprintf("%s with %s: %s", r.ID, r.Release, state)
	if why != "" {
		msg += ": " + why
	}
	d.event("pipeline."+string(state), "", msg)
}

func (d *step) event(kind, environment, message string) {
	d.Events = append(d.Events, semper.Event{
		At: d.w.Now, Kind: kind, App: d.Run.App, Environment: environment, Release: d.Run.Release, Run: d.Run.ID, Message: message,
	})
}

func (d *step) wake(t time.Time) {
	if !t.IsZero() && (d.Wake.IsZero() || t.Before(d.Wake)) {
		d.Wake = t
	}
}

// clone is a run that can be changed.
func clone(r course.Run) course.Run {
	r.Stages = slices.Clone(r.Stages)
	for i := range r.Stages {
		r.Stages[i].Gates = slices.Clone(r.Stages[i].Gates)
	}
	return r
}
