package queues

import (
	"context"
	"slices"
	"time"

	"semper"
	"semper/api"
	"semper/queue"
	"semper/queue/meter"
)

// toCount is how long who counts may take.
const toCount = 2 * time.Second

// counted is what happens to queues. Nobody waits for who counts: without an answer nothing is told of it.
func (d Desk) counted(ctx context.Context) map[queue.Service]*api.QueueActivity {
	if d.Counters == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, toCount)
	defer cancel()
	all, err := d.Counters.Readings(ctx, queue.Service{})
	if err != nil {
		return nil
	}
	out := make(map[queue.Service]*api.QueueActivity, len(all))
	for i := range all {
		out[all[i].Service] = activity(&all[i])
	}
	return out
}

func activity(r *meter.Reading) *api.QueueActivity {
	a := &api.QueueActivity{Since: r.Since, Total: r.Total, Lately: r.Lately, Over: semper.Duration(r.Over.Round(time.Millisecond))}
	if half, _, ok := r.Recent.Within(.5); ok {
		most, _, _ := r.Recent.Within(.99)
		a.Half, a.Most = semper.Duration(half), semper.Duration(most)
	}
	return a
}

// QueuePast implements [api.Queues].
func (d Desk) QueuePast(ctx context.Context, of queue.Service) ([]meter.Point, error) {
	_, l, err := d.find(ctx, of)
	if err != nil || d.Counters == nil {
		return nil, err
	}
	all, err := d.Counters.Readings(ctx, l.Service)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return all[0].Past, nil
}

// near is how far back the newest jobs are looked for first; each further look goes back eight times as far. An id begins with the
// time of its acceptance, and an engine lists by id from one on.
const near = 100 * time.Millisecond

// Newest implements [api.Queues].
func (d Desk) Newest(ctx context.Context, of queue.Service, s queue.State, limit int) ([]queue.Status, error) {
	if err := check(s); err != nil {
		return nil, err
	}
	q, _, err := d.find(ctx, of)
	if err != nil {
		return nil, err
	}
	limit = min(max(limit, 1), api.MaxJobs)
	now := time.Now()
	for back := near; ; back *= 8 {
		var from queue.ID // the beginning of time
		all := back > 10*365*24*time.Hour
		if !all {
			from = queue.IDAt(now.Add(-back))
		}
		list, err := tail(ctx, q, s, from, limit)
		if err != nil {
			return nil, err
		}
		if len(list) < limit && !all {
			continue
		}
		slices.Reverse(list)
		for i := range list {
			list[i].Result = nil
		}
		return list, nil
	}
}

// tail is the last jobs in a state of those after an id.
func tail(ctx context.Context, q queue.Viewer, s queue.State, after queue.ID, n int) ([]queue.Status, error) {
	var last []queue.Status
	for {
		page, err := q.List(ctx, s, after, api.MaxJobs)
		if err != nil {
			return nil, err
		}
		last = append(last, page...)
		last = slices.Clone(last[max(0, len(last)-n):])
		if len(page) < api.MaxJobs {
			return last, nil
		}
		after = page[len(page)-1].ID
	}
}
