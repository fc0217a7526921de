package control

import (
	"context"
	"time"

	"semper"
	"semper/api"
	"semper/control/lab"
	"semper/experiment/design"
	"semper/rollout"
)

// experiment has the lab for the term.
func (t *term) experiment(ctx context.Context) error {
	return t.c.lab.Serve(ctx, lab.Term{
		Store: t.c.o.Store, Fence: t.leadership.Fence(), Log: t.c.o.Log, Exposures: t.c.o.Edges.Exposures,
		Look: func() (map[semper.EnvironmentKey]semper.Environment, <-chan struct{}) {
			if v := t.c.view.Load(); v != nil {
				return v.envs, v.changed
			}
			return nil, nil
		},
		Deploy: func(app string, r semper.ReleaseName) *semper.Deploy {
			return t.c.view.Load().releases[app][r].Spec.Deploy
		},
		Change: func(ctx context.Context, key semper.EnvironmentKey, f func(semper.Environment) (semper.Environment, []semper.Event)) {
			t.c.tell(ctx, "a decision", func(m *model) {
				change := m.newChange(time.Now())
				env, events := f(change.env(key))
				if err := t.c.store(m, change, env, events); err != nil {
					t.c.o.Log.Warn("a decision is not stored; trying again", "environment", key, "error", err)
				}
			})
		},
	})
}

// StartExperiment starts one; it returns once every edge knows.
func (c *Control) StartExperiment(ctx context.Context, app, env string, plan design.Plan, draft bool, by string) error {
	return c.experiment(ctx, "experiment start", app, env, func(m *model, t *change, e semper.Environment) (semper.Environment, []semper.Event, error) {
		return lab.Start(e, plan, draft, m.comparable(ctx, t, e, by), t.now, by)
	})
}

// EndExperiment stops one, or promotes one of its variants.
func (c *Control) EndExperiment(ctx context.Context, app, env, name, winner, by string) error {
	return c.experiment(ctx, "experiment end", app, env, func(m *model, t *change, e semper.Environment) (semper.Environment, []semper.Event, error) {
		return lab.End(e, name, winner, m.comparable(ctx, t, e, by), t.now, by)
	})
}

// comparable are the releases that experiments of e may compare: a release that users have has passed the gates, like any.
func (m *model) comparable(ctx context.Context, t *change, e semper.Environment, by string) lab.Releases {
	return lab.Releases{
		All: m.releasesIn(e), Request: func() rollout.Request { return t.request(by) },
		Admit: func(rel semper.Release) error {
			delete(m.staged, rel.Artifact) // look again: the disk may have changed
			return m.desk.Admit(office{t}, t.desk, e.Name, m.releases[e.App][rel.Name()], api.DeployRequest{}, api.CallerOf(ctx))
		},
	}
}

func (c *Control) experiment(ctx context.Context, op, app, env string, f func(*model, *change, semper.Environment) (semper.Environment, []semper.Event, error)) error {
	if err := c.command(ctx, op, app, env, f); err != nil {
		return err
	}
	_, err := c.acknowledged(ctx, op)
	return err
}

// answers is the part of the API that the lab answers by itself.
func (c *Control) answers() lab.Answers {
	return lab.Answers{Seat: &c.lab, Environment: c.environment, App: func(ctx context.Context, op, name string) (string, error) {
		v, err := c.see(ctx, op)
		if err != nil {
			return "", err
		}
		return v.app(name)
	}}
}

func (c *Control) environment(ctx context.Context, op, app, env string) (semper.Environment, error) {
	v, err := c.see(ctx, op)
	if err != nil {
		return semper.Environment{}, err
	}
	return v.find(app, env)
}
