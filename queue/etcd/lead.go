package etcd

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/backlog"
	"semper/queue/etcd/record"
	"semper/store"
)

// campaign offers this process as the dispatcher, and dispatches while it is, until the engine closes.
func (q *Queue) campaign() {
	for q.e.ctx.Err() == nil {
		l, err := q.e.store.Lead(q.e.ctx, q.role(), q.e.id)
		if err != nil {
			if q.e.ctx.Err() == nil {
				q.e.log.Warn("queue: cannot become dispatcher; trying again", "service", q.service.String(), "error", err)
			}
			q.rest(time.Second)
			continue
		}
		q.serve(l)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(q.e.ctx), 2*time.Second)
		_ = l.Resign(ctx) // it ends by itself otherwise
		cancel()
	}
}

func (q *Queue) role() string { return "q/" + q.service.String() }

func (q *Queue) rest(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-q.e.ctx.Done():
	}
}

// serve dispatches, with a new reading of the backlog whenever the last one is in doubt, until the leadership is over.
func (q *Queue) serve(l semper.Leadership) {
	ctx, cancel := context.WithCancel(q.e.ctx)
	defer cancel()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		select {
		case <-l.Done():
			cancel()
		case <-ctx.Done():
		}
	})
	defer cancel()
	for ctx.Err() == nil {
		if err := q.round(ctx, l.Fence()); err != nil && ctx.Err() == nil {
			q.e.log.Warn("queue: dispatching stopped; it begins again", "service", q.service.String(), "error", err)
			q.rest(100 * time.Millisecond)
		}
	}
}

// round reads the backlog and dispatches by it. Without an error it is to be read again.
func (q *Queue) round(ctx context.Context, fence semper.Condition) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t := &term{fence: fence, own: map[int64]bool{}, pages: map[int32]page{}, blocks: map[record.Block]int32{}}
	q.mu.Lock()
	q.term = t
	q.mu.Unlock()
	defer func() {
		q.mu.Lock()
		if q.term == t {
			q.term = nil
		}
		q.mu.Unlock()
	}()
	bell, err := q.load(ctx, t)
	if err != nil {
		return err
	}
	var sweeper sync.WaitGroup
	defer sweeper.Wait()
	sweeper.Go(func() { q.sweeps(ctx, t) })
	defer cancel()
	return q.dispatch(ctx, t, bell)
}

// load reads the backlog and makes it the term's, with what has happened since.
func (q *Queue) load(ctx context.Context, t *term) (<-chan []semper.Change, error) {
	b := backlog.New(q.rules())
	r, revision, err := q.read(ctx, b)
	if err != nil {
		return nil, err
	}
	bell, err := q.e.store.Watch(ctx, q.prefix+kBell, revision)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !reflect.DeepEqual(q.policy, b.Policy()) { // it was changed meanwhile
		b.SetPolicy(q.policy, time.Now())
	}
	b.Pause(r.pause != nil)
	t.back, t.base, t.belled, t.pause = b, revision, r.belled, r.pause
	t.fresh = r.ids
	for _, p := range r.pages {
		n := t.addPage(p)
		if p.block != nil {
			t.blocks[p.block.name] = n
		}
	}
	for _, p := range t.pending {
		t.learn(q, p)
	}
	t.pending = nil
	return bell, nil
}

// read fills b with what is stored as of a revision. Values are read of all but the jobs themselves.
func (q *Queue) read(ctx context.Context, b *backlog.Backlog) (*reading, int64, error) {
	r := &reading{q: q, b: b, now: time.Now(), facts: map[queue.ID]record.Fact{}, blocks: map[record.Block]*block{}, doubt: map[record.Block]bool{}}
	var ranges []store.Range
	for _, kind := range []string{kPause, kBell, kIndex, kRun, kDelay, kDead, kOver, kHead, kJob} {
		ranges = append(ranges, store.Range{Prefix: q.prefix + kind, Keys: kind == kJob || kind == kBell, Lax: true})
	}
	revision, err := q.e.store.Scan(ctx, ranges, r.item)
	if err != nil {
		return nil, 0, err
	}
	r.facts = nil
	return r, revision, errors.Join(r.fetch(ctx), r.mend(ctx))
}

func (r *reading) item(it semper.Item) error {
	key := strings.TrimPrefix(it.Key, r.q.prefix)
	kind := key[:strings.IndexByte(key, '/')+1]
	switch {
	case key == kBell:
		r.belled = it.Version
		return nil
	case key == kPause:
		p, err := pauseOf(it)
		r.pause = p
		return err
	case kind == kIndex:
		r.index(it)
		return nil
	case kind == kOver:
		return r.over(it)
	case kind == kHead:
		b, ok := r.q.blockOfKey(it.Key, kHead)
		if !ok {
			return record.Damaged(it.Key, nil)
		}
		r.head(b, it.Value, it.Version)
		return nil
	}
	id, err := r.q.idOf(it.Key, kind)
	if err != nil {
		return record.Damaged(it.Key, err)
	}
	if kind == kJob {
		r.job(id, it.Version)
		return nil
	}
	var s state
	if it.Value == nil { // its attempts are forgotten; it is dead as soon as it is to start
		s = state{Meta: meta{Accepted: id.Time()}, Order: it.Version, Attempt: 1}
	} else if _, err := record.Unpack(it.Key, it.Value, &s); err != nil {
		return err
	}
	r.state(id, kind, s, it.Version)
	return nil
}

func (r *reading) state(id queue.ID, kind string, s state, version int64) {
	s.Settle(version)
	e := s.Entry(id)
	e.Note = version
	r.b.Add(e, r.now)
	switch kind {
	case kRun:
		r.b.Started(id, s.Attempt, version, r.now.Add(r.b.Policy().Lease), r.now)
	case kDead:
		r.b.Bury(id, s.Attempt, r.now)
	}
}
