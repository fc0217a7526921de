package rollout_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/rollout"
)

// trialWorld has r1 serving with four instances of web and one of job, and r2 with the steps given. All that is asked for is
// done at once, and edges are as quick.
type trialWorld struct {
	t     *testing.T
	env   semper.Environment
	w     rollout.World
	table semper.Table
	last  rollout.Decision
}

func onTrial(t *testing.T, d semper.Deploy) *trialWorld {
	t.Helper()
	s := &trialWorld{t: t, env: semper.Environment{App: "app", Name: semper.DefaultEnvironment}, w: rollout.World{
		Now: time.Unix(1_700_000_000, 0).UTC(), NextEpoch: 1, Acked: 1, Staged: make(map[semper.Digest]error),
		Instances: make(map[semper.InstanceID]rollout.Instance), Releases: make(map[semper.ReleaseName]semper.Release),
	}}
	for n := 1; n <= 3; n++ {
		spec := semper.Spec{App: "app", Deploy: &d, Warm: semper.Duration(time.Minute), Services: map[string]semper.Service{
			"web": {Type: semper.Web, Instances: 4}, "job": {Type: semper.Worker, Instances: 1},
		}}.WithDefaults()
		rel := semper.Release{App: "app", Number: n, Spec: spec, Artifact: semper.DigestOf([]byte{byte(n)})}
		s.w.Releases[rel.Name()], s.w.Staged[rel.Artifact] = rel, nil
	}
	s.deploy("r1", rollout.Request{ID: "d-1"})
	for range 5 {
		s.step()
	}
	if s.env.Current == nil || s.env.Current.Release != "r1" || s.env.Rollout.Trial != nil {
		t.Fatalf("the first release is %s, trial %+v", s.env.Rollout.State, s.env.Rollout.Trial)
	}
	return s
}

func (s *trialWorld) deploy(rel semper.ReleaseName, q rollout.Request) {
	s.t.Helper()
	q.Now, q.By = s.w.Now, "ann"
	env, _, err := rollout.Deploy(s.env, s.w.Releases[rel], q)
	if err != nil {
		s.t.Fatal(err)
	}
	s.env = env
}

// step has the machine decide, and does what it wants. Edges acknowledge the table when the next step is made.
func (s *trialWorld) step() {
	s.w.Acked = s.table.Epoch
	s.take(rollout.Step(s.env, s.w))
}

func (s *trialWorld) take(d rollout.Decision) {
	s.env, s.last = d.Env, d
	for _, c := range d.Commands {
		switch c := c.(type) {
		case rollout.Start:
			s.w.Instances[c.Spec.ID] = rollout.Instance{State: semper.Ready}
		case rollout.Stop:
			delete(s.w.Instances, c.ID)
		}
	}
	t := rollout.Routes([]rollout.Site{{Env: s.env, Releases: s.w.Releases}}, s.w.Instances)
	if s.env.Rollout.Epoch == s.w.NextEpoch || !rollout.SameRoutes(t, s.table) {
		t.Epoch = s.w.NextEpoch
		s.table, s.w.NextEpoch = t, t.Epoch+1
	}
}

// until steps until ok, or fails.
func (s *trialWorld) until(what string, ok func() bool) {
	s.t.Helper()
	for range 20 {
		if ok() {
			return
		}
		s.step()
	}
	s.t.Fatalf("never %s: %s, trial %+v, waiting for %q", what, s.env.Rollout.State, s.env.Rollout.Trial, s.last.Waiting)
}

func (s *trialWorld) at(step int) func() bool {
	return func() bool {
		r := s.env.Rollout
		return r.State == semper.RolloutTrial && r.Trial.Step == step && !r.Trial.Since.IsZero()
	}
}

func (s *trialWorld) ended(as semper.RolloutState) func() bool {
	return func() bool { return s.env.Rollout.State == as }
}

func (s *trialWorld) say(o semper.Outcome) {
	r := s.env.Rollout
	s.w.Verdict = &semper.Verdict{Outcome: o, Why: "the judge says " + string(o), Rollout: r.ID, Step: r.Trial.Step, At: s.w.Now}
}

func (s *trialWorld) pool(arm semper.Arm) semper.Pool {
	s.t.Helper()
	i := slices.IndexFunc(s.table.Pools, func(p semper.Pool) bool { return p.Key == semper.PoolKey("app/production/web").PoolOf(arm) })
	if i < 0 {
		s.t.Fatalf("no pool of %s in %+v", arm, s.table.Pools)
	}
	return s.table.Pools[i]
}

func minutes(n int) semper.Duration { return semper.Duration(time.Duration(n) * time.Minute) }

