package pull

import (
	"time"

	"semper"
)

// A Plan is what one route table says of who may take the jobs of a service. It is a value; nobody changes it.
type Plan struct {
	Epoch   semper.Epoch
	Rollout string // on trial; empty without one
	sides   map[semper.InstanceID]side
	shares  []semper.ArmShare
	leaving map[semper.InstanceID]time.Time
}

// A side is what an instance takes jobs as.
type side struct {
	arm     semper.Arm
	release semper.ReleaseName
}

// A standing is whether an instance may take jobs.
type standing int

const (
	waits  standing = iota // not yet: it is not ready, or its release is not connected
	takes                  // now
	leaves                 // no more
)

// PlanOf is the plan of a service by t, with its settings; ok is false where the table has no such service whose workers ask.
func PlanOf(t semper.Table, service semper.PoolKey) (p Plan, ok bool) {
	p = Plan{Epoch: t.Epoch, sides: map[semper.InstanceID]side{}, leaving: map[semper.InstanceID]time.Time{}}
	for i := range t.Workers {
		w := &t.Workers[i]
		if w.Stable() != service {
			continue
		}
		arm := w.Arm
		if arm == "" {
			arm, ok = semper.ArmStable, true
			if w.Split != nil {
				p.Rollout, p.shares = w.Split.Rollout, w.Split.Arms
			}
		}
		for _, b := range w.Backend {
			p.sides[b.ID] = side{arm, w.Release}
		}
	}
	for _, d := range t.Draining {
		for _, id := range d.Instances {
			p.leaving[id] = d.Request
		}
	}
	return p, ok
}

// stands is whether an instance may take jobs by p.
func (p *Plan) stands(id semper.InstanceID) standing {
	if _, ok := p.sides[id]; ok {
		return takes
	}
	if _, ok := p.leaving[id]; ok {
		return leaves
	}
	return waits
}

// late reports whether what an instance holds at now is to be handed back.
func (p *Plan) late(id semper.InstanceID, now time.Time) bool {
	until, ok := p.leaving[id]
	return ok && p.stands(id) == leaves && !now.Before(until)
}

// draw is the side that the next job is for; random is from [0, 1).
func (p *Plan) draw(random float64) semper.Arm {
	for _, s := range p.shares {
		if random < s.Share {
			return s.Arm
		}
		random -= s.Share
	}
	return semper.ArmStable
}

// key is what the jobs of s are counted under: a plan without a trial has one side, of no rollout.
func (p *Plan) key(s side) tallyKey {
	if p.Rollout == "" {
		return tallyKey{release: s.release, arm: semper.ArmStable}
	}
	return tallyKey{rollout: p.Rollout, release: s.release, arm: s.arm}
}
