package etcd

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/etcd/record"
)

// change is a commit and what the dispatcher has to know of it.
type change struct {
	txn    semper.Txn
	notice notice
	state  queue.State
	files  []string // of bodies, which nobody needs after it
}

// own is the record of the attempt that l is the lease of, if it is the one that runs.
func (q *Queue) own(ctx context.Context, l queue.Lease) (state, error) {
	q.mu.Lock()
	h, ok := q.held[l.ID]
	q.mu.Unlock()
	if ok && h.token == l.Token {
		return h.state, nil
	}
	it, err := q.e.store.Get(ctx, q.key(kRun, l.ID))
	if errors.Is(err, semper.ErrNotFound) || err == nil && it.Version != l.Token {
		return state{}, queue.Lost(l)
	}
	var s state
	if err == nil {
		_, err = record.Unpack(it.Key, it.Value, &s)
		s.Settle(it.Version)
	}
	return s, err
}

// running is the condition that l holds.
func (q *Queue) running(l queue.Lease) semper.Condition {
	return semper.Condition{Key: q.key(kRun, l.ID), Version: l.Token}
}

// settled commits a change under lease l. A lease that no longer holds is lost, and nothing is changed.
func (q *Queue) settled(ctx context.Context, l queue.Lease, c change) error {
	_, err := q.commit(ctx, c.txn, c.notice)
	if errors.Is(err, semper.ErrConflict) {
		return queue.Lost(l)
	}
	if err == nil {
		q.removeFiles(c.files)
	}
	return err
}

func (q *Queue) removeFiles(names []string) {
	for _, name := range names {
		if q.bodies != nil {
			q.bodies.Remove(name)
		}
	}
}

// Extend begins the lease anew. The dispatcher's own leases are in its memory; others reach it by the bell.
func (q *Queue) Extend(ctx context.Context, l queue.Lease) error {
	if err := q.alive(ctx); err != nil {
		return err
	}
	q.mu.Lock()
	if t := q.term; t != nil && t.back != nil && !t.doubt.Load() && t.back.Extend(l.ID, l.Token, time.Now().Add(q.policy.Lease)) {
		q.mu.Unlock()
		return nil
	}
	q.mu.Unlock()
	// A commit that changes nothing but the bell: the lease holds at its revision.
	return q.settled(ctx, l, change{txn: semper.Txn{If: []semper.Condition{q.running(l)}}, notice: notice{Kind: record.Extend, ID: l.ID, Token: l.Token}})
}

func (q *Queue) alive(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if q.e.ctx.Err() != nil {
		return queue.Closed()
	}
	return nil
}

// Complete ends the job with its result.
func (q *Queue) Complete(ctx context.Context, l queue.Lease, r queue.Result) error {
	if err := q.alive(ctx); err != nil {
		return err
	}
	s, err := q.own(ctx, l)
	if err != nil {
		return err
	}
	now := time.Now()
	a := s.Now
	a.Ended, a.Status = now.Round(0), r.Status
	c, err := q.ending(l.ID, s.Meta, queue.Done, queue.Remember(s.History, a), "", &r, now)
	if err != nil {
		return err
	}
	c.txn.If = append(c.txn.If, q.running(l))
	c.txn.Then = append(c.txn.Then, semper.Write{Key: q.key(kRun, l.ID), Delete: true})
	return q.settled(ctx, l, c)
}

// ending is the change that makes a job terminal, other than dead. The caller adds what it is taken from.
func (q *Queue) ending(id queue.ID, m meta, s queue.State, history []queue.Attempt, why string, r *queue.Result, now time.Time) (c change, err error) {
	p := q.rules()
	o := over{Status: m.Status(id, s), Dedup: m.Dedup}
	o.Attempts, o.Why, o.Ended = history, why, now.Round(0)
	o.Kept = now.Add(max(p.Retain, p.Dedup)).Round(0)
	var body []byte
	if o.Reply, body, err = q.withBody(id, r); err != nil {
		return c, err
	}
	text, err := record.Pack(body, o)
	if err != nil {
		return c, err
	}
	c.txn.Then = append(q.telling(id, m), semper.Write{Key: q.key(kRes, id), Value: text})
	if !m.Packed {
		c.txn.Then = append(c.txn.Then, semper.Write{Key: q.key(kJob, id), Delete: true})
	}
	c.notice = notice{Kind: record.End, ID: id, Packed: m.Packed}
	c.state = s
	if m.Body != "" {
		c.files = append(c.files, m.Body)
	}
	return c, nil
}

// Fail ends the attempt.
func (q *Queue) Fail(ctx context.Context, l queue.Lease, f queue.Failure) (queue.State, error) {
	if err := q.alive(ctx); err != nil {
		return "", err
	}
	c, err := q.failing(ctx, l, f, time.Now())
	if err != nil {
		return "", err
	}
	return c.state, q.settled(ctx, l, c)
}