func TestTrialEarnsItsTrafficStepByStep(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{By: "cookie:session", Steps: []semper.Step{
		{Kind: semper.StepShadow, Share: 0.1, For: minutes(1)}, {Kind: semper.StepTraffic, Share: 0.25, For: minutes(5)},
		{Kind: semper.StepPause}, {Kind: semper.StepTraffic, Share: 0.6, For: minutes(1)},
	}})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("at the shadow", s.at(0))
	if c, b := s.pool(semper.ArmCandidate), s.pool(semper.ArmBaseline); len(c.Backend) != 3 || len(b.Backend) != 3 || c.Release != "r2" || b.Release != "r1" {
		t.Errorf("arms of %d (%s) and %d (%s) instances: 60 %% of 4 are 3", len(c.Backend), c.Release, len(b.Backend), b.Release)
	}
	if p := s.pool(semper.ArmStable); p.Shadow == nil || p.Shadow.Share != 0.1 || p.Split != nil {
		t.Errorf("shadow %+v, split %+v", p.Shadow, p.Split)
	}
	s.say(semper.BetterOrEqual)
	s.step()
	if !s.at(0)() || !strings.Contains(s.last.Waiting, "at least") {
		t.Fatalf("a step was left before its time, or says nothing of it: %q", s.last.Waiting)
	}
	s.w.Now = s.w.Now.Add(time.Minute)
	s.until("at 25 %", s.at(1))
	s.w.Now = s.w.Now.Add(5 * time.Minute)
	s.step()
	if !s.at(1)() {
		t.Fatal("the verdict on the step before has ended this one")
	}
	p := s.pool(semper.ArmStable)
	if want := []semper.ArmShare{{Arm: semper.ArmCandidate, Share: 0.25}, {Arm: semper.ArmBaseline, Share: 0.25}}; p.Split == nil || !slices.Equal(p.Split.Arms, want) || p.Split.By != "cookie:session" || p.Shadow != nil {
		t.Errorf("split %+v, shadow %+v", p.Split, p.Shadow)
	}
	s.say(semper.BetterOrEqual)
	s.until("at the pause", s.at(2))
	for range 3 {
		s.step()
	}
	if !s.at(2)() || s.pool(semper.ArmStable).Split == nil {
		t.Fatal("a pause does not keep what there was")
	}
	d, err := rollout.Resume(s.env, s.w, "bob")
	if err != nil {
		t.Fatal(err)
	}
	s.take(d)
	s.until("at 60 %", s.at(3))
	if arms := s.pool(semper.ArmStable).Split.Arms; arms[0].Share != 0.6 || arms[1].Share != 0.4 {
		t.Errorf("beside 60 %% the baseline gets what is left, not %+v", arms)
	}
	s.w.Now = s.w.Now.Add(time.Minute)
	s.say(semper.BetterOrEqual)
	s.until("live", func() bool { return s.env.Rollout.State.Live() })
	if n := len(s.pool(semper.ArmStable).Backend); n != 4 || s.env.Current.Release != "r2" || s.pool(semper.ArmStable).Split != nil || len(s.table.Pools) != 1 {
		t.Errorf("live: %d instances of %s, %d pools", n, s.env.Current.Release, len(s.table.Pools))
	}
	if passed := s.env.Rollout.Trial.Passed; len(passed) != 4 || passed[1].Verdict == nil || passed[1].To.Sub(passed[1].From) != 5*time.Minute {
		t.Errorf("passed %+v", passed)
	}
}

func TestConvictedCandidateIsReturnedInTheSameStep(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: []semper.Step{{Kind: semper.StepTraffic, Share: 0.05}, {Kind: semper.StepTraffic, Share: 0.5}}})
	before := s.table
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("on trial", s.at(0))
	s.w.InFlight = map[semper.InstanceID]semper.InFlight{"app/web.r2.1": {semper.ClassRequest: 1}}
	s.say(semper.Worse)
	s.step()
	r := s.env.Rollout
	if r.State != semper.RolloutFailed || r.Reason != "the judge says worse" || r.Trial.Verdict.Outcome != semper.Worse {
		t.Fatalf("convicted, and %s: %s", r.State, r.Reason)
	}
	after := s.table
	if after.Draining = nil; !rollout.SameRoutes(before, after) {
		t.Errorf("the table is not the one before the trial: %+v", after)
	}
	if n := len(s.w.Instances); n != 4+1+2+2 {
		t.Errorf("%d instances are left before the edges know", n)
	}
	s.step()
	if _, runs := s.w.Instances["app/web.r2.1"]; !runs || len(s.w.Instances) != 4+1+1 {
		t.Errorf("what has a request in hand is to stay alone: %v", s.w.Instances)
	}
	s.w.InFlight = nil
	s.step()
	if len(s.w.Instances) != 5 || len(s.env.Retiring) > 1 {
		t.Errorf("left over: %v", s.w.Instances)
	}
}

func TestUndecidedHolds(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: []semper.Step{{Kind: semper.StepTraffic, Share: 0.05}}})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("on trial", s.at(0))
	s.say(semper.Undecided)
	s.w.Verdict.Cause = "no-data"
	s.w.Now = s.w.Now.Add(24 * time.Hour)
	for range 5 {
		s.step()
	}
	if !s.at(0)() || !strings.Contains(s.last.Waiting, "undecided") || s.env.Current.Release != "r1" {
		t.Errorf("%s of %s, waiting for %q", s.env.Rollout.State, s.env.Current.Release, s.last.Waiting)
	}
	if v := s.env.Rollout.Trial.Verdict; v == nil || v.Cause != "no-data" {
		t.Errorf("verdict %+v is kept", v)
	}
}

