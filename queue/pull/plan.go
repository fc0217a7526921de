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
	hold    semper.Holds // of the service: nobody begins a job, which may write, while one lasts
}

// A side is what an instance takes jobs as.
type side struct {
	arm     semper.Arm
	release semper.ReleaseName
}

// A standing is whether an instance may take jobs.
type standing int

const (
	waits  standing = iota // not yet: it is not ready, its release is not connected, or its service is held
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
			p.hold = w.Hold
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

// stands is whether an instance may take jobs by p at now.
func (p *Plan) stands(id semper.InstanceID, now time.Time) standing {
	if _, ok := p.sides[id]; ok {
		if held, _ := p.held(now); held {
			return waits
		}
		return takes
	}
	if _, ok := p.leaving[id]; ok {
		return leaves
	}
	return waits
}

// held reports whether nobody may begin a job at now, and until when if the table says nothing else before; zero for as long as
// it says nothing else.
func (p *Plan) held(now time.Time) (held bool, until time.Time) {
	for _, h := range p.hold {
		switch {
		case h.Until.IsZero():
			return true, time.Time{}
		case now.Before(h.Until):
			if held = true; h.Until.After(until) {
				until = h.Until
			}
		}
	}
	return held, until
}

// late reports whether what an instance holds at now is to be handed back.
func (p *Plan) late(id semper.InstanceID, now time.Time) bool {
	until, ok := p.leaving[id]
	return ok && p.stands(id, now) == leaves && !now.Before(until)
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
