package etcd

import (
	"context"
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"semper"
	"semper/store"
)

var _ store.Bulk = (*Store)(nil)

// Scan visits every item of ranges as of one revision, a page at a time. The next page is on its way while one is visited.
func (s *Store) Scan(ctx context.Context, ranges []store.Range, visit func(semper.Item) error) (revision int64, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, r := range ranges {
		from, end := root+r.Prefix, clientv3.GetPrefixRangeEnd(root+r.Prefix)
		if r.After >= r.Prefix && r.After != "" {
			from = root + r.After + "\x00"
		}
		next := func() <-chan got { return s.ahead(ctx, r, from, end, revision) }
		for coming := next(); coming != nil; {
			g := <-coming
			if g.err != nil {
				return 0, g.err
			}
			if revision == 0 {
				revision = g.Header.Revision
			}
			if coming = nil; g.More {
				from = string(g.Kvs[len(g.Kvs)-1].Key) + "\x00"
				coming = next()
			}
			if err := visitAll(r, g.Kvs, visit); err != nil {
				if coming != nil {
					cancel()
					<-coming
				}
				return revision, err
			}
		}
	}
	return revision, nil
}

func visitAll(r store.Range, kvs []*mvccpb.KeyValue, visit func(semper.Item) error) error {
	for _, kv := range kvs {
		it := semper.Item{Key: strings.TrimPrefix(string(kv.Key), root), Version: kv.ModRevision}
		if !r.Keys {
			var err error
			if it.Value, _, err = unseal(it.Key, kv.Value); err != nil {
				if !r.Lax || !errors.Is(err, semper.ErrCorrupt) {
					return err
				}
				it.Value = nil
			}
		}
		if err := visit(it); err != nil {
			return err
		}
	}
	return nil
}

// got is a page, or why there is none.
type got struct {
	*clientv3.GetResponse
	err error
}

// ahead reads a page beside its caller, who must receive it.
func (s *Store) ahead(ctx context.Context, r store.Range, from, end string, revision int64) <-chan got {
	out := make(chan got, 1)
	go func() {
		page, err := s.page(ctx, r, from, end, revision)
		out <- got{page, err}
	}()
	return out
}

// keysPage is how many keys without values one message carries.
const keysPage = 10_000

// page is what begins at from, as of revision, or of now where that is 0.
func (s *Store) page(ctx context.Context, r store.Range, from, end string, revision int64) (got *clientv3.GetResponse, err error) {
	o := []clientv3.OpOption{clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(revision)}
	if r.Keys {
		o = append(o, clientv3.WithLimit(keysPage), clientv3.WithKeysOnly())
	}
	err = s.read(ctx, func(ctx context.Context) (err error) {
		got, err = s.client.Get(ctx, from, o...)
		if revision != 0 && errors.Is(err, rpctypes.ErrCompacted) {
			return &semper.Error{Code: semper.Unavailable, Op: "store", Message: "the scan took longer than the store remembers", Hint: "begin it again", Err: err}
		}
		return err
	})
	return got, err
}

// Fetch reads keys as of one revision.
func (s *Store) Fetch(ctx context.Context, keys ...string) (items []semper.Item, err error) {
	if err := store.CheckFetch(len(keys)); err != nil || len(keys) == 0 {
		return nil, err
	}
	ops := make([]clientv3.Op, len(keys))
	for i, key := range keys {
		ops[i] = clientv3.OpGet(root + key)
	}
	err = s.read(ctx, func(ctx context.Context) error {
		r, err := s.client.Txn(ctx).Then(ops...).Commit()
		if err != nil {
			return err
		}
		items = make([]semper.Item, len(keys))
		for i, key := range keys {
			items[i].Key = key
			if kvs := r.Responses[i].GetResponseRange().Kvs; len(kvs) == 1 {
				items[i].Version = kvs[0].ModRevision
				if items[i].Value, _, err = unseal(key, kvs[0].Value); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return items, nil
}
