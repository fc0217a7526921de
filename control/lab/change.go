package lab

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/experiment"
	"semper/experiment/design"
	"semper/rollout"
)

// most is how many experiments an environment has, ended ones with them.
const most = 32

// atOnce is how many of them one request can be part of.
const atOnce = 8

// Releases are what an experiment of releases needs of whoever has them.
type Releases struct {
	All map[semper.ReleaseName]semper.Release // of the app, as they are in the environment
	// Admit refuses a release that the environment must not have.
	Admit func(semper.Release) error
	// Request is the next rollout.
	Request func() rollout.Request
}

// Start is env with an experiment that runs from now on, or is only declared where draft is set. One of releases runs when their
// instances are ready.
func Start(env semper.Environment, plan design.Plan, draft bool, rels Releases, now time.Time, by string) (semper.Environment, []semper.Event, error) {
	next, events, err := start(env, plan, draft, now, by)
	if err != nil || draft || len(plan.Releases()) == 0 {
		return next, events, err
	}
	for _, name := range plan.Releases() {
		if rel, known := rels.All[name]; known { // Compare refuses one that is not
			if err := rels.Admit(rel); err != nil {
				return env, nil, err
			}
		}
	}
	next, err = rollout.Compare(next, plan.Name, rels.All, now)
	if err != nil {
		return env, nil, err
	}
	return next, events, nil
}

func start(env semper.Environment, plan design.Plan, draft bool, now time.Time, by string) (semper.Environment, []semper.Event, error) {
	const op = "experiment start"
	plan, faults := experiment.Complete(plan)
	if len(faults) > 0 {
		f := faults[0]
		return env, nil, &semper.Error{Code: semper.Invalid, Op: op, Message: f.Key + ": " + f.Message, Hint: f.Hint}
	}
	list, err := design.Read(env.Experiments)
	if err != nil {
		return env, nil, err
	}
	i := slices.IndexFunc(list, func(x design.Experiment) bool { return x.Plan.Name == plan.Name })
	if i >= 0 && list[i].State != design.Draft && list[i].State != design.Stopped {
		since := cmp.Or(list[i].StartedAt, list[i].PlacedAt)
		return env, nil, &semper.Error{Code: semper.Conflict, Op: op, Message: fmt.Sprintf("%s is %s since %s", plan.Name, list[i].State, since.UTC().Format(time.RFC3339)), Hint: "semper experiment stop " + plan.Name}
	}
	if i >= 0 && len(list[i].Placements) > 0 {
		return env, nil, &semper.Error{Code: semper.Conflict, Op: op, Message: plan.Name + " is being taken down", Hint: "try again in a moment"}
	}
	running := 0
	for _, x := range list {
		if _, on := x.Variation(); on || x.State == design.Starting {
			running++
		}
	}
	if running >= atOnce && !draft {
		return env, nil, &semper.Error{Code: semper.Conflict, Op: op, Message: fmt.Sprintf("%d experiments run in %s, and that is the most", running, env.Key()), Hint: "semper experiment stop NAME"}
	}
	x := design.Experiment{Plan: plan, State: design.Draft, By: by, Key: make([]byte, 32)}
	var run [8]byte
	rand.Read(x.Key)  //nolint:errcheck // it never fails
	rand.Read(run[:]) //nolint:errcheck // it never fails
	x.Run = hex.EncodeToString(run[:])
	e := event(env, now, by, "experiment.declared", plan.Name+" is declared")
	switch {
	case draft:
	case len(plan.Releases()) > 0:
		x.State = design.Starting
		e = event(env, now, by, "experiment.starting", fmt.Sprintf("%s: instances of %s are started", plan.Name, words(plan.Releases())))
	default:
		x.State, x.StartedAt = design.Running, now
		e = event(env, now, by, "experiment.started", fmt.Sprintf("%s runs with %d variants", plan.Name, len(plan.Variants)))
	}
	if i >= 0 {
		list[i] = x
	} else {
		list = append(list, x)
	}
	slices.SortFunc(list, func(a, b design.Experiment) int { return strings.Compare(a.Plan.Name, b.Plan.Name) })
	env.Experiments = design.Write(forget(list))
	return env, []semper.Event{e}, nil
}

func words(all []semper.ReleaseName) string {
	out := make([]string, len(all))
	for i, r := range all {
		out[i] = string(r)
	}
	return strings.Join(out, ", ")
}

