package task

import (
	"fmt"
	"maps"
	"semper/internal/argv"
	"slices"
	"strings"

	"semper"
	"semper/internal/nearest"
)

// A Request is what somebody wants run.
type Request struct {
	App, Environment string
	// Service is whose environment it has; empty where that is clear.
	Service  string
	Command  []string        // none: the service's own
	Deadline semper.Duration // 0: the service's
	By       string
}

// mostOpen is how many tasks of an environment may have not ended.
const mostOpen = 100

// Begin asks for a task. It starts when nothing is in its way.
func Begin(b Book, w World, q Request) (Task, Decision, error) {
	d := newStep(b, w)
	at, ok := w.Places[semper.Environment{App: q.App, Name: q.Environment}.Key()]
	if !ok || at.Release == "" {
		return Task{}, Decision{}, refuse(semper.NotFound, "run", fmt.Sprintf("nothing is deployed to %s/%s, and a task runs in the release that serves", q.App, q.Environment), "semper deploy")
	}
	name, err := at.choose(q)
	if err != nil {
		return Task{}, Decision{}, err
	}
	n := 0
	for _, t := range d.open() {
		if t.App == at.App && t.Environment == at.Environment {
			n++
		}
	}
	if n >= mostOpen {
		return Task{}, Decision{}, refuse(semper.Conflict, "run", fmt.Sprintf("%d tasks run or wait already", n), "semper task list; semper task stop")
	}
	p := at.Services[name]
	if q.Deadline <= 0 {
		q.Deadline = p.deadline()
	}
	t := d.add(Task{App: at.App, Environment: at.Environment, Service: name, Command: q.Command, Deadline: q.Deadline, By: q.By})
	what := "its own command"
	if len(q.Command) > 0 {
		what = argv.Line(q.Command)
	}
	d.tell(semper.Event{Kind: "task.asked", App: t.App, Environment: t.Environment, Release: at.Release, By: q.By, Message: fmt.Sprintf("%s: %s wants run in %s: %s", t.ID, orSomebody(q.By), name, what)})
	d.start(t)
	return d.Tasks[t.ID], d.decision(), nil
}

// choose is the service that q is about.
func (at Place) choose(q Request) (string, error) {
	names := slices.Sorted(maps.Keys(at.Services))
	if q.Service == "" {
		if len(q.Command) == 0 {
			return "", refuse(semper.Invalid, "run", "it is not said what to run", "semper run --service NAME, or semper run -- COMMAND")
		}
		return at.only(names)
	}
	p, ok := at.Services[q.Service]
	switch {
	case !ok:
		hint := "its services: " + strings.Join(names, ", ")
		if near := nearest.To(q.Service, names); near != "" {
			hint = "did you mean " + near + "?"
		}
		return "", refuse(semper.NotFound, "run", fmt.Sprintf("%s has no service %q", at.Release, q.Service), hint)
	case len(q.Command) == 0 && p.Type != semper.Task && p.Type != semper.Cron:
		return "", refuse(semper.Invalid, "run", fmt.Sprintf("%s runs all the time: its own command is no task", q.Service), "say what to run beside it: semper run --service "+q.Service+" -- COMMAND")
	}
	return q.Service, nil
}

// only is the service whose environment a command has where nobody says: that of the one web service, or of the only service.
func (at Place) only(names []string) (string, error) {
	var web []string
	for _, name := range names {
		if at.Services[name].Type == semper.Web {
			web = append(web, name)
		}
	}
	switch {
	case len(web) == 1:
		return web[0], nil
	case len(names) == 1:
		return names[0], nil
	}
	if len(web) > 0 {
		names = web
	}
	return "", refuse(semper.Invalid, "run", "several services could lend it their environment: "+strings.Join(names, ", "), "say which with --service")
}

func refuse(code semper.Code, op, message, hint string) error {
	return &semper.Error{Code: code, Op: op, Message: message, Hint: hint}
}

// End asks for the end of a task. One that has ended stays as it is.
func End(b Book, w World, id, by, why string) (Task, Decision, error) {
	t, ok := b.Tasks[id]
	if !ok {
		return Task{}, Decision{}, refuse(semper.NotFound, "task stop", fmt.Sprintf("no task %q", id), "semper task list")
	}
	if t.State.Ended() || t.Stop != nil {
		return t, Decision{}, nil
	}
	d := newStep(b, w)
	t.Stop = &Stop{By: by, Why: why, At: w.Now}
	d.set(t)
	d.tell(semper.Event{Kind: "task.stopping", App: t.App, Environment: t.Environment, Release: t.Release, Instance: t.Unit, By: by, Message: fmt.Sprintf("%s is told to end by %s%s", t.ID, orSomebody(by), reason(t.Stop))})
	return t, d.decision(), nil
}

// find is the cron of a name in a place.
func (b Book) find(at Place, op, name string) (Cron, Plan, error) {
	p, ok := at.Services[name]
	c, known := b.Crons[Cron{App: at.App, Environment: at.Environment, Service: name}.Key()]
	if ok && known && p.Type == semper.Cron {
		return c, p, nil
	}
	var names []string
	for n, p := range at.Services {
		if p.Type == semper.Cron {
			names = append(names, n)
		}
	}
	slices.Sort(names)
	hint := "a cron is a service of type cron in semper.yaml"
	if near := nearest.To(name, names); near != "" {
		hint = "did you mean " + near + "?"
	} else if len(names) > 0 {
		hint = "its crons: " + strings.Join(names, ", ")
	}
	return c, p, refuse(semper.NotFound, op, fmt.Sprintf("%s/%s has no cron %q", at.App, at.Environment, name), hint)
}

// Pause keeps a cron from running. What runs of it goes on, and what waits for its start does not: it is stopped.
func Pause(b Book, w World, key semper.EnvironmentKey, name, by, why string) (Cron, Decision, error) {
	at := w.Places[key]
	c, _, err := b.find(at, "cron pause", name)
	if err != nil || c.Paused != nil {
		return c, Decision{}, err
	}
	d := newStep(b, w)
	c.Paused = &Stop{By: by, Why: why, At: w.Now}
	d.setCron(c)
	for _, t := range d.open() {
		if t.of(at, name) && t.State == Queued && !t.Due.IsZero() {
			d.end(t, Stopped, "its cron is paused")
		}
	}
	d.tell(semper.Event{Kind: "cron.paused", App: c.App, Environment: c.Environment, By: by, Message: fmt.Sprintf("%s does not run any more: %s%s", name, orSomebody(by), reason(c.Paused))})
	return c, d.decision(), nil
}

// Resume lets a cron run again, from its next due time on: those that passed meanwhile are not made up for.
func Resume(b Book, w World, key semper.EnvironmentKey, name, by string) (Cron, Decision, error) {
	c, p, err := b.find(w.Places[key], "cron resume", name)
	if err != nil || c.Paused == nil {
		return c, Decision{}, err
	}
	d := newStep(b, w)
	if c.Paused = nil; c.From.Before(w.Now) {
		c.From = w.Now
	}
	d.setCron(c)
	next := "never"
	if at := c.Next(p); !at.IsZero() {
		next = stamp(at, p)
	}
	d.tell(semper.Event{Kind: "cron.resumed", App: c.App, Environment: c.Environment, By: by, Message: fmt.Sprintf("%s runs again: next at %s", name, next)})
	return c, d.decision(), nil
}
