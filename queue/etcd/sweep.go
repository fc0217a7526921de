package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/etcd/record"
	"semper/store"
)

const (
	sweepLeast = 250 * time.Millisecond
	sweepMost  = 30 * time.Second
	// keepDeeds is how many of the newest deeds stay.
	keepDeeds = 1000
	// orphanAge is how old a body is that nobody names before it is removed: much older than any Enqueue.
	orphanAge = time.Hour
)

// sweeps forgets what was kept for its time, and writes the numbers down, while t lasts.
func (q *Queue) sweeps(ctx context.Context, t *term) {
	var last queue.Stats
	var next, orphans time.Time
	for ctx.Err() == nil && !t.doubt.Load() {
		q.mu.Lock()
		p, s := q.policy, t.back.Stats(time.Now())
		q.mu.Unlock()
		s.Dispatcher = q.e.id
		if s != last || next.IsZero() {
			if err := q.publish(ctx, t, s); err == nil {
				last = s
			}
		}
		if err := errors.Join(q.writeIndex(ctx, t), q.sweepIndex(ctx, t), q.sweepBlocks(ctx, t)); err != nil && ctx.Err() == nil {
			q.e.log.Warn("queue: index", "service", q.service.String(), "error", err)
		}
		now := time.Now()
		if !now.Before(next) {
			if err := q.sweep(ctx, t, p, now); err != nil && ctx.Err() == nil {
				q.e.log.Warn("queue: sweep", "service", q.service.String(), "error", err)
			}
			next = now.Add(sweepEvery(p))
		}
		if !now.Before(orphans) {
			q.sweepBodies(ctx)
			orphans = now.Add(orphanAge)
		}
		q.doze(ctx, nil, min(farAge, max(next.Sub(now), sweepLeast)))
	}
}

func sweepEvery(p queue.Policy) time.Duration {
	return min(max(min(p.Retain, p.RetainDead)/4, sweepLeast), sweepMost)
}

func (q *Queue) publish(ctx context.Context, t *term, s queue.Stats) error {
	text, err := json.Marshal(queue.Listing{Service: q.service, Policy: q.rules(), Stats: s, At: time.Now().Round(0)})
	if err != nil {
		return err
	}
	_, err = q.e.store.Commit(ctx, semper.Txn{If: []semper.Condition{t.fence}, Then: []semper.Write{{Key: q.statKey(), Value: text}}})
	return err
}

// sweep forgets results, discards dead jobs, and drops old deeds whose time is over. IDs begin with the time of their
// job's acceptance, so it need not look at what is too young to be over.
func (q *Queue) sweep(ctx context.Context, t *term, p queue.Policy, now time.Time) error {
	if err := q.sweepResults(ctx, t, now, p); err != nil {
		return err
	}
	dead, err := q.overdue(ctx, kDead, queue.IDAt(now.Add(-p.RetainDead).Add(time.Second)), func(it semper.Item) (bool, error) {
		var s state
		_, err := record.Unpack(it.Key, it.Value, &s)
		return !s.Kept.After(now), err
	})
	if err != nil {
		return err
	}
	for _, it := range dead {
		id, err := q.idOf(it.Key, kDead)
		if err != nil {
			return err
		}
		c, err := q.removing(ctx, id, queue.Discarded, "it was dead for as long as dead jobs are kept", now)
		if err == nil {
			_, err = q.commit(ctx, c.txn, c.notice)
		}
		if err != nil && !errors.Is(err, semper.ErrConflict) && !errors.Is(err, queue.ErrState) {
			return err
		}
		q.removeFiles(c.files)
	}
	return q.sweepDeeds(ctx)
}

