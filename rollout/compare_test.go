package rollout_test

import (
	"strings"
	"testing"
	"time"

	"semper"
	"semper/experiment/design"
	"semper/rollout"
)

// compares starts an experiment of r1, which is current, and r2.
func (s *trialWorld) compares(variants ...design.Variant) error {
	s.t.Helper()
	x := design.Experiment{State: design.Starting, Key: []byte("k"), Run: "run", Plan: design.Plan{Name: "checkout", By: "cookie:uid", Variants: variants}}
	env := s.env
	env.Experiments = design.Write([]design.Experiment{x})
	env, err := rollout.Compare(env, "checkout", s.w.Releases, s.w.Now)
	if err == nil {
		s.env = env
	}
	return err
}

func (s *trialWorld) experiment() design.Experiment {
	s.t.Helper()
	list, err := design.Read(s.env.Experiments)
	if err != nil || len(list) != 1 {
		s.t.Fatal(list, err)
	}
	return list[0]
}

// put has somebody end the experiment, or promote green.
func (s *trialWorld) put(state design.State) {
	x := s.experiment()
	if x.State = state; state == design.Promoted {
		x.Winner = "green"
	}
	s.env.Experiments = design.Write([]design.Experiment{x})
}

func (s *trialWorld) is(state design.State) func() bool {
	return func() bool { return s.experiment().State == state }
}

// arms are the names of the arms of web's pools.
func (s *trialWorld) arms() string {
	var all []string
	for _, p := range s.table.Pools {
		if strings.HasPrefix(string(p.Key), "app/production/web") {
			all = append(all, string(p.Arm))
		}
	}
	return strings.Join(all, ",")
}

func halves(release semper.ReleaseName) []design.Variant {
	return []design.Variant{{Name: "control", Share: .5}, {Name: "green", Share: .5, Release: release}}
}

// TestReleasesAreCompared: started in part and ready before any user has a variant, drained when it is over.
func TestReleasesAreCompared(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{})
	if err := s.compares(halves("r2")...); err != nil {
		t.Fatal(err)
	}
	s.w.Acked = s.table.Epoch
	d := rollout.Step(s.env, s.w)
	if len(d.Commands) != 2 {
		t.Fatalf("%d commands: half of 4 instances of web are to be started, and no worker", len(d.Commands))
	}
	s.take(d)
	s.w.Instances["app/web.r2.2"] = rollout.Instance{State: semper.Starting}
	s.step()
	if x := s.experiment(); x.State != design.Starting || s.arms() != "" || s.table.Pools[0].Variations != nil {
		t.Fatalf("an instance is not ready: %s, arms %q, variations %s", x.State, s.arms(), s.table.Pools[0].Variations)
	}
	s.w.Instances["app/web.r2.2"] = rollout.Instance{State: semper.Ready}
	s.until("running", s.is(design.Running))
	if p := s.pool("r2"); len(p.Backend) != 2 || p.Release != "r2" || s.pool(semper.ArmStable).Variations == nil {
		t.Errorf("%+v beside %s", p, s.pool(semper.ArmStable).Variations)
	}
	if x := s.experiment(); !x.StartedAt.Equal(s.w.Now) || x.Against != "r1" {
		t.Errorf("started at %s against %s", x.StartedAt, x.Against)
	}
	s.w.InFlight = map[semper.InstanceID]semper.InFlight{"app/web.r2.1": {semper.ClassRequest: 1}}
	s.put(design.Stopped)
	for range 4 {
		s.step()
	}
	if s.arms() != "" || len(s.table.Draining) != 1 {
		t.Errorf("after the end: arms %q, draining %+v", s.arms(), s.table.Draining)
	}
	if _, runs := s.w.Instances["app/web.r2.1"]; !runs || len(s.w.Instances) != 6 {
		t.Errorf("%d instances run: 5 of r1, and the one that has a request in hand", len(s.w.Instances))
	}
	s.w.InFlight = nil
	s.until("drained", func() bool { return len(s.env.Retiring) == 0 })
	if len(s.w.Instances) != 5 || s.env.Current.Release != "r1" {
		t.Errorf("%d instances, current %s", len(s.w.Instances), s.env.Current.Release)
	}
}

// TestNobodyDeploysIntoAnExperiment, but in haste, and then it ends in the table of the cutover; a rollback as well.
func TestNobodyDeploysIntoAnExperiment(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{})
	if err := s.compares(halves("r2")...); err != nil {
		t.Fatal(err)
	}
	s.until("running", s.is(design.Running))
	_, _, err := rollout.Deploy(s.env, s.w.Releases["r3"], rollout.Request{ID: "d-2", Now: s.w.Now})
	if semper.CodeOf(err) != semper.Conflict || !strings.Contains(err.Error(), "experiment checkout compares r2 with r1") {
		t.Fatal(err)
	}
	env, _, err := rollout.Scale(s.env, s.w.Releases["r1"], map[string]int{"web": 5}, rollout.Request{ID: "d-2", Now: s.w.Now})
	if err != nil {
		t.Fatal(err)
	}
	s.env = env
	s.until("scaled", func() bool { return s.env.Rollout.State.Ended() })
	s.deploy("r3", rollout.Request{ID: "d-3", Hotfix: "it burns"})
	for range 20 {
		if s.env.Current.Release == "r3" {
			break
		}
		if s.arms() != ",r2" {
			t.Errorf("before the cutover, at %s: arms %q", s.env.Rollout.State, s.arms())
		}
		s.step()
	}
	if x := s.experiment(); x.State != design.Stopped || !strings.Contains(x.Ended, "r1") || s.arms() != "" || s.table.Pools[0].Release != "r3" {
		t.Errorf("%s (%s), arms %q of %s", x.State, x.Ended, s.arms(), s.table.Pools[0].Release)
	}
}

