package lab

import (
	"cmp"
	"context"

	"semper"
	"semper/api"
)

// Answers are the part of the API that a lab answers by itself, without a decision of who runs it. Their methods are safe for
// concurrent use.
type Answers struct {
	Seat *Seat
	// Environment and App are those named, or the only one there is.
	Environment func(ctx context.Context, op, app, env string) (semper.Environment, error)
	App         func(ctx context.Context, op, app string) (string, error)
}

// Experiments are those of an environment.
func (a Answers) Experiments(ctx context.Context, app, env string) ([]api.ExperimentInfo, error) {
	e, err := a.Environment(ctx, "experiment list", app, env)
	list, wrong := a.Seat.Infos(e)
	return list, cmp.Or(err, wrong)
}

// PushMetrics takes values of experiments, and of rollouts that are judged by some.
func (a Answers) PushMetrics(ctx context.Context, b api.MetricBatch) (answer api.MetricAnswer, err error) {
	if b.App, err = a.App(ctx, "push metrics", b.App); err != nil {
		return api.MetricAnswer{}, err
	}
	return a.Seat.Push(ctx, b)
}

// Evaluate says which variant a user has.
func (a Answers) Evaluate(ctx context.Context, app, env, flag, targetingKey string) (api.Evaluation, error) {
	e, err := a.Environment(ctx, "evaluate a flag", app, env)
	if err != nil {
		return api.Evaluation{}, err
	}
	return a.Seat.Evaluate(ctx, e.App, e.Name, flag, targetingKey)
}

// EvaluateAll says which variants a user has.
func (a Answers) EvaluateAll(ctx context.Context, app, env, targetingKey string) ([]api.Evaluation, error) {
	e, err := a.Environment(ctx, "evaluate flags", app, env)
	if err != nil {
		return nil, err
	}
	return a.Seat.EvaluateAll(ctx, e.App, e.Name, targetingKey)
}
