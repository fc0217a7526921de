package lab

import (
	"crypto/sha256"
	"maps"
	"slices"

	"semper"
	"semper/experiment"
	"semper/experiment/design"
	"semper/verify"
)

// A Trial is what the judge of an environment's rollout is told by instances. A value belongs to the side of the instance that pushes it.
// Its values are kept as those of an experiment are, one run for each metric, in which every value is a user of its own: so each counts once,
// whatever dies.
type Trial struct {
	Rollout string // empty: nobody is on trial, and values are of no use yet
	Metrics []semper.MeanMetric
	Sides   map[semper.InstanceID]int // which variant an instance is of
}

// The variants of a trial's runs.
const (
	sideBaseline = iota
	sideCandidate
)

// TrialOf is what the judge of env wants to be told, by the deploys of its app's releases; nil where that is nothing.
func TrialOf(env semper.Environment, deploy func(app string, r semper.ReleaseName) *semper.Deploy) *Trial {
	if env.Current == nil {
		return nil
	}
	release, on := env.Current.Release, false
	if r := env.Rollout; r != nil && r.Trial != nil && r.Trial.Scale != nil && r.Epoch != 0 {
		switch r.State {
		case semper.RolloutTrial, semper.RolloutStart, semper.RolloutReady:
			release, on = r.To, true
		}
	}
	d := deploy(env.App, release)
	if d == nil || len(d.Judge.Metrics) == 0 {
		return nil
	}
	t := &Trial{Metrics: d.Judge.Metrics}
	if !on {
		return t
	}
	t.Rollout, t.Sides = env.Rollout.ID, make(map[semper.InstanceID]int)
	baseline := env.Current
	if b := env.Rollout.Trial.Baseline; b != nil {
		baseline = b
	}
	for _, u := range baseline.Instances {
		t.Sides[u.ID] = sideBaseline
	}
	for _, u := range env.Rollout.Target.Instances {
		t.Sides[u.ID] = sideCandidate
	}
	return t
}

// experiments are those that t's values are kept as. Their names are no experiment's: "@d-7.revenue".
func (t *Trial) experiments() (out []design.Experiment) {
	if t == nil || t.Rollout == "" {
		return nil
	}
	for _, m := range t.Metrics {
		name := "@" + t.Rollout + "." + m.Name
		key := sha256.Sum256([]byte("judge " + name)) // nobody is placed by it, and of a value no user is stored
		out = append(out, design.Experiment{Run: t.Rollout, State: design.Running, Key: key[:], Plan: design.Plan{
			Name: name, Alpha: experiment.DefaultAlpha, Users: experiment.DefaultUsers,
			Variants: []design.Variant{{Name: "baseline", Share: .5}, {Name: "candidate", Share: .5}},
			Metrics:  []design.Metric{{Name: m.Name, Kind: design.MetricSum, Role: design.RolePrimary, Weight: 1}},
		}})
	}
	return out
}

// means are the values of each metric of the environments' trials, the candidate's first.
func (l *Lab) means() map[semper.EnvironmentKey]map[string][2]verify.Moments {
	out := make(map[semper.EnvironmentKey]map[string][2]verify.Moments)
	for key, runs := range l.runs {
		for _, r := range runs {
			if r.trial == nil || r.state == nil {
				continue
			}
			if out[key] == nil {
				out[key] = make(map[string][2]verify.Moments)
			}
			m := r.state.Moments()[0]
			out[key][r.plan.Metrics[0].Name] = [2]verify.Moments{m[sideCandidate], m[sideBaseline]}
		}
	}
	return out
}

// await notes which metrics the judges of an app ask for, now or at its next rollout.
func (l *Lab) await(app string, t *Trial) {
	if t == nil {
		return
	}
	if l.awaited[app] == nil {
		l.awaited[app] = make(map[string]bool)
	}
	for _, m := range t.Metrics {
		l.awaited[app][m.Name] = true
	}
}

// judged takes a value for the judges that ask for its metric, and reports whether one does, or will.
func (p *pushing) judged(v *experiment.Value, of string, instance string) bool {
	for _, r := range p.runs {
		if r.trial == nil || r.plan.Metrics[0].Name != of {
			continue
		}
		side, ok := r.trial.Sides[semper.InstanceID(instance)]
		if !ok {
			p.answer.Unused++
			return true
		}
		w := *v
		w.ID = r.id(p.raw)
		w.User = w.ID
		if p.add(r, w) {
			e := p.entries[r]
			e.Exposures = append(e.Exposures, experiment.Exposed{User: w.User, Variant: side, At: w.At})
		}
		return true
	}
	if p.l.awaited[p.app][of] {
		p.answer.Unused++
		return true
	}
	return false
}

// metrics are the names of all that is asked for.
func (p *pushing) metrics() []string {
	names := make(map[string]bool)
	maps.Copy(names, p.l.awaited[p.app])
	for _, r := range p.runs {
		for i := range r.plan.Metrics {
			names[r.plan.Metrics[i].Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}
