package etcd

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/etcd/record"
	"semper/store"
)

// pauseOf reads the record under pause; nil when there is none.
func pauseOf(it semper.Item) (*queue.Pause, error) {
	if it.Version == 0 {
		return nil, nil
	}
	p := &queue.Pause{Revision: it.Version}
	if err := json.Unmarshal(it.Value, p); err != nil {
		return nil, record.Damaged(it.Key, err)
	}
	return p, nil
}

func (q *Queue) paused(ctx context.Context) (*queue.Pause, error) {
	items, err := q.e.store.Fetch(ctx, q.prefix+kPause)
	if err != nil {
		return nil, err
	}
	return pauseOf(items[0])
}

// Pause is a barrier: each claim is on condition that this record is absent.
func (q *Queue) Pause(ctx context.Context, by queue.By) (queue.Pause, error) {
	if err := q.alive(ctx); err != nil {
		return queue.Pause{}, err
	}
	for range maxTries {
		there, err := q.paused(ctx)
		if err != nil {
			return queue.Pause{}, err
		}
		if there != nil {
			return *there, nil
		}
		p := queue.Pause{By: by, Since: time.Now().Round(0)}
		text, err := json.Marshal(p)
		if err != nil {
			return queue.Pause{}, err
		}
		txn := semper.Txn{If: []semper.Condition{{Key: q.prefix + kPause}}, Then: []semper.Write{{Key: q.prefix + kPause, Value: text}}}
		p.Revision, err = q.deed(ctx, txn, queue.Deed{By: by, At: p.Since, What: "pause"}, notice{Kind: record.Pause})
		if !errors.Is(err, semper.ErrConflict) {
			return p, err
		}
	}
	return queue.Pause{}, contended("pause")
}

// Resume ends a pause.
func (q *Queue) Resume(ctx context.Context, by queue.By) error {
	if err := q.alive(ctx); err != nil {
		return err
	}
	for range maxTries {
		there, err := q.paused(ctx)
		if err != nil || there == nil {
			return err
		}
		txn := semper.Txn{If: []semper.Condition{{Key: q.prefix + kPause, Version: there.Revision}}, Then: []semper.Write{{Key: q.prefix + kPause, Delete: true}}}
		_, err = q.deed(ctx, txn, queue.Deed{By: by, At: time.Now().Round(0), What: "resume"}, notice{Kind: record.Resume})
		if !errors.Is(err, semper.ErrConflict) {
			return err
		}
	}
	return contended("resume")
}

func contended(what string) error {
	return &semper.Error{Code: semper.Conflict, Op: "queue " + what, Message: "others pause and resume it at the same time", Hint: "agree, and try again"}
}

// deed commits a change with the record of who did it.
func (q *Queue) deed(ctx context.Context, t semper.Txn, d queue.Deed, notices ...notice) (int64, error) {
	text, err := json.Marshal(d)
	if err != nil {
		return 0, err
	}
	t.Then = append(t.Then, semper.Write{Key: q.key(kDeed, queue.NewID(d.At)), Value: text})
	return q.commit(ctx, t, notices...)
}

// Drained returns when nothing runs, by the store: whoever claimed.
func (q *Queue) Drained(ctx context.Context) error {
	for {
		if err := q.alive(ctx); err != nil {
			return err
		}
		q.mu.Lock()
		moved := q.moved
		q.mu.Unlock()
		runs := false
		_, err := q.e.store.Scan(ctx, []store.Range{{Prefix: q.prefix + kRun, Keys: true}}, func(semper.Item) error {
			runs = true
			return errStop
		})
		if err != nil && !errors.Is(err, errStop) || !runs {
			return err
		}
		q.doze(ctx, moved, q.patience())
	}
}

var errStop = errors.New("enough is read")

// patience is how long to wait for news of a job before one looks oneself: the dispatcher hears of everything.
func (q *Queue) patience() time.Duration {
	if q.dispatching() != nil {
		return 5 * time.Second
	}
	return 100 * time.Millisecond
}

func (q *Queue) doze(ctx context.Context, news <-chan struct{}, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-news:
	case <-t.C:
	case <-ctx.Done():
	case <-q.e.ctx.Done():
	}
}

// Retry makes dead jobs queued.
func (q *Queue) Retry(ctx context.Context, by queue.By, ids ...queue.ID) (int, error) {
	return q.each(ctx, by, "retry", ids, q.retrying)
}

