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

// starting is a job whose claim is being written down.
type starting struct {
	to     *line.Asker
	entry  *backlog.Entry
	job    queue.Job
	key    string             // of its record
	packed bool               // that is a block
	state  state              // its record under run
	when   []semper.Condition // it still waits, and stands where it stood
	claim  *queue.Claim       // when it is written

	op   *op // that accepts the job at the same time, and the place it starts from; nil: it waited
	seat *backlog.Seat
}

// attempt is the record of the attempt that begins now.
func (st *starting) attempt(n int, now time.Time) {
	st.state.Attempt = n
	st.state.Now = queue.Attempt{Number: n, Started: now.Round(0), Worker: st.to.Worker}
}

// prepare reads what the jobs of shares are. One that is gone leaves the backlog; one whose record is damaged is buried,
// so that it does not stand in the way of the others.
func (q *Queue) prepare(ctx context.Context, t *term, shares []line.Share, picks []*backlog.Entry) (starts []*starting, err error) {
	var keys []string
	q.mu.Lock()
	now := time.Now()
	for _, s := range shares {
		for range s.Jobs {
			e := picks[len(starts)]
			st := &starting{to: s.Asker, entry: e, key: q.key(kJob, e.ID)}
			version := e.Revision
			if k := t.pages[e.Page].block; k != nil {
				st.key, st.packed, version = q.blockKey(k.name), true, k.version
				st.when = append(st.when, semper.Condition{Key: st.key, Version: version})
			}
			switch {
			case e.Note != 0:
				st.when = append(st.when, semper.Condition{Key: q.key(kDelay, e.ID), Version: e.Note})
				keys = append(keys, q.key(kDelay, e.ID))
			case st.packed:
				st.when = append(st.when, semper.Condition{Key: q.key(kRes, e.ID)})
			default:
				st.when = append(st.when, semper.Condition{Key: st.key, Version: version})
			}
			j, ok := q.recent.take(e.ID)
			if st.job = j; (!ok || e.Note != 0) && !slices.Contains(keys, st.key) {
				keys = append(keys, st.key)
			}
			starts = append(starts, st)
		}
	}
	q.mu.Unlock()
	items, err := q.fetchAll(ctx, keys)
	if err != nil {
		return nil, err
	}
	good := starts[:0]
	for _, st := range starts {
		switch err := q.fillIn(st, items, now); {
		case err == nil:
			good = append(good, st)
		case errors.Is(err, queue.ErrNotFound):
			q.mu.Lock()
			t.back.Remove(st.entry.ID, time.Now())
			q.mu.Unlock()
		case semper.CodeOf(err) == semper.Tampered || semper.CodeOf(err) == semper.NotFound:
			if err := q.buryDamaged(ctx, t, st, err); err != nil {
				return nil, err
			}
		default:
			return nil, err
		}
	}
	return good, nil
}

// fetched is an item, or its version and why it cannot be read.
type fetched struct {
	semper.Item
	err error
}

// fetchAll reads keys, also where one of them is damaged.
func (q *Queue) fetchAll(ctx context.Context, keys []string) (map[string]fetched, error) {
	out := make(map[string]fetched, len(keys))
	if len(keys) == 0 {
		return out, nil
	}
	items, err := q.e.store.Fetch(ctx, keys...)
	if err == nil {
		for _, it := range items {
			out[it.Key] = fetched{Item: it}
		}
		return out, nil
	}
	if semper.CodeOf(err) != semper.Tampered {
		return nil, err
	}
	for _, key := range keys {
		it, err := q.e.store.Get(ctx, key)
		switch {
		case errors.Is(err, semper.ErrNotFound):
			it, err = semper.Item{Key: key}, nil
		case semper.CodeOf(err) == semper.Tampered:
			if it, err = q.versionOf(ctx, key, err); it.Version == 0 {
				return nil, err
			}
		case err != nil:
			return nil, err
		}
		out[key] = fetched{it, err}
	}
	return out, nil
}

