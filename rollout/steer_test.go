package rollout_test

import (
	"maps"
	"math"
	"strings"
	"testing"

	"semper"
	"semper/rollout"
)

func steps(shares ...float64) []semper.Step {
	var out []semper.Step
	for _, s := range shares {
		out = append(out, semper.Step{Kind: semper.StepTraffic, Share: s})
	}
	return out
}

func TestPromoteSkipsOneStepOrAll(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: steps(0.01, 0.25, 0.5)})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	if _, err := rollout.Promote(s.env, s.w, rollout.Promotion{Step: -1}); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("promoted before the first step: %v", err)
	}
	s.until("at 1 %", s.at(0))
	for range 2 { // the answer to the first was lost
		d, err := rollout.Promote(s.env, s.w, rollout.Promotion{By: "bob", Step: 0})
		if err != nil {
			t.Fatal(err)
		}
		s.take(d)
	}
	s.until("at 25 %", s.at(1))
	if p := s.env.Rollout.Trial.Passed; len(p) != 1 || p[0].By != "bob" {
		t.Errorf("passed %+v", p)
	}
	if _, err := rollout.Promote(s.env, s.w, rollout.Promotion{Step: 2}); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("a step that is not there yet: %v", err)
	}
	d, err := rollout.Promote(s.env, s.w, rollout.Promotion{By: "bob", Full: true, Step: -1})
	if err != nil {
		t.Fatal(err)
	}
	s.take(d)
	if p := s.env.Rollout.Trial.Passed; len(p) != 2 || p[1].By != "bob" || p[1].Step.Share != .25 {
		t.Errorf("it is not written down who left out the steps: %+v", p)
	}
	s.until("live", func() bool { return s.env.Rollout.State.Live() })
	if n := len(s.pool(semper.ArmStable).Backend); n != 4 {
		t.Errorf("live with %d instances", n)
	}
	for _, steer := range []func(semper.Environment, rollout.World, string) (rollout.Decision, error){rollout.Pause, rollout.Resume, rollout.Abort} {
		if _, err := steer(s.env, s.w, "bob"); semper.CodeOf(err) != semper.Conflict || !strings.Contains(err.Error(), "no rollout is on its way to the cutover") {
			t.Errorf("of one that is live: %v", err)
		}
	}
}

// TestAbortBeforeAnyEdgeHasTheCutover turns it back, once, and only onto instances that serve.
func TestAbortBeforeAnyEdgeHasTheCutover(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("published", s.ended(semper.RolloutConnect))
	dead := s.w
	dead.Instances = maps.Clone(s.w.Instances)
	maps.DeleteFunc(dead.Instances, func(id semper.InstanceID, _ rollout.Instance) bool {
		return strings.HasPrefix(string(id), "app/web.r1")
	})
	refused := func(w rollout.World, when string) {
		if _, err := rollout.Abort(s.env, w, "bob"); semper.CodeOf(err) != semper.Conflict || !strings.Contains(err.Error(), "published already") {
			t.Errorf("%s: %v", when, err)
		}
	}
	refused(dead, "without an instance to go back to")
	d, err := rollout.Abort(s.env, s.w, "bob")
	if err != nil {
		t.Fatal(err)
	}
	s.take(d)
	if r := s.env.Rollout; r.State != semper.RolloutRollingBack || s.env.Current.Release != "r1" || s.pool(semper.ArmStable).Release != "r1" || r.Reason != "aborted by bob" {
		t.Errorf("%s to %s: %s", r.State, s.env.Current.Release, r.Reason)
	}
	refused(s.w, "a second time")
	s.until("turned back", s.ended(semper.RolloutRolledBack))
}

func TestFullPromotionBeforeTheTrialNeedsNone(t *testing.T) {
	t.Parallel()
	for steps0 := range 3 {
		s := onTrial(t, semper.Deploy{Steps: steps(0.25)})
		s.deploy("r2", rollout.Request{ID: "d-2"})
		for range steps0 {
			s.step()
		}
		if s.env.Rollout.Epoch != 0 {
			break // on trial already
		}
		d, err := rollout.Promote(s.env, s.w, rollout.Promotion{Full: true, Step: -1})
		if err != nil {
			t.Fatal(err)
		}
		s.take(d)
		s.until("live", func() bool { return s.env.Rollout.State.Live() })
		if len(s.env.Rollout.Trial.Passed) > 0 || len(s.w.Instances) < 9 { // the worker with a broker of its own is not kept warm
			t.Errorf("passed %+v, %d instances", s.env.Rollout.Trial.Passed, len(s.w.Instances))
		}
	}
}

