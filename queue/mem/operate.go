package mem

import (
	"bytes"
	"context"
	"slices"
	"time"

	"semper/queue"
	"semper/queue/backlog"
)

// Pause is a barrier.
func (q *Queue) Pause(ctx context.Context, by queue.By) (queue.Pause, error) {
	now, err := q.enter(ctx)
	if err != nil {
		return queue.Pause{}, err
	}
	defer q.leave()
	if q.m.pause == nil {
		q.m.pause = &queue.Pause{By: by, Since: now.Round(0), Revision: q.m.tell()}
		q.m.back.Pause(true)
		q.m.did(by, "pause", nil, now)
	}
	return *q.m.pause, nil
}

// Resume ends a pause.
func (q *Queue) Resume(ctx context.Context, by queue.By) error {
	now, err := q.enter(ctx)
	if err != nil {
		return err
	}
	defer q.leave()
	if q.m.pause != nil {
		q.m.pause = nil
		q.m.back.Pause(false)
		q.m.did(by, "resume", nil, now)
		q.m.tell()
	}
	return nil
}

func (m *memory) did(by queue.By, what string, ids []queue.ID, now time.Time) {
	m.deeds = append(m.deeds, queue.Deed{By: by, At: now.Round(0), What: what, IDs: slices.Clone(ids)})
}

// Drained waits until nothing runs.
func (q *Queue) Drained(ctx context.Context) error {
	return q.until(ctx, func(now time.Time) bool { return q.m.back.Stats(now).Running == 0 })
}

// Retry makes dead jobs queued.
func (q *Queue) Retry(ctx context.Context, by queue.By, ids ...queue.ID) (int, error) {
	return q.each(ctx, by, "retry", ids, func(r *record, now time.Time) error {
		if s := q.m.stateOf(r); s != queue.Dead {
			return queue.InState(r.job.ID, s, "dead")
		}
		r.state, r.why, r.result, r.ended, r.spent = "", "", nil, time.Time{}, r.begun
		r.job.Expires = time.Time{}
		q.m.back.Remove(r.job.ID, now)
		q.m.back.Add(entryOf(r, q.m.w.revision+1), now)
		q.m.tell()
		return nil
	})
}

// entryOf is the entry of a job that is queued again, behind what is there.
func entryOf(r *record, revision int64) backlog.Entry {
	j := r.job
	return backlog.Entry{ID: j.ID, Revision: revision, Priority: int8(j.Priority), Key: j.Key, Size: r.size, Accepted: j.Accepted, Attempt: int32(r.begun)}
}

// Discard ends jobs that do not run.
func (q *Queue) Discard(ctx context.Context, by queue.By, ids ...queue.ID) (int, error) {
	return q.each(ctx, by, "discard", ids, func(r *record, now time.Time) error {
		if s := q.m.stateOf(r); s != queue.Dead && s != queue.Queued && s != queue.Delayed {
			return queue.InState(r.job.ID, s, "queued, delayed or dead")
		}
		q.m.end(r, queue.Discarded, "discarded by "+by.Who, r.result, now)
		return nil
	})
}

func (q *Queue) each(ctx context.Context, by queue.By, what string, ids []queue.ID, do func(*record, time.Time) error) (n int, err error) {
	if len(ids) > queue.MaxIDs {
		return 0, queue.TooMany(len(ids))
	}
	now, err := q.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer q.leave()
	for _, id := range ids {
		r := q.m.jobs[id]
		if r == nil {
			err = queue.Unknown(id)
		} else {
			err = do(r, now)
		}
		if err != nil {
			break
		}
		n++
	}
	if n > 0 {
		q.m.did(by, what, ids[:n], now)
	}
	return n, err
}

// Deeds are what operators did, newest first.
func (q *Queue) Deeds(ctx context.Context, limit int) ([]queue.Deed, error) {
	if _, err := q.enter(ctx); err != nil {
		return nil, err
	}
	defer q.leave()
	all := slices.Clone(q.m.deeds)
	slices.Reverse(all)
	return all[:min(len(all), max(limit, 0))], nil
}

func (m *memory) stateOf(r *record) queue.State {
	if r.state != "" {
		return r.state
	}
	return m.back.Get(r.job.ID).State()
}

func (m *memory) status(r *record) queue.Status {
	j := r.job
	s := queue.Status{ID: j.ID, State: m.stateOf(r), Key: j.Key, Priority: j.Priority, Accepted: j.Accepted, NotBefore: j.NotBefore, Expires: j.Expires,
		Ended: r.ended, Size: r.size, Attempts: slices.Clone(r.history), Why: r.why, Result: r.result}
	if s.State == queue.Delayed {
		s.Due = m.back.Get(j.ID).At.Round(0)
	}
	if s.State.Terminal() {
		s.Kept = r.kept.Round(0)
	}
	if s.State == queue.Running {
		s.Attempts = queue.Remember(r.history, r.now)
	}
	return s
}

// Get is a job's status.
func (q *Queue) Get(ctx context.Context, id queue.ID) (queue.Status, error) {
	if _, err := q.enter(ctx); err != nil {
		return queue.Status{}, err
	}
	defer q.leave()
	r := q.m.jobs[id]
	if r == nil {
		return queue.Status{}, queue.Unknown(id)
	}
	return q.m.status(r), nil
}

// Wait is Get as soon as the job is terminal.
func (q *Queue) Wait(ctx context.Context, id queue.ID) (queue.Status, error) {
	if s, err := q.Get(context.WithoutCancel(ctx), id); err != nil || s.State.Terminal() {
		return s, err
	}
	err := q.until(ctx, func(time.Time) bool { r := q.m.jobs[id]; return r == nil || r.state.Terminal() })
	if err != nil && ctx.Err() == nil {
		return queue.Status{}, err
	}
	return q.Get(context.WithoutCancel(ctx), id)
}

// Peek is a job with its request.
func (q *Queue) Peek(ctx context.Context, id queue.ID) (queue.Job, error) {
	if _, err := q.enter(ctx); err != nil {
		return queue.Job{}, err
	}
	defer q.leave()
	r := q.m.jobs[id]
	if r == nil {
		return queue.Job{}, queue.Unknown(id)
	}
	if s := q.m.stateOf(r); s.Terminal() && s != queue.Dead {
		return queue.Job{}, queue.InState(id, s, "one that still has its request")
	}
	return copied(r.job), nil
}

// List is jobs in one state.
func (q *Queue) List(ctx context.Context, s queue.State, after queue.ID, limit int) ([]queue.Status, error) {
	if _, err := q.enter(ctx); err != nil {
		return nil, err
	}
	defer q.leave()
	var ids []queue.ID
	for id, r := range q.m.jobs {
		if q.m.stateOf(r) == s && bytes.Compare(id[:], after[:]) > 0 {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b queue.ID) int { return bytes.Compare(a[:], b[:]) })
	var out []queue.Status
	for _, id := range ids[:min(len(ids), max(limit, 0))] {
		out = append(out, q.m.status(q.m.jobs[id]))
	}
	return out, nil
}

// Stats are the queue in numbers.
func (q *Queue) Stats(ctx context.Context) (queue.Stats, error) {
	now, err := q.enter(ctx)
	if err != nil {
		return queue.Stats{}, err
	}
	defer q.leave()
	s := q.m.back.Stats(now)
	s.Paused, s.Dispatcher = q.m.pause, "mem"
	return s, nil
}
