package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"semper"
	"semper/internal/pause"
	"semper/task"
)

// Tasks is what the API offers of commands that run once and end, and of crons. app may be empty where there is one, and env for the default
// environment. Methods are safe for concurrent use.
type Tasks interface {
	// BeginTask asks for a task in the release that serves. It returns when that is stored; the task may have to wait.
	BeginTask(ctx context.Context, r TaskRequest) (task.Task, error)
	// Tasks are those of app and env, the newest first; empty names all.
	Tasks(ctx context.Context, app, env string) ([]task.Task, error)
	Task(ctx context.Context, id string) (task.Task, error)
	// EndTask asks for the end of a task. One that has ended stays as it is.
	EndTask(ctx context.Context, id, by, why string) (task.Task, error)
	// TaskOutput sends what a task prints, as it is, from what is there to its end; without follow what is there now. It closes then.
	TaskOutput(ctx context.Context, id string, from TaskOffsets, follow bool) (<-chan TaskOutput, error)
	// Crons are those of app and env, by name; empty names all.
	Crons(ctx context.Context, app, env string) ([]CronInfo, error)
	// PauseCron keeps a cron from running, and ResumeCron lets it. Either may be asked for twice.
	PauseCron(ctx context.Context, app, env, name, by, why string) (CronInfo, error)
	ResumeCron(ctx context.Context, app, env, name, by string) (CronInfo, error)
}

// TaskRequest asks for a task.
type TaskRequest struct {
	App         string `json:"app,omitempty"`
	Environment string `json:"environment,omitempty"`
	// Service is whose environment variables, secrets, user and limits it has; empty where one lends itself.
	Service  string          `json:"service,omitempty"`
	Command  []string        `json:"command,omitempty"`  // none: the service's own
	Deadline semper.Duration `json:"deadline,omitempty"` // 0: the service's, or 24h
	By       string          `json:"by,omitempty"`
}

// TaskOffsets are how many bytes of a task's output are known already.
type TaskOffsets struct{ Out, Err int64 }

// TaskOutput is a piece of what a task printed.
type TaskOutput struct {
	Stderr bool   `json:"stderr,omitempty"`
	Data   []byte `json:"data"` // as it was written; base64 in JSON
	End    int64  `json:"end"`  // offset behind it in its stream
}

// CronInfo is a cron: what it goes by, and how it stands.
type CronInfo struct {
	task.Cron
	Settings task.Settings      `json:"settings"`
	Release  semper.ReleaseName `json:"release"`
	Next     time.Time          `json:"next,omitzero"`  // start; zero while it is paused
	Open     []task.Task        `json:"open,omitempty"` // runs that have not ended, the oldest first
	Last     *task.Task         `json:"last,omitempty"` // run that has ended, the newest
}

type cronBody struct {
	App         string `json:"app,omitempty"`
	Environment string `json:"environment,omitempty"`
	By          string `json:"by,omitempty"`
	Why         string `json:"why,omitempty"`
}

// BeginTask implements [Tasks].
func (c *Client) BeginTask(ctx context.Context, r TaskRequest) (task.Task, error) {
	return post[task.Task](ctx, c, "/v1/tasks", r, false)
}

// Tasks implements [Tasks].
func (c *Client) Tasks(ctx context.Context, app, env string) ([]task.Task, error) {
	return get[[]task.Task](ctx, c, "/v1/tasks", params("app", app, "env", env))
}

// Task implements [Tasks].
func (c *Client) Task(ctx context.Context, id string) (task.Task, error) {
	return get[task.Task](ctx, c, "/v1/tasks/"+url.PathEscape(id), nil)
}

// EndTask implements [Tasks].
func (c *Client) EndTask(ctx context.Context, id, by, why string) (task.Task, error) {
	return post[task.Task](ctx, c, "/v1/tasks/"+url.PathEscape(id)+"/stop", cronBody{By: by, Why: why}, true)
}

// Crons implements [Tasks].
func (c *Client) Crons(ctx context.Context, app, env string) ([]CronInfo, error) {
	return get[[]CronInfo](ctx, c, "/v1/crons", params("app", app, "env", env))
}

// PauseCron implements [Tasks].
func (c *Client) PauseCron(ctx context.Context, app, env, name, by, why string) (CronInfo, error) {
	return post[CronInfo](ctx, c, "/v1/crons/"+url.PathEscape(name)+"/pause", cronBody{app, env, by, why}, true)
}

