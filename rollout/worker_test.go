package rollout_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/rollout"
	"semper/rollout/quiesce"
)

// TestAWorkerOfItsOwnBrokerIsToldFirst: what may have jobs is told to take no more and waited for, what has none is stopped, and what
// starts is given the time a start may take.
func TestAWorkerOfItsOwnBrokerIsToldFirst(t *testing.T) {
	t.Parallel()
	terms, err := json.Marshal(quiesce.Terms{Tell: quiesce.Way{Signal: "SIGTSTP"}, Busy: quiesce.Way{Exec: []string{"busy"}}})
	if err != nil {
		t.Fatal(err)
	}
	spec := semper.Spec{App: "app", Services: map[string]semper.Service{"job": {Type: semper.Worker, Instances: 1, Quiesce: terms, Drain: semper.Duration(90 * time.Minute)}}}.WithDefaults()
	grace := spec.Services["job"].Health.Grace.D()
	const told, stopped, waited = "told", "stopped", "waited for"
	for name, tc := range map[string]struct {
		in    rollout.Instance
		since time.Duration // its release lost its place
		want  string
		late  bool
	}{
		"it runs":                    {rollout.Instance{State: semper.Ready}, time.Hour, told, false},
		"it is not well":             {rollout.Instance{State: semper.NotReady}, 0, told, false},
		"it has no job left":         {rollout.Instance{State: semper.Ready, Drained: true}, 0, stopped, false},
		"it is about to start again": {rollout.Instance{State: semper.Waiting}, 0, stopped, false},
		"it starts":                  {rollout.Instance{State: semper.Starting}, grace - time.Second, waited, false},
		"it does not come up":        {rollout.Instance{State: semper.Starting}, grace, stopped, false},
		"its time is over":           {rollout.Instance{State: semper.Ready}, 2 * time.Hour, stopped, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, now := semper.NameInstance("app", "job", "r1", 1), time.Unix(1_700_000_000, 0)
			env := semper.Environment{App: "app", Name: semper.DefaultEnvironment, Retiring: []semper.Placement{{
				Release: "r1", Generation: 1, Scale: map[string]int{"job": 1}, CutEpoch: 3, CutAt: now.Add(-tc.since),
				Instances: []semper.PlacedUnit{{ID: id, Service: "job"}},
			}}}
			d := rollout.Step(env, rollout.World{
				Now: now, Acked: 3, NextEpoch: 4, Instances: map[semper.InstanceID]rollout.Instance{id: tc.in},
				Releases: map[semper.ReleaseName]semper.Release{"r1": {App: "app", Number: 1, Spec: spec}},
			})
			got := waited
			for _, c := range d.Commands {
				switch c := c.(type) {
				case rollout.Quiesce:
					got = told
				case rollout.Stop:
					got = stopped
					if over := strings.Contains(c.Why, "time to finish what it holds is over"); over != tc.late {
						t.Errorf("it is stopped as %s", c.Why)
					}
				}
			}
			if got != tc.want {
				t.Errorf("it is %s, want %s", got, tc.want)
			}
			if end := now.Add(grace - tc.since); tc.want == waited && !d.Wake.Equal(end) {
				t.Errorf("it is looked at again at %s, want %s", d.Wake, end)
			}
		})
	}
}