func TestBaselineThatFailsIsGivenUp(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: []semper.Step{{Kind: semper.StepTraffic, Share: 0.25}}})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("on trial", s.at(0))
	fresh := s.env.Rollout.Trial.Baseline.Instances[0].ID
	s.w.Instances[fresh] = rollout.Instance{State: semper.Waiting, LastEnd: &semper.End{At: s.w.Now, GaveUp: true}}
	s.step()
	tr := s.env.Rollout.Trial
	if tr.Baseline != nil || tr.Against != semper.BaselineStable || !tr.Since.IsZero() {
		t.Fatalf("%+v", tr)
	}
	if arms := s.pool(semper.ArmStable).Split.Arms; len(arms) != 1 || arms[0].Share != 0.25 {
		t.Errorf("arms %+v", arms)
	}
	s.until("on trial again", s.at(0))
	s.say(semper.BetterOrEqual)
	s.until("live", func() bool { return s.env.Rollout.State.Live() })
}

func TestWatchTurnsBackByVerdict(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		hotfix string
		want   semper.RolloutState
	}{"a release": {"", semper.RolloutRolledBack}, "a hotfix": {"r1 loses orders", semper.RolloutDone}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := onTrial(t, semper.Deploy{})
			s.deploy("r2", rollout.Request{ID: "d-2", Hotfix: tc.hotfix})
			s.until("watched", s.ended(semper.RolloutWatch))
			s.w.Verdict = &semper.Verdict{Outcome: semper.Worse, Rollout: "d-2", Why: "more errors"}
			s.step()
			s.w.Now = s.w.Now.Add(time.Hour)
			s.until("ended", s.ended(tc.want))
		})
	}
}

func TestCandidateInACrashLoopIsReturned(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: []semper.Step{{Kind: semper.StepTraffic, Share: 0.25}}})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("on trial", s.at(0))
	s.w.Instances["app/web.r2.1"] = rollout.Instance{State: semper.Waiting, LastEnd: &semper.End{At: s.w.Now, GaveUp: true, Tail: []string{"boom"}}}
	s.step()
	if r := s.env.Rollout; r.State != semper.RolloutFailed || r.Instance != "app/web.r2.1" || len(r.Tail) != 1 {
		t.Errorf("%s of %s with %q", r.State, r.Instance, r.Tail)
	}
}

func TestNoReleaseStaysWarmForTheTrialOfAnother(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: []semper.Step{{Kind: semper.StepTraffic, Share: 0.25}}})
	s.deploy("r2", rollout.Request{ID: "d-2", Hotfix: "r1 loses orders"})
	s.until("watched", s.ended(semper.RolloutWatch))
	s.deploy("r3", rollout.Request{ID: "d-3"})
	s.until("on trial", s.at(0))
	if s.env.Previous.Release != "r1" || len(s.env.Previous.Instances) != 4 {
		t.Fatalf("before its time is over, %s has %d instances", s.env.Previous.Release, len(s.env.Previous.Instances))
	}
	s.w.Now = s.w.Now.Add(time.Hour)
	s.step()
	s.step()
	if _, runs := s.w.Instances["app/web.r1.1"]; runs || !s.at(0)() {
		t.Errorf("an hour later %d instances run at %s", len(s.w.Instances), s.env.Rollout.State)
	}
}

// TestATrialOutlivesAStopOfTheServer: whoever stops everything asks the instances to end. That says nothing of the candidate, and the
// trial goes on when they run again.
func TestATrialOutlivesAStopOfTheServer(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: []semper.Step{{Kind: semper.StepTraffic, Share: .25, For: minutes(1)}}})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("on trial", s.at(0))
	for id := range s.w.Instances {
		s.w.Instances[id] = rollout.Instance{State: semper.Ended, LastEnd: &semper.End{At: s.w.Now, Reason: semper.Reason{Kind: semper.ReasonShutdown}}}
	}
	for range 3 {
		s.w.Acked = 0 // no edge is there either
		s.take(rollout.Step(s.env, s.w))
	}
	if r := s.env.Rollout; r.State != semper.RolloutTrial || r.Trial.Baseline == nil || r.Trial.Against != semper.BaselineFresh {
		t.Fatalf("%s: %s; against %s", r.State, r.Reason, r.Trial.Against)
	}
	for id := range s.w.Instances {
		s.w.Instances[id] = rollout.Instance{State: semper.Ready}
	}
	s.step()
	s.say(semper.BetterOrEqual)
	s.w.Now = s.w.Now.Add(time.Hour)
	s.until("live", s.ended(semper.RolloutWatch))
}