// failing is the change that ends an attempt which did not complete its job.
func (q *Queue) failing(ctx context.Context, l queue.Lease, f queue.Failure, now time.Time) (c change, err error) {
	s, err := q.own(ctx, l)
	if semper.CodeOf(err) == semper.Tampered {
		return q.buryRunning(ctx, l, err, now)
	}
	if err != nil {
		return c, err
	}
	p := q.rules()
	a := s.Now
	a.Ended, a.Status, a.Reason = now.Round(0), f.Status, f.Reason
	s.History, s.Now = queue.Remember(s.History, a), queue.Attempt{}
	next := p.After(s.Attempt-s.Spent, f, now, rand.Float64())
	kind, body := kDelay, []byte(nil)
	c.state, c.notice = queue.Delayed, notice{Kind: record.Back, ID: l.ID, Attempt: s.Attempt, Due: next.Due, Noted: true}
	s.Due = next.Due.Round(0)
	if next.Dead {
		kind, c.state, c.notice = kDead, queue.Dead, notice{Kind: record.Bury, ID: l.ID, Attempt: s.Attempt}
		s.Why, s.Ended, s.Kept, s.Due = next.Why, now.Round(0), now.Add(p.RetainDead).Round(0), time.Time{}
		if s.Result, body, err = q.withBody(l.ID, f.Result); err != nil {
			return c, err
		}
	}
	text, err := record.Pack(body, s)
	c.txn = semper.Txn{If: []semper.Condition{q.running(l)}, Then: []semper.Write{
		{Key: q.key(kind, l.ID), Value: text}, {Key: q.key(kRun, l.ID), Delete: true}}}
	if next.Dead {
		c.txn.Then = append(c.txn.Then, q.telling(l.ID, s.Meta)...)
	}
	return c, err
}

// buryRunning is the change that makes a job dead of whose attempt the record is damaged.
func (q *Queue) buryRunning(ctx context.Context, l queue.Lease, why error, now time.Time) (c change, err error) {
	items, err := q.fetchAll(ctx, q.homeKeys(l.ID))
	if err != nil {
		return c, err
	}
	s := unreadable(meta{Schema: record.Schema, Accepted: l.ID.Time()}, why, now, q.rules())
	s.Attempt = l.Attempt
	if h := q.home(items, l.ID); h.err == nil && h.there() {
		s.Order = h.Version
		if s.Meta, err = h.meta(); err != nil {
			return c, err
		}
	}
	text, err := record.Pack(nil, s)
	c.state, c.notice = queue.Dead, notice{Kind: record.Bury, ID: l.ID, Attempt: s.Attempt}
	c.txn = semper.Txn{If: []semper.Condition{q.running(l)}, Then: []semper.Write{
		{Key: q.key(kDead, l.ID), Value: text}, {Key: q.key(kRun, l.ID), Delete: true}}}
	c.txn.Then = append(c.txn.Then, q.telling(l.ID, s.Meta)...)
	return c, err
}

// Release undoes a claim.
func (q *Queue) Release(ctx context.Context, l queue.Lease) error {
	if err := q.alive(ctx); err != nil {
		return err
	}
	s, err := q.own(ctx, l)
	if err != nil {
		return err
	}
	s.Attempt--
	s.Now = queue.Attempt{}
	text, err := record.Pack(nil, s)
	if err != nil {
		return err
	}
	return q.settled(ctx, l, change{
		txn: semper.Txn{If: []semper.Condition{q.running(l)}, Then: []semper.Write{
			{Key: q.key(kDelay, l.ID), Value: text}, {Key: q.key(kRun, l.ID), Delete: true}}},
		notice: notice{Kind: record.Back, ID: l.ID, Attempt: s.Attempt, Noted: true},
	})
}

// expiring is the change that ends a waiting job whose time is over.
func (q *Queue) expiring(ctx context.Context, id queue.ID, now time.Time) (change, error) {
	return q.removing(ctx, id, queue.Expired, "its time to live ended before an attempt began", now)
}

// removing is the change that ends a job which does not run.
func (q *Queue) removing(ctx context.Context, id queue.ID, s queue.State, why string, now time.Time) (change, error) {
	items, err := q.fetchAll(ctx, append(q.homeKeys(id), q.key(kRun, id), q.key(kDelay, id), q.key(kDead, id), q.key(kRes, id)))
	if err != nil {
		return change{}, err
	}
	run, job := items[q.key(kRun, id)], q.home(items, id)
	switch {
	case run.Version != 0:
		return change{}, queue.InState(id, queue.Running, "queued, delayed or dead")
	case items[q.key(kRes, id)].Version != 0:
		return change{}, queue.InState(id, s, "queued, delayed or dead")
	case !job.there():
		return change{}, queue.Unknown(id)
	}
	st := state{Meta: meta{Schema: record.Schema, Accepted: id.Time()}} // as much as is known when nothing can be read
	if job.err == nil {
		if st.Meta, err = job.meta(); err != nil {
			return change{}, err
		}
	}
	var last *queue.Result
	var conditions []semper.Condition
	var writes []semper.Write
	for _, kind := range []string{kDelay, kDead} {
		it := items[q.key(kind, id)]
		conditions = append(conditions, semper.Condition{Key: q.key(kind, id), Version: it.Version})
		if it.Version == 0 {
			continue
		}
		writes = append(writes, semper.Write{Key: it.Key, Delete: true})
		if it.err != nil {
			continue
		}
		body, err := record.Unpack(it.Key, it.Value, &st)
		if err != nil {
			return change{}, err
		}
		if last, err = q.reply(st.Result, body); err != nil {
			return change{}, err
		}
	}
	st.Meta.Packed = job.packed
	c, err := q.ending(id, st.Meta, s, st.History, why, last, now)
	c.txn.If = append(conditions, semper.Condition{Key: q.key(kRun, id)})
	c.txn.If = append(c.txn.If, q.stands(job, id)...)
	c.txn.Then = append(c.txn.Then, writes...)
	return c, err
}
