package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/meter"
)

// Queues is what the API offers of queues. In a [queue.Service] the app, or the environment, may be empty where that leaves one
// queue. Methods are safe for concurrent use.
type Queues interface {
	// Queues are those of app and env, by name; empty: of all.
	Queues(ctx context.Context, app, env string) ([]QueueInfo, error)
	// Queue is one of them, with what operators did to it.
	Queue(ctx context.Context, of queue.Service) (QueueInfo, error)
	// Jobs are those in a state with an ID greater than after, the oldest first, without their results. At most [MaxJobs].
	Jobs(ctx context.Context, of queue.Service, s queue.State, after queue.ID, limit int) ([]queue.Status, error)
	// Newest are up to limit jobs in a state, the newest first, without their results.
	Newest(ctx context.Context, of queue.Service, s queue.State, limit int) ([]queue.Status, error)
	// QueuePast is what happened to a queue and how it stood, in steps of ten seconds over an hour at most, the oldest first. It begins
	// anew with the process that works the queue.
	QueuePast(ctx context.Context, of queue.Service) ([]meter.Point, error)
	// Job is what is known of one: its life, and its request and response without secrets.
	Job(ctx context.Context, of queue.Service, id queue.ID) (JobInfo, error)
	// PauseQueue is a barrier: no job of the queue starts after it has returned. Accepting goes on.
	PauseQueue(ctx context.Context, of queue.Service, by queue.By) (QueueInfo, error)
	ResumeQueue(ctx context.Context, of queue.Service, by queue.By) (QueueInfo, error)
	// RetryJobs makes dead jobs queued, and says how many. With an error it is how many were before.
	RetryJobs(ctx context.Context, of queue.Service, which JobChoice, by queue.By) (int, error)
	// DiscardJobs ends jobs that do not run; as RetryJobs.
	DiscardJobs(ctx context.Context, of queue.Service, which JobChoice, by queue.By) (int, error)
}

// MaxJobs is how many jobs one call lists at most.
const MaxJobs = 1000

// QueueInfo is a queue: how it stands, and what it goes by.
type QueueInfo struct {
	queue.Service
	queue.Stats
	Drained bool         `json:"drained,omitempty"` // it is paused and nothing runs
	Policy  QueuePolicy  `json:"policy"`
	Deeds   []queue.Deed `json:"deeds,omitempty"` // newest first; of one queue only
	// Activity is what happens to it; nil where the process that counts does not answer.
	Activity *QueueActivity `json:"activity,omitempty"`
}

// QueueActivity is what is counted of a queue.
type QueueActivity struct {
	Since  time.Time       `json:"since"` // counters were 0: the process that works the queue began
	Total  meter.Counts    `json:"total"`
	Lately meter.Counts    `json:"lately"` // of the last minute or so
	Over   semper.Duration `json:"over"`   // which is so long
	// Half and Most are within which half of the jobs done in the last five to ten minutes were, and 99 %, from when they might start;
	// 0: none was done. They are the ends of a histogram's buckets.
	Half semper.Duration `json:"half,omitempty"`
	Most semper.Duration `json:"most,omitempty"`
}

// PerSecond is n of [QueueActivity].Lately per second; nil and a time too short to tell give 0.
func (a *QueueActivity) PerSecond(n func(meter.Counts) uint64) float64 {
	if a == nil || a.Over.D() < time.Second {
		return 0
	}
	return float64(n(a.Lately)) / a.Over.D().Seconds()
}

// QueuePolicy is what people ask of a queue's policy. 0 is no bound.
type QueuePolicy struct {
	Order       queue.Order     `json:"order"`
	MaxAttempts int             `json:"max_attempts"`
	Lease       semper.Duration `json:"lease"`
	TTL         semper.Duration `json:"ttl,omitempty"`
	Running     int             `json:"running,omitempty"`
	PerKey      int             `json:"per_key,omitempty"`
	Rate        float64         `json:"rate,omitempty"` // starts per second
	MaxJobs     int             `json:"max_jobs"`
	MaxBytes    int64           `json:"max_bytes"`
	Retain      semper.Duration `json:"retain"`
	RetainDead  semper.Duration `json:"retain_dead"`
}

