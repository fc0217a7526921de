package prepare

import (
	"maps"
	"slices"

	"semper"
	"semper/api"
)

// Migration is what a deploy of rel to env would have run once. What it took in another environment of the app is the best guess
// at how long somebody will wait. Nil where rel has none.
func Migration(env semper.Environment, rel semper.Release, others map[semper.EnvironmentKey]semper.Environment) *api.PlanMigration {
	m := rel.Spec.Migrate
	if m == nil {
		return nil
	}
	out := &api.PlanMigration{Command: m.Command, OnFailure: m.OnFailure, Hold: m.Hold, Deadline: m.Deadline, Limits: rel.Spec.Hold}
	if done, ok := env.Migrated[rel.Name()]; ok {
		out.Done = &done
	}
	for _, key := range slices.Sorted(maps.Keys(others)) {
		e := others[key]
		done, ok := e.Migrated[rel.Name()]
		if ok && e.App == rel.App && e.Name != env.Name && done.Failed == "" && (out.Elsewhere == nil || done.At.After(out.Elsewhere.At)) {
			out.Elsewhere, out.In = &done, e.Name
		}
	}
	return out
}
