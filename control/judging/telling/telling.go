package telling

import (
	"semper"
	"semper/api"
	"semper/control/judging"
	"semper/verify"
)

// Of is a record in the words of the API.
func Of(r *judging.Record) api.Judgement {
	out := api.Judgement{
		App: r.App, Environment: r.Environment, Rollout: r.Rollout, From: r.From, To: r.To, Looked: r.Looked, By: r.By, Verdict: r.Verdict,
		Findings: r.Findings, Steps: []api.JudgedStep{}, Series: points(r),
	}
	if out.Findings == nil {
		out.Findings = []verify.Finding{}
	}
	for _, m := range r.Plan.Metrics {
		for _, t := range m.Thresholds {
			out.Thresholds = append(out.Thresholds, api.LatencyLimit{Name: t.Name, At: semper.Duration(t.At), Limit: semper.Duration(r.Limit(t))})
		}
	}
	for _, s := range r.Steps {
		out.Steps = append(out.Steps, api.JudgedStep{
			Step: s.Step, Index: s.Index, From: s.From, To: s.To, Verdict: s.Verdict, Candidate: api.ArmTotal(s.Candidate), Baseline: api.ArmTotal(s.Baseline),
		})
	}
	if s := r.Shadowed; s != nil {
		out.Shadow = &api.JudgedShadow{Counts: s.Total(), Places: []api.JudgedPlace{}}
		for i, p := range s.Board.Places {
			out.Shadow.Places = append(out.Shadow.Places, api.JudgedPlace{Tally: p.Tally(), Status: s.Board.Status(i)})
		}
	}
	return out
}

// points are the series with the band of the decision.
func points(r *judging.Record) []api.JudgedPoint {
	out := make([]api.JudgedPoint, 0, len(r.Series))
	var candidate, baseline verify.Arm
	for _, p := range r.Series {
		candidate.Requests += p.Candidate.Requests
		candidate.Bad += p.Candidate.Failed
		baseline.Requests += p.Baseline.Requests
		baseline.Bad += p.Baseline.Failed
		q := api.JudgedPoint{
			From: p.From, To: p.To, Step: p.Step, Share: p.Share, E: p.E, Candidate: api.ArmReading(p.Candidate), Baseline: api.ArmReading(p.Baseline),
			High: 1, Allowed: r.Allowed(baseline),
		}
		if candidate.Requests > 0 {
			q.Low, q.High = verify.Rate(candidate.Bad, candidate.Requests, r.Alpha())
		}
		out = append(out, q)
	}
	return out
}
