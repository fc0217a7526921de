package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/backlog"
	"semper/queue/etcd/record"
	"semper/store"
)

// Get is a job's status: one read of all the records it may have.
func (q *Queue) Get(ctx context.Context, id queue.ID) (queue.Status, error) {
	if err := q.alive(ctx); err != nil {
		return queue.Status{}, err
	}
	keys := []string{q.key(kRes, id), q.key(kDead, id), q.key(kRun, id), q.key(kDelay, id)}
	items, err := q.fetchAll(ctx, append(q.homeKeys(id), keys...))
	if err != nil {
		return queue.Status{}, err
	}
	for _, key := range keys {
		switch it := items[key]; {
		case it.err != nil:
			return queue.Status{}, it.err
		case it.Version != 0:
			return q.statusOf(id, it.Item)
		}
	}
	h := q.home(items, id)
	if !h.there() {
		return queue.Status{}, queue.Unknown(id)
	}
	m, err := h.meta()
	return m.Status(id, queue.Queued), err
}

// statusOf reads a record of whichever kind.
func (q *Queue) statusOf(id queue.ID, it semper.Item) (queue.Status, error) {
	switch kind := q.kindOf(it.Key); kind {
	case kRes:
		var o over
		body, err := record.Unpack(it.Key, it.Value, &o)
		if err != nil {
			return queue.Status{}, err
		}
		o.Result, err = q.reply(o.Reply, body)
		return o.Status, err
	case kJob:
		m, err := record.OpenMeta(it.Key, it.Value)
		return m.Status(id, queue.Queued), err
	default:
		var st state
		body, err := record.Unpack(it.Key, it.Value, &st)
		if err != nil {
			return queue.Status{}, err
		}
		s := st.Meta.Status(id, queue.Queued)
		s.Attempts, s.Why, s.Ended, s.Kept = st.History, st.Why, st.Ended, st.Kept
		switch {
		case kind == kRun:
			s.State, s.Attempts = queue.Running, queue.Remember(st.History, st.Now)
		case kind == kDead:
			s.State = queue.Dead
			s.Result, err = q.reply(st.Result, body)
		case st.Due.After(time.Now()):
			s.State, s.Due = queue.Delayed, st.Due
		}
		return s, err
	}
}

// Wait is Get as soon as the job is terminal. What it reads does not end with ctx, so that there is an answer even then.
func (q *Queue) Wait(ctx context.Context, id queue.ID) (queue.Status, error) {
	reading := context.WithoutCancel(ctx)
	for {
		news, forget := q.waiter(id)
		s, err := q.Get(reading, id)
		if err != nil || s.State.Terminal() || ctx.Err() != nil {
			forget()
			return s, err
		}
		q.doze(ctx, news, q.patience())
		forget()
	}
}

// waiter is closed when the job becomes terminal, as far as this process hears of it.
func (q *Queue) waiter(id queue.ID) (news <-chan struct{}, forget func()) {
	w := make(chan struct{})
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiters[id] = append(q.waiters[id], w)
	return w, func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		list := q.waiters[id]
		for i := range list {
			if list[i] == w {
				list[i] = list[len(list)-1]
				list = list[:len(list)-1]
				break
			}
		}
		if len(list) == 0 {
			delete(q.waiters, id)
			return
		}
		q.waiters[id] = list
	}
}

// Peek is a job with its request.
func (q *Queue) Peek(ctx context.Context, id queue.ID) (queue.Job, error) {
	if err := q.alive(ctx); err != nil {
		return queue.Job{}, err
	}
	items, err := q.fetchAll(ctx, append(q.homeKeys(id), q.key(kRes, id)))
	if err != nil {
		return queue.Job{}, err
	}
	if it := items[q.key(kRes, id)]; it.Version != 0 {
		if it.err != nil {
			return queue.Job{}, it.err
		}
		s, err := q.statusOf(id, it.Item)
		return queue.Job{}, errors.Join(err, queue.InState(id, s.State, "one that still has its request"))
	}
	h := q.home(items, id)
	if !h.there() {
		return queue.Job{}, queue.Unknown(id)
	}
	_, j, err := q.jobOf(id, h)
	return j, err
}

