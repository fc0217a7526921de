package etcd

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/backlog"
	"semper/queue/etcd/record"
)

// block is what the dispatcher knows of one. It is a page of its term, so the backlog counts the jobs that are left of it.
type block struct {
	name    record.Block
	version int64             // 0 while only ends of its jobs were heard of
	jobs    []queue.ID        // all that it began with
	over    map[queue.ID]bool // by its marks
	marks   []string          // their keys
	sparse  bool              // it was so at the last sweep, too
}

// page is the number of a block among the pages of the term.
func (t *term) blockPage(q *Queue, b record.Block) int32 {
	n, ok := t.blocks[b]
	if !ok {
		n = t.addPage(page{key: q.headKey(b), block: &block{name: b, over: map[queue.ID]bool{}}})
		t.blocks[b] = n
	}
	return n
}

func (t *term) block(q *Queue, b record.Block) *block { return t.pages[t.blockPage(q, b)].block }

// learnBlocks is what one commit says of blocks: which began, and which of their jobs are over.
func (t *term) learnBlocks(q *Queue, revision int64, notices []notice) {
	var began, ended map[record.Block][]queue.ID
	for _, n := range notices {
		switch {
		case n.Kind == record.Add && n.Attempt == 0 && n.Meta.Packed:
			began = with(began, n.ID)
		case n.Kind == record.End && n.Packed:
			ended = with(ended, n.ID)
		}
	}
	for b, ids := range began {
		k := t.block(q, b)
		k.version, k.jobs = revision, ids
	}
	for b, ids := range ended {
		t.block(q, b).mark(q.markKey(ids[0]), ids)
	}
}

func with(m map[record.Block][]queue.ID, id queue.ID) map[record.Block][]queue.ID {
	if m == nil {
		m = map[record.Block][]queue.ID{}
	}
	m[record.BlockOf(id)] = append(m[record.BlockOf(id)], id)
	return m
}

func (k *block) mark(key string, ids []queue.ID) {
	k.marks = append(k.marks, key)
	for _, id := range ids {
		k.over[id] = true
	}
}

// left are the jobs that are not over.
func (k *block) left() (ids []queue.ID) {
	for _, id := range k.jobs {
		if !k.over[id] {
			ids = append(ids, id)
		}
	}
	return ids
}

// sweepMoves bounds the blocks that are emptied at one sweep, and fewer are left in one that is.
const sweepMoves = 64

