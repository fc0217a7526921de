package rollout_test

import (
	"fmt"
	"math/rand/v2"

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
		env, _, err = rollout.Scale(s.env, s.releases[s.env.Current.Release], map[string]int{"web": 1 + s.r.IntN(4)}, q)
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
		if s.env.Migrated[rel.Name()].Failed != "" && !q.Again && semper.CodeOf(err) == semper.Conflict {
			s.migrations["refused again"]++
		}
		return
	}
	if env.Rollout.State.Ended() && s.env.Rollout != nil && !s.env.Rollout.State.Ended() {
		return // nothing to change; what is watched goes on
	}
	s.note("command: %s to %s", env.Rollout.Kind, env.Rollout.To)
	if was := s.env.Rollout; was != nil && !was.State.Ended() && was.ID != env.Rollout.ID {
		s.seen[semper.RolloutSuperseded]++
	}
	s.env = env
	s.pending = nil
	if s.began = 0; env.Current != nil {
		s.began = env.Current.Generation
	}
	if env.Rollout.Trial != nil {
		s.trials["began"]++
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }
