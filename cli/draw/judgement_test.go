package draw

import (
	"testing"

	"semper"
	"semper/api"
)

func TestMet(t *testing.T) {
	t.Parallel()
	step := func(kind semper.StepKind, all api.ArmTotal) api.JudgedStep {
		return api.JudgedStep{Step: semper.Step{Kind: kind}, Candidate: all}
	}
	copies := step(semper.StepShadow, api.ArmTotal{Requests: 60, Failed: 60})
	for want, steps := range map[string][]api.JudgedStep{
		", nothing was lost": {copies, step(semper.StepPause, api.ArmTotal{})},
		"; none of the 150 requests that r2 had on trial failed":              {copies, step(semper.StepTraffic, api.ArmTotal{Requests: 150})},
		"; of the 151 requests that r2 had on trial 15 failed":                {copies, step(semper.StepTraffic, api.ArmTotal{Requests: 150, Failed: 15}), step(semper.StepPause, api.ArmTotal{Requests: 1})},
		"; of the 1 request that r2 had on trial 1 failed, for 1 of 1 user":   {step(semper.StepTraffic, api.ArmTotal{Requests: 1, Failed: 1, Users: 1, Hurt: 1})},
		"; of the 4 requests that r2 had on trial 3 failed, for 2 of 3 users": {step(semper.StepTraffic, api.ArmTotal{Requests: 2, Failed: 2, Users: 2, Hurt: 1}), step(semper.StepPause, api.ArmTotal{Requests: 2, Failed: 1, Users: 1, Hurt: 1})},
	} {
		if got := Met(api.Judgement{To: "r2", Steps: steps}); got != want {
			t.Errorf("%q, and not %q", got, want)
		}
	}
}
