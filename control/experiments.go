package control

import (
	"cmp"
	"context"
	"time"

	"semper"
	"semper/api"
	"semper/control/lab"
	"semper/experiment/design"
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

// Experiments are those of an environment.
func (c *Control) Experiments(ctx context.Context, app, env string) ([]api.ExperimentInfo, error) {
	e, err := c.environment(ctx, "experiment list", app, env)
	list, wrong := c.lab.Infos(e)
	return list, cmp.Or(err, wrong)
}

// StartExperiment starts one; it returns once every edge knows.
func (c *Control) StartExperiment(ctx context.Context, app, env string, plan design.Plan, draft bool, by string) error {
	return c.experiment(ctx, "experiment start", app, env, func(_ *model, t *change, e semper.Environment) (semper.Environment, []semper.Event, error) {
		return lab.Start(e, plan, draft, t.now, by)
	})
}

// EndExperiment stops one, or promotes one of its variants.
func (c *Control) EndExperiment(ctx context.Context, app, env, name, winner, by string) error {
	return c.experiment(ctx, "experiment end", app, env, func(_ *model, t *change, e semper.Environment) (semper.Environment, []semper.Event, error) {
		return lab.End(e, name, winner, t.now, by)
	})
}

func (c *Control) experiment(ctx context.Context, op, app, env string, f func(*model, *change, semper.Environment) (semper.Environment, []semper.Event, error)) error {
	if err := c.command(ctx, op, app, env, f); err != nil {
		return err
	}
	_, err := c.acknowledged(ctx, op)
	return err
}

// PushMetrics takes values of experiments.
func (c *Control) PushMetrics(ctx context.Context, b api.MetricBatch) (api.MetricAnswer, error) {
	v, err := c.see(ctx, "push metrics")
	if err == nil {
		b.App, err = v.app(b.App)
	}
	if err != nil {
		return api.MetricAnswer{}, err
	}
	return c.lab.Push(ctx, b)
}

// Evaluate says which variant a user has.
func (c *Control) Evaluate(ctx context.Context, app, env, flag, targetingKey string) (api.Evaluation, error) {
	e, err := c.environment(ctx, "evaluate a flag", app, env)
	if err != nil {
		return api.Evaluation{}, err
	}
	return c.lab.Evaluate(ctx, e.App, e.Name, flag, targetingKey)
}

func (c *Control) environment(ctx context.Context, op, app, env string) (semper.Environment, error) {
	v, err := c.see(ctx, op)
	if err != nil {
		return semper.Environment{}, err
	}
	return v.find(app, env)
}
