package etcd

import (
	"context"
	"errors"
	"runtime"
	"sync"

	"semper"
	"semper/queue"
	"semper/store"
)

// committers is how many commits of one queue are under way at a time, at most.
const committers = 2

// op is a change that goes into a commit with others.
type op struct {
	txn     semper.Txn
	notices []notice  // what the dispatcher has to know of it
	fresh   *fresh    // a job that gets its name when it is committed
	id      queue.ID  // of fresh, when it is done
	packed  bool      // fresh is in a block
	keep    queue.Job // with a method where the dispatcher may start it without reading it again
	done    chan outcome
}

type outcome struct {
	revision int64
	err      error
}

// commit performs an op and returns when it is durable, or is known not to be. The dispatcher, if it is this process,
// knows of it then.
func (q *Queue) commit(ctx context.Context, t semper.Txn, notices ...notice) (int64, error) {
	done, err := q.submit(ctx, t, notices...)
	if err != nil {
		return 0, err
	}
	return q.await(done)
}

func (q *Queue) submit(ctx context.Context, t semper.Txn, notices ...notice) (<-chan outcome, error) {
	return q.put(ctx, &op{txn: t, notices: notices, done: make(chan outcome, 1)})
}

func (q *Queue) put(ctx context.Context, o *op) (<-chan outcome, error) {
	select {
	case q.ops <- o:
		return o.done, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-q.e.ctx.Done():
		return nil, queue.Closed()
	}
}

// await does not end with the caller's context: what is under way takes no longer than the store's patience, and whoever
// left would not know what became of it.
func (q *Queue) await(done <-chan outcome) (int64, error) {
	select {
	case r := <-done:
		return r.revision, r.err
	case <-q.e.ctx.Done():
	}
	select {
	case r := <-done:
		return r.revision, r.err
	default:
		return 0, queue.Closed()
	}
}

// commits gathers ops and commits them, until the engine closes.
//
// While a commit is under way, what comes is gathered for the next. A second one beside it, on its way to the disk while the first is
// written, is worth its cost only when many have come: a commit costs as much as tens of ops.
func (q *Queue) commits() {
	var wg sync.WaitGroup
	defer wg.Wait()
	ended := make(chan int, committers)
	b, under, last := newBatch(), 0, 0
	var next *op // that does not fit into b
	for {
		if len(b.ops) > 0 && (under == 0 || under < committers && (next != nil || len(b.ops) >= crowd)) {
			if next == nil {
				next = q.gather(b, last)
			}
			ops := b.ops
			wg.Go(func() {
				q.perform(ops)
				ended <- len(ops)
			})
			under++
			b = newBatch()
			if next != nil {
				b.add(next)
				next = nil
			}
			continue
		}
		ops := q.ops
		if next != nil {
			ops = nil // there is no room until a commit has ended
		}
		select {
		case o := <-ops:
			if b.fits(o) {
				b.add(o)
			} else {
				next = o
			}
		case last = <-ended:
			under--
		case <-q.e.ctx.Done():
			return
		}
	}
}

// crowd is how many ops in one commit are many: then whoever has just got an answer is about to ask again.
const crowd = 32

// gather takes what waits already, and gives the first op that no longer fits. Under load it first lets the callers of
// the last commit run, so that they go into one commit and not into many small ones; without load nobody waits.
func (q *Queue) gather(b *batch, last int) (left *op) {
	for yields := 0; ; {
		select {
		case o := <-q.ops:
			if !b.fits(o) {
				return o
			}
			b.add(o)
		default:
			if yields++; last < few || len(b.ops) >= last || yields > 4 {
				return nil
			}
			runtime.Gosched()
		}
	}
}

// few is how many ops of one commit are still no load.
const few = 8

// batch is ops that touch different keys.
type batch struct {
	ops   []*op
	keys  map[string]bool
	count int // conditions and writes
	size  int
}

func newBatch() *batch { return &batch{keys: map[string]bool{}} }

