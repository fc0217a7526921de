package mem

import (
	"bytes"
	"context"
	"slices"

	"semper/queue"
)

var _ queue.Teller = (*Queue)(nil)

// Untold are ends that are to be told.
func (q *Queue) Untold(ctx context.Context, after queue.ID, limit int) (ends []queue.End, err error) {
	if _, err := q.enter(ctx); err != nil {
		return nil, err
	}
	defer q.leave()
	for id, e := range q.m.untold {
		if bytes.Compare(id[:], after[:]) > 0 {
			ends = append(ends, e)
		}
	}
	slices.SortFunc(ends, func(a, b queue.End) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return ends[:min(len(ends), max(limit, 0))], nil
}

// Told forgets ends.
func (q *Queue) Told(ctx context.Context, ends ...queue.End) error {
	if _, err := q.enter(ctx); err != nil {
		return err
	}
	defer q.leave()
	for _, e := range ends {
		if q.m.untold[e.ID] == e {
			delete(q.m.untold, e.ID)
		}
	}
	return nil
}