// sweepBlocks removes blocks of which all jobs are over. Of one of which few are left, these move out, so that a job that
// is long in coming does not keep the requests of those that came with it.
func (q *Queue) sweepBlocks(ctx context.Context, t *term) error {
	q.mu.Lock()
	var gone, thin []*block
	for _, n := range t.blocks {
		k := t.pages[n].block
		switch left := len(k.jobs) - len(k.over); {
		case k.version == 0:
		case left <= 0:
			gone = append(gone, k)
		case left*4 <= len(k.jobs) && len(thin) < sweepMoves:
			if k.sparse {
				thin = append(thin, k)
			}
			k.sparse = true
		}
	}
	q.mu.Unlock()
	var errs []error
	for len(gone) > 0 && ctx.Err() == nil {
		txn := semper.Txn{If: []semper.Condition{t.fence}}
		n := 0
		for n < len(gone) && (n == 0 || len(txn.Then)+2+len(gone[n].marks) < batchOps) {
			txn.Then = append(txn.Then, q.without(gone[n])...)
			n++
		}
		if _, err := q.e.store.Commit(ctx, txn); err != nil {
			return err
		}
		q.mu.Lock()
		for _, k := range gone[:n] {
			t.dropBlock(k)
		}
		q.mu.Unlock()
		gone = gone[n:]
	}
	for _, k := range thin {
		if err := q.moveOut(ctx, t, k); err != nil && !errors.Is(err, semper.ErrConflict) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// without removes a block and all that is told of it.
func (q *Queue) without(k *block) []semper.Write {
	writes := []semper.Write{{Key: q.blockKey(k.name), Delete: true}, {Key: q.headKey(k.name), Delete: true}}
	for _, key := range k.marks {
		writes = append(writes, semper.Write{Key: key, Delete: true})
	}
	return writes
}

func (t *term) dropBlock(k *block) {
	delete(t.pages, t.blocks[k.name])
	delete(t.blocks, k.name)
}

// moveOut gives the jobs that are left in a block records of their own. One that is queued gets a note, as one that was
// released, which keeps its place in the order. While one of them runs, nothing moves: who completes it knows it here.
func (q *Queue) moveOut(ctx context.Context, t *term, k *block) error {
	q.mu.Lock()
	ids := k.left()
	entries := map[queue.ID]backlog.Entry{}
	for _, id := range ids {
		if e := t.back.Get(id); e != nil {
			entries[id] = *e
		}
	}
	q.mu.Unlock()
	txn := semper.Txn{If: []semper.Condition{t.fence, {Key: q.blockKey(k.name), Version: k.version}}, Then: q.without(k)}
	items, err := q.fetchAll(ctx, []string{q.blockKey(k.name)})
	if err != nil {
		return err
	}
	var noted []queue.ID
	for _, id := range ids {
		e, ok := entries[id]
		h := q.home(items, id)
		m, err := h.meta()
		if !ok || err != nil || e.State() == queue.Running {
			return nil // to be read again, damaged, or on its way
		}
		txn.If = append(txn.If, semper.Condition{Key: q.key(kRun, id)}, semper.Condition{Key: q.key(kRes, id)})
		txn.Then = append(txn.Then, semper.Write{Key: q.key(kJob, id), Value: h.record})
		if e.Note != 0 || e.State() == queue.Dead {
			continue
		}
		m.Packed = false
		text, err := record.Pack(nil, state{Meta: m, Order: e.Revision, Attempt: int(e.Attempt), Due: e.At})
		if err != nil {
			return err
		}
		txn.If = append(txn.If, semper.Condition{Key: q.key(kDelay, id)}, semper.Condition{Key: q.key(kDead, id)})
		txn.Then = append(txn.Then, semper.Write{Key: q.key(kDelay, id), Value: text})
		noted = append(noted, id)
	}
	revision, err := q.e.store.Commit(ctx, txn)
	if err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, id := range ids {
		t.back.Indexed(id, 0)
	}
	for _, id := range noted {
		t.back.Note(id, revision)
	}
	t.dropBlock(k)
	return nil
}

// head takes in a block by the facts of its jobs, which stand as they are unless they do in another state.
func (r *reading) head(b record.Block, value []byte, version int64) {
	k := &block{name: b, version: version, over: map[queue.ID]bool{}}
	if was := r.blocks[b]; was != nil { // its marks were read
		k.over, k.marks = was.over, was.marks
	}
	r.blocks[b] = k
	n := int32(len(r.pages) + 1)
	r.pages = append(r.pages, page{key: r.q.headKey(b), block: k})
	ok := record.Facts(value, func(id queue.ID, _ int64, rest []byte) {
		e, whole := record.Fact{Page: n, Version: version, Rest: rest}.Entry(id)
		if !whole {
			e = unread(id, version)
			e.Page = n
		}
		r.member(k, e)
	})
	if !ok || r.doubt[b] {
		r.broken = append(r.broken, n)
	}
}

// member takes in a job of block k.
func (r *reading) member(k *block, e backlog.Entry) {
	k.jobs = append(k.jobs, e.ID)
	switch {
	case k.over[e.ID]:
	case r.b.Get(e.ID) != nil:
		r.b.Indexed(e.ID, e.Page)
	default:
		r.b.Add(e, r.now)
	}
}

// over takes in a mark. What a damaged one said is found out by the results.
func (r *reading) over(it semper.Item) error {
	b, ok := r.q.blockOfKey(it.Key, kOver)
	if !ok {
		return record.Damaged(it.Key, nil)
	}
	k := r.blocks[b]
	if k == nil {
		k = &block{name: b, over: map[queue.ID]bool{}}
		r.blocks[b] = k
	}
	ids, ok := record.Marked(b, it.Value)
	if !ok {
		r.doubt[b] = true
	}
	k.mark(it.Key, ids)
	return nil
}

// mend reads the blocks themselves whose heads or marks are damaged.
func (r *reading) mend(ctx context.Context) error {
	for _, n := range r.broken {
		k := r.pages[n-1].block
		items, err := r.q.fetchAll(ctx, []string{r.q.blockKey(k.name)})
		if err != nil {
			return err
		}
		it := items[r.q.blockKey(k.name)]
		records := map[queue.ID][]byte{}
		if it.err != nil || !record.Parts(it.Value, func(id queue.ID, record []byte) { records[id] = record }) {
			r.q.e.log.Error("queue: a block and what is told of it are damaged; its jobs that nothing else tells of are lost", "service", r.q.service.String(), "block", k.name.String(), "error", it.err)
			continue
		}
		known := map[queue.ID]bool{}
		for _, id := range k.jobs {
			known[id] = true
		}
		for _, id := range slices.SortedFunc(maps.Keys(records), func(a, b queue.ID) int { return slices.Compare(a[:], b[:]) }) {
			if err := r.mendJob(ctx, k, n, id, records[id], known[id]); err != nil {
				return err
			}
		}
	}
	return nil
}

// mendJob takes in a job of a block of which not everything can be read.
func (r *reading) mendJob(ctx context.Context, k *block, n int32, id queue.ID, text []byte, known bool) error {
	result := r.q.key(kRes, id)
	items, err := r.q.fetchAll(ctx, []string{result})
	if err != nil {
		return err
	}
	if items[result].Version != 0 {
		k.over[id] = true
		if known {
			r.b.Remove(id, time.Now())
		}
	}
	if known {
		return nil
	}
	e := unread(id, k.version)
	if m, err := record.OpenMeta(r.q.blockKey(k.name), text); err == nil {
		e = m.Entry(id, k.version)
	}
	e.Page = n
	r.member(k, e)
	return nil
}
