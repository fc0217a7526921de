package mem

import (
	"context"

	"semper"
	"semper/store"
)

var _ store.Bulk = (*Store)(nil)

// Scan visits every item of ranges as of one revision.
func (s *Store) Scan(ctx context.Context, ranges []store.Range, visit func(semper.Item) error) (int64, error) {
	items, revision, err := s.List(ctx, "")
	if err != nil {
		return 0, err
	}
	for _, r := range ranges {
		for _, it := range items {
			if len(it.Key) < len(r.Prefix) || it.Key[:len(r.Prefix)] != r.Prefix || it.Key <= r.After {
				continue
			}
			if r.Keys {
				it.Value = nil
			}
			if err := visit(it); err != nil {
				return revision, err
			}
		}
	}
	return revision, nil
}

// Fetch reads keys as of one revision.
func (s *Store) Fetch(ctx context.Context, keys ...string) ([]semper.Item, error) {
	if err := store.CheckFetch(len(keys)); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, store.Closed()
	}
	items := make([]semper.Item, len(keys))
	for i, key := range keys {
		items[i] = clone(s.items[key])
		items[i].Key = key
	}
	return items, nil
}
