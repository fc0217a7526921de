package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"semper"
	"semper/api"
	"semper/control/judging"
	"semper/verify"
)

// Judgement is what the judge's record of a rollout says; of the newest judged one where id is empty.
func (c *Control) Judgement(ctx context.Context, app, env, id string) (api.Judgement, error) {
	const op = "verify show"
	v, err := c.see(ctx, op)
	if err != nil {
		return api.Judgement{}, err
	}
	e, err := v.find(app, env)
	if err != nil {
		return api.Judgement{}, err
	}
	it, err := c.record(ctx, e.Key(), id)
	switch {
	case errors.Is(err, semper.ErrNotFound):
		return api.Judgement{}, &semper.Error{
			Code: semper.NotFound, Op: op, Message: fmt.Sprintf("no rollout of %s was judged%s", e.Key(), named(id)),
			Hint: "a release is judged when its deploy: has steps; the newest 20 judged rollouts are kept",
		}
	case err != nil:
		return api.Judgement{}, &semper.Error{Code: semper.Unavailable, Op: op, Message: "the judge's record is not readable", Hint: "semper doctor says what is wrong with the store", Err: err}
	}
	var r judging.Record
	if err := json.Unmarshal(it.Value, &r); err != nil {
		return api.Judgement{}, &semper.Error{Code: semper.Internal, Op: op, Message: fmt.Sprintf("the record at %s is not one of this version of semper", it.Key), Err: err}
	}
	out := judgementOf(&r)
	if ro := e.Rollout; ro != nil && ro.ID == r.Rollout {
		out.State = ro.State
	}
	return out, nil
}

func named(id string) string {
	if id == "" {
		return ""
	}
	return " as " + id
}

// record is the stored record of a rollout, or of the newest.
func (c *Control) record(ctx context.Context, env semper.EnvironmentKey, id string) (semper.Item, error) {
	prefix := preJudge + string(env) + "/"
	if id != "" {
		return c.o.Store.Get(ctx, prefix+id)
	}
	items, _, err := c.o.Store.List(ctx, prefix)
	if err != nil {
		return semper.Item{}, err
	}
	if len(items) == 0 {
		return semper.Item{}, semper.ErrNotFound
	}
	return slices.MaxFunc(items, func(a, b semper.Item) int { return naturally(a.Key, b.Key) }), nil
}

// judgementOf is a record in the words of the API.
func judgementOf(r *judging.Record) api.Judgement {
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
