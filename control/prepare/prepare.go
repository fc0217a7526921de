package prepare

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/queue"
	"semper/task"
)

// Newest is the newest version of a secret of an app, 0 when there is none.
type Newest func(app, name string) (int, error)

// Release is the one that a request would be: a known one with the same value, or the next.
func Release(known map[semper.ReleaseName]semper.Release, r api.DeployRequest) (semper.Release, bool) {
	config, newest := r.Spec.ConfigDigest(), 0
	for _, rel := range known {
		if rel.Artifact == r.Artifact && rel.Config == config {
			return rel, false
		}
		newest = max(newest, rel.Number)
	}
	return semper.Release{
		App: r.Spec.App, Number: newest + 1, Artifact: r.Artifact, Config: config, Spec: r.Spec,
		CreatedAt: time.Now().UTC(), CreatedBy: r.By,
	}, true
}

// Pin is env with its secrets at their newest versions.
func Pin(newest Newest, app, whose string, env map[string]semper.EnvVar) (map[string]semper.EnvVar, error) {
	env = maps.Clone(env)
	for k, e := range env {
		if e.Secret == "" {
			continue
		}
		base, _, _ := strings.Cut(e.Secret, "@")
		n, err := newest(app, base)
		if err != nil {
			return env, err
		}
		if n == 0 {
			return env, &semper.Error{Code: semper.Invalid, Op: "deploy", Message: fmt.Sprintf("%s wants secret %q for %s, which is not set", whose, base, k), Hint: fmt.Sprintf("semper secret set %s --app %s", base, app)}
		}
		env[k] = semper.EnvVar{Secret: fmt.Sprintf("%s@%d", base, n)}
	}
	return env, nil
}

// signer refuses a service whose callbacks nobody could sign. Which version signs is decided when one is sent: it may change while requests wait.
func signer(newest Newest, app, name string, svc semper.Service) error {
	if svc.Jobs == nil {
		return nil
	}
	s, err := queue.ReadSettings(svc.Jobs)
	if err != nil || s.Callbacks == nil {
		return err
	}
	_, err = Pin(newest, app, "service "+name, map[string]semper.EnvVar{"jobs.callbacks": {Secret: s.Callbacks.Secret}})
	return err
}

// Secrets is spec with the secrets of all that runs, in each environment, at their newest versions.
func Secrets(newest Newest, spec semper.Spec) (semper.Spec, error) {
	var err error
	services := make(map[string]semper.Service, len(spec.Services))
	for name, svc := range spec.Services {
		if svc.Env, err = Pin(newest, spec.App, "service "+name, svc.Env); err != nil {
			return spec, err
		}
		if err := signer(newest, spec.App, name, svc); err != nil {
			return spec, err
		}
		services[name] = svc
	}
	spec.Services = services
	if spec.Migrate != nil {
		m := *spec.Migrate
		if m.Env, err = Pin(newest, spec.App, "the migration", m.Env); err != nil {
			return spec, err
		}
		spec.Migrate = &m
	}
	if len(spec.Environments) == 0 {
		return spec, nil
	}
	environments := make(map[string]semper.Overlay, len(spec.Environments))
	for name, o := range spec.Environments {
		if o.Env, err = Pin(newest, spec.App, "environment "+name, o.Env); err != nil {
			return spec, err
		}
		environments[name] = o
	}
	spec.Environments = environments
	return spec, nil
}

// Conflicts refuses a route of spec that another environment than e has.
func Conflicts(envs map[semper.EnvironmentKey]semper.Environment, rels map[string]map[semper.ReleaseName]semper.Release, e semper.Environment, spec semper.Spec) error {
	for key, other := range envs {
		if key == e.Key() || other.Current == nil {
			continue
		}
		for _, theirs := range rels[other.App][other.Current.Release].Spec.In(other.Name).Routes {
			for _, ours := range spec.Routes {
				if ours.Host == theirs.Host && ours.Path == theirs.Path {
					return &semper.Error{
						Code: semper.Invalid, Op: "deploy",
						Message: fmt.Sprintf("route %s%s belongs to %s already", ours.Host, ours.Path, key),
						Hint:    "give one of them another host or path; hosts of an environment in semper.yaml does",
					}
				}
			}
		}
	}
	return nil
}

// runs is when a service runs that ends; "" for one that has instances.
func runs(svc semper.Service) string {
	switch svc.Type {
	case semper.Task:
		return "when asked"
	case semper.Cron:
		s, _ := task.Of(svc) // what cannot be read is said where it is run
		return s.Schedule
	}
	return ""
}

// Tasks refuses a spec whose tasks and crons could not be run.
func Tasks(spec semper.Spec) error {
	for _, name := range slices.Sorted(maps.Keys(spec.Services)) {
		svc := spec.Services[name]
		s, err := task.Of(svc)
		if err != nil {
			return err
		}
		if svc.Type != semper.Task && svc.Type != semper.Cron {
			continue
		}
		if faults := s.Check(svc.Type); len(faults) > 0 {
			f := faults[0]
			return &semper.Error{Code: semper.Invalid, Op: "deploy", Message: "services." + name + "." + f.Key + ": " + f.Message, Hint: f.Hint}
		}
	}
	return nil
}

// Effects says what a deploy of now means for each service of old and now.
func Effects(env semper.Environment, old, now semper.Release) []api.PlanEffect {
	names := maps.Clone(now.Spec.Services)
	if names == nil {
		names = make(map[string]semper.Service)
	}
	maps.Copy(names, old.Spec.Services)
	out := []api.PlanEffect{}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, had := old.Spec.Services[name]
		after, has := now.Spec.Services[name]
		e := api.PlanEffect{Service: name, Instances: after.Instances, Runs: runs(after)}
		switch {
		case !has:
			e.Effect, e.Why = "stop", "the new release does not have it"
		case !had:
			e.Effect, e.Why = "new", "the current release does not have it"
		case e.Runs != "":
			e.Effect, e.Why = "move", "what runs goes on to its end; the next run is in the new release"
		case env.Current.Release == now.Name() && env.Current.Scale[name] == after.Instances:
			e.Effect, e.Why = "keep", string(now.Name())+" runs already"
		case env.Current.Release == now.Name():
			e.Effect, e.Why = "scale", fmt.Sprintf("%d → %d instances", env.Current.Scale[name], after.Instances)
		case old.Artifact != now.Artifact:
			e.Effect, e.Why = "restart", "the artifact changed"
		case !reflect.DeepEqual(before, after):
			e.Effect, e.Why = "restart", "its configuration changed"
		default:
			e.Effect, e.Why = "restart", "it is part of the new release"
		}
		out = append(out, e)
	}
	return out
}