// TestTheWinnerIsPromotedAsAnyRelease: users keep their variants until the trial of the rollout has traffic to give, in one table.
func TestTheWinnerIsPromotedAsAnyRelease(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: []semper.Step{{Kind: semper.StepTraffic, Share: .25, For: minutes(5)}}})
	if err := s.compares(halves("r2")...); err != nil {
		t.Fatal(err)
	}
	s.until("running", s.is(design.Running))
	s.put(design.Promoted)
	env, _, err := rollout.Adopt(s.env, "checkout", s.w.Releases["r2"], rollout.Request{ID: "d-2", Now: s.w.Now})
	if err != nil {
		t.Fatal(err)
	}
	s.env = env
	if note := s.env.Rollout.Steps[0].Note; note != "promotes green of experiment checkout" {
		t.Errorf("the rollout says %q", note)
	}
	seen := map[string]bool{}
	s.until("on trial", func() bool { seen[s.arms()] = true; return s.at(0)() })
	if len(seen) != 2 || !seen[",r2"] || !seen[",candidate,baseline"] {
		t.Errorf("tables had the arms %v", seen)
	}
	s.say(semper.Worse)
	s.until("failed", s.ended(semper.RolloutFailed))
	s.step()
	if x := s.experiment(); x.State != design.Stopped || x.Rollout != "d-2" || !strings.Contains(x.Ended, "failed") {
		t.Errorf("%s by %s: %s", x.State, x.Rollout, x.Ended)
	}
}

// TestWhatCannotBeCompared is refused, and what breaks is given up: nobody is left without a release.
func TestWhatCannotBeCompared(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{})
	migrating := s.w.Releases["r3"]
	migrating.Spec.Migrate = &semper.Migration{}
	s.w.Releases["r3"] = migrating
	for want, variants := range map[string][]design.Variant{
		`no release "r9"`:        halves("r9"),
		"r1 is current already":  halves("r1"),
		"r3 has a migration":     halves("r3"),
		`no release "r99"`:       append(halves("r2"), design.Variant{Name: "blue", Release: "r99"}),
		"no web service of r4 s": halves("r4"),
	} {
		if want[0] == 'n' && want[3] == 'w' {
			spec := semper.Spec{App: "app", Services: map[string]semper.Service{"job": {Type: semper.Worker, Instances: 1}}}.WithDefaults()
			s.w.Releases["r4"] = semper.Release{App: "app", Number: 4, Spec: spec}
		}
		if err := s.compares(variants...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q, not %q", err, want)
		}
	}
	if err := s.compares(halves("r2")...); err != nil {
		t.Fatal(err)
	}
	s.step()
	s.w.Instances["app/web.r2.1"] = rollout.Instance{State: semper.Starting, Why: "GET /healthz: 500"}
	s.step()
	s.w.Now = s.w.Now.Add(time.Hour)
	s.step()
	if x := s.experiment(); x.State != design.Stopped || !strings.Contains(x.Ended, "was not ready within") || !strings.Contains(x.Ended, "500") {
		t.Fatalf("%s: %q", x.State, x.Ended)
	}
	s.until("taken down", func() bool { return len(s.env.Retiring) == 0 })
	if err := s.compares(halves("r2")...); err != nil {
		t.Fatal(err)
	}
	s.until("running", s.is(design.Running))
	for id := range s.w.Instances {
		if strings.HasPrefix(string(id), "app/web.r2") {
			s.w.Instances[id] = rollout.Instance{State: semper.Waiting, LastEnd: &semper.End{At: s.w.Now, GaveUp: true, Reason: semper.Reason{Kind: semper.ReasonExit, Code: 1}}}
		}
	}
	s.step()
	if x := s.experiment(); x.State != design.Stopped || !strings.Contains(x.Ended, "does not keep running") || s.arms() != "" {
		t.Errorf("%s: %q, arms %q", x.State, x.Ended, s.arms())
	}
}

// TestWhatNeverStartsIsNotWaitedFor: it is given up at once, and not when its grace is over; also by a clock that was set back since.
func TestWhatNeverStartsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{})
	if err := s.compares(halves("r2")...); err != nil {
		t.Fatal(err)
	}
	s.step()
	at := s.w.Now.Add(-time.Hour)
	s.w.Instances["app/web.r2.1"] = rollout.Instance{State: semper.Waiting, LastEnd: &semper.End{At: at, Reason: semper.Reason{Kind: semper.ReasonStart}}}
	s.step()
	if x := s.experiment(); x.State != design.Stopped || !strings.Contains(x.Ended, "app/web.r2.1") || !strings.Contains(x.Ended, "before it was ready") {
		t.Errorf("%s: %q", x.State, x.Ended)
	}
}
