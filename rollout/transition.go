package rollout

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"semper"
)

// enter moves r to state s and leaves a step and an event behind.
func (d *step) enter(r *semper.Rollout, s semper.RolloutState, deadline time.Time, note string) {
	r.State, r.EnteredAt, r.Deadline = s, d.w.Now, deadline
	r.Steps = append(r.Steps, semper.RolloutStep{State: s, At: d.w.Now, Note: note})
	msg := fmt.Sprintf("%s %s → %s: %s", r.ID, orNone(r.From), r.To, s)
	if note != "" {
		msg += ": " + note
	}
	d.event("rollout."+string(s), msg, nil)
}

func (d *step) end(r *semper.Rollout, s semper.RolloutState, note string) {
	d.enter(r, s, time.Time{}, note)
	r.EndedAt = d.w.Now
}

// fail ends r before it was connected: the environment keeps what it had, the target is taken down. What is on trial loses its
// traffic by the next epoch.
func (d *step) fail(r *semper.Rollout, why string, culprit semper.InstanceID) bool {
	if r.Migration != nil && r.Migration.Done {
		why += "; its migration has been done"
	}
	r.Reason, r.Instance = why, culprit
	d.dropTarget(r)
	if r.Trial != nil {
		d.retireBaseline(r)
		r.Trial.Share, r.Trial.Shadow = 0, 0
	}
	if tried(r) {
		r.Epoch = d.w.NextEpoch
	}
	d.end(r, semper.RolloutFailed, why)
	return true
}

func (d *step) failInstance(r *semper.Rollout, id semper.InstanceID, why string) bool {
	if e := d.w.Instances[id].LastEnd; e != nil {
		r.Tail = e.Tail
	}
	return d.fail(r, why, id)
}

// dropTarget retires the instances that only the target names. A target that was warm stays warm.
func (d *step) dropTarget(r *semper.Rollout) {
	e := &d.Env
	if e.Previous != nil && e.Previous.Generation == r.Target.Generation && len(e.Previous.Instances) > 0 {
		return
	}
	p := r.Target
	if e.Current != nil {
		p = without(p, *e.Current)
	}
	if len(p.Instances) > 0 {
		e.Retiring = append(e.Retiring, d.cut(r, p))
	}
}

func (d *step) event(kind, msg string, with func(*semper.Event)) {
	ev := semper.Event{At: d.w.Now, Kind: kind, App: d.Env.App, Environment: d.Env.Name, Message: msg}
	if r := d.Env.Rollout; r != nil {
		ev.Rollout, ev.Release, ev.Epoch, ev.By, ev.Instance = r.ID, r.To, r.Epoch, r.By, r.Instance
		switch r.State {
		case semper.RolloutMigrate:
			ev.Instance = r.Migration.Unit.ID
		case semper.RolloutUndo:
			ev.Instance = r.Migration.Undo.ID
		}
	}
	if with != nil {
		with(&ev)
	}
	d.Events = append(d.Events, ev)
}

func orNone(r semper.ReleaseName) semper.ReleaseName {
	if r == "" {
		return "nothing"
	}
	return r
}

// clone copies everything Step may change, so that the caller's value stays as it is.
func clone(e semper.Environment) semper.Environment {
	e.Current = clonePlacement(e.Current)
	e.Previous = clonePlacement(e.Previous)
	e.Retiring, e.Hold = slices.Clone(e.Retiring), slices.Clone(e.Hold)
	e.InstanceSeq, e.Migrated = maps.Clone(e.InstanceSeq), maps.Clone(e.Migrated)
	if e.Rollout != nil {
		r := *e.Rollout
		r.Steps = slices.Clone(r.Steps)
		if r.Migration != nil {
			m := *r.Migration
			r.Migration = &m
		}
		if r.Trial != nil {
			t := *r.Trial
			t.Baseline, t.Passed = clonePlacement(t.Baseline), slices.Clone(t.Passed)
			r.Trial = &t
		}
		e.Rollout = &r
	}
	return e
}

func clonePlacement(p *semper.Placement) *semper.Placement {
	if p == nil {
		return nil
	}
	c := *p
	c.Instances = slices.Clone(p.Instances)
	return &c
}
