package apitest

import (
	"context"
	"time"

	"semper"
	"semper/api"
	"semper/edge/mirror/told"
	"semper/verify"
	"semper/verify/diff"
)

// Judge makes j what the judge knows of its rollout.
func (s *Semper) Judge(j api.Judgement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.judgements = append(s.judgements, j)
	s.tellLocked()
}

// Judgement implements [api.Service].
func (s *Semper) Judgement(_ context.Context, app, env, rollout string) (api.Judgement, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if env == "" {
		env = semper.DefaultEnvironment
	}
	for i := len(s.judgements) - 1; i >= 0; i-- {
		if j := s.judgements[i]; (app == "" || j.App == app) && j.Environment == env && (rollout == "" || j.Rollout == rollout) {
			return j, s.down
		}
	}
	return api.Judgement{}, &semper.Error{Code: semper.NotFound, Op: "verify show", Message: "no rollout was judged", Hint: "a release is judged when its deploy: has steps"}
}

// Judged is a rollout whose candidate fails ten times as often from the middle on, and is found worse.
func Judged(app string, began time.Time) api.Judgement {
	j := api.Judgement{
		App: app, Environment: semper.DefaultEnvironment, Rollout: "d-7", From: "r7", To: "r8", State: semper.RolloutFailed, Looked: began.Add(5 * time.Minute),
		Verdict: semper.Verdict{
			Outcome: semper.Worse, Metric: "errors", E: 412.6, Limit: 111.11, Baseline: semper.BaselineFresh, At: began.Add(5 * time.Minute), Rollout: "d-7", Step: 1,
			Why: "the candidate is worse: errors: 31 of 3000 (1.03 %) of the candidate and 3 of 3000 (0.1 %) of the baseline, at least 2.1 times as many",
		},
		Findings:   findings(),
		Thresholds: []api.LatencyLimit{{Name: "p50", At: semper.Duration(20 * time.Millisecond), Limit: semper.Duration(22 * time.Millisecond)}, {Name: "p99", At: semper.Duration(90 * time.Millisecond), Limit: semper.Duration(99 * time.Millisecond)}},
	}
	j.Steps = []api.JudgedStep{
		{
			Step: semper.Step{Kind: semper.StepTraffic, Share: .01, For: semper.Duration(150 * time.Second)}, From: began, To: began.Add(150 * time.Second),
			Candidate: api.ArmTotal{Assigned: 1500, Requests: 1500, Failed: 2}, Baseline: api.ArmTotal{Assigned: 1500, Requests: 1500, Failed: 1},
			Verdict: semper.Verdict{Outcome: semper.BetterOrEqual, Why: "nothing speaks against the candidate", E: .7, Limit: 111.11},
		},
		{
			Step: semper.Step{Kind: semper.StepTraffic, Share: .05, For: semper.Duration(10 * time.Minute), Requests: 5000}, Index: 1, From: began.Add(150 * time.Second),
			Candidate: api.ArmTotal{Assigned: 1502, Requests: 1500, Failed: 29}, Baseline: api.ArmTotal{Assigned: 1500, Requests: 1500, Failed: 2}, Verdict: j.Verdict,
		},
	}
	for i := range 60 {
		from := began.Add(time.Duration(5*i) * time.Second)
		p := api.JudgedPoint{
			From: from, To: from.Add(5 * time.Second), Share: .01, Low: .0002, High: .02 / (1 + float64(i)/10), Allowed: .00125, E: .7,
			Candidate: api.ArmReading{Requests: 50, P50: semper.Duration(20 * time.Millisecond), P99: semper.Duration(95 * time.Millisecond), Memory: float64(80+i) * (1 << 20)},
			Baseline:  api.ArmReading{Requests: 50, P50: semper.Duration(20 * time.Millisecond), P99: semper.Duration(90 * time.Millisecond), Memory: 80 << 20},
		}
		if i >= 30 {
			p.Step, p.Share, p.Candidate.Failed, p.E = 1, .05, int64(i%2), .7*float64(i-29)*float64(i-29)/1.5
			p.Low, p.High = .0004*float64(i-29)/2, .004+.0004*float64(i-29)
		}
		j.Series = append(j.Series, p)
	}
	return j
}

// Shadowed is a judgement of a rollout whose first step is a shadow: a price differs, a field is new, and the rest is noise.
func Shadowed(app string, began time.Time) api.Judgement {
	j := Judged(app, began)
	const why = "the candidate's responses differ, most of all GET /items/{} at body.items[*].price (412 times, and 0 times in copies of the baseline), like body.items[*].price changed: 1999 → 2399"
	j.Steps, j.Findings, j.Thresholds = j.Steps[:1], nil, nil
	j.Steps[0].Kind, j.Steps[0].Share, j.Steps[0].To, j.Verdict.Metric, j.Verdict.Step, j.Verdict.Why = semper.StepShadow, .1, time.Time{}, "differences", 0, why
	j.Steps[0].Verdict = j.Verdict
	place := func(status diff.Status, kind diff.Kind, seen, noise int64, was, is string, path ...string) api.JudgedPlace {
		return api.JudgedPlace{Status: status, Tally: diff.Tally{
			Endpoint: "GET /items/{}", Path: path, Kind: kind, Seen: seen, Noise: noise, Examples: []diff.Difference{{Path: path, Kind: kind, Was: was, Is: is}},
		}}
	}
	j.Shadow = &api.JudgedShadow{
		Counts: told.Counts{
			Rollout: j.Rollout, Release: j.To, Sampled: 1520, Pairs: 1498, Copies: 1490, Candidate: 412, Baseline: 3, Expected: 1498, Slower: 130, Faster: 122,
			Skipped: map[string]uint64{"method": 15, "range": 4}, Dropped: map[string]uint64{"busy": 3}, Stale: []string{"body.total.vat"},
		},
		Places: []api.JudgedPlace{
			place(diff.Noisy, diff.Changed, 1498, 1490, `"2026-11-21T12:00:01.204Z"`, `"2026-11-21T12:00:01.207Z"`, "body", "at"),
			place(diff.Different, diff.Changed, 412, 0, "1999", "2399", "body", "items", diff.Elements, "price"),
			place(diff.Novel, diff.Added, 2, 0, "", "(masked, 31 characters)", "body", "owner", "email"),
			place(diff.Noisy, diff.Reordered, 700, 695, `["new","gift","sale"]`, `["gift","sale","new"]`, "body", "tags"),
		},
	}
	j.Shadow.Places[1].Examples = append(j.Shadow.Places[1].Examples, diff.Difference{Kind: diff.Changed, Was: "100", Is: "120"})
	return j
}

func findings() []verify.Finding {
	low, best, high := 2.1, 8.3, 40.0
	return []verify.Finding{
		{
			Metric: "errors", Kind: verify.Errors, Candidate: verify.Arm{Requests: 3000, Bad: 31}, Baseline: verify.Arm{Requests: 3000, Bad: 3}, E: 820, Allowed: 1.25,
			Ratio: &verify.Bounded{Low: &low, Best: &best, High: &high}, Named: true, Data: true,
		},
		{
			Metric: "latency", Kind: verify.Latency, Threshold: "p99", Candidate: verify.Arm{Requests: 2900, Bad: 31}, Baseline: verify.Arm{Requests: 2900, Bad: 29},
			E: .9, Allowed: 1.1, Data: true,
		},
		{Metric: "memory_mib", Kind: verify.Gauge, Values: []verify.Level{{N: 30, Mean: 110}, {N: 30, Mean: 80}}, E: 3, Allowed: 1.1, Data: true},
	}
}
