package rollout_test

import (
	"fmt"
	"slices"

	"semper"
	"semper/experiment/design"
	"semper/rollout"
)

// simCompared are what has to have become of experiments of releases in a simulation that is worth anything.
var simCompared = []string{"began", "ran", "were stopped", "were promoted", "were promoted to the end", "broke", "lost their current release", "kept a deploy away"}

func (s *sim) experiments() []design.Experiment {
	list, err := design.Read(s.env.Experiments)
	if err != nil {
		s.failf("%v", err)
	}
	return list
}

// compares has somebody start, stop or promote an experiment of releases.
func (s *sim) compares() {
	list := s.experiments()
	i := slices.IndexFunc(list, func(x design.Experiment) bool { return len(x.Placements) > 0 })
	switch {
	case i < 0 || s.r.IntN(8) == 0:
		s.compareReleases(list)
	case s.r.IntN(2) == 0:
		list[i].State = design.Stopped
		env := s.env
		env.Experiments = design.Write(list)
		s.note("%s is stopped", list[i].Plan.Name)
		s.compared["were stopped"]++
		s.commit(rollout.Decision{Env: env})
	case s.r.IntN(3) == 0:
		s.haste()
	default:
		s.adopt(list, i)
	}
}

// haste deploys another release though users compare some.
func (s *sim) haste() {
	s.rollouts++
	q := rollout.Request{ID: fmt.Sprintf("d-%d", s.rollouts), By: "sim", Now: s.now, Hotfix: "it burns", Again: true}
	env, _, err := rollout.Deploy(s.env, s.releases[semper.NameRelease(1+s.r.IntN(4))], q)
	if err != nil || env.Rollout == nil || env.Rollout.ID != q.ID || env.Rollout.State.Ended() {
		return
	}
	s.begun(env)
	s.commit(rollout.Decision{Env: env})
}

func (s *sim) compareReleases(list []design.Experiment) {
	s.runs++
	x := design.Experiment{State: design.Starting, Run: fmt.Sprint(s.runs), Key: []byte("k"), Plan: design.Plan{Name: fmt.Sprint("x", s.runs), By: "client"}}
	x.Plan.Variants = []design.Variant{{Name: "control", Share: .5}, {Name: "green", Share: .2, Release: semper.NameRelease(1 + s.r.IntN(5))}}
	if s.r.IntN(3) == 0 {
		x.Plan.Variants = append(x.Plan.Variants, design.Variant{Name: "blue", Share: .3, Release: semper.NameRelease(1 + s.r.IntN(5))})
	}
	if len(list) > 4 { // of which none runs
		list = slices.DeleteFunc(list, func(x design.Experiment) bool { return len(x.Placements) == 0 })
	}
	env := s.env
	env.Experiments = design.Write(append(list, x))
	env, err := rollout.Compare(env, x.Plan.Name, s.releases, s.now)
	if err != nil {
		if c := semper.CodeOf(err); c != semper.Conflict && c != semper.Invalid && c != semper.NotFound {
			s.failf("experiment start: %v", err)
		}
		return
	}
	s.note("%s compares %s", x.Plan.Name, x.Plan.Releases())
	s.compared["began"]++
	s.commit(rollout.Decision{Env: env})
}

func (s *sim) adopt(list []design.Experiment, i int) {
	x := &list[i]
	if !x.State.Counts() {
		return
	}
	x.State, x.Winner = design.Promoted, "green"
	r := x.Plan.Variants[1].Release
	env := s.env
	env.Experiments = design.Write(list)
	if r == x.Against {
		s.commit(rollout.Decision{Env: env})
		return
	}
	s.rollouts++
	env, _, err := rollout.Adopt(env, x.Plan.Name, s.releases[r], rollout.Request{ID: fmt.Sprintf("d-%d", s.rollouts), By: "sim", Now: s.now, Again: true})
	if err != nil {
		if semper.CodeOf(err) != semper.Conflict {
			s.failf("promote: %v", err)
		}
		return
	}
	s.compared["were promoted"]++
	s.begun(env)
	s.commit(rollout.Decision{Env: env})
}

