package rollout

import (
	"fmt"
	"math"
	"slices"
	"time"

	"semper"
	"semper/experiment/design"
)

// An experiment of releases has placements of its own beside the current one: started and ready before any user has a variant, and
// drained like any other when it is over. It compares with one release, so that it ends by itself when the current one is another,
// in the table that makes it so; and nobody deploys meanwhile, but in haste, or to promote its winner.

// Compare places the releases that the variants of env's experiment name: it is [design.Starting].
func Compare(env semper.Environment, name string, releases map[semper.ReleaseName]semper.Release, now time.Time) (semper.Environment, error) {
	const op = "experiment start"
	env = clone(env)
	list, x, err := experiment(env, name)
	if err != nil {
		return env, err
	}
	if env.Current == nil {
		return env, noCurrent(env, op)
	}
	if err := free(env, op); err != nil {
		return env, err
	}
	for i := range list {
		if o := &list[i]; o != x && len(o.Placements) > 0 {
			return env, &semper.Error{
				Code: semper.Conflict, Op: op, Message: fmt.Sprintf("experiment %s compares releases already, and a request is served by one release", o.Plan.Name),
				Hint: "semper experiment stop " + o.Plan.Name,
			}
		}
	}
	x.Against, x.PlacedAt = env.Current.Release, now
	for _, r := range x.Plan.Releases() {
		if r == x.Against {
			continue
		}
		p, err := beside(&env, x, r, releases)
		if err != nil {
			return env, err
		}
		x.Placements = append(x.Placements, p)
	}
	if len(x.Placements) == 0 {
		return env, &semper.Error{
			Code: semper.Invalid, Op: op, Message: fmt.Sprintf("%s is current already, and no variant has another release", x.Against),
			Hint: "semper release list shows what there is",
		}
	}
	env.Experiments = design.Write(list)
	return env, nil
}

// beside is the placement of release r for x: of each web service that the current release has as well, as many instances as the
// part of all users asks for.
func beside(env *semper.Environment, x *design.Experiment, r semper.ReleaseName, releases map[semper.ReleaseName]semper.Release) (semper.Placement, error) {
	const op = "experiment start"
	bad := func(code semper.Code, message, hint string) (semper.Placement, error) {
		return semper.Placement{}, &semper.Error{Code: code, Op: op, Message: message, Hint: hint}
	}
	rel, known := releases[r]
	if !known {
		return bad(semper.NotFound, fmt.Sprintf("%s has no release %q", env.App, r), "semper release list shows what there is")
	}
	if m, done := env.Migrated[r]; rel.Spec.Migrate != nil && (!done || m.Failed != "") {
		return bad(semper.Conflict, fmt.Sprintf("%s has a migration that %s has not seen, and nothing migrates for an experiment", r, env.Key()), "deploy a release that both can run beside, with the migration; then compare")
	}
	part := 0.0
	for _, v := range x.Plan.Variants {
		if v.Release == r {
			part += v.Share
		}
	}
	from, scale := releases[env.Current.Release].Spec, make(map[string]int)
	for name, n := range begins(*env, rel) {
		if rel.Spec.Services[name].Type != semper.Web || from.Services[name].Type != semper.Web || n == 0 || env.Current.Scale[name] == 0 || x.Plan.Service != "" && x.Plan.Service != name {
			continue
		}
		scale[name] = min(n, max(1, int(math.Ceil(part*float64(n)-1e-9)))) // as of a trial
		if all := env.Current.Scale[name] + scale[name]; all > maxInstances {
			return bad(semper.Invalid, fmt.Sprintf("%s would have %d instances", name, all), fmt.Sprintf("a service has at most %d", maxInstances))
		}
	}
	if len(scale) == 0 {
		return bad(semper.Invalid, fmt.Sprintf("no web service of %s serves in %s: there is nothing to compare", r, env.Current.Release), "compare releases that have a web service in common")
	}
	p := resize(env, semper.Placement{Release: r, Drain: rel.Spec.Drain}, scale)
	p.Generation = nextGeneration(env)
	return p, nil
}

