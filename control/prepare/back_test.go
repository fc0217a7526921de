package prepare_test

import (
	"strings"
	"testing"

	"semper"
	"semper/control/prepare"
)

func TestNoneBefore(t *testing.T) {
	t.Parallel()
	for state, want := range map[semper.RolloutState]string{"": "release list", semper.RolloutDone: "release list", semper.RolloutWatch: "release list", semper.RolloutTrial: "semper abort ends d-2, and r1 goes on", semper.RolloutStage: "semper abort"} {
		env := semper.Environment{App: "bar", Name: "production", Current: &semper.Placement{Release: "r1"}}
		if state != "" {
			env.Rollout = &semper.Rollout{ID: "d-2", To: "r2", State: state}
		}
		err := prepare.NoneBefore(env)
		if semper.CodeOf(err) != semper.NotFound || !strings.Contains(semper.HintOf(err), want) {
			t.Errorf("%q: %v: %q, and not %q", state, err, semper.HintOf(err), want)
		}
	}
}