func TestPausedRolloutIsStillJudged(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: steps(0.01, 0.25)})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("at 1 %", s.at(0))
	for i := range 2 {
		d, err := rollout.Pause(s.env, s.w, "bob")
		if err != nil || (len(d.Events) > 0) != (i == 0) {
			t.Fatalf("pause %d: %v, events %v", i+1, err, d.Events)
		}
		s.take(d)
	}
	s.say(semper.BetterOrEqual)
	s.step()
	s.step()
	if !s.at(0)() || !strings.Contains(s.last.Waiting, "paused by bob") {
		t.Fatalf("it goes on though it is paused: %q", s.last.Waiting)
	}
	s.say(semper.Worse)
	s.step()
	if !s.ended(semper.RolloutFailed)() {
		t.Errorf("convicted while paused, and at %s", s.env.Rollout.State)
	}
	if _, err := rollout.Resume(s.env, s.w, "bob"); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("resumed what has ended: %v", err)
	}
}

func TestUntilPausesAtTheEndOfItsKind(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: append([]semper.Step{{Kind: semper.StepShadow, Share: 0.1}}, steps(0.01, 0.25)...)})
	s.deploy("r2", rollout.Request{ID: "d-2", Until: semper.StepShadow})
	s.until("at the shadow", s.at(0))
	s.say(semper.BetterOrEqual)
	for range 4 {
		s.step()
	}
	if tr := s.env.Rollout.Trial; !s.at(0)() || !tr.Paused || tr.PausedBy != "ann" {
		t.Fatalf("%+v", tr)
	}
	d, err := rollout.Resume(s.env, s.w, "bob")
	if err != nil {
		t.Fatal(err)
	}
	s.take(d)
	s.until("at 1 %", s.at(1))
}

func TestUntilOfWhatThereIsNot(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: steps(0.01)})
	for name, q := range map[string]rollout.Request{
		"has no step of shadow": {Until: semper.StepShadow},
		"a hotfix leaves out":   {Until: semper.StepTraffic, Hotfix: "r1 loses orders"},
	} {
		if _, _, err := rollout.Deploy(s.env, s.w.Releases["r2"], q); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: %v, want %q", q, err, name)
		}
	}
	if _, _, err := rollout.Deploy(semper.Environment{App: "app"}, s.w.Releases["r2"], rollout.Request{Until: semper.StepTraffic}); semper.CodeOf(err) != semper.Invalid {
		t.Errorf("of the first release: %v", err)
	}
}

func TestAbortReturnsATrial(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: steps(0.25)})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("on trial", s.at(0))
	if _, _, err := rollout.Deploy(s.env, s.w.Releases["r3"], rollout.Request{ID: "d-3", Now: s.w.Now}); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("another one beside it: %v", err)
	}
	d, err := rollout.Abort(s.env, s.w, "bob")
	if err != nil {
		t.Fatal(err)
	}
	s.take(d)
	if r := s.env.Rollout; r.State != semper.RolloutFailed || r.Reason != "aborted by bob" || len(s.table.Pools) != 1 {
		t.Errorf("%s: %s; %d pools", r.State, r.Reason, len(s.table.Pools))
	}
	s.step()
	if len(s.w.Instances) != 5 {
		t.Errorf("left over: %v", s.w.Instances)
	}
}

func TestTestersAloneOnAPause(t *testing.T) {
	t.Parallel()
	testers := []byte(`[{"header":{"X-Tester":"yes"}}]`)
	s := onTrial(t, semper.Deploy{Testers: testers, Steps: append([]semper.Step{{Kind: semper.StepPause}}, steps(0.25)...)})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("paused", s.at(0))
	p := s.pool(semper.ArmStable)
	if p.Split == nil || string(p.Split.Testers) != string(testers) || len(p.Split.Arms) != 1 || p.Split.Arms[0].Share != 0 {
		t.Fatalf("split %+v", p.Split)
	}
	if len(s.pool(semper.ArmCandidate).Backend) != 1 {
		t.Error("testers find nobody")
	}
}