// Adopt begins the rollout to the release that won env's experiment, which is [design.Promoted]. It is judged as the release asks for,
// like any deploy. Users keep their variants until it has traffic to give.
func Adopt(env semper.Environment, name string, rel semper.Release, q Request) (semper.Environment, []semper.Event, error) {
	q.experiment = name
	env, events, err := Deploy(env, rel, q)
	if err != nil {
		return env, nil, err
	}
	list, x, err := experiment(env, name)
	if err != nil {
		return env, nil, err
	}
	x.Rollout = q.ID
	env.Rollout.Steps[0].Note = fmt.Sprintf("promotes %s of experiment %s", x.Winner, name)
	if x.Why != "" {
		env.Rollout.Steps[0].Note += ": " + x.Why
	}
	env.Experiments = design.Write(list)
	return env, events, nil
}

// experiment is env's of that name, in the list of all.
func experiment(env semper.Environment, name string) (list []design.Experiment, x *design.Experiment, err error) {
	if list, err = design.Read(env.Experiments); err != nil {
		return nil, nil, err
	}
	for i := range list {
		if list[i].Plan.Name == name {
			return list, &list[i], nil
		}
	}
	return nil, nil, &semper.Error{Code: semper.NotFound, Message: fmt.Sprintf("%s has no experiment %q", env.Key(), name), Hint: "semper experiment list"}
}

// compared are env's experiments with placements. Those that cannot be read have none: who keeps them tells of it.
func compared(env semper.Environment) []design.Experiment {
	list, _ := design.Read(env.Experiments) //nolint:errcheck // as above
	return slices.DeleteFunc(list, func(x design.Experiment) bool { return len(x.Placements) == 0 })
}

// Compared are the placements of env's experiments.
func Compared(env semper.Environment) (all []semper.Placement) {
	for _, x := range compared(env) {
		all = append(all, x.Placements...)
	}
	return all
}

// uncompared refuses a deploy while users of env compare releases, but for the one that promotes what won.
func uncompared(env semper.Environment, q Request) error {
	for _, x := range compared(env) {
		if q.Hotfix != "" || x.Plan.Name == q.experiment || x.State == design.Stopped {
			continue
		}
		return &semper.Error{
			Code: semper.Conflict, Op: "deploy",
			Message: fmt.Sprintf("experiment %s compares %s with %s: a deploy would change what its users have in the midst of it", x.Plan.Name, names(releasesOf(x.Placements)), x.Against),
			Hint:    fmt.Sprintf("end it first: semper experiment stop %s, or promote; semper deploy --hotfix WHY ends it with the cutover", x.Plan.Name),
		}
	}
	return nil
}

func releasesOf(all []semper.Placement) map[string]bool {
	out := make(map[string]bool, len(all))
	for _, p := range all {
		out[string(p.Release)] = true
	}
	return out
}

// compare moves experiments of releases on.
func (d *step) compare() {
	list, _ := design.Read(d.Env.Experiments) //nolint:errcheck // who keeps them tells of it
	changed := false
	for i := range list {
		if x := &list[i]; len(x.Placements) > 0 || d.unpromoted(x) {
			changed = d.comparing(x) || changed
		}
	}
	if changed {
		d.Env.Experiments, d.Changed = design.Write(list), true
	}
}

// unpromoted reports whether the rollout that was to promote x's winner has come to nothing.
func (d *step) unpromoted(x *design.Experiment) bool {
	r := d.Env.Rollout
	return x.State == design.Promoted && r != nil && r.ID == x.Rollout && (r.State == semper.RolloutFailed || r.State == semper.RolloutRolledBack)
}

func (d *step) comparing(x *design.Experiment) (changed bool) {
	switch c, r := d.Env.Current, d.Env.Rollout; {
	case x.State == design.Stopped:
		return d.separate(x, "")
	case d.unpromoted(x):
		return d.separate(x, fmt.Sprintf("%s, which was to promote %s, is %s", x.Rollout, x.Winner, r.State))
	case x.State == design.Promoted:
		if r != nil && r.ID == x.Rollout && slices.Contains([]semper.RolloutState{semper.RolloutStage, semper.RolloutStart, semper.RolloutReady}, r.State) {
			return false
		}
		return d.separate(x, "")
	case c == nil || c.Release != x.Against:
		return d.separate(x, fmt.Sprintf("%s, which it compared with, is not the current release any more", x.Against))
	}
	for _, p := range x.Placements {
		for _, u := range p.Instances {
			if in := d.w.Instances[u.ID]; broken(in, time.Time{}) { // all are new: none has ended before, whatever the clock says
				return d.separate(x, fmt.Sprintf("%s does not keep running (%s)", u.ID, in.LastEnd.Reason))
			}
		}
	}
	return x.State == design.Starting && d.open(x)
}

