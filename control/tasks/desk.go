package tasks

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/rollout"
	"semper/task"
	"semper/task/schedule"
)

// Prefixes of keys in the store.
const (
	preTask = "task/"
	preCron = "cron/"
)

// A Desk is what a control process knows of tasks.
type Desk struct {
	// Commands are what the last Step wants done, once its change is stored.
	Commands []task.Command

	book     task.Book        // its maps are replaced and never changed: views have them
	versions map[string]int64 // by key in the store
	refused  map[string]string
	plans    map[semper.EnvironmentKey]planned
}

// planned are the plans of a release in an environment, kept from one decision to the next.
type planned struct {
	release semper.ReleaseName
	plans   map[string]task.Plan
}

// New is an empty desk.
func New() *Desk {
	d := &Desk{}
	d.Reset()
	return d
}

// Reset forgets everything: it is about to be read anew.
func (d *Desk) Reset() {
	d.book = task.Book{Tasks: map[string]task.Task{}, Crons: map[string]task.Cron{}}
	d.versions, d.refused, d.plans = map[string]int64{}, map[string]string{}, map[semper.EnvironmentKey]planned{}
}

// Put takes a stored item in, if it is one of tasks, and says whether it is.
func (d *Desk) Put(it semper.Item) (bool, error) {
	switch {
	case strings.HasPrefix(it.Key, preTask):
		var t task.Task
		err := json.Unmarshal(it.Value, &t)
		d.book.Tasks[t.ID], d.versions[it.Key] = t, it.Version
		return true, err
	case strings.HasPrefix(it.Key, preCron):
		var c task.Cron
		err := json.Unmarshal(it.Value, &c)
		d.book.Crons[c.Key()], d.versions[it.Key] = c, it.Version
		return true, err
	}
	return false, nil
}

// A Change is the desk's part of one transaction.
type Change struct {
	If     []semper.Condition
	Then   []semper.Write
	Last   int64 // the number of the newest task that it makes; 0 for none
	Events []semper.Event

	book task.Book
	drop []string // keys
}

// Empty reports whether there is nothing to store.
func (c *Change) Empty() bool { return c == nil || len(c.Then) == 0 && len(c.Events) == 0 }

// change is what storing a decision takes.
func (d *Desk) change(dec task.Decision) (*Change, error) {
	c := &Change{Events: dec.Events, book: task.Book{Tasks: maps.Clone(d.book.Tasks), Crons: maps.Clone(d.book.Crons)}}
	put := func(key string, v any) error {
		b, err := json.Marshal(v)
		c.If = append(c.If, semper.Condition{Key: key, Version: d.versions[key]})
		c.Then = append(c.Then, semper.Write{Key: key, Value: b})
		return err
	}
	for _, t := range dec.Tasks {
		if err := put(preTask+t.ID, t); err != nil {
			return nil, err
		}
		if _, known := d.book.Tasks[t.ID]; !known {
			c.Last = max(c.Last, t.Number())
		}
		c.book.Tasks[t.ID] = t
	}
	for _, cron := range dec.Crons {
		if err := put(preCron+cron.Key(), cron); err != nil {
			return nil, err
		}
		c.book.Crons[cron.Key()] = cron
	}
	gone := func(key string) {
		c.drop = append(c.drop, key)
		c.If = append(c.If, semper.Condition{Key: key, Version: d.versions[key]})
		c.Then = append(c.Then, semper.Write{Key: key, Delete: true})
	}
	for _, id := range dec.Drop {
		if delete(c.book.Tasks, id); d.versions[preTask+id] != 0 {
			gone(preTask + id)
		}
	}
	for _, key := range dec.DropCrons {
		if delete(c.book.Crons, key); d.versions[preCron+key] != 0 {
			gone(preCron + key)
		}
	}
	return c, nil
}

// Apply takes a change in that was stored at a revision.
func (d *Desk) Apply(c *Change, rev int64) {
	if c == nil || len(c.Then) == 0 {
		return
	}
	d.book = c.book
	for _, w := range c.Then {
		d.versions[w.Key] = rev
	}
	for _, key := range c.drop {
		delete(d.versions, key)
		delete(d.refused, strings.TrimPrefix(key, preTask))
	}
}

// Refused notes that a keeper will not start a task's unit.
func (d *Desk) Refused(id, why string) { d.refused[id] = why }

// Site is an environment, with the release that serves there as it is there.
type Site struct {
	Env     semper.Environment
	Release semper.Release
}

// World is what tasks are decided by.
func (d *Desk) World(now time.Time, next int64, sites []Site, units map[semper.InstanceID]task.Unit) task.World {
	w := task.World{Now: now, Next: next, Units: units, Refused: d.refused, Places: make(map[semper.EnvironmentKey]task.Place, len(sites))}
	for _, s := range sites {
		at := task.Place{App: s.Env.App, Environment: s.Env.Name, Release: s.Release.Name(), Services: d.planned(s)}
		if rollout.Migrating(s.Env) {
			at.Busy = "the migration of " + string(s.Env.Rollout.To)
		}
		w.Places[s.Env.Key()] = at
	}
	return w
}

func (d *Desk) planned(s Site) map[string]task.Plan {
	key, name := s.Env.Key(), s.Release.Name()
	if p, ok := d.plans[key]; ok && p.release == name {
		return p.plans
	}
	plans := make(map[string]task.Plan, len(s.Release.Spec.Services))
	for service, svc := range s.Release.Spec.Services {
		p := task.Plan{Type: svc.Type}
		p.Settings, _ = task.Of(svc) // what cannot be read was refused at its deploy; it is due never
		if svc.Type == semper.Cron {
			p.Schedule, _ = schedule.Parse(p.Settings.Schedule, p.Zone) // as above
		}
		plans[service] = p
	}
	d.plans[key] = planned{name, plans}
	return plans
}

// Step decides, and says when to look again.
func (d *Desk) Step(w task.World) (*Change, time.Time, error) {
	dec := task.Step(d.book, w)
	d.Commands = dec.Commands
	c, err := d.change(dec)
	return c, dec.Wake, err
}

// A Deed is what somebody wants of tasks: a pure function of what is stored and observed.
type Deed func(task.Book, task.World) (task.Decision, error)

// Do is the change that a deed comes to.
func (d *Desk) Do(w task.World, deed Deed) (*Change, error) {
	dec, err := deed(d.book, w)
	if err != nil {
		return nil, err
	}
	return d.change(dec)
}

// Outputs are the units whose output is to be kept.
func (d *Desk) Outputs() map[semper.InstanceID]bool { return d.book.Outputs() }

// A View is a desk for readers. It is never changed.
type View struct {
	book  task.Book
	plans map[semper.EnvironmentKey]planned
}

// View of the desk as it is now.
func (d *Desk) View() *View { return &View{d.book, maps.Clone(d.plans)} }

// Needs reports whether a task runs in a release.
func (v *View) Needs(app string, release semper.ReleaseName) bool { return v.book.Needs(app, release) }

// Task is the one of an id.
func (v *View) Task(id string) (task.Task, bool) {
	t, ok := v.book.Tasks[id]
	return t, ok
}

// Tasks are those of app and env, the newest first; empty names all.
func (v *View) Tasks(app, env string) []task.Task {
	var out []task.Task
	for _, t := range v.book.Tasks {
		if (app == "" || t.App == app) && (env == "" || t.Environment == env) {
			out = append(out, t)
		}
	}
	slices.SortFunc(out, func(a, b task.Task) int { return int(b.Number() - a.Number()) })
	return out
}