// ResumeCron implements [Tasks].
func (c *Client) ResumeCron(ctx context.Context, app, env, name, by string) (CronInfo, error) {
	return post[CronInfo](ctx, c, "/v1/crons/"+url.PathEscape(name)+"/resume", cronBody{App: app, Environment: env, By: by}, true)
}

// TaskOutput implements [Tasks]. Followed, it survives a replaced server and gives no byte twice. It closes when the task has ended and all it
// printed is given, when ctx ends, or when the server stays away.
func (c *Client) TaskOutput(ctx context.Context, id string, from TaskOffsets, follow bool) (<-chan TaskOutput, error) {
	path := "/v1/tasks/" + url.PathEscape(id) + "/output"
	query := func() url.Values {
		return params("out", intParam(from.Out), "err", intParam(from.Err), "follow", boolParam(follow))
	}
	body, err := c.open(ctx, path, query())
	if err != nil {
		return nil, err
	}
	out := make(chan TaskOutput)
	go func() {
		defer close(out)
		for {
			was := from
			broken := drainLines(body, func(o TaskOutput) bool {
				if o.Stderr {
					from.Err = o.End
				} else {
					from.Out = o.End
				}
				return give(ctx, out, o)
			})
			_ = body.Close() // only read from
			if !follow || ctx.Err() != nil {
				return
			}
			if broken == nil && from == was { // in order, and nothing came of it: is there any more to come?
				t, err := c.Task(ctx, id)
				if err != nil || t.State.Ended() {
					return
				}
				pause.For(ctx, emptyPause)
			}
			if body, err = c.open(ctx, path, query()); err != nil {
				return
			}
		}
	}()
	return out, nil
}

func (v *server) tasks(mux *http.ServeMux) {
	v.one(mux, "POST /v1/tasks", func(r *http.Request) (any, error) {
		var b TaskRequest
		if err := read(r, &b); err != nil {
			return nil, err
		}
		b.By = by(r, b.By)
		return v.s.BeginTask(r.Context(), b)
	})
	v.one(mux, "GET /v1/tasks", func(r *http.Request) (any, error) {
		l, err := v.s.Tasks(r.Context(), r.FormValue("app"), r.FormValue("env"))
		return list(l), err
	})
	v.one(mux, "GET /v1/tasks/{id}", func(r *http.Request) (any, error) { return v.s.Task(r.Context(), r.PathValue("id")) })
	v.one(mux, "POST /v1/tasks/{id}/stop", func(r *http.Request) (any, error) {
		var b cronBody
		if err := read(r, &b); err != nil {
			return nil, err
		}
		return v.s.EndTask(r.Context(), r.PathValue("id"), by(r, b.By), b.Why)
	})
	mux.HandleFunc("GET /v1/tasks/{id}/output", v.taskOutput)
	v.one(mux, "GET /v1/crons", func(r *http.Request) (any, error) {
		l, err := v.s.Crons(r.Context(), r.FormValue("app"), r.FormValue("env"))
		return list(l), err
	})
	v.one(mux, "POST /v1/crons/{name}/pause", func(r *http.Request) (any, error) {
		var b cronBody
		if err := read(r, &b); err != nil {
			return nil, err
		}
		return v.s.PauseCron(r.Context(), b.App, b.Environment, r.PathValue("name"), by(r, b.By), b.Why)
	})
	v.one(mux, "POST /v1/crons/{name}/resume", func(r *http.Request) (any, error) {
		var b cronBody
		if err := read(r, &b); err != nil {
			return nil, err
		}
		return v.s.ResumeCron(r.Context(), b.App, b.Environment, r.PathValue("name"), by(r, b.By))
	})
}

func (v *server) taskOutput(w http.ResponseWriter, r *http.Request) {
	var from TaskOffsets
	for key, into := range map[string]*int64{"out": &from.Out, "err": &from.Err} {
		n, err := number(r, key)
		if err == nil && n < 0 {
			err = &semper.Error{Code: semper.Invalid, Message: key + " is an offset, and not less than 0"}
		}
		if err != nil {
			v.fail(w, r, err)
			return
		}
		*into = n
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	ch, err := v.s.TaskOutput(ctx, r.PathValue("id"), from, follows(r))
	if err != nil {
		v.fail(w, r, err)
		return
	}
	pump(ctx, startStream(w, r), ch, "output", func(TaskOutput) string { return "" })
}