// List is jobs in one state, read from the store.
func (q *Queue) List(ctx context.Context, s queue.State, after queue.ID, limit int) (out []queue.Status, err error) {
	if err := q.alive(ctx); err != nil {
		return nil, err
	}
	if limit <= 0 {
		return nil, nil
	}
	kind, others := kRes, []string(nil)
	var packed []queue.Status
	switch s {
	case queue.Running:
		kind = kRun
	case queue.Delayed:
		kind = kDelay
	case queue.Dead:
		kind = kDead
	case queue.Queued:
		kind, others = kJob, []string{kRun, kDelay, kDead}
		if packed, err = q.listBlocks(ctx, after, limit); err != nil {
			return nil, err
		}
	}
	elsewhere := map[queue.ID]bool{} // jobs that are not queued
	var ranges []store.Range
	for _, k := range others {
		ranges = append(ranges, store.Range{Prefix: q.prefix + k, Lax: true})
	}
	last := store.Range{Prefix: q.prefix + kind, Lax: true}
	if after != (queue.ID{}) {
		last.After = q.key(kind, after)
	}
	_, err = q.e.store.Scan(ctx, append(ranges, last), func(it semper.Item) error {
		k := q.kindOf(it.Key)
		id, err := q.idOf(it.Key, k)
		if err != nil {
			return err
		}
		if k == kind && elsewhere[id] {
			return nil
		}
		st := queue.Status{ID: id, State: stateOf(k, s), Accepted: id.Time(), Why: "its record is damaged"}
		if it.Value != nil {
			if st, err = q.statusOf(id, it); err != nil {
				return err
			}
		}
		if k != kind {
			elsewhere[id] = st.State != s // else it is listed where its job is
			return nil
		}
		if st.State != s {
			return nil
		}
		if out = append(out, st); len(out) == limit {
			return errStop
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return nil, err
	}
	return merged(packed, out, limit), nil
}

// stateOf is the state of a damaged record of a kind, which listing s came upon: of a result only that it is one is known.
func stateOf(kind string, s queue.State) queue.State {
	switch kind {
	case kRun:
		return queue.Running
	case kDelay:
		return queue.Delayed
	case kDead:
		return queue.Dead
	}
	return s
}

// Stats are the queue in numbers.
func (q *Queue) Stats(ctx context.Context) (queue.Stats, error) {
	if err := q.alive(ctx); err != nil {
		return queue.Stats{}, err
	}
	p, err := q.paused(ctx)
	if err != nil {
		return queue.Stats{}, err
	}
	q.mu.Lock()
	if t := q.term; t != nil && t.back != nil {
		s := t.back.Stats(time.Now())
		q.mu.Unlock()
		s.Paused, s.Dispatcher = p, q.e.id
		return s, nil
	}
	q.mu.Unlock()
	s, err := q.farStats(ctx)
	s.Paused = p
	return s, err
}

// farStats are the numbers that the dispatcher last wrote down. When nobody dispatches yet, they are counted.
func (q *Queue) farStats(ctx context.Context) (queue.Stats, error) {
	items, err := q.e.store.Fetch(ctx, q.statKey(), store.LeadKey(q.role()))
	if err != nil {
		return queue.Stats{}, err
	}
	if items[1].Version != 0 && items[0].Version > items[1].Version {
		var n queue.Listing
		if err := json.Unmarshal(items[0].Value, &n); err != nil {
			return queue.Stats{}, record.Damaged(items[0].Key, err)
		}
		return n.Stats, nil
	}
	return q.count(ctx)
}

// count reads the backlog as a dispatcher does.
func (q *Queue) count(ctx context.Context) (queue.Stats, error) {
	b := backlog.New(q.rules())
	_, _, err := q.read(ctx, b)
	return b.Stats(time.Now()), err
}
