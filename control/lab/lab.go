package lab

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"semper"
	"semper/experiment"
	"semper/experiment/design"
	"semper/verify"
)

// reportEvery is how old a report may be though something has changed.
const reportEvery = time.Second

// A Lab has the runs of all environments. It is safe for concurrent use: one call at a time has it, commits included.
type Lab struct {
	store semper.Store
	fence semper.Condition
	now   func() time.Time

	mu   sync.Mutex
	runs map[semper.EnvironmentKey]map[string]*run // guarded by mu; by name
	rate map[string]*bucket                        // guarded by mu; by app

	deploy  func(app string, r semper.ReleaseName) *semper.Deploy // of a release
	awaited map[string]map[string]bool                            // guarded by mu; metrics of judges, by app
}

// New is a lab for as long as fence holds. deploy is that of a release, nil if it has none.
func New(store semper.Store, fence semper.Condition, deploy func(app string, r semper.ReleaseName) *semper.Deploy) *Lab {
	return &Lab{deploy: deploy, store: store, fence: fence, now: time.Now, runs: make(map[semper.EnvironmentKey]map[string]*run), rate: make(map[string]*bucket)}
}

// Sync makes the runs those of the environments, and drops what is stored of others.
func (l *Lab) Sync(ctx context.Context, envs map[semper.EnvironmentKey]semper.Environment) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	before := l.runs
	l.runs, l.awaited = make(map[semper.EnvironmentKey]map[string]*run, len(envs)), make(map[string]map[string]bool)
	for key, env := range envs {
		list, err := design.Read(env.Experiments)
		errs = append(errs, err)
		trial := TrialOf(env, l.deploy)
		l.await(env.App, trial)
		for i, x := range append(list, trial.experiments()...) {
			if x.State == design.Draft || x.State == design.Starting {
				continue
			}
			r := before[key][x.Plan.Name]
			if r == nil || r.x.Run != x.Run {
				if r != nil {
					errs = append(errs, l.drop(ctx, r))
				}
				r = &run{key: keyOf(key, &x), plan: x.Plan}
			} else {
				delete(before[key], x.Plan.Name)
			}
			if r.x = x; i >= len(list) {
				r.trial = trial
			}
			r.v, _ = x.Variation()
			r.v.Variants = x.Plan.Variants
			if l.runs[key] == nil {
				l.runs[key] = make(map[string]*run)
			}
			l.runs[key][x.Plan.Name] = r
			errs = append(errs, l.open(ctx, r))
		}
	}
	for key, gone := range before {
		for name, r := range gone {
			if l.runs[key][name] == nil {
				errs = append(errs, l.drop(ctx, r))
			}
		}
	}
	return errors.Join(errs...)
}

// drop deletes what is stored of a run.
func (l *Lab) drop(ctx context.Context, r *run) error {
	items, _, err := l.store.List(ctx, r.key)
	for err == nil && len(items) > 0 {
		n := min(len(items), 256)
		var writes []semper.Write
		for _, it := range items[:n] {
			writes = append(writes, semper.Write{Key: it.Key, Delete: true})
		}
		err = l.commit(ctx, nil, writes...)
		items = items[n:]
	}
	return err
}

// Expose takes what edges said of exposures. What is known already costs nothing.
func (l *Lab) Expose(ctx context.Context, all []design.Exposures) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	by := make(map[string]*run)
	for _, runs := range l.runs {
		for _, r := range runs {
			if r.x.State.Counts() && r.state != nil {
				by[r.x.Run] = r
			}
		}
	}
	exposed := make(map[*run][]experiment.Exposed)
	for i := range all {
		for _, e := range all[i].List {
			if r := by[e.Run]; r != nil {
				exposed[r] = append(exposed[r], experiment.Exposed{User: e.User, Variant: e.Variant, At: e.At.UnixMilli()})
			}
		}
	}
	var errs []error
	for r, list := range exposed {
		for news := range slices.Chunk(r.state.News(list), 8192) { // below what a commit takes
			if r.state != nil {
				errs = append(errs, l.take(ctx, map[*run]*experiment.Entry{r: {Exposures: news}}))
			}
		}
	}
	return errors.Join(errs...)
}

// Tend reads what has to be read anew, stores parts that are due, and says what the experiments come to now, and what the values of trials are.
func (l *Lab) Tend(ctx context.Context) (map[semper.EnvironmentKey]map[string]experiment.Report, map[semper.EnvironmentKey]map[string][2]verify.Moments, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	out := make(map[semper.EnvironmentKey]map[string]experiment.Report)
	for key, runs := range l.runs {
		for name, r := range runs {
			if err := errors.Join(l.open(ctx, r), l.fold(ctx, r)); err != nil {
				errs = append(errs, err)
				continue
			}
			if r.trial != nil {
				continue
			}
			if out[key] == nil {
				out[key] = make(map[string]experiment.Report)
			}
			out[key][name] = l.look(r)
		}
	}
	return out, l.means(), errors.Join(errs...)
}

// look is the report of a run, anew where it is worth that. Once it has ended it stays as it was.
func (l *Lab) look(r *run) experiment.Report {
	now := l.now()
	if ended := r.x.EndedAt; !ended.IsZero() {
		now = ended
	}
	if r.report.At.IsZero() || now.Sub(r.reported) >= reportEvery && (r.changed || !r.report.Outcome.Decided()) {
		r.report, r.reported, r.changed = r.state.Report(r.x.StartedAt, now), now, false
	}
	return r.report
}

// Report is that of an experiment; nil where nothing is known.
func (l *Lab) Report(env semper.EnvironmentKey, name string) *experiment.Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.runs[env][name]
	if r == nil || r.state == nil {
		return nil
	}
	report := l.look(r)
	return &report
}

// counting are the runs of an environment that count, in the order of their names; of all of the app's where env is empty.
func (l *Lab) counting(app, env string) (all []*run) {
	keys := slices.Sorted(maps.Keys(l.runs))
	for _, key := range keys {
		a, e, _ := strings.Cut(string(key), "/")
		if a != app || env != "" && e != env {
			continue
		}
		for _, name := range slices.Sorted(maps.Keys(l.runs[key])) {
			if r := l.runs[key][name]; r.x.State.Counts() {
				all = append(all, r)
			}
		}
	}
	return all
}
