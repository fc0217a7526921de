package pipeline_test

import (
	"strings"
	"testing"
	"time"

	"semper"
	"semper/pipeline"
	"semper/pipeline/course"
)

// judged is a run that is live by a rollout with those steps, before a gate of that kind.
func judged(t *testing.T, kind semper.GateKind, passed ...semper.PassedStep) course.Run {
	t.Helper()
	p, problems := pipeline.Complete(semper.Pipeline{App: "shop", Stages: []semper.Stage{{Environment: "production", Gates: []semper.Gate{{Kind: kind}}}}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	run, _, err := pipeline.Begin(p, semper.Release{App: "shop", Number: 1, Artifact: semper.DigestOf(nil), Config: semper.DigestOf(nil)}, 1, "dev", time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	run.Stages[0].State, run.Stages[0].LiveAt = course.StageLive, time.Unix(0, 0)
	if passed != nil {
		run.Stages[0].Trial = &semper.Trial{Passed: passed}
	}
	return run
}

// A verdict counts only where the steps were left by it.
func TestVerdictGates(t *testing.T) {
	t.Parallel()
	good, bad := &semper.Verdict{Outcome: semper.BetterOrEqual}, &semper.Verdict{Outcome: semper.Undecided}
	step := func(kind semper.StepKind, by string, v *semper.Verdict) semper.PassedStep {
		return semper.PassedStep{Step: semper.Step{Kind: kind, Share: 0.25}, By: by, Verdict: v}
	}
	serves := semper.Environment{App: "shop", Name: "production", Current: &semper.Placement{Release: "r1"}}
	for _, c := range []struct {
		name   string
		kind   semper.GateKind
		passed []semper.PassedStep
		state  course.State
		why    string
	}{
		{"by verdict", semper.GateCanary, []semper.PassedStep{step(semper.StepTraffic, "", good), step(semper.StepPause, "ann", nil)}, course.Passed, ""},
		{"by hand", semper.GateCanary, []semper.PassedStep{step(semper.StepTraffic, "ann", good)}, course.Failed, "ann had the step of 25 % left"},
		{"undecided", semper.GateCanary, []semper.PassedStep{step(semper.StepTraffic, "", bad)}, course.Failed, "without a verdict"},
		{"no verdict", semper.GateCanary, []semper.PassedStep{step(semper.StepTraffic, "", nil)}, course.Failed, "without a verdict"},
		{"of another kind", semper.GateShadow, []semper.PassedStep{step(semper.StepTraffic, "", good)}, course.Failed, "no step of shadow"},
		{"shadow", semper.GateShadow, []semper.PassedStep{step(semper.StepShadow, "", good)}, course.Passed, ""},
		{"not judged", semper.GateCanary, nil, course.Failed, "was not judged"},
	} {
		d := pipeline.Step(judged(t, c.kind, c.passed...), pipeline.World{Now: time.Unix(1, 0), Environments: map[string]semper.Environment{"production": serves}})
		if d.Run.State != c.state || !strings.Contains(d.Run.Reason, c.why) || (len(d.Statements) == 1) != (c.state == course.Passed) {
			t.Errorf("%s: %s (%s), %d statements", c.name, d.Run.State, d.Run.Reason, len(d.Statements))
		}
	}
}

// A clock set back makes a soak take longer, and a yes from the future none.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	p, problems := pipeline.Complete(semper.Pipeline{App: "shop", Stages: []semper.Stage{
		{Environment: "beta"},
		{Environment: "production", Gates: []semper.Gate{
			{Kind: semper.GateSoak, For: semper.Duration(30 * time.Minute)}, {Kind: semper.GateApproval, Approvers: []string{"ops"}, Expires: semper.Duration(time.Hour)},
		}},
	}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	rel := semper.Release{App: "shop", Number: 1, Artifact: semper.DigestOf(nil), Config: semper.DigestOf(nil)}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	run, _, err := pipeline.Begin(p, rel, 1, "dev", now)
	if err != nil {
		t.Fatal(err)
	}
	run.At = 1
	run.Stages[0].State, run.Stages[0].LiveAt = course.StagePassed, now
	w := pipeline.World{InForce: p, Environments: map[string]semper.Environment{"beta": {App: "shop", Name: "beta", Current: &semper.Placement{Release: "r1"}}}}
	at := func(now time.Time) pipeline.Decision { w.Now = now; return pipeline.Step(run, w) }
	run = at(now.Add(20 * time.Minute)).Run
	run = at(now.Add(-time.Hour)).Run // set back: it counts from here
	if d := at(now.Add(-31 * time.Minute)); d.Person || d.Wake.IsZero() {
		t.Errorf("29 minutes after the clock was set back: %s", d.Waiting)
	}
	d := at(now.Add(-30 * time.Minute))
	if run = d.Run; !d.Person || len(d.Statements) != 1 {
		t.Fatalf("after the soak: %s", d.Waiting)
	}
	w.Proofs = append(w.Proofs, pipeline.Proof{Passed: d.Statements[0], About: pipeline.SubjectOf(rel)})
	yes, err := pipeline.Approve(run, ops, "fine", now)
	if err != nil {
		t.Fatal(err)
	}
	run = yes.Run
	w.Proofs = append(w.Proofs, pipeline.Proof{Passed: yes.Statements[0], About: pipeline.SubjectOf(rel)})
	if d := at(now.Add(30 * time.Minute)); d.Deploy != "production" {
		t.Errorf("with a yes: %s", d.Waiting)
	}
	if d := at(now.Add(time.Hour)); d.Deploy != "" || !d.Person {
		t.Errorf("with an expired yes: %s, deploy %q", d.Waiting, d.Deploy)
	}
	if d := at(now.Add(-10 * time.Minute)); d.Deploy != "" || !d.Person {
		t.Errorf("with a yes from the future: %s, deploy %q", d.Waiting, d.Deploy)
	}
}

// Frozen: a run that is ready waits for its window, and says until when.
func TestWindowHolds(t *testing.T) {
	t.Parallel()
	p, problems := pipeline.Complete(semper.Pipeline{App: "shop", Stages: []semper.Stage{{Environment: "production", Gates: []semper.Gate{
		{Kind: semper.GateWindow, Window: &semper.Window{Deny: "Fri 16:00-Mon 08:00", Zone: "Europe/Berlin"}},
	}}}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	saturday := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	run, _, err := pipeline.Begin(p, semper.Release{App: "shop", Number: 1, Artifact: semper.DigestOf(nil), Config: semper.DigestOf(nil)}, 1, "dev", saturday)
	if err != nil {
		t.Fatal(err)
	}
	d := pipeline.Step(run, pipeline.World{Now: saturday, InForce: p})
	if monday := time.Date(2026, 11, 23, 7, 0, 0, 0, time.UTC); d.Deploy != "" || !d.Wake.Equal(monday) || !strings.Contains(d.Waiting, "frozen") {
		t.Errorf("on a Saturday: %s, wake at %s", d.Waiting, d.Wake)
	}
	if d = pipeline.Step(d.Run, pipeline.World{Now: d.Wake, InForce: p}); d.Deploy != "production" {
		t.Errorf("on Monday: %s", d.Waiting)
	}
	if err := pipeline.Admit(p, "production", "r1", pipeline.Subject{}, nil, "", saturday); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("a deploy by hand on a Saturday: %v", err)
	}
}

// A command with a report is passed by its tests and by its exit code, and only when the report was read.
func TestReportGate(t *testing.T) {
	t.Parallel()
	p, problems := pipeline.Complete(semper.Pipeline{App: "shop", Stages: []semper.Stage{{Environment: "beta", Gates: []semper.Gate{
		{Kind: semper.GateCommand, Command: []string{"./check"}, Report: "out/junit.xml"},
	}}}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	now := time.Unix(0, 0)
	run, _, err := pipeline.Begin(p, semper.Release{App: "shop", Number: 1, Artifact: semper.DigestOf(nil), Config: semper.DigestOf(nil)}, 1, "dev", now)
	if err != nil {
		t.Fatal(err)
	}
	run.Stages[0].State, run.Stages[0].LiveAt = course.StageLive, now
	w := pipeline.World{Now: now, Environments: map[string]semper.Environment{"beta": {App: "shop", Name: "beta", Current: &semper.Placement{Release: "r1"}}}}
	begun := pipeline.Step(run, w)
	start, ok := begun.Commands[0].(pipeline.Start)
	if !ok {
		t.Fatalf("%+v", begun.Commands)
	}
	good, bad := pipeline.Answer{Good: true, What: "40 tests passed"}, pipeline.Answer{What: "1 of 40 tests failed: cart.adds"}
	for _, c := range []struct {
		name   string
		reason semper.Reason
		answer *pipeline.Answer
		state  course.State
		why    string
	}{
		{"not read yet", semper.Reason{Kind: semper.ReasonNormal}, nil, course.Running, ""},
		{"passed", semper.Reason{Kind: semper.ReasonNormal}, &good, course.Passed, ""},
		{"a test failed", semper.Reason{Kind: semper.ReasonExit, Code: 1}, &bad, course.Failed, "1 of 40 tests failed: cart.adds (exit code 1)"},
		{"a test failed, and the command hides it", semper.Reason{Kind: semper.ReasonNormal}, &bad, course.Failed, "1 of 40 tests failed: cart.adds (exit code 0)"},
		{"something else failed", semper.Reason{Kind: semper.ReasonExit, Code: 2}, &good, course.Failed, "exit code 2, though 40 tests passed"},
		{"killed", semper.Reason{Kind: semper.ReasonSignal, Signal: "SIGKILL"}, nil, course.Failed, "signal SIGKILL"},
	} {
		w.Units = map[semper.InstanceID]pipeline.Unit{start.Spec.ID: {Ended: true, End: &semper.End{Reason: c.reason}, Scratch: "/scratch"}}
		w.Answers = map[string]pipeline.Answer{}
		if c.answer != nil {
			w.Answers["p-1/beta/tests.1"] = *c.answer
		}
		d := pipeline.Step(begun.Run, w)
		if d.Run.State != c.state || !strings.Contains(d.Run.Reason, c.why) || (len(d.Statements) == 1) != (c.state == course.Passed) {
			t.Errorf("%s: %s (%s), %d statements", c.name, d.Run.State, d.Run.Reason, len(d.Statements))
		}
		if c.answer == nil && c.state == course.Running {
			if want := (pipeline.Read{Key: "p-1/beta/tests.1", Dir: "/scratch", Path: "out/junit.xml"}); len(d.Commands) != 1 || d.Commands[0] != want {
				t.Errorf("%s: %+v, want %+v", c.name, d.Commands, want)
			}
		}
	}
	for _, path := range []string{"/etc/passwd", "../x", "a/../../x"} {
		_, problems := pipeline.Complete(semper.Pipeline{Stages: []semper.Stage{{Environment: "beta", Gates: []semper.Gate{{Kind: semper.GateCommand, Command: []string{"x"}, Report: path}}}}})
		if len(problems) != 1 || problems[0].Key != "report" {
			t.Errorf("%s: %v", path, problems)
		}
	}
}