func (q *Queue) retrying(ctx context.Context, id queue.ID) (c change, err error) {
	items, err := q.fetchAll(ctx, append(q.homeKeys(id), q.key(kDead, id)))
	if err != nil {
		return c, err
	}
	there := items[q.key(kDead, id)]
	if there.err != nil {
		return c, there.err
	}
	if there.Version == 0 {
		s, err := q.Get(ctx, id)
		if err != nil {
			return c, err
		}
		return c, queue.InState(id, s.State, "dead")
	}
	var s state
	if _, err := record.Unpack(there.Key, there.Value, &s); err != nil {
		return c, err
	}
	h := q.home(items, id)
	if h.err != nil {
		return c, h.err
	}
	c.files = nil
	s.Spent, s.Requeue, s.Meta.Expires = s.Attempt, true, time.Time{}
	s.Why, s.Ended, s.Kept, s.Result = "", time.Time{}, time.Time{}, nil
	text, err := record.Pack(nil, s)
	c.txn = semper.Txn{
		If:   append([]semper.Condition{{Key: q.key(kDead, id), Version: there.Version}}, q.stands(h, id)...),
		Then: []semper.Write{{Key: q.key(kDelay, id), Value: text}, {Key: q.key(kDead, id), Delete: true}},
	}
	c.notice = notice{Kind: record.Add, ID: id, Meta: &s.Meta, Attempt: s.Attempt, Noted: true}
	return c, err
}

// Discard ends jobs that do not run.
func (q *Queue) Discard(ctx context.Context, by queue.By, ids ...queue.ID) (int, error) {
	return q.each(ctx, by, "discard", ids, func(ctx context.Context, id queue.ID) (change, error) {
		return q.removing(ctx, id, queue.Discarded, "discarded by "+by.Who, time.Now())
	})
}

// batchOfDeeds is how many jobs one commit of an operator names.
const batchOfDeeds = 50

// each commits a change per id, many in one commit with one deed. Where one cannot be done, those before it are.
func (q *Queue) each(ctx context.Context, by queue.By, what string, ids []queue.ID, make func(context.Context, queue.ID) (change, error)) (n int, err error) {
	if len(ids) > queue.MaxIDs {
		return 0, queue.TooMany(len(ids))
	}
	if err := q.alive(ctx); err != nil {
		return 0, err
	}
	for tries := 0; n < len(ids); {
		var t semper.Txn
		var notices []notice
		var files []string
		var refused error
		size, seen := 0, map[queue.ID]bool{}
		for _, id := range ids[n:min(n+batchOfDeeds, len(ids))] {
			if seen[id] {
				break // by the next commit, which finds it changed
			}
			c, err := make(ctx, id)
			if err != nil {
				refused = err
				break
			}
			_, more := measure(&op{txn: c.txn})
			if size += more; size > batchBytes && len(seen) > 0 {
				break
			}
			seen[id] = true
			t.If, t.Then = append(t.If, c.txn.If...), append(t.Then, c.txn.Then...)
			notices, files = append(notices, c.notice), append(files, c.files...)
		}
		if len(seen) > 0 {
			d := queue.Deed{By: by, At: time.Now().Round(0), What: what, IDs: ids[n : n+len(seen)]}
			_, err := q.deed(ctx, t, d, notices...)
			if errors.Is(err, semper.ErrConflict) && tries < maxTries {
				tries++
				continue
			}
			if err != nil {
				return n, err
			}
			q.removeFiles(files)
			n += len(seen)
		}
		if refused != nil {
			return n, refused
		}
	}
	return n, nil
}

// Deeds are what operators did, newest first.
func (q *Queue) Deeds(ctx context.Context, limit int) ([]queue.Deed, error) {
	if err := q.alive(ctx); err != nil {
		return nil, err
	}
	var all []queue.Deed
	_, err := q.e.store.Scan(ctx, []store.Range{{Prefix: q.prefix + kDeed}}, func(it semper.Item) error {
		var d queue.Deed
		if err := json.Unmarshal(it.Value, &d); err != nil {
			return record.Damaged(it.Key, err)
		}
		all = append(all, d)
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b queue.Deed) int { return b.At.Compare(a.At) })
	return all[:min(len(all), max(limit, 0))], nil
}

// kindOf is the part of a key that says what it is.
func (q *Queue) kindOf(key string) string {
	rest := strings.TrimPrefix(key, q.prefix)
	return rest[:strings.IndexByte(rest, '/')+1]
}
