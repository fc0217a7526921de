package rollout_test

import (
	"math"
	"slices"
	"time"

	"semper"
	"semper/rollout"
)

// simTrials are what has to have become of trials in a simulation that is worth anything.
var simTrials = []string{"began", "went on", "were skipped", "were promoted", "were returned", "were aborted", "crashed", "lost their baseline", "were turned back"}

// steps are a random way to all traffic, or none.
func (s *sim) steps() *semper.Deploy {
	if s.r.IntN(3) == 0 {
		return nil
	}
	d := &semper.Deploy{Baseline: pick(s.r, semper.BaselineFresh, semper.BaselineFresh, semper.BaselineStable)}
	if s.r.IntN(3) == 0 {
		d.Testers = []byte(`[{"header":{"X-Tester":"yes"}}]`)
	}
	share := 0.0
	for range s.r.IntN(5) {
		long := semper.Duration(time.Duration(s.r.IntN(60)) * time.Second)
		switch {
		case s.r.IntN(4) == 0:
			d.Steps = append(d.Steps, semper.Step{Kind: semper.StepPause})
		case share == 0 && s.r.IntN(2) == 0:
			d.Steps = append(d.Steps, semper.Step{Kind: semper.StepShadow, Share: 0.1, For: long})
		case share < 1:
			share = min(1, share+pick(s.r, 0.01, 0.2, 0.5))
			d.Steps = append(d.Steps, semper.Step{Kind: semper.StepTraffic, Share: share, For: long})
		}
	}
	return d
}

// judge says something: of this step, or late, of another one or of another rollout.
func (s *sim) judge() {
	r := s.env.Rollout
	if r == nil {
		return
	}
	v := semper.Verdict{Rollout: r.ID, Outcome: semper.BetterOrEqual, Why: "the counts say so", At: s.now}
	if r.Trial != nil {
		v.Step = r.Trial.Step
	}
	switch p := s.r.IntN(100); {
	case p < 4 || p < 20 && r.State == semper.RolloutWatch:
		v.Outcome = semper.Worse
	case p < 20:
		v.Outcome, v.Cause = semper.Undecided, pick(s.r, "no-data", "too-early")
	case p < 30:
		v.Step--
	case p < 35:
		v.Step++
	case p < 40:
		v.Rollout, v.Outcome = "d-0", semper.Worse
	}
	s.verdict = &v
}

// calm is what ends a trial: the judge is content, and nobody keeps it from going on.
func (s *sim) calm() {
	r := s.env.Rollout
	if r == nil || r.Trial == nil || r.State.Ended() {
		return
	}
	if r.Trial.Paused {
		if d, err := rollout.Resume(s.env, s.world(), "sim"); err == nil {
			s.commit(d)
		}
	}
	s.verdict = &semper.Verdict{Rollout: r.ID, Step: r.Trial.Step, Outcome: semper.BetterOrEqual}
}

func isBefore(s semper.RolloutState) bool {
	return slices.Contains([]semper.RolloutState{semper.RolloutStage, semper.RolloutStart, semper.RolloutReady, semper.RolloutTrial,
		semper.RolloutHold, semper.RolloutMigrate, semper.RolloutUndo}, s)
}

// earned looks at what the machine did by itself: every step it left was earned, and who was convicted is gone.
func (s *sim) earned(before, after semper.Environment) {
	r, was := after.Rollout, before.Rollout
	if r == nil || r.Trial == nil || was.Trial == nil {
		return
	}
	v := s.verdict
	convicted := v != nil && v.Rollout == r.ID && v.Outcome == semper.Worse && v.Step <= was.Trial.Step
	changing := r.State == semper.RolloutMigrate || r.State == semper.RolloutUndo // that has to come to its end first
	if convicted && isBefore(was.State) && was.Epoch > 0 && r.State != semper.RolloutFailed && !changing {
		s.failf("%s is convicted and at %s", r.ID, r.State)
	}
	if r.State == semper.RolloutTrial && !r.Trial.Since.IsZero() && (was.Trial.Since.IsZero() || was.Trial.Step != r.Trial.Step) {
		for _, e := range s.alive() {
			if e.table.Epoch < r.Epoch || !serves(e.table, r) {
				s.failf("the time of step %d runs since an edge serves by %d, before %d", r.Trial.Step, e.table.Epoch, r.Epoch)
			}
		}
	}
	for i := len(was.Trial.Passed); i < len(r.Trial.Passed); i++ {
		s.trials["went on"]++
		p := r.Trial.Passed[i]
		content := p.Verdict != nil && p.Verdict.Outcome == semper.BetterOrEqual && p.Verdict.Rollout == r.ID && p.Verdict.Step == i
		switch {
		case was.Trial.Paused:
			s.failf("step %d was left though it is paused", i)
		case p.Kind == semper.StepPause:
		case p.To.Sub(p.From) < p.For.D():
			s.failf("step %d was left after %s of %s", i, p.To.Sub(p.From), p.For)
		case !content && p.Share < 1:
			s.failf("step %d was left by verdict %+v", i, p.Verdict)
		}
	}
	if was.Trial.Baseline != nil && r.Trial.Baseline == nil && r.State == semper.RolloutTrial {
		s.trials["lost their baseline"]++
	}
}