func TestCheckOfSteps(t *testing.T) {
	t.Parallel()
	web := map[string]semper.Service{"web": {Type: semper.Web}}
	for want, d := range map[string]semper.Deploy{
		"":                                 {Steps: append([]semper.Step{{Kind: semper.StepShadow, Share: 1}, {Kind: semper.StepPause}}, steps(0.001, 0.5, 1)...), Judge: semper.Judge{Alpha: 0.05}},
		"0.05 % of the requests":           {Steps: steps(0.0005)},
		"NaN % of the requests":            {Steps: steps(math.NaN())},
		"25 % after 25 %":                  {Steps: steps(0.25, 0.25)},
		"copies after a share":             {Steps: append(steps(0.25), semper.Step{Kind: semper.StepShadow, Share: 0.1})},
		"a pause ends when":                {Steps: []semper.Step{{Kind: semper.StepPause, Share: 0.1}}},
		"is no step":                       {Steps: []semper.Step{{Kind: "wait"}}},
		"less than nothing":                {Steps: []semper.Step{{Kind: semper.StepTraffic, Share: 0.1, Requests: -1}}},
		"alpha is 0.7":                     {Judge: semper.Judge{Alpha: 0.7}},
		"errors.margin is 0.5":             {Judge: semper.Judge{ErrorMargin: 0.5}},
		`"old" is no baseline`:             {Baseline: "old"},
		"no service gets requests or jobs": {Steps: steps(0.1)},
	} {
		spec := semper.Spec{Services: web, Deploy: &d}
		if strings.HasPrefix(want, "no service") {
			spec.Services = nil
		}
		faults := rollout.Check(spec)
		if want == "" && len(faults) > 0 || want != "" && (len(faults) != 1 || !strings.Contains(faults[0].Message, want)) {
			t.Errorf("%q: %+v", want, faults)
		}
	}
}

func TestWhatAWarmTargetDoesNotNeedIsDrained(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{})
	env, _, err := rollout.Scale(s.env, s.w.Releases["r1"], map[string]int{"web": 5}, rollout.Request{ID: "d-2", Now: s.w.Now})
	if err != nil {
		t.Fatal(err)
	}
	s.env = env
	s.until("scaled", s.ended(semper.RolloutDone))
	s.deploy("r2", rollout.Request{ID: "d-3"})
	s.until("watched", s.ended(semper.RolloutWatch))
	s.w.InFlight = map[semper.InstanceID]semper.InFlight{"app/web.r1.5": {semper.ClassWebSocket: 1}} // from before it lost its traffic
	s.deploy("r1", rollout.Request{ID: "d-4"})
	s.until("cut over", s.ended(semper.RolloutConnect))
	s.step()
	if _, runs := s.w.Instances["app/web.r1.5"]; !runs {
		t.Error("an instance with a connection in hand is stopped because the release comes back smaller")
	}
	s.w.InFlight = nil
	s.until("watched again", s.ended(semper.RolloutWatch))
	if _, runs := s.w.Instances["app/web.r1.5"]; runs {
		t.Error("an instance that nobody needs is left")
	}
}

func TestPauseBeforeTheFirstStep(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: steps(0.25)})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	d, err := rollout.Pause(s.env, s.w, "bob")
	if err != nil {
		t.Fatal(err)
	}
	s.take(d)
	for range 6 {
		s.step()
	}
	if !s.ended(semper.RolloutReady)() || s.last.Waiting != "paused by bob" || len(s.table.Pools) != 1 {
		t.Fatalf("paused before its trial, and at %s: %q, %d pools", s.env.Rollout.State, s.last.Waiting, len(s.table.Pools))
	}
	if d, err = rollout.Resume(s.env, s.w, "bob"); err != nil {
		t.Fatal(err)
	}
	s.take(d)
	s.until("on trial", s.at(0))
}

// TestFullPromotionOfWhatIsStaged leaves out the steps, and neither the staging nor somebody's word about it: a pause before it was about the steps.
func TestFullPromotionOfWhatIsStaged(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: steps(0.25, 0.5)})
	digest := s.w.Releases["r2"].Artifact
	delete(s.w.Staged, digest)
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.take(must(t)(rollout.Pause(s.env, s.w, "bob")))
	if _, err := rollout.Promote(s.env, s.w, rollout.Promotion{Full: true, Step: 1}); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("all that is left after a step that is not there yet: %v", err)
	}
	s.take(must(t)(rollout.Promote(s.env, s.w, rollout.Promotion{By: "bob", Full: true, Step: -1})))
	s.step()
	if r := s.env.Rollout; r.State != semper.RolloutStage || !r.Trial.Over || r.Trial.Paused || r.Trial.PausedBy != "" || r.Trial.Step != 2 {
		t.Fatalf("nothing is unpacked, and it is at %s: %+v", r.State, r.Trial)
	}
	s.w.Staged[digest] = nil
	s.until("live", func() bool { return s.env.Rollout.State.Live() })
}

