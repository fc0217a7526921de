package prepare

import (
	"fmt"

	"semper"
)

// NoneBefore refuses a rollback of env, which had no other release. Who asks for one while a release is on its way to the cutover means
// that one.
func NoneBefore(env semper.Environment) error {
	e := &semper.Error{Code: semper.NotFound, Op: "rollback", Message: fmt.Sprintf("%s had no other release before", env.Key()), Hint: "semper release list shows what there is"}
	if r := env.Rollout; r != nil && !r.State.Ended() && !r.State.Live() && env.Current != nil {
		e.Message += fmt.Sprintf(" %s, and %s is on its way", env.Current.Release, r.To)
		e.Hint = "semper abort ends " + r.ID + ", and " + string(env.Current.Release) + " goes on serving"
	}
	return e
}