// versionOf is all that can be known of a damaged item, with the damage, or an error with no item.
func (q *Queue) versionOf(ctx context.Context, key string, damage error) (semper.Item, error) {
	item := semper.Item{Key: key}
	_, err := q.e.store.Scan(ctx, []store.Range{{Prefix: key, Keys: true}}, func(it semper.Item) error {
		if it.Key == key {
			item = it
		}
		return nil
	})
	if err != nil {
		return semper.Item{}, err
	}
	return item, damage
}

// fillIn makes the record of the attempt that begins.
func (q *Queue) fillIn(st *starting, items map[string]fetched, now time.Time) error {
	id := st.entry.ID
	var m meta
	if _, ok := items[st.key]; ok && (st.job.ID != id || st.entry.Note != 0) {
		h := q.home(items, id)
		if !h.there() {
			return queue.Unknown(id)
		}
		var err error
		if m, st.job, err = q.jobOf(id, h); err != nil {
			return err
		}
		st.state = state{Meta: m, Order: h.Version}
	} else {
		m = record.MetaOf(st.job, st.entry.Place)
		st.state = state{Meta: m, Order: st.entry.Revision}
	}
	if st.entry.Note != 0 {
		it := items[q.key(kDelay, id)]
		if it.err != nil {
			return it.err
		}
		if it.Version == 0 {
			return queue.Unknown(id)
		}
		if _, err := record.Unpack(it.Key, it.Value, &st.state); err != nil {
			return err
		}
		st.state.Order = st.entry.Revision
	}
	st.state.Meta.Packed = st.packed
	st.state.Requeue, st.state.Due = false, time.Time{}
	st.attempt(int(st.entry.Attempt)+1, now)
	return nil
}

// buryDamaged makes a job dead whose record cannot be read, and leaves the record where it is.
func (q *Queue) buryDamaged(ctx context.Context, t *term, st *starting, why error) error {
	e := st.entry
	s := unreadable(meta{Schema: record.Schema, Key: e.Key, Priority: int(e.Priority), Accepted: e.Accepted, Size: e.Size}, why, time.Now(), q.rules())
	s.Order, s.Attempt = e.Revision, int(e.Attempt)
	text, err := record.Pack(nil, s)
	if err != nil {
		return err
	}
	txn := semper.Txn{If: []semper.Condition{{Key: q.key(kDead, e.ID)}}, Then: []semper.Write{{Key: q.key(kDead, e.ID), Value: text}}}
	if e.Note != 0 {
		txn.Then = append(txn.Then, semper.Write{Key: q.key(kDelay, e.ID), Delete: true})
	}
	q.e.log.Error("queue: a job cannot be read and is dead now", "service", q.service.String(), "job", e.ID.String(), "error", why)
	_, err = q.commit(ctx, txn, notice{Kind: record.Bury, ID: e.ID, Attempt: s.Attempt})
	if errors.Is(err, semper.ErrConflict) {
		q.doubt(t)
		return nil
	}
	return err
}

// unreadable is the record of a job that is dead because another of its records cannot be read.
func unreadable(m meta, why error, now time.Time, p queue.Policy) state {
	return state{Meta: m, Why: "it cannot be read: " + why.Error(), Ended: now.Round(0), Kept: now.Add(p.RetainDead).Round(0)}
}

