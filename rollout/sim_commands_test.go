package rollout_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"semper"
	"semper/rollout"
)

func (s *sim) command() {
	s.rollouts++
	q := rollout.Request{ID: fmt.Sprintf("d-%d", s.rollouts), By: "sim", Now: s.now}
	rel := s.releases[semper.NameRelease(1+s.r.IntN(5))]
	q.Again = s.r.IntN(3) == 0
	var env semper.Environment
	var err error
	if s.seed%4 == 1 && s.r.IntN(5) == 0 {
		s.compares()
		return
	}
	switch s.r.IntN(11) {
	case 0, 1, 2, 8:
		q.Until, q.Hotfix = pick(s.r, "", "", "", "", "", semper.StepTraffic, semper.StepShadow), pick(s.r, "", "", "", "", "", "the current one is on fire")
		env, _, err = rollout.Deploy(s.env, rel, q)
	case 3:
		if s.env.Previous == nil {
			return
		}
		env, _, err = rollout.Rollback(s.env, s.releases[s.env.Previous.Release], q)
	case 4:
		if s.env.Current == nil {
			return
		}
		env, _, err = rollout.Restart(s.env, s.releases[s.env.Current.Release], nil, q)
	case 5:
		if s.env.Current == nil {
			return
		}
		env, _, err = rollout.Scale(s.env, s.releases[s.env.Current.Release], map[string]int{"web": s.number()}, q)
	case 6:
		if d, err := rollout.Abort(s.env, s.world(), "sim"); err == nil {
			s.commit(d)
		}
		return
	case 7:
		p := rollout.Promotion{By: "sim", Full: s.r.IntN(4) == 0, Step: -1}
		if d, err := rollout.Promote(s.env, s.world(), p); err == nil {
			s.commit(d)
		}
		return
	case 9:
		if d, err := rollout.Pause(s.env, s.world(), "sim"); err == nil {
			s.commit(d)
		}
		return
	case 10:
		if d, err := rollout.Resume(s.env, s.world(), "sim"); err == nil {
			s.commit(d)
		}
		return
	}
	if err != nil {
		if c := semper.CodeOf(err); c != semper.Conflict && c != semper.Invalid {
			s.failf("command: %v", err)
		}
		if strings.Contains(err.Error(), "experiment x") {
			s.compared["kept a deploy away"]++
		}
		if s.env.Migrated[rel.Name()].Failed != "" && !q.Again && semper.CodeOf(err) == semper.Conflict {
			s.migrations["refused again"]++
		}
		return
	}
	if env.Rollout.State.Ended() && s.env.Rollout != nil && !s.env.Rollout.State.Ended() {
		return // nothing to change; what is watched goes on
	}
	s.begun(env)
	s.env = env
	s.pending = nil
}

// begun notes that a command has made env of what there was.
func (s *sim) begun(env semper.Environment) {
	s.note("command: %s to %s", env.Rollout.Kind, env.Rollout.To)
	if was := s.env.Rollout; was != nil && !was.State.Ended() && was.ID != env.Rollout.ID {
		s.seen[semper.RolloutSuperseded]++
	}
	if s.began = 0; env.Current != nil {
		s.began = env.Current.Generation
	}
	if env.Rollout.Trial != nil {
		s.trials["began"]++
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// number is what somebody wants of web: now and then nothing, or that it finds it itself.
func (s *sim) number() int {
	switch s.r.IntN(12) {
	case 0:
		return 0
	case 1, 2:
		return rollout.Auto
	}
	return 1 + s.r.IntN(4)
}

// resize is what the load asks for, at any moment.
func (s *sim) resize() {
	if s.env.Current == nil {
		return
	}
	before := s.env
	from := before.Current.Scale["web"]
	d := rollout.Resize(before, s.world(), map[string]rollout.Resizing{"web": {From: from, To: pick(s.r, 0, 1, 2, 3, 4, 5, 1+s.r.IntN(5), 1+s.r.IntN(5)), Why: "the load"}})
	if !d.Changed {
		return
	}
	to := d.Env.Current.Scale["web"]
	running := before.Rollout != nil && !before.Rollout.State.Ended()
	switch {
	case before.Current.Release != d.Env.Current.Release:
		s.failf("a resizing moved the environment")
	case running && to < from:
		s.failf("%d of %d instances are taken away during a rollout", from-to, from)
	case slices.Contains(before.Current.ByHand, "web"):
		s.failf("what somebody set is changed")
	case to < from:
		s.busier(before, d.Env)
		s.resized["fewer"]++
	case running:
		s.resized["more in a rollout"]++
	case from == 0:
		s.resized["awake"]++
	default:
		s.resized["more"]++
	}
	if to == 0 {
		s.resized["asleep"]++
	}
	s.note("web is resized to %d", to)
	s.commit(d)
}

// busier checks that those that stay are ready, where some are, and have at least as much in hand as those that go.
func (s *sim) busier(before, after semper.Environment) {
	for _, gone := range before.Current.Instances {
		if slices.Contains(after.Current.Instances, gone) {
			continue
		}
		for _, stays := range after.Current.Instances {
			a, b := s.instances[gone.ID], s.instances[stays.ID]
			if stays.Service != gone.Service {
				continue
			}
			ready := func(in *simInstance) bool { return in != nil && in.State == semper.Ready }
			if ready(a) && !ready(b) || ready(a) == ready(b) && s.inFlight[gone.ID] > s.inFlight[stays.ID] {
				s.failf("%s goes with %d in hand, and %s stays with %d", gone.ID, s.inFlight[gone.ID], stays.ID, s.inFlight[stays.ID])
			}
		}
	}
}

// simResizings are what has to happen to instances by the load, for the simulation to be worth something.
var simResizings = []string{"fewer", "more", "more in a rollout", "awake", "asleep"}