// overdue are the items below kind, up to an id, that are over.
func (q *Queue) overdue(ctx context.Context, kind string, until queue.ID, over func(semper.Item) (bool, error)) (out []semper.Item, err error) {
	end := q.key(kind, until)
	_, err = q.e.store.Scan(ctx, []store.Range{{Prefix: q.prefix + kind, Lax: true}}, func(it semper.Item) error {
		if it.Key >= end || len(out) >= 2000 {
			return errStop
		}
		if it.Value == nil { // damaged: an operator has to see it
			return nil
		}
		is, err := over(it)
		if err == nil && is {
			it.Value = nil
			out = append(out, it)
		}
		return err
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return out, err
}

// sweepResults forgets results, and the idempotency keys that stand for them. While the block is there that a job was in,
// its result says that it is over.
func (q *Queue) sweepResults(ctx context.Context, term *term, now time.Time, p queue.Policy) error {
	type gone struct{ key, dedup, file string }
	var list []gone
	_, err := q.overdue(ctx, kRes, queue.IDAt(now.Add(-max(p.Retain, p.Dedup)).Add(time.Second)), func(it semper.Item) (bool, error) {
		var o over
		if _, err := record.Unpack(it.Key, it.Value, &o); err != nil {
			return false, err
		}
		if o.Kept.After(now) || q.inBlock(term, o.ID) {
			return false, nil
		}
		g := gone{key: it.Key, dedup: o.Dedup}
		if o.Reply != nil {
			g.file = o.Reply.File
		}
		list = append(list, g)
		return true, nil
	})
	if err != nil {
		return err
	}
	for len(list) > 0 {
		n := min(len(list), 100)
		var keys []string
		for _, g := range list[:n] {
			if g.dedup != "" {
				keys = append(keys, q.prefix+kIdem+g.dedup)
			}
		}
		idem, err := q.fetchAll(ctx, keys)
		if err != nil {
			return err
		}
		t := semper.Txn{If: []semper.Condition{term.fence}}
		for _, g := range list[:n] {
			t.Then = append(t.Then, semper.Write{Key: g.key, Delete: true})
			it := idem[q.prefix+kIdem+g.dedup]
			var k known
			if it.Version != 0 && json.Unmarshal(it.Value, &k) == nil && strings.HasSuffix(g.key, k.ID.String()) {
				t.If = append(t.If, semper.Condition{Key: it.Key, Version: it.Version})
				t.Then = append(t.Then, semper.Write{Key: it.Key, Delete: true})
			}
		}
		if _, err := q.e.store.Commit(ctx, t); err != nil {
			return err
		}
		for _, g := range list[:n] {
			q.removeFiles([]string{g.file})
		}
		list = list[n:]
	}
	return nil
}

func (q *Queue) inBlock(t *term, id queue.ID) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	_, there := t.blocks[record.BlockOf(id)]
	return there
}

func (q *Queue) sweepDeeds(ctx context.Context) error {
	var keys []string
	if _, err := q.e.store.Scan(ctx, []store.Range{{Prefix: q.prefix + kDeed, Keys: true}}, func(it semper.Item) error {
		keys = append(keys, it.Key)
		return nil
	}); err != nil {
		return err
	}
	for len(keys) > keepDeeds {
		n := min(len(keys)-keepDeeds, 100)
		var t semper.Txn
		for _, key := range keys[:n] {
			t.Then = append(t.Then, semper.Write{Key: key, Delete: true})
		}
		if _, err := q.e.store.Commit(ctx, t); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}

// sweepBodies removes files that no record names: those of jobs whose acceptance was never committed.
func (q *Queue) sweepBodies(ctx context.Context) {
	if q.bodies == nil {
		return
	}
	_, err := q.bodies.Sweep(orphanAge, func(name string) bool {
		owner, _, _ := strings.Cut(name, ".")
		kind, text, _ := strings.Cut(owner, "-")
		id, err := queue.ParseID(text)
		if err != nil {
			return true // not one of ours
		}
		keys := []string{q.key(kJob, id)}
		if kind == "res" {
			keys = []string{q.key(kRes, id), q.key(kDead, id), q.key(kRun, id)}
		}
		items, err := q.e.store.Fetch(ctx, keys...)
		if err != nil {
			return true
		}
		for _, it := range items {
			if it.Version != 0 {
				return true
			}
		}
		return false
	})
	if err != nil && ctx.Err() == nil {
		q.e.log.Warn("queue: sweep of bodies", "service", q.service.String(), "error", err)
	}
}