// forget drops those that were stopped first where there are too many.
func forget(list []design.Experiment) []design.Experiment {
	for len(list) > most {
		oldest := -1
		for i, x := range list {
			if x.State == design.Stopped && (oldest < 0 || x.EndedAt.Before(list[oldest].EndedAt)) {
				oldest = i
			}
		}
		if oldest < 0 {
			oldest = slices.IndexFunc(list, func(x design.Experiment) bool { return x.State == design.Draft })
		}
		if oldest < 0 {
			break
		}
		list = slices.Delete(list, oldest, oldest+1)
	}
	return list
}

// End is env with the experiment stopped, or where winner is one of its variants with that promoted: by a rollout, where it is
// another release than the current one.
func End(env semper.Environment, name, winner string, rels Releases, now time.Time, by string) (semper.Environment, []semper.Event, error) {
	next, events, err := end(env, name, winner, now, by)
	if err != nil || winner == "" || len(events) == 0 {
		return next, events, err
	}
	_, x, err := find(next, "experiment promote", name)
	if err != nil {
		return env, nil, err
	}
	i := slices.IndexFunc(x.Plan.Variants, func(v design.Variant) bool { return v.Name == winner })
	r := x.Plan.Variants[i].Release
	if r == "" || next.Current == nil || next.Current.Release == r {
		return next, events, nil
	}
	rel := rels.All[r] // whose instances serve: it is known
	if err := rels.Admit(rel); err != nil {
		return env, nil, err
	}
	next, more, err := rollout.Adopt(next, name, rel, rels.Request())
	if err != nil {
		return env, nil, err
	}
	return next, append(events, more...), nil
}

func end(env semper.Environment, name, winner string, now time.Time, by string) (semper.Environment, []semper.Event, error) {
	op := "experiment stop"
	if winner != "" {
		op = "experiment promote"
	}
	list, x, err := find(env, op, name)
	if err != nil {
		return env, nil, err
	}
	if winner == "" {
		if x.State == design.Stopped {
			return env, nil, nil
		}
		if x.State != design.Promoted { // of which it is known when it ended
			x.EndedAt = now
		}
		x.State = design.Stopped
		env.Experiments = design.Write(list)
		return env, []semper.Event{event(env, now, by, "experiment.stopped", name+" is stopped: nobody has a variant")}, nil
	}
	if !slices.ContainsFunc(x.Plan.Variants, func(v design.Variant) bool { return v.Name == winner }) {
		var names []string
		for _, v := range x.Plan.Variants {
			names = append(names, v.Name)
		}
		return env, nil, &semper.Error{Code: semper.Invalid, Op: op, Message: fmt.Sprintf("%s has no variant %q", name, winner), Hint: "it has " + strings.Join(names, ", ")}
	}
	if x.State == design.Promoted && x.Winner == winner {
		return env, nil, nil
	}
	if len(x.Plan.Releases()) > 0 && !x.State.Counts() {
		return env, nil, &semper.Error{Code: semper.Conflict, Op: op, Message: fmt.Sprintf("%s is %s, and compares releases no more", name, x.State), Hint: "semper deploy, or semper rollback --to RELEASE"}
	}
	if x.EndedAt.IsZero() {
		x.EndedAt = now
	}
	x.State, x.Winner = design.Promoted, winner
	env.Experiments = design.Write(list)
	message := fmt.Sprintf("every user of %s has %s", name, winner)
	if len(x.Plan.Releases()) > 0 {
		message = fmt.Sprintf("%s of %s is promoted", winner, name)
	}
	return env, []semper.Event{event(env, now, by, "experiment.promoted", message)}, nil
}

// Decide is env with what a report says of the experiment's run, where that is something, and news.
func Decide(env semper.Environment, name, run string, r experiment.Report, now time.Time) (semper.Environment, []semper.Event) {
	list, x, err := find(env, "", name)
	if err != nil || x.Run != run || x.State != design.Running || !r.Outcome.Decided() {
		return env, nil
	}
	x.State, x.DecidedAt, x.Winner, x.Why = design.Decided, now, r.Winner, r.Why
	env.Experiments = design.Write(list)
	return env, []semper.Event{event(env, now, "", "experiment.decided", name+": "+r.Why)}
}

// find is the experiment with a name, in the list of all.
func find(env semper.Environment, op, name string) (list []design.Experiment, x *design.Experiment, err error) {
	if list, err = design.Read(env.Experiments); err != nil {
		return nil, nil, err
	}
	for i := range list {
		if list[i].Plan.Name == name {
			return list, &list[i], nil
		}
	}
	return nil, nil, &semper.Error{Code: semper.NotFound, Op: op, Message: fmt.Sprintf("%s has no experiment %q", env.Key(), name), Hint: "semper experiment list"}
}

func event(env semper.Environment, now time.Time, by, kind, message string) semper.Event {
	return semper.Event{At: now, Kind: kind, App: env.App, Environment: env.Name, By: by, Message: message}
}
