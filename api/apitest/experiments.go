package apitest

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"semper"
	"semper/api"
	"semper/experiment/design"
)

// Experiment adds an experiment.
func (s *Semper) Experiment(x api.ExperimentInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trials = append(s.trials, x)
}

// Experiments implements [api.Experiments].
func (s *Semper) Experiments(_ context.Context, app, _ string) (list []api.ExperimentInfo, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, x := range s.trials {
		if app == "" || x.App == app {
			list = append(list, x)
		}
	}
	return list, nil
}

// StartExperiment implements [api.Experiments].
func (s *Semper) StartExperiment(_ context.Context, app, env string, plan design.Plan, draft bool, by string) error {
	x := api.ExperimentInfo{App: app, Environment: cmp.Or(env, semper.DefaultEnvironment), Plan: plan, Run: "0123456789abcdef", State: design.Running, By: by, StartedAt: time.Now()}
	if draft {
		x.State = design.Draft
	}
	s.Experiment(x)
	return nil
}

// EndExperiment implements [api.Experiments].
func (s *Semper) EndExperiment(_ context.Context, _, _, name, winner, _ string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.trials {
		if x := &s.trials[i]; x.Plan.Name == name {
			if x.State = design.Stopped; winner != "" {
				x.State, x.Winner = design.Promoted, winner
			}
			return nil
		}
	}
	return &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no experiment %q", name), Hint: "semper experiment list"}
}

// PushMetrics implements [api.Experiments]: it takes everything.
func (s *Semper) PushMetrics(_ context.Context, b api.MetricBatch) (api.MetricAnswer, error) {
	return api.MetricAnswer{Taken: len(b.Values), Errors: []api.MetricError{}}, nil
}

// EvaluateAll implements [api.Experiments]: everybody has the first variant.
func (s *Semper) EvaluateAll(ctx context.Context, app, env, key string) ([]api.Evaluation, error) {
	s.mu.Lock()
	names := make([]string, len(s.trials))
	for i := range s.trials {
		names[i] = s.trials[i].Plan.Name
	}
	s.mu.Unlock()
	var all []api.Evaluation
	for _, name := range names {
		e, err := s.Evaluate(ctx, app, env, name, key)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// Evaluate implements [api.Experiments]: everybody has the first variant.
func (s *Semper) Evaluate(_ context.Context, _, _, flag, _ string) (api.Evaluation, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.trials {
		if x := &s.trials[i]; x.Plan.Name == flag {
			v := x.Plan.Variants[0].Name
			return api.Evaluation{Key: flag, Value: v, Variant: v, Reason: "SPLIT"}, nil
		}
	}
	return api.Evaluation{}, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("no experiment %q", flag)}
}
