package etcd

import (
	"context"
	"errors"
	"slices"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/backlog"
	"semper/queue/etcd/line"
	"semper/queue/etcd/record"
	"semper/store"
)

// maxBatch is how many jobs one commit claims. Each is at most two conditions and two writes, beside the three of all.
const maxBatch = (store.MaxOps - 3) / 4

// Claim gives jobs to a worker, as soon as this process dispatches and there are any.
func (q *Queue) Claim(ctx context.Context, worker string, n int) ([]queue.Claim, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	a := q.askers.Join(worker, min(max(n, 1), maxBatch))
	q.nudge()
	return q.askers.Wait(ctx, q.e.ctx, a)
}

// dispatch hands out jobs and ends leases until ctx ends or the backlog is in doubt.
func (q *Queue) dispatch(ctx context.Context, t *term, bell <-chan []semper.Change) error {
	for ctx.Err() == nil && !t.doubt.Load() {
		handed, err := q.hand(ctx, t)
		if err != nil {
			return err
		}
		lapsed, err := q.lapses(ctx, t)
		if err != nil {
			return err
		}
		if handed || lapsed {
			select { // a bell is heard also by who has much to do
			case changes, ok := <-bell:
				if !ok {
					return nil
				}
				q.hear(t, changes)
			default:
			}
			continue
		}
		timer := time.NewTimer(q.idle(t))
		select {
		case <-q.wake:
		case <-timer.C:
		case changes, ok := <-bell:
			if !ok {
				timer.Stop()
				return nil
			}
			q.hear(t, changes)
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// look is the longest that a queue sleeps while a job waits for a time of day: the clock may be set meanwhile, which no timer notices.
const look = 10 * time.Second

// idle is how long nothing becomes due.
func (q *Queue) idle(t *term) time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	t.back.Due(now)
	if at := t.back.Wake(now); !at.IsZero() {
		return min(max(at.Sub(now), 0), look)
	}
	return time.Hour
}

// hear brings the backlog to what others have changed.
func (q *Queue) hear(t *term, changes []semper.Change) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range changes {
		t.belled = c.Version
		if c.Deleted || c.Version <= t.base || t.own[c.Version] {
			delete(t.own, c.Version)
			continue
		}
		var notices []notice
		if _, err := record.Unpack(c.Key, c.Value, &notices); err != nil {
			t.doubt.Store(true)
			return
		}
		for _, n := range notices {
			q.forgetLocked(n)
		}
		t.apply(q, c.Version, notices)
	}
}

// hand gives jobs that may start to those who wait for them, in one commit.
func (q *Queue) hand(ctx context.Context, t *term) (bool, error) {
	shares, picks := q.pick(t)
	if len(picks) == 0 {
		return false, nil
	}
	starts, err := q.prepare(ctx, t, shares, picks)
	if err == nil && len(starts) > 0 {
		err = q.start(ctx, t, starts)
	}
	if err != nil {
		q.putBack(t, picks)
	}
	q.answer(shares, starts)
	return err == nil, err
}

// answer gives shares the claims that were written down. Who got nothing waits on, before those who came later.
func (q *Queue) answer(shares []line.Share, starts []*starting) {
	var rest []*line.Asker
	for _, s := range shares {
		var claims []queue.Claim
		for _, st := range starts {
			if st.to == s.Asker && st.claim != nil {
				claims = append(claims, *st.claim)
			}
		}
		if len(claims) == 0 {
			rest = append(rest, s.Asker)
			continue
		}
		s.Answer(claims)
	}
	if len(rest) > 0 {
		q.askers.Back(rest...)
		q.nudge()
	}
}

func (q *Queue) pick(t *term) (shares []line.Share, picks []*backlog.Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	shares = q.askers.Take(func(want int) int {
		picks = t.back.Next(time.Now(), min(want, maxBatch))
		return len(picks)
	})
	return shares, picks
}

// putBack undoes a pick. What became of the jobs is read again where it is not known.
func (q *Queue) putBack(t *term, picks []*backlog.Entry) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	for _, e := range picks {
		if e.State() != queue.Running || e.Token != 0 || t.back.Get(e.ID) != e {
			continue
		}
		note := e.Note
		t.back.Back(e.ID, int(e.Attempt), time.Time{}, now)
		t.back.Note(e.ID, note)
	}
}

// start commits the claims: on condition that this process dispatches, that the queue is not paused, and that each job
// still waits.
func (q *Queue) start(ctx context.Context, t *term, starts []*starting) error {
	txn := semper.Txn{If: []semper.Condition{t.fence, {Key: q.prefix + kPause}}}
	q.mu.Lock()
	if q.policy.Order != queue.OrderNone { // who was accepted by another process before starts before
		txn.If = append(txn.If, semper.Condition{Key: q.prefix + kBell, Version: t.belled})
	}
	q.mu.Unlock()
	for _, s := range starts {
		text, err := record.Pack(nil, s.state)
		if err != nil {
			return err
		}
		for _, c := range s.when {
			if !slices.Contains(txn.If, c) { // jobs of one block say so together
				txn.If = append(txn.If, c)
			}
		}
		txn.Then = append(txn.Then, semper.Write{Key: q.key(kRun, s.job.ID), Value: text})
		if s.entry.Note != 0 {
			txn.Then = append(txn.Then, semper.Write{Key: q.key(kDelay, s.job.ID), Delete: true})
		}
	}
	revision, err := q.e.store.Commit(ctx, txn)
	switch {
	case errors.Is(err, semper.ErrConflict):
		return q.sort(ctx, t, starts)
	case err != nil:
		q.doubt(t)
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.began(starts, revision)
	t.began(starts, revision)
	return nil
}

// began makes claims of attempts that were written down at revision.
func (q *Queue) began(starts []*starting, revision int64) {
	for _, s := range starts {
		s.state.Settle(revision)
		q.held[s.job.ID] = held{state: s.state, token: revision}
		s.claim = &queue.Claim{Job: s.job, For: q.policy.Lease, Lease: queue.Lease{ID: s.job.ID, Attempt: s.state.Attempt, Token: revision}}
	}
}

func (t *term) began(starts []*starting, revision int64) {
	now := time.Now()
	for _, s := range starts {
		t.back.Started(s.job.ID, s.state.Attempt, revision, now.Add(t.back.Policy().Lease), now)
		t.back.Saw(s.job.ID, revision)
	}
}
