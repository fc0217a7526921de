package prepare

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"semper"
)

// Find is the environment named, or the only one there is.
func Find(envs map[semper.EnvironmentKey]semper.Environment, app, env string) (semper.Environment, error) {
	var found []semper.Environment
	for _, e := range envs {
		if (app == "" || e.App == app) && (e.Name == env || env == "" && (e.Name == semper.DefaultEnvironment || app == "")) {
			found = append(found, e)
		}
	}
	if env == "" && len(found) > 1 && !slices.ContainsFunc(found, func(e semper.Environment) bool { return e.App != found[0].App }) {
		if e, ok := envs[semper.Environment{App: found[0].App, Name: semper.DefaultEnvironment}.Key()]; ok {
			return e, nil // several environments of one app
		}
	}
	known := slices.Sorted(maps.Keys(envs))
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		if len(known) == 0 {
			return semper.Environment{}, &semper.Error{Code: semper.NotFound, Message: "nothing is deployed here", Hint: "semper deploy -f semper.yaml"}
		}
		what := fmt.Sprintf("no app %q", app)
		if app == "" {
			what = "no app"
		}
		return semper.Environment{}, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("%s in environment %q", what, cmp.Or(env, semper.DefaultEnvironment)), Hint: fmt.Sprintf("deployed are: %v", known)}
	}
	return semper.Environment{}, &semper.Error{Code: semper.Invalid, Message: "several apps are deployed; say which with --app", Hint: fmt.Sprintf("deployed are: %v", known)}
}

// App is the one named of apps, or the only one there is.
func App(apps []string, name string) (string, error) {
	switch {
	case name != "" && slices.Contains(apps, name):
		return name, nil
	case name != "":
		return "", &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no app %q", name), Hint: fmt.Sprintf("known are: %s", strings.Join(apps, ", "))}
	case len(apps) == 1:
		return apps[0], nil
	case len(apps) == 0:
		return "", &semper.Error{Code: semper.NotFound, Message: "nothing is deployed here", Hint: "semper deploy -f semper.yaml"}
	}
	return "", &semper.Error{Code: semper.Invalid, Message: "several apps are deployed; say which with --app", Hint: strings.Join(apps, ", ")}
}

// ParseInstance reads "app/web.r42.3".
func ParseInstance(id semper.InstanceID) (service string, rel semper.ReleaseName) {
	_, rest, _ := strings.Cut(string(id), "/")
	parts := strings.Split(rest, ".")
	if len(parts) < 3 {
		return rest, ""
	}
	return strings.Join(parts[:len(parts)-2], "."), semper.ReleaseName(parts[len(parts)-2])
}

// Reached reports whether r is as far as somebody waits for.
func Reached(r semper.Rollout, until string) bool {
	switch until {
	case "done":
		return r.State.Ended()
	case "drained":
		return r.State == semper.RolloutWatch || r.State == semper.RolloutRetire
	case "paused":
		return r.State.Live() || r.Trial != nil && r.Trial.Paused
	}
	return r.State.Live()
}
