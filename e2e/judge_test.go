package e2e_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
)

// candidate begins a rollout of the first release's artifact with another environment, step by step.
func (s *server) candidate(env map[string]string, steps ...semper.Step) string {
	s.t.Helper()
	return s.judged(200*time.Millisecond, env, steps...)
}

// judged is a candidate with a look of the judge in every interval.
func (s *server) judged(interval time.Duration, env map[string]string, steps ...semper.Step) string {
	s.t.Helper()
	all := asked(s, func(ctx context.Context, c *api.Client) ([]api.ReleaseInfo, error) { return c.Releases(ctx, "bar") })
	q := api.DeployRequest{By: "judge", Artifact: all[0].Artifact, Spec: all[len(all)-1].Spec}
	web := q.Spec.Services["web"]
	web.Env = maps.Clone(web.Env)
	for k, v := range env {
		web.Env[k] = semper.EnvVar{Value: v}
	}
	q.Spec.Services = map[string]semper.Service{"web": web}
	if len(steps) > 0 {
		q.Spec.Deploy = &semper.Deploy{Steps: steps, Judge: semper.Judge{Interval: semper.Duration(interval)}}
	}
	return asked(s, func(ctx context.Context, c *api.Client) (semper.Rollout, error) { return c.Deploy(ctx, q) }).ID
}

// judgement is what is known of a rollout's trial; nothing while it has none.
func (s *server) judgement(id string) api.Judgement {
	s.t.Helper()
	return asked(s, func(ctx context.Context, c *api.Client) (api.Judgement, error) {
		j, err := c.Judgement(ctx, "", "", id)
		if semper.CodeOf(err) == semper.NotFound {
			return api.Judgement{}, nil
		}
		return j, err
	})
}

// ends waits for the end of a rollout's trial.
func (s *server) ends(id string) *api.RolloutStatus {
	s.t.Helper()
	deadline := time.Now().Add(4 * time.Minute)
	for tick := time.NewTicker(200 * time.Millisecond); ; <-tick.C {
		r := s.status().Rollout
		if r.ID != id || r.State.Ended() || r.State.Live() {
			return r
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("rollout %s is at %s: %s; %s", id, r.State, r.Step, s.must("verify", "show", id))
		}
	}
}

func traffic(share float64, d time.Duration) semper.Step {
	return semper.Step{Kind: semper.StepTraffic, Share: share, For: semper.Duration(d), Requests: 200}
}

// TestTheJudge has real processes and real requests. A release is judged by what the edge counts, and either earns its traffic, or is
// returned, or waits.
func TestTheJudge(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "v1", "", ""), "--until=live")

	t.Run("no traffic", func(t *testing.T) {
		id := s.candidate(map[string]string{"TRY": "1"}, traffic(.5, 100*time.Millisecond))
		eventually(t, "a verdict without data", func() bool { return s.judgement(id).Verdict.Cause == "no-data" })
		if st := s.status(); st.Release != "r1" || st.Rollout.State != semper.RolloutTrial {
			t.Errorf("%s serves, and the rollout is at %s", st.Release, st.Rollout.State)
		}
		judge := []string{`semper_release="r2"`, `check="judge"`}
		undecided, worse := s.sample("semper_check_verdict", append(judge, `"undecided"`)...), s.sample("semper_check_verdict", append(judge, `"worse"`)...)
		if e, limit := s.sample("semper_check_value", judge...), s.sample("semper_check_limit", judge...); undecided != 1 || worse != 0 || e <= 0 || e >= limit {
			t.Errorf("by the metrics it is undecided %v, worse %v, with evidence of %v out of %v", undecided, worse, e, limit)
		}
		s.must("abort", "-y")
		s.ends(id)
	})

	stop := s.load(32)
	t.Run("errors", func(t *testing.T) {
		id := s.candidate(map[string]string{"FAIL_EVERY": "100"}, traffic(.5, time.Hour))
		r := s.ends(id)
		j := s.judgement(id)
		if r.State != semper.RolloutFailed || j.Verdict.Outcome != semper.Worse || j.Verdict.Metric != "errors" {
			t.Fatalf("%s: %s\n%s", r.State, r.Reason, s.must("verify", "show", id))
		}
		touched := j.Steps[0].Candidate
		ledger := s.status().Ledger["r3"]
		t.Logf("returned after %d of its requests, %d of which failed; the ledger has %d, %d failed", touched.Requests, touched.Failed, ledger.Accepted, ledger.AppErrors)
		if touched.Failed == 0 || ledger.AppErrors < uint64(touched.Failed) || ledger.Accepted < uint64(touched.Requests) {
			t.Errorf("the judge counted %+v, and the ledger %+v", touched, ledger)
		}
		s.serves("r1", "v1")
	})
	_, failed := stop()
	if st := s.status(); uint64(len(failed)) > st.Ledger["r3"].AppErrors+st.Ledger["r3"].EdgeErrors {
		t.Errorf("%d requests of clients failed, and the ledger knows of %+v: %s", len(failed), st.Ledger["r3"], strings.Join(failed[:min(3, len(failed))], "; "))
	}

	stop = s.load(8)
	defer func() { none(t, "the rest", stop) }()
	t.Run("alike", func(t *testing.T) {
		id := s.candidate(map[string]string{"TRY": "2"}, traffic(.25, time.Second), traffic(.5, 2*time.Second))
		if r := s.ends(id); !r.State.Live() {
			t.Fatalf("%s: %s\n%s", r.State, r.Reason, s.must("verify", "show", id))
		}
		if j := s.judgement(id); len(j.Steps) < 2 || j.Steps[1].Verdict.Outcome != semper.BetterOrEqual {
			t.Errorf("%+v", j.Steps)
		}
		s.serves("r4", "v1")
	})
}

