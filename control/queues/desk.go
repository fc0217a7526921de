package queues

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/api"
	"semper/internal/nearest"
	"semper/queue"
	"semper/queue/meter"
)

// Engine is a [queue.Engine] that knows which queues there are.
type Engine interface {
	Open(ctx context.Context, s queue.Service, p queue.Policy) (queue.Queue, error)
	// Queues are all that have had a dispatcher, by name.
	Queues(ctx context.Context) ([]queue.Listing, error)
}

// Counters is what is counted of queues.
type Counters interface {
	// Readings are those of all queues; of one, with its past, where it is named.
	Readings(ctx context.Context, of queue.Service) ([]meter.Reading, error)
}

// Desk is the part of the API that is about queues. It is safe for concurrent use.
type Desk struct {
	Engine   Engine   // nil: there are no queues
	Counters Counters // nil: nothing is counted
	// Tell stores an event.
	Tell func(ctx context.Context, e semper.Event) error
	Log  *slog.Logger
}

var _ api.Queues = Desk{}

// Queues implements [api.Queues].
func (d Desk) Queues(ctx context.Context, app, env string) ([]api.QueueInfo, error) {
	all, err := d.list(ctx)
	if err != nil {
		return nil, err
	}
	var out []api.QueueInfo
	counted := d.counted(ctx)
	for _, l := range all {
		if app != "" && l.Service.App != app || env != "" && l.Service.Environment != env {
			continue
		}
		q, err := d.Engine.Open(ctx, l.Service, l.Policy)
		if err != nil {
			return nil, err
		}
		info, err := look(ctx, q, l)
		if err != nil {
			return nil, err
		}
		info.Activity = counted[l.Service]
		out = append(out, info)
	}
	return out, nil
}

func (d Desk) list(ctx context.Context) ([]queue.Listing, error) {
	if d.Engine == nil {
		return nil, nil
	}
	return d.Engine.Queues(ctx)
}

// find is the queue that of names.
func (d Desk) find(ctx context.Context, of queue.Service) (queue.Queue, queue.Listing, error) {
	all, err := d.list(ctx)
	if err != nil {
		return nil, queue.Listing{}, err
	}
	l, err := choose(all, of)
	if err != nil {
		return nil, l, err
	}
	q, err := d.Engine.Open(ctx, l.Service, l.Policy)
	return q, l, err
}

