package tasks

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"semper"
	"semper/api"
	"semper/control/output"
	"semper/task"
)

// AnyEnvironment is what a deed is done under that names its task by the id alone.
const AnyEnvironment = "task stop"

// A Surface is the part of the API that is about tasks. It is safe for concurrent use if its functions are.
type Surface struct {
	// Do has whoever leads do a deed in the environment that the names mean, and stores what comes of it. Without names it is about any.
	Do func(ctx context.Context, op, app, env string, f func(semper.EnvironmentKey) Deed) error
	// See is the present view; it waits for the first one.
	See func(ctx context.Context, op string) (*View, error)
	// Printing is how far a task is with printing.
	Printing func(id string) output.Printing
	Reader   output.Reader
}

var _ api.Tasks = Surface{}

// BeginTask implements [api.Tasks].
func (s Surface) BeginTask(ctx context.Context, r api.TaskRequest) (out task.Task, err error) {
	err = s.Do(ctx, "run", r.App, r.Environment, func(key semper.EnvironmentKey) Deed {
		return func(b task.Book, w task.World) (task.Decision, error) {
			at := w.Places[key]
			q := task.Request{App: at.App, Environment: at.Environment, Service: r.Service, Command: r.Command, Deadline: r.Deadline, By: r.By}
			t, d, err := task.Begin(b, w, q)
			out = t
			return d, err
		}
	})
	return out, err
}

// Tasks implements [api.Tasks].
func (s Surface) Tasks(ctx context.Context, app, env string) ([]task.Task, error) {
	v, err := s.See(ctx, "task list")
	if err != nil {
		return nil, err
	}
	return v.Tasks(app, env), nil
}

// Task implements [api.Tasks].
func (s Surface) Task(ctx context.Context, id string) (task.Task, error) {
	v, err := s.See(ctx, "task show")
	if err != nil {
		return task.Task{}, err
	}
	t, ok := v.Task(id)
	if !ok {
		return t, noTask("task show", id)
	}
	return t, nil
}

func noTask(op, id string) error {
	return &semper.Error{Code: semper.NotFound, Op: op, Message: fmt.Sprintf("no task %q", id), Hint: "semper task list shows those there are"}
}

// EndTask implements [api.Tasks].
func (s Surface) EndTask(ctx context.Context, id, by, why string) (out task.Task, err error) {
	err = s.Do(ctx, AnyEnvironment, "", "", func(semper.EnvironmentKey) Deed {
		return func(b task.Book, w task.World) (task.Decision, error) {
			t, d, err := task.End(b, w, id, by, why)
			out = t
			return d, err
		}
	})
	return out, err
}

// TaskOutput implements [api.Tasks].
func (s Surface) TaskOutput(ctx context.Context, id string, from api.TaskOffsets, follow bool) (<-chan api.TaskOutput, error) {
	if _, err := s.Task(ctx, id); err != nil {
		return nil, err
	}
	return s.Reader.Task(ctx, id, from, follow, func() output.Printing { return s.Printing(id) })
}

// Crons implements [api.Tasks].
func (s Surface) Crons(ctx context.Context, app, env string) ([]api.CronInfo, error) {
	v, err := s.See(ctx, "cron list")
	if err != nil {
		return nil, err
	}
	return v.Crons(app, env), nil
}

// PauseCron implements [api.Tasks].
func (s Surface) PauseCron(ctx context.Context, app, env, name, by, why string) (api.CronInfo, error) {
	return s.onCron(ctx, "cron pause", app, env, func(b task.Book, w task.World, key semper.EnvironmentKey) (task.Cron, task.Decision, error) {
		return task.Pause(b, w, key, name, by, why)
	})
}

// ResumeCron implements [api.Tasks].
func (s Surface) ResumeCron(ctx context.Context, app, env, name, by string) (api.CronInfo, error) {
	return s.onCron(ctx, "cron resume", app, env, func(b task.Book, w task.World, key semper.EnvironmentKey) (task.Cron, task.Decision, error) {
		return task.Resume(b, w, key, name, by)
	})
}

func (s Surface) onCron(ctx context.Context, op, app, env string, do func(task.Book, task.World, semper.EnvironmentKey) (task.Cron, task.Decision, error)) (api.CronInfo, error) {
	var c task.Cron
	err := s.Do(ctx, op, app, env, func(key semper.EnvironmentKey) Deed {
		return func(b task.Book, w task.World) (d task.Decision, err error) {
			c, d, err = do(b, w, key)
			return d, err
		}
	})
	if err != nil {
		return api.CronInfo{}, err
	}
	v, err := s.See(ctx, op)
	if err != nil {
		return api.CronInfo{}, err
	}
	for _, info := range v.Crons(c.App, c.Environment) {
		if info.Service == c.Service {
			return info, nil
		}
	}
	return api.CronInfo{Cron: c}, nil
}

// Crons are those of app and env, by name; empty names all.
func (v *View) Crons(app, env string) []api.CronInfo {
	var out []api.CronInfo
	for _, key := range slices.Sorted(maps.Keys(v.book.Crons)) {
		c := v.book.Crons[key]
		if app != "" && c.App != app || env != "" && c.Environment != env {
			continue
		}
		at := v.plans[semper.Environment{App: c.App, Name: c.Environment}.Key()]
		p := at.plans[c.Service]
		info := api.CronInfo{Cron: c, Settings: p.Settings, Release: at.release, Next: c.Next(p)}
		for _, t := range v.Tasks(c.App, c.Environment) {
			switch {
			case t.Service != c.Service || len(t.Command) > 0:
			case !t.State.Ended():
				info.Open = append(info.Open, t)
			case info.Last == nil:
				info.Last = &t
			}
		}
		slices.Reverse(info.Open)
		out = append(out, info)
	}
	return out
}

// shownEnded is how many ended tasks stand in the status of an environment.
const shownEnded = 3

// Status is what is shown of an environment's tasks: those that have not ended, and the newest that have and are of no cron.
func (v *View) Status(app, env string) (out []task.Task) {
	n := 0
	for _, t := range v.Tasks(app, env) {
		switch {
		case !t.State.Ended():
			out = append(out, t)
		case t.Due.IsZero() && n < shownEnded:
			n++
			out = append(out, t)
		}
	}
	return out
}
