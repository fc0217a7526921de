package etcd

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"semper"
	"semper/queue"
	"semper/queue/etcd/record"
	"semper/store"
)

// listBlocks is queued jobs of blocks, by their heads, in the order of their ids.
func (q *Queue) listBlocks(ctx context.Context, after queue.ID, limit int) (out []queue.Status, err error) {
	elsewhere := map[queue.ID]bool{} // jobs that are over, or in another state
	heads := store.Range{Prefix: q.prefix + kHead, Lax: true}
	if after != (queue.ID{}) { // its own block too
		key := q.headKey(record.BlockOf(after))
		heads.After = key[:len(key)-1]
	}
	ranges := []store.Range{
		{Prefix: q.prefix + kRun, Keys: true}, {Prefix: q.prefix + kDelay, Lax: true}, {Prefix: q.prefix + kDead, Keys: true},
		{Prefix: q.prefix + kOver, Lax: true}, heads,
	}
	_, err = q.e.store.Scan(ctx, ranges, func(it semper.Item) error {
		switch kind := q.kindOf(it.Key); kind {
		case kHead:
			out = append(out, listHead(it, after, elsewhere)...)
			if len(out) >= limit {
				return errStop
			}
		case kOver:
			b, _ := q.blockOfKey(it.Key, kOver)
			ids, _ := record.Marked(b, it.Value)
			for _, id := range ids {
				elsewhere[id] = true
			}
		default:
			id, err := q.idOf(it.Key, kind)
			if err != nil {
				return err
			}
			elsewhere[id] = true
			if kind == kDelay && it.Value != nil {
				st, err := q.statusOf(id, it)
				elsewhere[id] = st.State != queue.Queued
				return err
			}
		}
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return out, err
}

// listHead is the jobs of one block that are queued, after an id.
func listHead(it semper.Item, after queue.ID, elsewhere map[queue.ID]bool) (out []queue.Status) {
	record.Facts(it.Value, func(id queue.ID, _ int64, rest []byte) {
		e, ok := record.Fact{Rest: rest}.Entry(id)
		if !ok || elsewhere[id] || bytes.Compare(id[:], after[:]) <= 0 {
			return
		}
		out = append(out, queue.Status{ID: id, State: queue.Queued, Key: e.Key, Priority: int(e.Priority), Accepted: e.Accepted,
			NotBefore: e.At, Expires: e.Expires, Size: e.Size})
	})
	slices.SortFunc(out, byID)
	return out
}

func byID(a, b queue.Status) int { return bytes.Compare(a.ID[:], b.ID[:]) }

// merged is two listings as one. A job that moved out of its block between them is in both.
func merged(a, b []queue.Status, limit int) []queue.Status {
	if len(a) == 0 {
		return b
	}
	all := slices.Concat(a, b)
	slices.SortStableFunc(all, byID)
	all = slices.CompactFunc(all, func(a, b queue.Status) bool { return a.ID == b.ID })
	return all[:min(len(all), limit)]
}
