package control

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/rollout"
)

// Plan is what a deploy would do, computed by the machine that would do it.
func (c *Control) Plan(ctx context.Context, r api.DeployRequest) (api.Plan, error) {
	v, err := c.see(ctx, "plan")
	if err != nil {
		return api.Plan{}, err
	}
	r, err = c.prepare(r)
	if err != nil {
		return api.Plan{}, err
	}
	key := semper.Environment{App: r.Spec.App, Name: r.Environment}.Key()
	env, ok := v.envs[key]
	if !ok {
		env = semper.Environment{App: r.Spec.App, Name: r.Environment}
	}
	if err := conflicts(v.envs, v.releases, r); err != nil {
		return api.Plan{}, err
	}
	rel, isNew := v.release(r)
	p := api.Plan{App: r.Spec.App, Environment: r.Environment, Revision: v.versions[key], To: rel.Name(), New: isNew, Changes: []string{}, Effects: []api.PlanEffect{}}
	var old semper.Release
	if env.Current != nil {
		p.From = env.Current.Release
		old = v.releases[r.Spec.App][p.From]
	}
	p.Changes = append(p.Changes, rollout.Diff(old, rel)...)
	p.Effects = effects(env, old, rel)
	p.Steps, err = rehearse(env, rel, v.releases[r.Spec.App])
	return p, err
}

// release is the one r would be: an old one with the same value, or the next.
func (v *view) release(r api.DeployRequest) (semper.Release, bool) {
	return findRelease(v.releases[r.Spec.App], r)
}

