package etcd

import (
	"context"
	"errors"

	"semper"
	"semper/queue"
	"semper/store"
)

var _ queue.Teller = (*Queue)(nil)

// telling is what the commit that ends a job writes beside, where somebody is told of the end.
func (q *Queue) telling(id queue.ID, m meta) []semper.Write {
	if m.Callback == "" {
		return nil
	}
	return []semper.Write{{Key: q.key(kTell, id), Value: []byte(m.Callback)}}
}

// Untold are ends that are to be told.
func (q *Queue) Untold(ctx context.Context, after queue.ID, limit int) (ends []queue.End, err error) {
	if err := q.alive(ctx); err != nil {
		return nil, err
	}
	r := store.Range{Prefix: q.prefix + kTell}
	if after != (queue.ID{}) {
		r.After = q.key(kTell, after)
	}
	_, err = q.e.store.Scan(ctx, []store.Range{r}, func(it semper.Item) error {
		if len(ends) >= limit {
			return errStop
		}
		id, err := q.idOf(it.Key, kTell)
		if err == nil {
			ends = append(ends, queue.End{ID: id, To: string(it.Value), Mark: it.Version})
		}
		return err
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return ends, err
}

// Told forgets ends.
func (q *Queue) Told(ctx context.Context, ends ...queue.End) error {
	if err := q.alive(ctx); err != nil {
		return err
	}
	for len(ends) > 0 {
		n := min(len(ends), batchOfDeeds)
		err := q.untell(ctx, ends[:n])
		if errors.Is(err, semper.ErrConflict) { // one of them has ended again, or was told by another process
			for i := range n {
				if err = q.untell(ctx, ends[i:i+1]); err != nil && !errors.Is(err, semper.ErrConflict) {
					return err
				}
			}
			err = nil
		}
		if err != nil {
			return err
		}
		ends = ends[n:]
	}
	return nil
}

func (q *Queue) untell(ctx context.Context, ends []queue.End) error {
	var t semper.Txn
	for _, e := range ends {
		key := q.key(kTell, e.ID)
		t.If = append(t.If, semper.Condition{Key: key, Version: e.Mark})
		t.Then = append(t.Then, semper.Write{Key: key, Delete: true})
	}
	_, err := q.e.store.Commit(ctx, t)
	return err
}