// JobInfo is a job's life with its messages.
type JobInfo struct {
	queue.Status
	Request  *JobMessage `json:"request,omitempty"`  // until the job is over
	Response *JobMessage `json:"response,omitempty"` // that is kept
}

// JobMessage is a request or a response as people may see it.
type JobMessage struct {
	Method string      `json:"method,omitempty"`
	Target string      `json:"target,omitempty"`
	Host   string      `json:"host,omitempty"`
	Status int         `json:"status,omitempty"`
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"body,omitempty"`
	Size   int         `json:"size"`             // of the whole body, in bytes
	Hidden []string    `json:"hidden,omitempty"` // fields and parameters whose values are not shown
}

// JobChoice says which jobs: those named, or all in a state.
type JobChoice struct {
	IDs   []queue.ID  `json:"ids,omitempty"`
	All   bool        `json:"all,omitempty"`
	State queue.State `json:"state,omitempty"` // of All; empty: dead
}

type queueBody struct {
	App         string `json:"app,omitempty"`
	Environment string `json:"environment,omitempty"`
	JobChoice
	By  string `json:"by,omitempty"`
	Why string `json:"why,omitempty"`
}

type jobsBody struct {
	Jobs int `json:"jobs"`
}

// Queues implements [Queues].
func (c *Client) Queues(ctx context.Context, app, env string) ([]QueueInfo, error) {
	return get[[]QueueInfo](ctx, c, "/v1/queues", params("app", app, "env", env))
}

func queuePath(of queue.Service, rest string) string {
	return "/v1/queues/" + url.PathEscape(of.Service) + rest
}

// Queue implements [Queues].
func (c *Client) Queue(ctx context.Context, of queue.Service) (QueueInfo, error) {
	return get[QueueInfo](ctx, c, queuePath(of, ""), params("app", of.App, "env", of.Environment))
}

// Jobs implements [Queues].
func (c *Client) Jobs(ctx context.Context, of queue.Service, s queue.State, after queue.ID, limit int) ([]queue.Status, error) {
	p := params("app", of.App, "env", of.Environment, "state", string(s), "limit", intParam(int64(limit)))
	if after != (queue.ID{}) {
		p.Set("after", after.String())
	}
	return get[[]queue.Status](ctx, c, queuePath(of, "/jobs"), p)
}

// Newest implements [Queues].
func (c *Client) Newest(ctx context.Context, of queue.Service, s queue.State, limit int) ([]queue.Status, error) {
	return get[[]queue.Status](ctx, c, queuePath(of, "/jobs"), params("app", of.App, "env", of.Environment, "state", string(s), "limit", intParam(int64(limit)), "order", newestFirst))
}

// newestFirst is the order of jobs that is asked for; without one they are in that of their ids.
const newestFirst = "newest"

// QueuePast implements [Queues].
func (c *Client) QueuePast(ctx context.Context, of queue.Service) ([]meter.Point, error) {
	return get[[]meter.Point](ctx, c, queuePath(of, "/past"), params("app", of.App, "env", of.Environment))
}

// Job implements [Queues].
func (c *Client) Job(ctx context.Context, of queue.Service, id queue.ID) (JobInfo, error) {
	return get[JobInfo](ctx, c, queuePath(of, "/jobs/"+id.String()), params("app", of.App, "env", of.Environment))
}

// PauseQueue implements [Queues].
func (c *Client) PauseQueue(ctx context.Context, of queue.Service, by queue.By) (QueueInfo, error) {
	return post[QueueInfo](ctx, c, queuePath(of, "/pause"), queueBody{App: of.App, Environment: of.Environment, By: by.Who, Why: by.Why}, true)
}

// ResumeQueue implements [Queues].
func (c *Client) ResumeQueue(ctx context.Context, of queue.Service, by queue.By) (QueueInfo, error) {
	return post[QueueInfo](ctx, c, queuePath(of, "/resume"), queueBody{App: of.App, Environment: of.Environment, By: by.Who, Why: by.Why}, true)
}

// RetryJobs implements [Queues].
func (c *Client) RetryJobs(ctx context.Context, of queue.Service, which JobChoice, by queue.By) (int, error) {
	b, err := post[jobsBody](ctx, c, queuePath(of, "/retry"), queueBody{of.App, of.Environment, which, by.Who, by.Why}, false)
	return b.Jobs, err
}

// DiscardJobs implements [Queues].
func (c *Client) DiscardJobs(ctx context.Context, of queue.Service, which JobChoice, by queue.By) (int, error) {
	b, err := post[jobsBody](ctx, c, queuePath(of, "/discard"), queueBody{of.App, of.Environment, which, by.Who, by.Why}, false)
	return b.Jobs, err
}

func queueOf(r *http.Request) queue.Service {
	return queue.Service{App: r.FormValue("app"), Environment: r.FormValue("env"), Service: r.PathValue("service")}
}

func (v *server) queues(mux *http.ServeMux) {
	v.one(mux, "GET /v1/queues", func(r *http.Request) (any, error) {
		l, err := v.s.Queues(r.Context(), r.FormValue("app"), r.FormValue("env"))
		return list(l), err
	})
	v.one(mux, "GET /v1/queues/{service}", func(r *http.Request) (any, error) { return v.s.Queue(r.Context(), queueOf(r)) })
	v.one(mux, "GET /v1/queues/{service}/past", func(r *http.Request) (any, error) {
		l, err := v.s.QueuePast(r.Context(), queueOf(r))
		return list(l), err
	})
	v.one(mux, "GET /v1/queues/{service}/jobs", v.jobs)
	v.one(mux, "GET /v1/queues/{service}/jobs/{id}", func(r *http.Request) (any, error) {
		id, err := queue.ParseID(r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return v.s.Job(r.Context(), queueOf(r), id)
	})
	for verb, do := range map[string]func(context.Context, queue.Service, queue.By) (QueueInfo, error){"pause": v.s.PauseQueue, "resume": v.s.ResumeQueue} {
		v.one(mux, "POST /v1/queues/{service}/"+verb, func(r *http.Request) (any, error) {
			of, _, by, err := readQueue(r)
			if err != nil {
				return nil, err
			}
			return do(r.Context(), of, by)
		})
	}
	for verb, do := range map[string]func(context.Context, queue.Service, JobChoice, queue.By) (int, error){"retry": v.s.RetryJobs, "discard": v.s.DiscardJobs} {
		v.one(mux, "POST /v1/queues/{service}/"+verb, func(r *http.Request) (any, error) {
			of, which, by, err := readQueue(r)
			if err != nil {
				return nil, err
			}
			n, err := do(r.Context(), of, which, by)
			return jobsBody{n}, err
		})
	}
}

func readQueue(r *http.Request) (of queue.Service, which JobChoice, who queue.By, err error) {
	var b queueBody
	if err := read(r, &b); err != nil {
		return of, which, who, err
	}
	of = queue.Service{App: b.App, Environment: b.Environment, Service: r.PathValue("service")}
	if len(b.Why) > queue.MaxReason {
		return of, which, who, &semper.Error{Code: semper.Invalid, Message: "a reason of " + strconv.Itoa(len(b.Why)) + " bytes", Hint: "at most " + strconv.Itoa(queue.MaxReason)}
	}
	return of, b.JobChoice, queue.By{Who: by(r, b.By), Why: b.Why}, nil
}

// jobs answers one page of a queue's jobs in a state.
func (v *server) jobs(r *http.Request) (any, error) {
	limit, after := 100, queue.ID{}
	var err error
	if text := r.FormValue("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > MaxJobs {
			return nil, &semper.Error{Code: semper.Invalid, Message: strconv.Quote(text) + " is no number of jobs", Hint: "limit is from 1 to " + strconv.Itoa(MaxJobs)}
		}
	}
	if text := r.FormValue("after"); text != "" {
		if after, err = queue.ParseID(text); err != nil {
			return nil, err
		}
	}
	state := queue.State(r.FormValue("state"))
	if order := r.FormValue("order"); order == newestFirst && after == (queue.ID{}) {
		l, err := v.s.Newest(r.Context(), queueOf(r), state, limit)
		return list(l), err
	} else if order != "" {
		return nil, &semper.Error{Code: semper.Invalid, Message: strconv.Quote(order) + " is no order of jobs", Hint: "newest, without after; or none"}
	}
	l, err := v.s.Jobs(r.Context(), queueOf(r), state, after, limit)
	return list(l), err
}
