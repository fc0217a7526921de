package prepare

import (
	"semper"
	"semper/api"
)

// Status is e's rollout in brief: what it waits for, the steps of its release, and what the judge says now; nil where there is none.
func Status(e semper.Environment, waiting string, releases map[semper.ReleaseName]semper.Release, verdicts map[semper.EnvironmentKey]semper.Verdict) *api.RolloutStatus {
	r := e.Rollout
	if r == nil {
		return nil
	}
	out := &api.RolloutStatus{
		ID: r.ID, Kind: r.Kind, State: r.State, Step: string(r.State), Reason: r.Reason, From: r.From, To: r.To, By: r.By, Epoch: r.Epoch,
		StartedAt: r.StartedAt, EndedAt: r.EndedAt, Deadline: r.Deadline, Instance: r.Instance, Tail: r.Tail, Steps: r.Steps,
		Trial: r.Trial, Hotfix: r.Hotfix, Migration: r.Migration,
	}
	if r.Trial != nil {
		if d := releases[r.To].Spec.Deploy; d != nil {
			out.Way = d.Steps
		}
		if newest, ok := verdicts[e.Key()]; ok && newest.Rollout == r.ID && newest.Step == r.Trial.Step && !r.State.Ended() {
			t := *r.Trial
			t.Verdict, out.Trial = &newest, &t
		}
	}
	if waiting != "" && !r.State.Ended() {
		out.Step = waiting
	}
	return out
}
