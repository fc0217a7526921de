package rollout_test

import (
	"strings"
	"testing"
	"time"

	"semper"
	"semper/rollout"
)

// TestAMigrationMeetsNothing that it asks to be held: neither requests nor jobs that began before the hold.
func TestAMigrationMeetsNothing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		hold  semper.Holding
		has   semper.InFlight
		after time.Duration
		want  semper.RolloutState
		says  string // of what is waited for, or of why it failed
	}{
		"nothing":              {semper.HoldAll, nil, 0, semper.RolloutMigrate, ""},
		"a read, none is held": {semper.HoldWrites, semper.InFlight{semper.ClassRequest: 1}, 0, semper.RolloutMigrate, ""},
		"a read":               {semper.HoldAll, semper.InFlight{semper.ClassRequest: 1}, 0, semper.RolloutHold, "1 request that began"},
		"writes and jobs":      {semper.HoldWrites, semper.InFlight{semper.ClassWrite: 2, semper.ClassJob: 3}, 0, semper.RolloutHold, "2 requests and 3 jobs that began"},
		"a job":                {semper.HoldWrites, semper.InFlight{semper.ClassJob: 1}, 0, semper.RolloutHold, "1 job that began"},
		"a stream":             {semper.HoldAll, semper.InFlight{semper.ClassStream: 1}, 0, semper.RolloutMigrate, ""},
		"a job that goes on":   {semper.HoldAll, semper.InFlight{semper.ClassJob: 1}, 10 * time.Second, semper.RolloutFailed, "1 job did not end within 10s (drain.request); nothing was migrated; \"semper queue pause"},
		"a read that goes on":  {semper.HoldAll, semper.InFlight{semper.ClassRequest: 1}, 10 * time.Second, semper.RolloutFailed, "(drain.request); nothing was migrated"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := time.Unix(1_700_000_000, 0)
			spec := semper.Spec{
				App: "app", Services: map[string]semper.Service{"web": {Type: semper.Web, Instances: 1}},
				Migrate: &semper.Migration{Service: semper.Service{Command: []string{"migrate"}}, Hold: tc.hold},
			}.WithDefaults()
			current := &semper.Placement{
				Release: "r1", Generation: 1, Scale: map[string]int{"web": 1}, Drain: semper.DrainDeadlines{Request: semper.Duration(10 * time.Second)},
				Instances: []semper.PlacedUnit{{ID: semper.NameInstance("app", "web", "r1", 1), Service: "web"}},
			}
			w := rollout.World{
				Now: now.Add(tc.after), Acked: 5, NextEpoch: 6, InFlight: map[semper.InstanceID]semper.InFlight{current.Instances[0].ID: tc.has},
				Instances: map[semper.InstanceID]rollout.Instance{current.Instances[0].ID: {State: semper.Ready}},
				Releases:  map[semper.ReleaseName]semper.Release{"r1": {App: "app", Number: 1, Spec: spec}, "r2": {App: "app", Number: 2, Spec: spec}},
			}
			env := semper.Environment{App: "app", Name: semper.DefaultEnvironment, Current: current, Generation: 2, Rollout: &semper.Rollout{
				ID: "d-1", Kind: semper.KindDeploy, From: "r1", To: "r2", State: semper.RolloutHold, EnteredAt: now, StartedAt: now, Deadline: now.Add(time.Minute),
				Target:    semper.Placement{Release: "r2", Generation: 2, Scale: map[string]int{"web": 1}},
				Migration: &semper.MigrationRun{Epoch: 5, Since: now, Unit: semper.PlacedUnit{ID: "app/migrate.r2.1"}},
			}}
			d := rollout.Step(env, w)
			if r := d.Env.Rollout; r.State != tc.want || !strings.Contains(d.Waiting+r.Reason, tc.says) {
				t.Errorf("%s (%s, waits for %q), want %s with %q", r.State, r.Reason, d.Waiting, tc.want, tc.says)
			}
		})
	}
}
