package control

import (
	"context"
	"fmt"
	"time"

	"semper"
	"semper/api"
	"semper/control/output"
	"semper/control/prepare"
	taskdesk "semper/control/tasks"
	"semper/internal/pause"
	"semper/rollout"
	"semper/task"
)

// tasks is the part of the API that is about tasks, under a name that leaves the desk of pipelines its own.
type tasks struct{ taskdesk.Surface }

// taskWorld is what tasks are decided by now.
func (t *change) taskWorld() task.World {
	m := t.m
	var sites []taskdesk.Site
	for _, key := range m.envKeys() {
		e := t.env(key)
		if rel := m.current(e); e.Current != nil && rel.App != "" {
			sites = append(sites, taskdesk.Site{Env: e, Release: rel})
		}
	}
	units := make(map[semper.InstanceID]task.Unit)
	for id, in := range m.instances {
		if task.IDOf(id) != "" {
			units[id] = task.Unit{State: in.status.State, End: in.status.LastEnd}
		}
	}
	return m.tasks.World(t.now, t.count.Task+1, sites, units)
}

// take has a change of tasks stored with t.
func (t *change) take(c *taskdesk.Change) {
	t.tasks = c
	t.events = append(t.events, c.Events...)
	t.count.Task = max(t.count.Task, c.Last)
}

// stepTasks moves tasks on, and says when to look again.
func (t *change) stepTasks() time.Time {
	c, wake, err := t.m.tasks.Step(t.taskWorld())
	if err != nil {
		panic(fmt.Sprintf("control: a task does not marshal: %v", err)) // plain values
	}
	t.take(c)
	return wake
}

// performTasks has done what the last decision asks for.
func (m *model) performTasks(c *Control) {
	for _, cmd := range m.tasks.Commands {
		switch cmd := cmd.(type) {
		case task.Start:
			m.startTask(c, cmd.Task)
		case task.StopUnit:
			m.do(c, rollout.Stop{ID: cmd.ID, Why: cmd.Why})
		}
	}
}

// startTask starts a task's unit; it may be done twice. What a keeper refuses has failed; one that does not answer is asked again.
func (m *model) startTask(c *Control, t task.Task) {
	rel, ok := m.releasesIn(m.envs[t.Key()].value)[t.Release]
	if !ok {
		m.tasks.Refused(t.ID, fmt.Sprintf("release %s does not exist any more", t.Release))
		return
	}
	spec := t.Spec(rel)
	m.once("task "+t.ID, func(ctx context.Context) func() {
		st, err := c.o.Keeper.Start(ctx, spec)
		switch code := semper.CodeOf(err); {
		case err == nil:
			return func() {
				if m.instances[spec.ID] == nil {
					m.observeOne(c, st)
				}
			}
		case ctx.Err() == nil && code != semper.Unavailable && code != semper.Timeout:
			return func() { m.tasks.Refused(t.ID, err.Error()) }
		}
		c.o.Log.Warn("task not started; trying again", "task", t.ID, "error", err)
		pause.For(ctx, retryable)
		return func() {}
	}, c)
}

func (c *Control) taskSurface() tasks {
	return tasks{taskdesk.Surface{
		Do: c.doTask,
		See: func(ctx context.Context, op string) (*taskdesk.View, error) {
			v, err := c.see(ctx, op)
			if err != nil {
				return nil, err
			}
			return v.tasks, nil
		},
		Printing: c.printing,
		Reader:   c.reader(),
	}}
}

// doTask has the model do a deed, and stores what comes of it.
func (c *Control) doTask(ctx context.Context, op, app, env string, f func(semper.EnvironmentKey) taskdesk.Deed) error {
	return c.ask(ctx, op, func(m *model) error {
		var key semper.EnvironmentKey
		if op != taskdesk.AnyEnvironment {
			e, err := prepare.Find(m.environments(), app, env)
			if err != nil {
				return err
			}
			key = e.Key()
		}
		t := m.newChange(time.Now())
		change, err := m.tasks.Do(t.taskWorld(), f(key))
		if err != nil {
			return err
		}
		t.take(change)
		return c.keep(m, t)
	})
}

func (c *Control) reader() output.Reader {
	return output.Reader{Machine: c.o.Machine, Log: c.o.Log, Stream: c.stream}
}

// printing is how far a task is with printing.
func (c *Control) printing(id string) output.Printing {
	v := c.view.Load()
	t, _ := v.tasks.Task(id)
	return output.Printing{Path: v.instances[t.Unit].status.LogPath, Ended: t.State.Ended() || t.ID == "", Changed: v.changed}
}

// Logs implements api.Service.
func (c *Control) Logs(ctx context.Context, q api.LogQuery) (<-chan api.LogLine, error) {
	v, err := c.see(ctx, "logs")
	if err != nil {
		return nil, err
	}
	if e, err := v.find(q.App, q.Environment); err == nil {
		q.App, q.Environment = e.App, e.Name
	} else if e, runs := c.units().Only(q.App, q.Environment); runs {
		q.App, q.Environment = e.App, e.Name
	} else {
		return nil, err
	}
	return c.reader().Logs(ctx, q, c.units)
}

// units are all that runs or has run.
func (c *Control) units() output.Units {
	v := c.view.Load()
	out := output.Units{Changed: v.changed}
	for _, in := range v.instances {
		out.All = append(out.All, in.status)
	}
	return out
}
