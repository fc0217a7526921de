package rollout_test

import (
	"strings"
	"testing"
	"time"

	"semper"
	"semper/rollout"
)

// What ends has no instances: a deploy places none, and nobody may ask for some.
func TestTasksHaveNoInstances(t *testing.T) {
	t.Parallel()
	rel := semper.Release{App: "shop", Number: 1, Spec: semper.Spec{App: "shop", Services: map[string]semper.Service{
		"web":    {Type: semper.Web, Instances: 1, Command: []string{"x"}},
		"once":   {Type: semper.Task, Instances: 3, Command: []string{"x"}}, // as somebody may ask the API for
		"report": {Type: semper.Cron, Instances: 3, Command: []string{"x"}},
	}}}
	q := rollout.Request{ID: "d-1", Now: time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)}
	env, _, err := rollout.Deploy(semper.Environment{App: "shop", Name: "production"}, rel, q)
	if err != nil || len(env.Rollout.Target.Instances) != 1 || len(env.Rollout.Target.Scale) != 1 {
		t.Fatalf("%+v %v", env.Rollout, err)
	}
	env.Current, env.Rollout = &env.Rollout.Target, nil
	if _, _, err := rollout.Scale(env, rel, map[string]int{"report": 2}, q); semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), "a cron has no instances") {
		t.Errorf("%v", err)
	}
	if _, _, err := rollout.Restart(env, rel, []string{"once"}, q); semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), "once has no instances") {
		t.Errorf("%v", err)
	}
}