// choose is the one of all that of names: its app and environment may be left out where one is left then, or one in the default environment.
func choose(all []queue.Listing, of queue.Service) (queue.Listing, error) {
	var found, usual []queue.Listing
	var names, near []string
	for _, l := range all {
		s := l.Service
		if of.App != "" && s.App != of.App || of.Environment != "" && s.Environment != of.Environment {
			continue
		}
		near = append(near, s.Service)
		if s.Service != of.Service {
			continue
		}
		found, names = append(found, l), append(names, s.String())
		if s.Environment == semper.DefaultEnvironment {
			usual = append(usual, l)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(usual) == 1:
		return usual[0], nil
	case len(found) > 1:
		return queue.Listing{}, &semper.Error{Code: semper.Invalid, Op: "queue", Message: "several queues go by the name " + of.Service + ": " + strings.Join(names, ", "), Hint: "say which with -a APP and -e ENVIRONMENT"}
	}
	hint := "semper queue list has all; a service has one once it takes asynchronous requests"
	if word := nearest.To(of.Service, near); word != "" {
		hint = "did you mean " + word + "?"
	}
	return queue.Listing{}, &semper.Error{Code: semper.NotFound, Op: "queue", Message: fmt.Sprintf("no queue %q", of.Service), Hint: hint}
}

// look is how a queue stands now.
func look(ctx context.Context, q queue.Queue, l queue.Listing) (api.QueueInfo, error) {
	s, err := q.Stats(ctx)
	if err != nil {
		return api.QueueInfo{}, err
	}
	p := l.Policy.Filled()
	info := api.QueueInfo{Service: l.Service, Stats: s, Policy: api.QueuePolicy{
		Order: p.Order, MaxAttempts: p.MaxAttempts, Lease: semper.Duration(p.Lease), TTL: semper.Duration(p.TTL), Running: p.Running, PerKey: p.PerKey,
		Rate: p.Rate, MaxJobs: p.MaxJobs, MaxBytes: p.MaxBytes, Retain: semper.Duration(p.Retain), RetainDead: semper.Duration(p.RetainDead),
	}}
	if s.Paused == nil {
		return info, nil
	}
	running, err := q.List(ctx, queue.Running, queue.ID{}, 1) // after the barrier nothing is added to it
	if info.Drained = err == nil && len(running) == 0; info.Drained {
		info.Running = 0
	}
	return info, err
}

// shownDeeds is how many deeds come with a queue.
const shownDeeds = 20

// Queue implements [api.Queues].
func (d Desk) Queue(ctx context.Context, of queue.Service) (api.QueueInfo, error) {
	q, l, err := d.find(ctx, of)
	if err != nil {
		return api.QueueInfo{}, err
	}
	info, err := look(ctx, q, l)
	if err != nil {
		return info, err
	}
	info.Activity = d.counted(ctx)[l.Service]
	info.Deeds, err = q.Deeds(ctx, shownDeeds)
	return info, err
}

// Jobs implements [api.Queues].
func (d Desk) Jobs(ctx context.Context, of queue.Service, s queue.State, after queue.ID, limit int) ([]queue.Status, error) {
	if err := check(s); err != nil {
		return nil, err
	}
	q, _, err := d.find(ctx, of)
	if err != nil {
		return nil, err
	}
	l, err := q.List(ctx, s, after, min(limit, api.MaxJobs))
	for i := range l {
		l[i].Result = nil
	}
	return l, err
}

// check refuses a word that is no state.
func check(s queue.State) error {
	if slices.Contains(queue.States, s) {
		return nil
	}
	words := make([]string, len(queue.States))
	for i, s := range queue.States {
		words[i] = string(s)
	}
	return &semper.Error{Code: semper.Invalid, Op: "queue", Message: fmt.Sprintf("%q is no state of a job", s), Hint: "it is one of " + strings.Join(words, ", ")}
}

// Job implements [api.Queues].
func (d Desk) Job(ctx context.Context, of queue.Service, id queue.ID) (api.JobInfo, error) {
	q, _, err := d.find(ctx, of)
	if err != nil {
		return api.JobInfo{}, err
	}
	s, err := q.Get(ctx, id)
	if err != nil {
		return api.JobInfo{}, err
	}
	info := api.JobInfo{Status: s}
	if r := s.Result; r != nil {
		info.Result, info.Response = nil, response(*r)
	}
	switch j, err := q.Peek(ctx, id); {
	case err == nil:
		info.Request = request(j.Request)
	case !errors.Is(err, queue.ErrState) && !errors.Is(err, queue.ErrNotFound): // it has ended, and its request is gone
		return info, err
	}
	return info, nil
}

// PauseQueue implements [api.Queues].
func (d Desk) PauseQueue(ctx context.Context, of queue.Service, by queue.By) (api.QueueInfo, error) {
	q, l, err := d.find(ctx, of)
	if err != nil {
		return api.QueueInfo{}, err
	}
	was, err := q.Stats(ctx)
	if err == nil {
		_, err = q.Pause(ctx, by)
	}
	if err != nil {
		return api.QueueInfo{}, err
	}
	if was.Paused == nil {
		d.tell(ctx, l.Service, "queue.paused", by, "no job of "+l.Service.Service+" starts any more")
	}
	return look(ctx, q, l)
}

// ResumeQueue implements [api.Queues].
func (d Desk) ResumeQueue(ctx context.Context, of queue.Service, by queue.By) (api.QueueInfo, error) {
	q, l, err := d.find(ctx, of)
	if err != nil {
		return api.QueueInfo{}, err
	}
	was, err := q.Stats(ctx)
	if err == nil {
		err = q.Resume(ctx, by)
	}
	if err != nil {
		return api.QueueInfo{}, err
	}
	if was.Paused != nil {
		d.tell(ctx, l.Service, "queue.resumed", by, "jobs of "+l.Service.Service+" start again")
	}
	return look(ctx, q, l)
}

// toTell is how long to wait for somebody who stores events.
const toTell = 10 * time.Second

// tell has an event stored. The engine has the deed itself, so what cannot be told is not undone.
func (d Desk) tell(ctx context.Context, s queue.Service, kind string, by queue.By, message string) {
	if by.Why != "" {
		message += ": " + by.Why
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), toTell)
	defer cancel()
	err := d.Tell(ctx, semper.Event{Kind: kind, App: s.App, Environment: s.Environment, By: by.Who, Message: message})
	if err != nil {
		d.Log.Warn("what was done to a queue is not among the events, only with the queue", "queue", s.String(), "kind", kind, "by", by.Who, "error", err)
	}
}