// sort finds out why claims were refused: another dispatches, the queue was paused, something was accepted before, or
// one of the jobs no longer waits.
func (q *Queue) sort(ctx context.Context, t *term, starts []*starting) error {
	if gone, err := q.lost(t); gone || err != nil {
		return err
	}
	var keys []string
	for _, s := range starts {
		for _, c := range s.when {
			keys = append(keys, c.Key)
		}
	}
	items, err := q.versions(ctx, keys)
	if err != nil {
		return err
	}
	p, err := q.paused(ctx)
	if err != nil {
		return err
	}
	var picks []*backlog.Entry
	stale := false
	for _, s := range starts {
		picks = append(picks, s.entry)
		for _, c := range s.when {
			stale = stale || items[c.Key] != c.Version
		}
	}
	q.putBack(t, picks)
	q.mu.Lock()
	t.pause = p
	t.back.Pause(p != nil)
	q.mu.Unlock()
	if stale { // what became of it is on its way over the bell, or was missed
		for _, s := range starts {
			if err := q.resync(ctx, t, s.entry.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// versions are those of keys, without their values, also where one is damaged.
func (q *Queue) versions(ctx context.Context, keys []string) (map[string]int64, error) {
	out := make(map[string]int64, len(keys))
	slices.Sort(keys)
	items, err := q.fetchAll(ctx, slices.Compact(keys))
	for key, it := range items {
		out[key] = it.Version
	}
	return out, err
}

// resync brings the backlog to what the store has of one job.
func (q *Queue) resync(ctx context.Context, t *term, id queue.ID) error {
	items, err := q.fetchAll(ctx, append(q.homeKeys(id), q.key(kRun, id), q.key(kDelay, id), q.key(kDead, id), q.key(kRes, id)))
	if err != nil {
		return err
	}
	h := q.home(items, id)
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	t.back.Remove(id, now)
	r := &reading{q: q, b: t.back, now: now}
	for _, kind := range []string{kRun, kDelay, kDead} {
		if it := items[q.key(kind, id)]; it.Version != 0 {
			if err := r.item(it.Item); err != nil {
				return err
			}
		}
	}
	if !h.there() || h.packed && items[q.key(kRes, id)].Version != 0 {
		return nil
	}
	e := unread(id, h.Version)
	if m, err := h.meta(); err == nil {
		e = m.Entry(id, h.Version)
	} else if semper.CodeOf(err) != semper.Tampered {
		return err
	}
	t.back.Add(e, now) // unless it is there in another state
	if h.packed {
		t.back.Indexed(id, t.blockPage(q, record.BlockOf(id)))
	}
	return nil
}

// lapses ends the attempts whose leases have ended and the jobs whose time has, and reports whether there were any.
func (q *Queue) lapses(ctx context.Context, t *term) (bool, error) {
	q.mu.Lock()
	now := time.Now()
	var leases []queue.Lease
	for _, e := range t.back.Overdue(now, maxBatch) {
		leases = append(leases, queue.Lease{ID: e.ID, Attempt: int(e.Attempt), Token: e.Token})
	}
	var expired []queue.ID
	for _, e := range t.back.Expired(now, maxBatch) {
		expired = append(expired, e.ID)
	}
	q.mu.Unlock()
	var under []<-chan outcome
	var ids []queue.ID
	begin := func(id queue.ID, c change, err error) error {
		if err == nil {
			var done <-chan outcome
			if done, err = q.submit(ctx, c.txn, c.notice); err == nil {
				under, ids = append(under, done), append(ids, id)
				return nil
			}
		}
		if errors.Is(err, queue.ErrLeaseLost) || errors.Is(err, queue.ErrNotFound) {
			return q.resync(ctx, t, id)
		}
		return err
	}
	for _, l := range leases {
		c, err := q.failing(ctx, l, queue.LeaseEnded(), now)
		if err := begin(l.ID, c, err); err != nil {
			return false, err
		}
	}
	for _, id := range expired {
		c, err := q.expiring(ctx, id, now)
		if err := begin(id, c, err); err != nil {
			return false, err
		}
	}
	for i, done := range under {
		_, err := q.await(done)
		if errors.Is(err, semper.ErrConflict) { // it was ended otherwise meanwhile
			err = q.resync(ctx, t, ids[i])
		}
		if err != nil {
			return false, err
		}
	}
	return len(under) > 0, nil
}