// open gives users their variants once every instance is ready.
func (d *step) open(x *design.Experiment) (changed bool) {
	grace, started, missing := time.Duration(0), true, semper.InstanceID("")
	for _, p := range x.Placements {
		rel, ok := d.w.Releases[p.Release]
		if !ok {
			return d.separate(x, fmt.Sprintf("release %s does not exist", p.Release))
		}
		if err := d.w.Staged[rel.Artifact]; err != nil {
			return d.separate(x, fmt.Sprintf("artifact of %s: %v", p.Release, err))
		}
		for _, u := range p.Instances {
			in, known := d.w.Instances[u.ID]
			started = started && known
			grace = max(grace, rel.Spec.Services[u.Service].Health.Grace.D())
			if known && in.State == semper.Ready {
				continue
			}
			if why := hopeless(in, time.Time{}, false); why != "" {
				return d.separate(x, fmt.Sprintf("%s %s before it was ready", u.ID, why))
			}
			if missing == "" {
				missing = u.ID
			}
		}
	}
	switch {
	case missing == "":
		x.State, x.StartedAt, x.ReadyBy = design.Running, d.w.Now, time.Time{}
		d.event("experiment.started", fmt.Sprintf("%s runs: %s beside %s", x.Plan.Name, names(releasesOf(x.Placements)), x.Against), experimental(x.By))
		return true
	case x.ReadyBy.IsZero() && started:
		x.ReadyBy = d.w.Now.Add(grace)
		d.wake(x.ReadyBy)
		return true
	case !x.ReadyBy.IsZero() && !d.w.Now.Before(x.ReadyBy):
		why := d.w.Instances[missing].Why
		if why != "" {
			why = ": " + why
		}
		return d.separate(x, fmt.Sprintf("%s was not ready within %s%s", missing, grace, why))
	}
	d.wake(x.ReadyBy)
	return false
}

// separate takes x's placements out of the next table; they end when they hold nothing any more. Where it ends by itself, why says so.
func (d *step) separate(x *design.Experiment, why string) bool {
	for _, p := range x.Placements {
		if !x.StartedAt.IsZero() {
			p.CutAt, p.CutEpoch = d.w.Now, d.w.NextEpoch
		}
		d.Env.Retiring = append(d.Env.Retiring, p)
	}
	if x.Placements = nil; why != "" {
		x.State, x.EndedAt, x.Ended = design.Stopped, d.w.Now, why
		d.event("experiment.stopped", fmt.Sprintf("%s is stopped, and every user has %s: %s", x.Plan.Name, orNone(currentOf(d.Env)), why), experimental(""))
	}
	return true
}

func currentOf(env semper.Environment) semper.ReleaseName {
	if env.Current == nil {
		return ""
	}
	return env.Current.Release
}

// experimental is an event of an experiment, and of no rollout.
func experimental(by string) func(*semper.Event) {
	return func(e *semper.Event) {
		*e = semper.Event{At: e.At, Kind: e.Kind, App: e.App, Environment: e.Environment, Message: e.Message, By: by}
	}
}

// wantCompared asks for the instances of experiments, by add; of one that is starting when their artifact is there.
func (d *step) wantCompared(add func(p *semper.Placement, start bool)) {
	for _, x := range compared(d.Env) {
		for i := range x.Placements {
			p := &x.Placements[i]
			artifact, start := d.w.Releases[p.Release].Artifact, true
			if x.State == design.Starting {
				_, start = d.w.Staged[artifact]
				if !start && slices.ContainsFunc(p.Instances, func(u semper.PlacedUnit) bool { _, known := d.w.Instances[u.ID]; return !known }) {
					d.Commands = append(d.Commands, Stage{artifact})
				}
			}
			add(p, start)
		}
	}
}

// variantPools are the pools of a service for the experiments of releases whose users have variants.
func variantPools(s Site, service string, arm func(semper.Arm, semper.Placement) semper.Pool) (out []semper.Pool) {
	for _, x := range compared(s.Env) {
		if _, on := x.Variation(); !on {
			continue
		}
		for _, p := range x.Placements {
			if p.Scale[service] > 0 {
				out = append(out, arm(semper.Arm(p.Release), p))
			}
		}
	}
	return out
}