// serves reports whether t has what r declares now.
func serves(t semper.Table, r *semper.Rollout) bool {
	for _, p := range given(t) {
		if p.Arm != "" || r.Trial.Scale[service(p.Key)] == 0 {
			continue
		}
		share, copies := 0.0, 0.0
		if p.Split != nil && p.Split.Rollout == r.ID {
			share = p.Split.Arms[0].Share
		}
		if p.Shadow != nil && p.Shadow.Rollout == r.ID {
			copies = p.Shadow.Share
		}
		if share != r.Trial.Share || copies != r.Trial.Shadow {
			return false
		}
	}
	return true
}

// tell counts what became of a trial whose state has just changed.
func (s *sim) tell(r *semper.Rollout) {
	if r.Trial == nil {
		return
	}
	convicted := s.verdict != nil && s.verdict.Rollout == r.ID && s.verdict.Outcome == semper.Worse
	switch {
	case r.State == semper.RolloutConnect:
		s.trials["were promoted"]++
		if slices.ContainsFunc(r.Trial.Passed, func(p semper.PassedStep) bool { return p.By != "" }) {
			s.trials["were skipped"]++
		}
	case r.State == semper.RolloutRollingBack && r.Reason == "the counts say so":
		s.trials["were turned back"]++
	case r.State != semper.RolloutFailed || r.Epoch == 0:
	case r.Instance != "":
		s.trials["crashed"]++
	case r.Reason == "aborted by sim":
		s.trials["were aborted"]++
	case convicted:
		s.trials["were returned"]++
	}
}

// declared is law L2 of a table: what the current release does not get is what the steps of the one on trial say, as read from
// its release, and nothing of a release that is not on trial is in any pool.
func (s *sim) declared() {
	r := s.env.Rollout
	if r != nil && isBefore(r.State) && s.env.Current != nil && s.env.Current.Generation != s.began {
		s.failf("L2: the environment moved at %s", r.State)
	}
	for _, p := range s.table.Pools {
		if s.env.Current == nil {
			s.failf("L2: a pool of %s, and nothing is current", p.Release)
		}
		switch p.Arm {
		case "":
			if p.Release != s.env.Current.Release {
				s.failf("L2: the stable pool is of %s, current is %s", p.Release, s.env.Current.Release)
			}
			s.split(p)
		case semper.ArmCandidate:
			if r == nil || !isBefore(r.State) || p.Release != r.To {
				s.failf("L2: a pool of %s on trial without a trial", p.Release)
			}
		case semper.ArmBaseline:
			if r == nil || !isBefore(r.State) || p.Release != s.env.Current.Release {
				s.failf("L2: a baseline of %s without a trial", p.Release)
			}
		case semper.ArmPrevious:
			s.previous(p)
		}
	}
}

// split compares what a pool gives away with what the steps say.
func (s *sim) split(p semper.Pool) {
	r := s.env.Rollout
	want, shadow := 0.0, 0.0
	if r != nil && r.Trial != nil && isBefore(r.State) && r.Epoch > 0 && r.Trial.Scale[service(p.Key)] > 0 {
		var steps []semper.Step
		for _, passed := range r.Trial.Passed {
			steps = append(steps, passed.Step)
		}
		if !r.Trial.Over {
			steps = append(steps, s.releases[r.To].Spec.Deploy.Steps[r.Trial.Step])
		}
		for _, st := range steps {
			switch st.Kind {
			case semper.StepTraffic:
				want, shadow = st.Share, 0
			case semper.StepShadow:
				want, shadow = 0, st.Share
			}
		}
	}
	got, copies, all := 0.0, 0.0, 0.0
	if p.Split != nil {
		for _, a := range p.Split.Arms {
			if all += a.Share; a.Arm == semper.ArmCandidate {
				got = a.Share
			}
			if a.Arm == semper.ArmBaseline && math.Abs(a.Share-min(want, 1-want)) > 1e-12 {
				s.failf("L2: a baseline with %g beside %g", a.Share, want)
			}
		}
		if p.Split.Testers == nil && want == 0 {
			s.failf("L2: a split without a share")
		}
	}
	if p.Shadow != nil {
		copies = p.Shadow.Share
	}
	if got != want || copies != shadow || all > 1 {
		s.failf("L2: declared are %g and copies of %g, the table has %g and %g, %g in all", want, shadow, got, copies, all)
	}
}

func service(k semper.PoolKey) string { return string(k[len("app/production/"):]) }
