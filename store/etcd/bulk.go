package etcd

import (
	"context"
	"errors"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"semper"
	"semper/store"
)

var _ store.Bulk = (*Store)(nil)

// Scan visits every item of ranges as of one revision, a page at a time.
func (s *Store) Scan(ctx context.Context, ranges []store.Range, visit func(semper.Item) error) (revision int64, err error) {
	for _, r := range ranges {
		from, end := root+r.Prefix, clientv3.GetPrefixRangeEnd(root+r.Prefix)
		if r.After >= r.Prefix && r.After != "" {
			from = root + r.After + "\x00"
		}
		for more := true; more; {
			var got *clientv3.GetResponse
			if got, err = s.page(ctx, from, end, revision); err != nil {
				return 0, err
			}
			if revision == 0 {
				revision = got.Header.Revision
			}
			for _, kv := range got.Kvs {
				key := strings.TrimPrefix(string(kv.Key), root)
				body, _, err := unseal(key, kv.Value)
				if err != nil {
					return 0, err
				}
				if err := visit(semper.Item{Key: key, Value: body, Version: kv.ModRevision}); err != nil {
					return revision, err
				}
			}
			if more = got.More; more {
				from = string(got.Kvs[len(got.Kvs)-1].Key) + "\x00"
			}
		}
	}
	return revision, nil
}

// page is what begins at from, as of revision, or of now where that is 0.
func (s *Store) page(ctx context.Context, from, end string, revision int64) (got *clientv3.GetResponse, err error) {
	err = s.read(ctx, func(ctx context.Context) (err error) {
		got, err = s.client.Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(revision))
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