func findRelease(known map[semper.ReleaseName]semper.Release, r api.DeployRequest) (semper.Release, bool) {
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

// prepare fills in defaults and pins secrets to their newest version.
func (c *Control) prepare(r api.DeployRequest) (api.DeployRequest, error) {
	if r.Environment == "" {
		r.Environment = semper.DefaultEnvironment
	}
	if r.Spec.App == "" || len(r.Spec.Services) == 0 {
		return r, &semper.Error{Code: semper.Invalid, Op: "deploy", Message: "the spec names no app or no service"}
	}
	if !r.Artifact.Valid() {
		return r, badDigest(r.Artifact)
	}
	r.Spec = r.Spec.WithDefaults()
	if faults := rollout.Check(r.Spec); len(faults) > 0 {
		f := faults[0]
		return r, &semper.Error{Code: semper.Invalid, Op: "deploy", Message: f.Key + ": " + f.Message, Hint: f.Hint}
	}
	if c.o.Check != nil {
		if err := c.o.Check(r.Spec); err != nil {
			return r, err
		}
	}
	for name, svc := range r.Spec.Services {
		svc.Env = maps.Clone(svc.Env)
		for k, e := range svc.Env {
			if e.Secret == "" {
				continue
			}
			base, _, _ := strings.Cut(e.Secret, "@")
			n, err := c.o.Secrets.Newest(r.Spec.App, base)
			if err != nil {
				return r, err
			}
			if n == 0 {
				return r, &semper.Error{Code: semper.Invalid, Op: "deploy", Message: fmt.Sprintf("service %s wants secret %q for %s, which is not set", name, base, k), Hint: fmt.Sprintf("semper secret set %s --app %s", base, r.Spec.App)}
			}
			svc.Env[k] = semper.EnvVar{Secret: fmt.Sprintf("%s@%d", base, n)}
		}
		r.Spec.Services[name] = svc
	}
	return r, nil
}

// conflicts refuses a route that another environment has.
func conflicts(envs map[semper.EnvironmentKey]semper.Environment, rels map[string]map[semper.ReleaseName]semper.Release, r api.DeployRequest) error {
	mine := semper.Environment{App: r.Spec.App, Name: r.Environment}.Key()
	for key, e := range envs {
		if key == mine || e.Current == nil {
			continue
		}
		for _, theirs := range rels[e.App][e.Current.Release].Spec.Routes {
			for _, ours := range r.Spec.Routes {
				if ours.Host == theirs.Host && ours.Path == theirs.Path {
					return &semper.Error{
						Code: semper.Invalid, Op: "deploy",
						Message: fmt.Sprintf("route %s%s belongs to %s already", ours.Host, ours.Path, key),
						Hint:    "give one of them another host or path",
					}
				}
			}
		}
	}
	return nil
}

// Deploy begins a rollout and returns once it is stored.
func (c *Control) Deploy(ctx context.Context, r api.DeployRequest) (semper.Rollout, error) {
	r, err := c.prepare(r)
	if err != nil {
		return semper.Rollout{}, err
	}
	if ok, err := c.o.Blobs.Has(r.Artifact); err != nil {
		return semper.Rollout{}, err
	} else if !ok {
		return semper.Rollout{}, &semper.Error{Code: semper.NotFound, Op: "deploy", Message: fmt.Sprintf("artifact %s is not stored here", r.Artifact.Short()), Hint: "upload it first"}
	}
	var out semper.Rollout
	err = c.ask(ctx, "deploy", func(m *model) error {
		out, err = c.deploy(m, r)
		return err
	})
	return out, err
}

// deploy is run by the model.
func (c *Control) deploy(m *model, r api.DeployRequest) (semper.Rollout, error) {
	envs := make(map[semper.EnvironmentKey]semper.Environment, len(m.envs))
	for k, e := range m.envs {
		envs[k] = e.value
	}
	if err := conflicts(envs, m.releases, r); err != nil {
		return semper.Rollout{}, err
	}
	env := semper.Environment{App: r.Spec.App, Name: r.Environment}
	if e, ok := m.envs[env.Key()]; ok {
		env = e.value
		if r.ExpectRevision != 0 && r.ExpectRevision != e.version {
			return semper.Rollout{}, &semper.Error{Code: semper.Conflict, Op: "deploy", Message: "the environment changed since the plan was made", Hint: "make a new plan: semper plan"}
		}
	}
	t := m.newChange(time.Now())
	rel, isNew := findRelease(m.releases[r.Spec.App], r)
	if isNew {
		t.rel = &rel
	}
	q := t.request(r.By)
	q.Until, q.Hotfix = r.Until, r.Hotfix
	next, events, err := rollout.Deploy(env, rel, q)
	if err != nil {
		return semper.Rollout{}, err
	}
	delete(m.staged, rel.Artifact) // look again: the disk may have changed
	return *next.Rollout, c.store(m, t, next, events)
}

// request numbers a rollout.
func (t *change) request(by string) rollout.Request {
	t.count.Rollout++
	return rollout.Request{ID: fmt.Sprintf("d-%d", t.count.Rollout), By: by, Now: t.now}
}

// Rollback moves back to release, or to the previous one.
func (c *Control) Rollback(ctx context.Context, app, env string, release semper.ReleaseName, by string) (semper.Rollout, error) {
	return c.begin(ctx, "rollback", app, env, func(m *model, t *change, e semper.Environment) (semper.Environment, []semper.Event, error) {
		if release == "" {
			if e.Previous == nil {
				return e, nil, &semper.Error{Code: semper.NotFound, Op: "rollback", Message: fmt.Sprintf("%s had no other release before", e.Key()), Hint: "semper release list shows what there is"}
			}
			release = e.Previous.Release
		}
		rel, err := m.release(e.App, release)
		if err != nil {
			return e, nil, err
		}
		if warm := e.Previous != nil && e.Previous.Release == release && len(e.Previous.Instances) > 0; !warm {
			delete(m.staged, rel.Artifact)
		}
		return rollout.Rollback(e, rel, t.request(by))
	})
}

// Scale changes the numbers of instances of the current release.
func (c *Control) Scale(ctx context.Context, app, env string, scale map[string]int, by string) (semper.Rollout, error) {
	return c.begin(ctx, "scale", app, env, func(m *model, t *change, e semper.Environment) (semper.Environment, []semper.Event, error) {
		return rollout.Scale(e, m.current(e), scale, t.request(by))
	})
}

// Restart replaces the instances of services by new ones of the same release.
func (c *Control) Restart(ctx context.Context, app, env string, services []string, by string) (semper.Rollout, error) {
	return c.begin(ctx, "restart", app, env, func(m *model, t *change, e semper.Environment) (semper.Environment, []semper.Event, error) {
		return rollout.Restart(e, m.current(e), services, t.request(by))
	})
}

func (m *model) release(app string, name semper.ReleaseName) (semper.Release, error) {
	rel, ok := m.releases[app][name]
	if !ok {
		return rel, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("%s has no release %q", app, name), Hint: "semper release list shows what there is"}
	}
	return rel, nil
}

// current is the release e points to; zero when it points to none, which the machine refuses.
func (m *model) current(e semper.Environment) semper.Release {
	if e.Current == nil {
		return semper.Release{}
	}
	return m.releases[e.App][e.Current.Release]
}

// begin runs a command whose answer is the environment's rollout after it.
func (c *Control) begin(ctx context.Context, op, app, env string, f func(*model, *change, semper.Environment) (semper.Environment, []semper.Event, error)) (semper.Rollout, error) {
	var out semper.Rollout
	err := c.command(ctx, op, app, env, func(m *model, t *change, e semper.Environment) (semper.Environment, []semper.Event, error) {
		next, events, err := f(m, t, e)
		if err == nil && next.Rollout != nil {
			out = *next.Rollout
		}
		return next, events, err
	})
	return out, err
}
