package mem

import (
	"context"
	"time"

	"semper/queue"
	"semper/queue/backlog"
)

// Queue is one service's, as one engine has it.
type Queue struct {
	engine *Engine
	m      *memory
}

var _ queue.Queue = (*Queue)(nil)

// enter locks the memory and brings it to now. Without an error, the caller unlocks.
func (q *Queue) enter(ctx context.Context) (time.Time, error) {
	if err := ctx.Err(); err != nil {
		return time.Time{}, err
	}
	if q.engine.closed() {
		return time.Time{}, queue.Closed()
	}
	q.m.w.mu.Lock()
	now := time.Now()
	q.m.tick(now)
	return now, nil
}

func (q *Queue) leave() { q.m.w.mu.Unlock() }

// until calls f, under the lock, whenever something may have changed, until it gives true.
func (q *Queue) until(ctx context.Context, f func(now time.Time) bool) error {
	for {
		now, err := q.enter(ctx)
		if err != nil {
			return err
		}
		ok := f(now)
		changed, wake := q.m.changed, q.m.back.Wake(now)
		q.leave()
		if ok {
			return nil
		}
		if wake.IsZero() {
			wake = now.Add(time.Hour)
		}
		t := time.NewTimer(wake.Sub(now))
		select {
		case <-changed:
		case <-t.C:
		case <-ctx.Done():
		case <-q.engine.done:
		}
		t.Stop()
	}
}

// Enqueue takes a job.
func (q *Queue) Enqueue(ctx context.Context, j queue.Job) (queue.Receipt, error) {
	now, err := q.enter(ctx)
	if err != nil {
		return queue.Receipt{}, err
	}
	defer q.leave()
	m := q.m
	if err := j.Check(m.policy, now); err != nil {
		return queue.Receipt{}, err
	}
	if k, ok := m.keys[j.DedupKey]; ok && j.DedupKey != "" && k.until.After(now) {
		if k.digest != j.Digest() {
			return queue.Receipt{}, queue.Reused(k.id)
		}
		return queue.Receipt{ID: k.id, Duplicate: true, Revision: m.w.revision}, nil
	}
	size := j.Size()
	if err := m.back.Hold(size); err != nil {
		return queue.Receipt{}, err
	}
	m.back.Unhold(size)
	j = copied(j.Ready(m.policy, now))
	if m.jobs[j.ID] != nil {
		return queue.Receipt{}, queue.InState(j.ID, queue.Queued, "new")
	}
	rev := m.tell()
	m.jobs[j.ID] = &record{job: j, size: size}
	if j.DedupKey != "" {
		m.keys[j.DedupKey] = known{id: j.ID, digest: j.Digest(), until: now.Add(m.policy.Dedup)}
	}
	m.back.Add(backlog.Entry{ID: j.ID, Revision: rev, Priority: int8(j.Priority), Key: j.Key, Size: size,
		Accepted: j.Accepted, Expires: j.Expires, At: j.NotBefore}, now)
	return queue.Receipt{ID: j.ID, Revision: rev}, nil
}

// copied shares no memory with j.
func copied(j queue.Job) queue.Job {
	j.Request.Body = append([]byte(nil), j.Request.Body...)
	j.Request.Header = j.Request.Header.Clone()
	return j
}

// Claim gives jobs to a worker.
func (q *Queue) Claim(ctx context.Context, worker string, n int) (claims []queue.Claim, err error) {
	err = q.until(ctx, func(now time.Time) bool {
		picked := q.m.back.Next(now, max(n, 1))
		if len(picked) == 0 {
			return false
		}
		rev := q.m.tell()
		for _, e := range picked {
			r := q.m.jobs[e.ID]
			r.begun++
			r.now = queue.Attempt{Number: r.begun, Started: now.Round(0), Worker: worker}
			q.m.back.Started(e.ID, r.begun, rev, now.Add(q.m.policy.Lease), now)
			claims = append(claims, queue.Claim{Job: copied(r.job), For: q.m.policy.Lease,
				Lease: queue.Lease{ID: e.ID, Attempt: r.begun, Token: rev}})
		}
		return true
	})
	return claims, err
}

// held is the record that l holds, under the lock.
func (q *Queue) held(l queue.Lease) (*record, error) {
	if e := q.m.back.Get(l.ID); e == nil || e.State() != queue.Running || e.Token != l.Token {
		return nil, queue.Lost(l)
	}
	return q.m.jobs[l.ID], nil
}

// Extend begins the lease anew.
func (q *Queue) Extend(ctx context.Context, l queue.Lease) error {
	now, err := q.enter(ctx)
	if err != nil {
		return err
	}
	defer q.leave()
	if !q.m.back.Extend(l.ID, l.Token, now.Add(q.m.policy.Lease)) {
		return queue.Lost(l)
	}
	return nil
}

// Complete ends the job.
func (q *Queue) Complete(ctx context.Context, l queue.Lease, res queue.Result) error {
	now, err := q.enter(ctx)
	if err != nil {
		return err
	}
	defer q.leave()
	r, err := q.held(l)
	if err != nil {
		return err
	}
	a := r.now
	a.Ended, a.Status = now.Round(0), res.Status
	r.history = queue.Remember(r.history, a)
	res.Body, res.Header = append([]byte(nil), res.Body...), res.Header.Clone()
	q.m.end(r, queue.Done, "", &res, now)
	return nil
}

// Fail ends the attempt.
func (q *Queue) Fail(ctx context.Context, l queue.Lease, f queue.Failure) (queue.State, error) {
	now, err := q.enter(ctx)
	if err != nil {
		return "", err
	}
	defer q.leave()
	r, err := q.held(l)
	if err != nil {
		return "", err
	}
	return q.m.fail(r, f, now), nil
}

// Release undoes a claim.
func (q *Queue) Release(ctx context.Context, l queue.Lease) error {
	now, err := q.enter(ctx)
	if err != nil {
		return err
	}
	defer q.leave()
	r, err := q.held(l)
	if err != nil {
		return err
	}
	r.begun--
	q.m.back.Back(l.ID, r.begun, time.Time{}, now)
	q.m.tell()
	return nil
}
