package control

import (
	"context"
	"fmt"
	"time"

	"semper"
	"semper/api"
	"semper/control/delivery"
	"semper/control/prepare"
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
	if err := prepare.Conflicts(v.envs, v.releases, env, r.Spec.In(env.Name)); err != nil {
		return api.Plan{}, err
	}
	rel, isNew := v.release(r)
	p := api.Plan{App: r.Spec.App, Environment: r.Environment, Revision: v.versions[key], To: rel.Name(), New: isNew, Changes: []string{}, Effects: []api.PlanEffect{}}
	refused := v.desk.Refusal(env.Name, rel, r, api.CallerOf(ctx), time.Now())
	p.Refused, p.Instead = delivery.Words(refused), semper.HintOf(refused)
	rel.Spec = rel.Spec.In(env.Name)
	var old semper.Release
	if env.Current != nil {
		p.From = env.Current.Release
		old = v.releases[r.Spec.App][p.From]
		old.Spec = old.Spec.In(env.Name)
	}
	p.Changes = append(p.Changes, rollout.Diff(old, rel)...)
	p.Effects = prepare.Effects(env, old, rel)
	p.Migration = prepare.Migration(env, rel, v.envs)
	p.Steps, err = prepare.Rehearse(env, rel, r.Hotfix, v.releases[r.Spec.App])
	return p, err
}

// release is the one r would be: an old one with the same value, or the next.
func (v *view) release(r api.DeployRequest) (semper.Release, bool) {
	return prepare.Release(v.releases[r.Spec.App], r)
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
	err := prepare.Tasks(r.Spec)
	if err == nil && c.o.Check != nil {
		err = c.o.Check(r.Spec)
	}
	if err != nil {
		return r, err
	}
	if r.Spec, err = prepare.Secrets(c.o.Secrets.Newest, r.Spec); err != nil || c.o.Check == nil {
		return r, err
	}
	for name := range r.Spec.Environments {
		if err := c.o.Check(r.Spec.In(name)); err != nil {
			return r, err
		}
	}
	return r, nil
}

// Deploy begins a rollout and returns once it is stored.
func (c *Control) Deploy(ctx context.Context, r api.DeployRequest) (semper.Rollout, error) {
	r, err := c.prepare(r)
	if err != nil {
		return semper.Rollout{}, err
	}
	if err := c.has(r.Artifact, "deploy"); err != nil {
		return semper.Rollout{}, err
	}
	var out semper.Rollout
	who := api.CallerOf(ctx)
	err = c.ask(ctx, "deploy", func(m *model) error {
		out, err = c.deploy(m, r, who)
		return err
	})
	return out, err
}

// deploy is run by the model.
func (c *Control) deploy(m *model, r api.DeployRequest, who api.Caller) (semper.Rollout, error) {
	env := semper.Environment{App: r.Spec.App, Name: r.Environment}
	if e, ok := m.envs[env.Key()]; ok {
		env = e.value
		if r.ExpectRevision != 0 && r.ExpectRevision != e.version {
			return semper.Rollout{}, &semper.Error{Code: semper.Conflict, Op: "deploy", Message: "the environment changed since the plan was made", Hint: "make a new plan: semper plan"}
		}
	}
	if err := m.conflicts(env, r.Spec.In(env.Name)); err != nil {
		return semper.Rollout{}, err
	}
	t := m.newChange(time.Now())
	rel, isNew := prepare.Release(m.releases[r.Spec.App], r)
	if isNew {
		t.rel = &rel
	}
	if err := m.desk.Admit(office{t}, t.desk, env.Name, rel, r, who); err != nil {
		return semper.Rollout{}, err
	}
	in := rel
	in.Spec = rel.Spec.In(env.Name)
	q := t.request(r.By)
	q.Until, q.Hotfix, q.Again = r.Until, r.Hotfix, r.MigrateAgain
	next, events, err := rollout.Deploy(env, in, q)
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
				return e, nil, prepare.NoneBefore(e)
			}
			release = e.Previous.Release
		}
		rel, err := m.release(e.App, release)
		if err != nil {
			return e, nil, err
		}
		if err := m.desk.AdmitBack(office{t}, e, rel); err != nil {
			return e, nil, err
		}
		rel.Spec = rel.Spec.In(e.Name)
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
	return m.releasesIn(e)[e.Current.Release]
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