// variants are the laws of experiments of releases: users have variants only while all of what serves them is there and was ready,
// and what is compared is what was current when it began.
func (s *sim) variants() {
	running := make(map[semper.ReleaseName]bool)
	placed := ""
	for _, x := range s.experiments() {
		if len(x.Placements) > 0 && placed != "" {
			s.failf("L2: %s and %s compare releases at once", placed, x.Plan.Name)
		}
		for _, p := range x.Placements {
			if placed = x.Plan.Name; p.Release == x.Against {
				s.failf("L2: %s compares %s with itself", x.Plan.Name, p.Release)
			}
		}
		if x.State.Counts() && (s.env.Current == nil || s.env.Current.Release != x.Against) {
			s.failf("%s goes on, and compares with %s, which is not current", x.Plan.Name, x.Against)
		}
		if x.State == design.Starting && !x.StartedAt.IsZero() {
			s.failf("%s has started twice", x.Plan.Name)
		}
		if x.State.Counts() || x.State == design.Promoted {
			for _, p := range x.Placements {
				running[p.Release] = true
			}
		}
	}
	for _, p := range s.table.Pools {
		switch p.Arm {
		case "", semper.ArmCandidate, semper.ArmBaseline, semper.ArmPrevious:
		default:
			if !running[p.Release] || semper.Arm(p.Release) != p.Arm {
				s.failf("L2: a pool of %s as %s, and no experiment has it", p.Release, p.Arm)
			}
		}
	}
	for r := range running {
		if slices.ContainsFunc(s.table.Pools, func(p semper.Pool) bool { return p.Arm == semper.ArmCandidate }) {
			s.failf("L2: %s is on trial while %s is compared", s.env.Rollout.To, r)
		}
		if !slices.ContainsFunc(s.table.Pools, func(p semper.Pool) bool { return p.Arm == semper.Arm(r) }) {
			s.failf("L2: users have variants of %s, and the table has no pool of it", r)
		}
	}
}

// persevered checks after a look of control that no experiment goes on with an instance that is given up.
func (s *sim) persevered() {
	for _, x := range s.experiments() {
		for _, p := range x.Placements {
			for _, u := range p.Instances {
				if in := s.instances[u.ID]; x.State != design.Promoted && in != nil && in.LastEnd != nil && in.LastEnd.GaveUp && in.State != semper.Ready {
					s.failf("%s is %s, and %s is given up", x.Plan.Name, x.State, u.ID)
				}
			}
		}
	}
}

// unsettled says which experiment has something before it when everything has come to its end, or "".
func (s *sim) unsettled() string {
	for _, x := range s.experiments() {
		r := s.env.Rollout
		switch {
		case x.State == design.Starting:
			return x.Plan.Name + " has neither begun nor ended"
		case !x.State.Counts() && len(x.Placements) > 0:
			return fmt.Sprintf("%s is %s, and has instances", x.Plan.Name, x.State)
		case x.State == design.Promoted && r != nil && r.ID == x.Rollout && (r.State == semper.RolloutFailed || r.State == semper.RolloutRolledBack):
			return fmt.Sprintf("%s is promoted by %s, which is %s", x.Plan.Name, r.ID, r.State)
		}
	}
	return ""
}

// compareTold counts what the machine did with experiments by itself.
func (s *sim) compareTold(old semper.Environment) {
	was, err := design.Read(old.Experiments)
	if err != nil {
		s.failf("%v", err)
	}
	for _, x := range s.experiments() {
		for _, o := range was {
			switch {
			case o.Run != x.Run:
			case o.State == design.Starting && x.State == design.Running:
				s.compared["ran"]++
				for _, p := range x.Placements {
					for _, u := range p.Instances {
						if in := s.instances[u.ID]; in == nil || in.State != semper.Ready {
							s.failf("%s runs, and %s is not ready", x.Plan.Name, u.ID)
						}
					}
				}
			case o.State == x.State && !o.StartedAt.Equal(x.StartedAt):
				s.failf("%s has begun at %s, and again at %s", x.Plan.Name, o.StartedAt, x.StartedAt)
			case o.State.Counts() && x.State == design.Stopped && x.Against != currentOf(s.env):
				s.compared["lost their current release"]++
			case (o.State.Counts() || o.State == design.Starting) && x.State == design.Stopped && x.Ended != "":
				s.compared["broke"]++
			}
		}
		if r, b := s.env.Rollout, old.Rollout; x.State == design.Promoted && x.Rollout != "" && r != nil && r.ID == x.Rollout && b != nil && b.ID == r.ID && r.State != b.State && r.State == semper.RolloutDone {
			s.compared["were promoted to the end"]++
		}
	}
}

func currentOf(e semper.Environment) semper.ReleaseName {
	if e.Current == nil {
		return ""
	}
	return e.Current.Release
}
