package lab

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"semper"
	"semper/api"
	"semper/experiment"
	"semper/experiment/design"
	"semper/internal/pause"
	"semper/verify"
)

// How often the lab looks, how long it waits for edges and the store, and how much of what it has had it asks edges for again: they
// number exposures by their clocks.
const (
	every    = time.Second
	patience = 5 * time.Second
	overlap  = 5 * time.Second
	retry    = 200 * time.Millisecond
)

// A Term is what a lab works with while its process leads.
type Term struct {
	Store semper.Store
	Fence semper.Condition
	Log   *slog.Logger
	// Exposures of every edge after a Seq; edges that do not answer are named in the error, beside what the others have.
	Exposures func(ctx context.Context, after int64) ([]design.Exposures, error)
	// Look is the environments, and a channel that is closed when they have changed; nil before they are known.
	Look func() (map[semper.EnvironmentKey]semper.Environment, <-chan struct{})
	// Deploy is that of a release, nil where it has none.
	Deploy func(app string, r semper.ReleaseName) *semper.Deploy
	// Change has an environment changed, and the events written.
	Change func(ctx context.Context, env semper.EnvironmentKey, f func(semper.Environment) (semper.Environment, []semper.Event))
}

// settling is how long somebody who asks waits for the term's lab: a control process that has just begun leads in less.
const settling = 5 * time.Second

// A Seat has the lab of the term, if there is one. The zero Seat is empty. It is safe for concurrent use.
type Seat struct {
	mu    sync.Mutex
	taken chan struct{} // closed when a lab is there; nil: nobody waits for one

	lab   atomic.Pointer[Lab]
	means atomic.Pointer[map[semper.EnvironmentKey]map[string][2]verify.Moments] // as they were a moment ago
}

// Means are the values that instances of an environment's trial have pushed, by metric, the candidate's first. It waits for nobody.
func (s *Seat) Means(env semper.EnvironmentKey) map[string][2]verify.Moments {
	if all := s.means.Load(); all != nil {
		return (*all)[env]
	}
	return nil
}

// Serve has a lab until ctx ends: it fetches exposures while an experiment counts, and tells what is decided.
func (s *Seat) Serve(ctx context.Context, t Term) error {
	l := New(t.Store, t.Fence, t.Deploy)
	defer s.lab.Store(nil)
	defer s.means.Store(nil)
	var since int64
	for ctx.Err() == nil {
		envs, changed := t.Look()
		if changed == nil {
			pause.For(ctx, retry)
			continue
		}
		counts, err := s.tend(ctx, t, l, envs, &since)
		if err != nil && ctx.Err() == nil {
			t.Log.Warn("experiments are behind; trying again", "error", err)
		}
		if err != nil {
			pause.For(ctx, every)
			continue
		}
		var again <-chan time.Time
		if counts {
			again = time.After(every)
		}
		select {
		case <-changed: // at once: flags go by the runs that Sync knows
		case <-again:
		case <-ctx.Done():
		}
	}
	return nil
}

// tend looks once, and reports whether some experiment counts.
func (s *Seat) tend(ctx context.Context, t Term, l *Lab, envs map[semper.EnvironmentKey]semper.Environment, since *int64) (counts bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err = l.Sync(ctx, envs); err != nil {
		return true, err
	}
	s.take(l)
	for _, e := range envs {
		list, _ := design.Read(e.Experiments) // Sync has told what cannot be read
		for _, x := range list {
			counts = counts || x.State.Counts()
		}
	}
	if counts {
		err = l.fetch(ctx, t, since)
	}
	reports, means, wrong := l.Tend(ctx)
	s.means.Store(&means)
	if !counts && len(means) == 0 {
		return false, wrong
	}
	for key, named := range reports {
		for name, r := range named {
			decide(ctx, t, key, name, envs[key], r)
		}
	}
	return true, errors.Join(err, wrong)
}

// fetch takes what edges know since the last time.
func (l *Lab) fetch(ctx context.Context, t Term, since *int64) error {
	begun := l.now()
	for more := true; more; {
		all, err := t.Exposures(ctx, *since)
		more = false
		for _, e := range all {
			if n := len(e.List); e.More && n > 0 && (!more || e.List[n-1].Seq < *since) {
				more, *since = true, e.List[n-1].Seq
			}
		}
		if err = errors.Join(err, l.Expose(ctx, all)); err != nil {
			return err
		}
	}
	*since = begun.Add(-overlap).UnixNano()
	return nil
}

// decide has the experiment's state follow a report.
func decide(ctx context.Context, t Term, key semper.EnvironmentKey, name string, env semper.Environment, r experiment.Report) {
	list, _ := design.Read(env.Experiments) // Sync has told what cannot be read
	for _, x := range list {
		if x.Plan.Name != name {
			continue
		}
		if _, news := Decide(env, name, x.Run, r, r.At); len(news) > 0 {
			t.Change(ctx, key, func(now semper.Environment) (semper.Environment, []semper.Event) {
				return Decide(now, name, x.Run, r, r.At)
			})
		}
	}
}

// take gives l to whoever asks, and to who waits.
func (s *Seat) take(l *Lab) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lab.Store(l)
	if s.taken != nil {
		close(s.taken)
		s.taken = nil
	}
}

// find is the term's lab, which is waited for a moment where there is none yet; nil: there is none.
func (s *Seat) find(ctx context.Context) *Lab {
	s.mu.Lock()
	l := s.lab.Load()
	if l != nil {
		s.mu.Unlock()
		return l
	}
	if s.taken == nil {
		s.taken = make(chan struct{})
	}
	taken := s.taken
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	select {
	case <-taken:
	case <-ctx.Done():
	}
	return s.lab.Load()
}

// Push is that of the term's lab.
func (s *Seat) Push(ctx context.Context, b api.MetricBatch) (api.MetricAnswer, error) {
	l := s.find(ctx)
	if l == nil {
		return api.MetricAnswer{}, empty("push metrics")
	}
	return l.Push(ctx, b)
}

// Evaluate is that of the term's lab.
func (s *Seat) Evaluate(ctx context.Context, app, env, flag, key string) (api.Evaluation, error) {
	l := s.find(ctx)
	if l == nil {
		return api.Evaluation{}, empty("evaluate a flag")
	}
	return l.Evaluate(ctx, app, env, flag, key)
}

// EvaluateAll is that of the term's lab.
func (s *Seat) EvaluateAll(ctx context.Context, app, env, key string) ([]api.Evaluation, error) {
	l := s.find(ctx)
	if l == nil {
		return nil, empty("evaluate flags")
	}
	return l.EvaluateAll(app, env, key), nil
}

func empty(op string) error {
	return &semper.Error{Code: semper.Unavailable, Op: op, Message: "this control process does not lead yet", Hint: "try again in a moment"}
}

// Infos are the experiments of an environment, with what is known of them.
func (s *Seat) Infos(e semper.Environment) (out []api.ExperimentInfo, err error) {
	l := s.lab.Load()
	list, err := design.Read(e.Experiments)
	for _, x := range list {
		i := api.ExperimentInfo{
			App: e.App, Environment: e.Name, Plan: x.Plan, Run: x.Run, State: x.State, By: x.By,
			StartedAt: x.StartedAt, DecidedAt: x.DecidedAt, EndedAt: x.EndedAt, Winner: x.Winner, Why: x.Why,
			Against: x.Against, Rollout: x.Rollout, Ended: x.Ended,
		}
		if l != nil {
			i.Report = l.Report(e.Key(), x.Plan.Name)
		}
		out = append(out, i)
	}
	return out, err
}