// Room is left for the fence, the bell, and their bytes.
const (
	batchOps   = store.MaxOps - 16
	batchBytes = store.MaxBytes / 2
)

func (b *batch) fits(o *op) bool {
	count, size := measure(o)
	if b.count+count > batchOps || b.size+size > batchBytes {
		return false
	}
	for _, w := range o.txn.Then {
		if b.keys[w.Key] {
			return false
		}
	}
	return o.fresh == nil || !b.keys[o.fresh.claim]
}

func measure(o *op) (count, size int) {
	for _, c := range o.txn.If {
		size += len(c.Key)
	}
	for _, w := range o.txn.Then {
		size += len(w.Key) + len(w.Value)
	}
	count = len(o.txn.If) + len(o.txn.Then)
	for _, n := range o.notices {
		if n.Packed {
			count++ // a mark
		}
	}
	if o.fresh != nil {
		count, size = count+1, size+len(o.fresh.text)+500
		if o.fresh.claim != "" {
			count, size = count+1, size+300
		}
	}
	return count, size + 300*len(o.notices)
}

func (b *batch) add(o *op) {
	count, size := measure(o)
	b.ops, b.count, b.size = append(b.ops, o), b.count+count, b.size+size
	for _, w := range o.txn.Then {
		b.keys[w.Key] = true
	}
	if o.fresh != nil && o.fresh.claim != "" {
		b.keys[o.fresh.claim] = true
	}
}

// maxTries bounds what cannot happen: conditions that neither hold nor do not.
const maxTries = 100

// perform commits ops together, and again without those whose conditions do not hold, until each has its outcome.
func (q *Queue) perform(ops []*op) {
	for tries := 0; len(ops) > 0; tries++ {
		c, err := q.compose(ops, tries == 0)
		term := c.term
		var revision int64
		if err == nil {
			revision, err = q.e.store.Commit(q.e.ctx, c.txn)
		}
		if err != nil {
			q.unseat(c)
		}
		switch {
		case err == nil:
			q.performed(ops, c, revision)
			return
		case errors.Is(err, semper.ErrConflict) && len(c.starts) > 0: // perhaps because of the claims
		case errors.Is(err, semper.ErrConflict) && tries < maxTries:
			if term == nil {
				ops = q.sift(ops, err)
				continue
			}
			gone, unknown := q.lost(term)
			if unknown != nil {
				settle(ops, unknown)
				return
			}
			if !gone { // else the next goes over the bell
				ops = q.sift(ops, err)
			}
		default:
			if term != nil && semper.CodeOf(err) == semper.Unavailable {
				q.doubt(term) // it may have been applied
			}
			settle(ops, err)
			return
		}
	}
}

func (q *Queue) performed(ops []*op, c composed, revision int64) {
	for _, st := range c.starts {
		st.op.keep = queue.Job{} // it has started
	}
	q.remember(ops)
	q.learn(c, revision)
	q.answer(c.shares, c.starts)
	for _, o := range ops {
		o.done <- outcome{revision: revision}
	}
}

func settle(ops []*op, err error) {
	for _, o := range ops {
		o.done <- outcome{err: err}
	}
}

// sift refuses the ops whose conditions do not hold, and gives the others. What cannot be told apart is tried again.
func (q *Queue) sift(ops []*op, conflict error) (rest []*op) {
	if len(ops) == 1 && ops[0].fresh == nil { // a new job gets another name
		settle(ops, conflict)
		return nil
	}
	var keys []string
	for _, o := range ops {
		for _, c := range o.txn.If {
			keys = append(keys, c.Key)
		}
	}
	items, err := q.e.store.Fetch(q.e.ctx, keys...)
	if err != nil {
		settle(ops, err)
		return nil
	}
	for _, o := range ops {
		var refused error
		for _, c := range o.txn.If {
			if items[0].Version != c.Version {
				refused = store.Conflict(c, items[0].Version)
			}
			items = items[1:]
		}
		if refused != nil {
			o.done <- outcome{err: refused}
			continue
		}
		rest = append(rest, o)
	}
	return rest
}