// TestTheJudgeOfLatency returns a release that takes a fifth longer.
func TestTheJudgeOfLatency(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "v1", "", ""), "--until=live")
	if r := s.ends(s.candidate(map[string]string{"DELAY": "100ms"})); !r.State.Live() {
		t.Fatalf("%s: %s", r.State, r.Reason)
	}
	stop := s.load(16)
	id := s.candidate(map[string]string{"DELAY": "120ms"}, traffic(.3, time.Hour))
	r := s.ends(id)
	none(t, "a slow candidate", stop)
	if j := printed[api.Judgement](s, "verify", "show", id); r.State != semper.RolloutFailed || j.Verdict.Outcome != semper.Worse || j.Verdict.Metric != "latency" {
		t.Fatalf("%s: %s\n%s", r.State, r.Reason, s.must("verify", "show", id))
	}
	s.serves("r2", "v1")
	t.Log("\n" + s.must("verify", "show", id))
}

// TestTheJudgeOfMemory returns a release that leaves bytes behind with every request, and none that is the same but for that.
func TestTheJudgeOfMemory(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.must("deploy", "-f", app(t, "v1", "", ""), "--until=live")
	if r := s.ends(s.candidate(map[string]string{"DELAY": "20ms"})); !r.State.Live() {
		t.Fatalf("%s: %s", r.State, r.Reason)
	}
	// Memory is read every tenth look, and no leak is convicted by less than 17 readings: 17 s here, and three minutes by default.
	const interval = 100 * time.Millisecond
	stop := s.load(8)
	defer func() { none(t, "a candidate with a leak, and one without", stop) }()
	memory := func(j api.Judgement) (readings int64, e float64) {
		t.Helper()
		for _, f := range j.Findings {
			if f.Metric == "memory_mib" {
				return f.Values[0].N, f.E
			}
		}
		t.Fatalf("memory is not judged: %+v", j.Findings)
		return 0, 0
	}

	began := time.Now()
	id := s.judged(interval, map[string]string{"DELAY": "20ms", "LEAK": "98304"}, traffic(.3, time.Hour))
	r := s.ends(id)
	j := printed[api.Judgement](s, "verify", "show", id)
	said := s.must("verify", "show", id)
	if r.State != semper.RolloutFailed || j.Verdict.Outcome != semper.Worse || j.Verdict.Metric != "memory_mib" {
		t.Fatalf("%s: %s\n%s", r.State, r.Reason, said)
	}
	if n, e := memory(j); e <= j.Verdict.Limit || !strings.Contains(said, "memory_mib  ") {
		t.Errorf("after %d readings its e-value is %v:\n%s", n, e, said)
	}
	s.serves("r2", "v1")
	t.Logf("returned after %v\n%s", time.Since(began).Round(time.Second), said)

	id = s.judged(interval, map[string]string{"DELAY": "20ms", "TRY": "1"}, traffic(.3, 20*time.Second))
	if r = s.ends(id); !r.State.Live() {
		t.Fatalf("%s: %s\n%s", r.State, r.Reason, s.must("verify", "show", id))
	}
	// A busy machine reads a little less often than it should.
	if n, e := memory(s.judgement(id)); n < 10 || e >= 1 {
		t.Errorf("without a leak, after %d readings the e-value is %v", n, e)
	}
	s.serves("r4", "v1")
}
