package etcd

import (
	"context"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"semper"
	"semper/store"
)

// Watch sends every change below prefix with a revision > after, one batch per commit. It returns at once, also
// when the server is away; see the package for when it closes.
func (s *Store) Watch(ctx context.Context, prefix string, after int64) (<-chan []semper.Change, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	out := make(chan []semper.Change)
	ctx, cancel := context.WithCancel(ctx)
	unlink := context.AfterFunc(s.ctx, cancel)
	if !s.spawn(func() {
		defer close(out)
		defer cancel()
		defer unlink()
		s.follow(ctx, prefix, after, out)
	}) {
		cancel()
		return nil, store.Closed()
	}
	return out, nil
}

func (s *Store) follow(ctx context.Context, prefix string, after int64, out chan<- []semper.Change) {
	// A member that lost the others hears of nothing: better closed than silent.
	in := s.client.Watch(clientv3.WithRequireLeader(ctx), root+prefix, clientv3.WithPrefix(), clientv3.WithRev(after+1))
	for r := range in {
		if r.Err() != nil {
			return
		}
		batches, err := batchesOf(r.Events)
		for _, b := range batches {
			select {
			case out <- b:
			case <-ctx.Done():
				return
			}
		}
		if err != nil {
			return // the caller lists again, and is told there
		}
	}
}

// batchesOf splits events by commit. At a damaged value it ends, before that commit, with an error.
func batchesOf(events []*clientv3.Event) (batches [][]semper.Change, err error) {
	var batch []semper.Change
	for i, ev := range events {
		key := strings.TrimPrefix(string(ev.Kv.Key), root)
		c := semper.Change{Item: semper.Item{Key: key, Version: ev.Kv.ModRevision}, Deleted: ev.Type == clientv3.EventTypeDelete}
		if !c.Deleted {
			if c.Value, _, err = unseal(key, ev.Kv.Value); err != nil {
				return batches, err
			}
		}
		batch = append(batch, c)
		if i+1 == len(events) || events[i+1].Kv.ModRevision != ev.Kv.ModRevision {
			batches = append(batches, batch)
			batch = nil
		}
	}
	return batches, nil
}