// RetryJobs implements [api.Queues].
func (d Desk) RetryJobs(ctx context.Context, of queue.Service, which api.JobChoice, by queue.By) (int, error) {
	if which.State != "" && which.State != queue.Dead {
		return 0, &semper.Error{Code: semper.Invalid, Op: "queue retry", Message: "only dead jobs are retried, not " + string(which.State) + " ones"}
	}
	return d.each(ctx, of, which, by, "queue.retried", "retried", queue.Queue.Retry)
}

// DiscardJobs implements [api.Queues].
func (d Desk) DiscardJobs(ctx context.Context, of queue.Service, which api.JobChoice, by queue.By) (int, error) {
	if s := cmp.Or(which.State, queue.Dead); s == queue.Running || s.Terminal() && s != queue.Dead {
		return 0, &semper.Error{Code: semper.Invalid, Op: "queue discard", Message: "jobs that are " + string(s) + " are not discarded", Hint: "those that are queued, delayed or dead are"}
	}
	return d.each(ctx, of, which, by, "queue.discarded", "discarded", queue.Queue.Discard)
}

type deed func(q queue.Queue, ctx context.Context, by queue.By, ids ...queue.ID) (int, error)

// each does something to the jobs chosen, and tells of those that it was done to.
func (d Desk) each(ctx context.Context, of queue.Service, which api.JobChoice, by queue.By, kind, word string, do deed) (n int, err error) {
	if which.All == (len(which.IDs) > 0) {
		return 0, &semper.Error{Code: semper.Invalid, Op: kind, Message: "it takes jobs, or all of them", Hint: "name their ids, or say --all"}
	}
	q, l, err := d.find(ctx, of)
	if err != nil {
		return 0, err
	}
	defer func() {
		if n > 0 {
			noun := "jobs"
			if n == 1 {
				noun = "job"
			}
			d.tell(ctx, l.Service, kind, by, fmt.Sprintf("%d %s of %s %s", n, noun, l.Service.Service, word))
		}
	}()
	if !which.All {
		return do(q, ctx, by, which.IDs...)
	}
	return all(ctx, q, cmp.Or(which.State, queue.Dead), by, do)
}

// all does something to every job in a state. One that is no longer in it has been seen to by others.
func all(ctx context.Context, q queue.Queue, s queue.State, by queue.By, do deed) (n int, err error) {
	if err := check(s); err != nil {
		return 0, err
	}
	for after := (queue.ID{}); ; {
		list, err := q.List(ctx, s, after, api.MaxJobs)
		if err != nil || len(list) == 0 {
			return n, err
		}
		ids := make([]queue.ID, len(list))
		for i := range list {
			ids[i] = list[i].ID
		}
		after = ids[len(ids)-1]
		for len(ids) > 0 {
			done, err := do(q, ctx, by, ids...)
			n, ids = n+done, ids[done:]
			if err == nil {
				break
			}
			if !errors.Is(err, queue.ErrState) && !errors.Is(err, queue.ErrNotFound) || len(ids) == 0 {
				return n, err
			}
			ids = ids[1:]
		}
	}
}
