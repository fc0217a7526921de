package rollout

import (
	"time"

	"semper"
)

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
	d.wantCompared(add)
	if r := e.Rollout; r != nil && beforeConnect(r.State) {
		due := r.Target
		due.Instances = Due(r)
		add(&due, r.State != semper.RolloutStage)
		if r.Trial != nil {
			add(r.Trial.Baseline, r.State != semper.RolloutStage)
		}
		add(d.errand(r), true)
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
	if r := d.Env.Rollout; r != nil && r.Migration != nil { // its keeper ends it in time even where nobody decides any more
		switch m := rel.Spec.Migrate; u.ID {
		case r.Migration.Unit.ID:
			s.Spec, s.Until = m.Service, r.Deadline
		case r.Migration.Undo.ID:
			s.Spec, s.Until = m.Service, r.Deadline
			s.Spec.Command = m.OnFailure
		}
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

// Placements are all that e names, a trial's baseline and those of experiments too.
func Placements(e semper.Environment) []semper.Placement {
	out := append([]semper.Placement(nil), e.Retiring...)
	if e.Current != nil {
		out = append(out, *e.Current)
	}
	if e.Previous != nil {
		out = append(out, *e.Previous)
	}
	out = append(out, Compared(e)...)
	if r := e.Rollout; r != nil && !r.State.Ended() {
		out = append(out, r.Target)
		if r.Trial != nil && r.Trial.Baseline != nil {
			out = append(out, *r.Trial.Baseline)
		}
		if m := r.Migration; m != nil { // what has ended is looked at until the rollout has
			units := []semper.PlacedUnit{m.Unit}
			if m.Undo.ID != "" {
				units = append(units, m.Undo)
			}
			out = append(out, semper.Placement{Release: r.To, Generation: r.Target.Generation, Instances: units})
		}
	}
	return out
}