// TestPromoteOfWhatIsOver changes nothing: the answer to the first may have been lost.
func TestPromoteOfWhatIsOver(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: steps(0.25)})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("at 25 %", s.at(0))
	s.take(must(t)(rollout.Promote(s.env, s.w, rollout.Promotion{Step: -1})))
	if r := s.env.Rollout; r.State != semper.RolloutStart || !r.Trial.Over {
		t.Fatalf("%s: %+v", r.State, r.Trial)
	}
	for _, full := range []bool{false, true} {
		if d, err := rollout.Promote(s.env, s.w, rollout.Promotion{Step: -1, Full: full}); err != nil || len(d.Events) > 0 || len(d.Env.Rollout.Trial.Passed) != 1 {
			t.Errorf("once more, full %v: %v, events %v, passed %+v", full, err, d.Events, d.Env.Rollout.Trial.Passed)
		}
	}
	s.until("published", s.ended(semper.RolloutConnect))
	for _, steer := range []func(semper.Environment, rollout.World, string) (rollout.Decision, error){rollout.Pause, rollout.Resume} {
		if _, err := steer(s.env, s.w, "bob"); semper.CodeOf(err) != semper.Conflict || !strings.Contains(err.Error(), "its steps are over") {
			t.Errorf("of one whose cutover is published: %v", err)
		}
	}
}

// TestPromoteEndsAWatch also where a rollout that came after it has failed, and not while one is on its way: that one decides.
func TestPromoteEndsAWatch(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("watched", s.ended(semper.RolloutWatch))
	s.deploy("r3", rollout.Request{ID: "d-3"})
	if _, err := rollout.Promote(s.env, s.w, rollout.Promotion{Step: -1}); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("while r3 is on its way: %v", err)
	}
	s.take(must(t)(rollout.Abort(s.env, s.w, "bob")))
	if p := s.env.Previous; p.Release != "r1" || len(p.Instances) == 0 {
		t.Fatalf("not warm: %+v", p)
	}
	s.take(must(t)(rollout.Promote(s.env, s.w, rollout.Promotion{By: "bob", Step: -1})))
	if p := s.env.Previous; len(p.Instances) > 0 {
		t.Errorf("still warm: %+v", p)
	}
}

// TestAbortOfARestart is refused once it is published: what is still warm beside it is another release, which nobody asked for.
func TestAbortOfARestart(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("watched", s.ended(semper.RolloutWatch))
	env, _, err := rollout.Restart(s.env, s.w.Releases["r2"], nil, rollout.Request{ID: "d-3", Now: s.w.Now})
	if err != nil {
		t.Fatal(err)
	}
	s.env = env
	s.until("published", s.ended(semper.RolloutConnect))
	if d, err := rollout.Abort(s.env, s.w, "bob"); semper.CodeOf(err) != semper.Conflict || !strings.Contains(err.Error(), "published already") {
		t.Errorf("it goes on to %+v: %v", d.Env.Current, err)
	}
	s.until("watched again", s.ended(semper.RolloutWatch))
	if s.env.Current.Release != "r2" {
		t.Errorf("%s serves", s.env.Current.Release)
	}
}

// TestPauseAndResumeSayWhatTheyChange and by whom; nothing where nothing is changed.
func TestPauseAndResumeSayWhatTheyChange(t *testing.T) {
	t.Parallel()
	s := onTrial(t, semper.Deploy{Steps: steps(0.25)})
	s.deploy("r2", rollout.Request{ID: "d-2"})
	s.until("at 25 %", s.at(0))
	for i, tc := range []struct {
		steer   func(semper.Environment, rollout.World, string) (rollout.Decision, error)
		changed bool
		by      string
	}{{rollout.Resume, false, ""}, {rollout.Pause, true, "somebody"}, {rollout.Pause, false, "somebody"}, {rollout.Resume, true, ""}, {rollout.Resume, false, ""}} {
		d := must(t)(tc.steer(s.env, s.w, ""))
		s.take(d)
		if tr := s.env.Rollout.Trial; d.Changed != tc.changed || (len(d.Events) == 1) != tc.changed || tr.PausedBy != tc.by || tr.Paused != (tc.by != "") {
			t.Errorf("%d: changed %v, events %v, %+v", i, d.Changed, d.Events, tr)
		}
	}
}

// must is a decision without an error.
func must(t *testing.T) func(rollout.Decision, error) rollout.Decision {
	return func(d rollout.Decision, err error) rollout.Decision {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
}
