package apitest

import (
	"context"
	"slices"

	"semper"
	"semper/api"
)

// try takes a rollout with steps through them: each is judged better-or-equal at once, unless the server stalls at "trial".
func (s *Semper) try(ctx context.Context, e *environment, id string, rel semper.Release) bool {
	s.mu.Lock()
	tried := e.Rollout.ID == id && e.Rollout.Trial != nil
	s.mu.Unlock()
	if !tried {
		return true
	}
	if s.await(ctx, func() bool { return e.Rollout.ID != id || s.stall != e.Rollout.State }) != nil {
		return false
	}
	for k, step := range rel.Spec.Deploy.Steps {
		s.mu.Lock()
		gone := e.Rollout.ID != id || e.Rollout.State.Ended()
		if !gone && !e.Rollout.Trial.Over {
			s.stepTrialLocked(e, k, step)
		}
		s.mu.Unlock()
		if gone || s.await(ctx, func() bool {
			t := e.Rollout.Trial
			return e.Rollout.ID != id || t.Over || t.Step > k || s.stall != semper.RolloutTrial && !t.Paused
		}) != nil {
			return false
		}
		if !s.pauseAfter(ctx, e, id, step.Kind, rel.Spec.Deploy.Steps[k+1:]) {
			return false
		}
	}
	return true
}

func (s *Semper) stepTrialLocked(e *environment, k int, step semper.Step) {
	s.alterLocked(e, func(t *semper.Trial) {
		t.Step, t.Since, t.Paused, t.Against = k, s.clockLocked(), step.Kind == semper.StepPause, semper.BaselineStable
		switch step.Kind {
		case semper.StepTraffic:
			t.Share, t.Shadow = step.Share, 0
		case semper.StepShadow:
			t.Share, t.Shadow = 0, step.Share
		}
		t.Verdict = &semper.Verdict{Outcome: semper.BetterOrEqual, Why: "as good as the stable instances", Rollout: e.Rollout.ID, Step: k, Baseline: t.Against}
	})
	s.epoch++
	e.Rollout.Epoch = s.epoch
	s.enterLocked(e, semper.RolloutTrial)
}

// pauseAfter pauses after the last step of the kind that the rollout is to come to.
func (s *Semper) pauseAfter(ctx context.Context, e *environment, id string, kind semper.StepKind, left []semper.Step) bool {
	s.mu.Lock()
	t := e.Rollout.Trial
	last := !slices.ContainsFunc(left, func(step semper.Step) bool { return step.Kind == kind })
	if e.Rollout.ID == id && last && t.Until == kind && !t.Over {
		s.alterLocked(e, func(t *semper.Trial) { t.Until, t.Paused, t.PausedBy = "", true, e.Rollout.By })
	}
	s.mu.Unlock()
	return s.await(ctx, func() bool { return e.Rollout.ID != id || !e.Rollout.Trial.Paused || e.Rollout.Trial.Over }) == nil
}

// alterLocked changes the trial of e's rollout; readers keep the old value.
func (s *Semper) alterLocked(e *environment, f func(*semper.Trial)) semper.Rollout {
	ro, t := *e.Rollout, *e.Rollout.Trial
	f(&t)
	ro.Trial = &t
	e.Rollout = &ro
	s.tellLocked()
	return ro
}

func (s *Semper) skipLocked(e *environment, p api.Promotion) semper.Rollout {
	if p.Step > 0 && p.Step-1 < e.Rollout.Trial.Step {
		return *e.Rollout
	}
	return s.alterLocked(e, func(t *semper.Trial) {
		t.Over, t.Paused = p.Full, false
		t.Step++
	})
}

// Pause implements [api.Service].
func (s *Semper) Pause(_ context.Context, app, env, by string) (semper.Rollout, error) {
	return s.steer(app, env, func(t *semper.Trial) { t.Paused, t.PausedBy = true, by })
}

// ResumeRollout implements [api.Service].
func (s *Semper) ResumeRollout(_ context.Context, app, env, _ string) (semper.Rollout, error) {
	return s.steer(app, env, func(t *semper.Trial) { t.Paused, t.PausedBy = false, "" })
}

func (s *Semper) steer(app, env string, f func(*semper.Trial)) (semper.Rollout, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, err := s.findLocked(app, env)
	if err != nil {
		return semper.Rollout{}, err
	}
	if e.Rollout == nil || e.Rollout.Trial == nil || e.Rollout.State.Ended() || e.Rollout.State.Live() {
		return semper.Rollout{}, errNoRollout
	}
	return s.alterLocked(e, f), nil
}
