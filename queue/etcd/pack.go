package etcd

import (
	"crypto/rand"
	"encoding/json"
	"slices"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/etcd/line"
	"semper/queue/etcd/record"
)

// fresh is a job that is to be accepted under whatever name.
type fresh struct {
	meta meta
	text []byte // its record

	claim string // key of its idempotency key, where it has one
	known known  // what is to stand there, but the name
}

// claims writes down that an idempotency key stands for the job id.
func (f *fresh) claims(t *semper.Txn, id queue.ID) error {
	if f.claim == "" {
		return nil
	}
	f.known.ID = id
	text, err := json.Marshal(f.known)
	t.Then = append(t.Then, semper.Write{Key: f.claim, Value: text})
	return err
}

// composed is ops as one commit.
type composed struct {
	txn     semper.Txn
	term    *term // of this process, if the commit is on condition of its fence
	notices []notice
	shares  []line.Share // of those who get new jobs at once
	starts  []*starting
}

// compose is ops as one commit: of the dispatcher, on condition of its fence; of any other process, with the bell.
// Who waits for jobs gets new ones in the same commit, if claim says so.
func (q *Queue) compose(ops []*op, claim bool) (c composed, err error) {
	named, err := q.pack(&c, ops)
	if err != nil {
		return c, err
	}
	for _, o := range ops {
		if len(o.txn.If) == 0 && len(o.txn.Then) > 0 && !named {
			// New jobs have names that nobody had before. One condition makes the commit such that it can be sent again.
			c.txn.If, named = append(c.txn.If, semper.Condition{Key: o.txn.Then[0].Key}), true
		}
		c.txn.If = append(c.txn.If, o.txn.If...)
		c.txn.Then = append(c.txn.Then, o.txn.Then...)
		c.notices = append(c.notices, o.notices...)
	}
	q.mark(&c)
	if c.term = q.dispatching(); c.term != nil {
		c.txn.If = append(c.txn.If, c.term.fence)
		if claim {
			err = q.seat(&c, ops)
		}
		return c, err
	}
	if len(c.notices) == 0 {
		return c, nil
	}
	text, err := record.Pack(nil, c.notices)
	c.txn.Then = append(c.txn.Then, semper.Write{Key: q.prefix + kBell, Value: text})
	return c, err
}

// pack names the fresh jobs of ops and writes them: many into blocks, few each under its own key. It reports whether the
// commit has a condition that it breaks itself.
func (q *Queue) pack(c *composed, ops []*op) (named bool, err error) {
	var all []*op
	for _, o := range ops {
		if o.fresh != nil {
			all = append(all, o)
		}
	}
	now := time.Now()
	if len(all) < q.e.packLeast {
		for _, o := range all {
			o.id, o.packed = queue.NewID(now), false
			key := q.key(kJob, o.id)
			if !named {
				c.txn.If, named = append(c.txn.If, semper.Condition{Key: key}), true
			}
			c.txn.Then = append(c.txn.Then, semper.Write{Key: key, Value: o.fresh.text})
			c.notices = append(c.notices, notice{Kind: record.Add, ID: o.id, Meta: &o.fresh.meta})
			if err := o.fresh.claims(&c.txn, o.id); err != nil {
				return named, err
			}
		}
		return named, nil
	}
	for len(all) > 0 {
		n, size := 0, 0
		for n < min(len(all), packMost) && (n == 0 || size+len(all[n].fresh.text) <= packBytes) {
			size += len(all[n].fresh.text)
			n++
		}
		if err := q.packBlock(c, all[:n], size, now); err != nil {
			return true, err
		}
		all = all[n:]
	}
	return true, nil
}

// packBlock writes jobs as one block and its head.
func (q *Queue) packBlock(c *composed, jobs []*op, size int, now time.Time) error {
	name := record.BlockOf(q.e.newID(now))
	for slices.Contains(c.txn.If, semper.Condition{Key: q.blockKey(name)}) { // two of one commit, by chance; of others, the condition tells
		name = record.BlockOf(q.e.newID(now))
	}
	suffixes := make([]byte, 8*len(jobs))
	_, _ = rand.Read(suffixes) // never fails
	block := append(make([]byte, 0, size+24*len(jobs)+1), record.BlockSchema)
	head := append(make([]byte, 0, 64*len(jobs)+1), record.PageSchema)
	for i, o := range jobs {
		o.id, o.packed = queue.ID(slices.Concat(name[:], suffixes[8*i:8*i+8])), true
		m := o.fresh.meta
		m.Packed = true
		block = record.AppendPart(block, o.id, o.fresh.text)
		e := m.Entry(o.id, 0)
		head = record.AppendFact(head, &e)
		c.notices = append(c.notices, notice{Kind: record.Add, ID: o.id, Meta: &m})
		if err := o.fresh.claims(&c.txn, o.id); err != nil {
			return err
		}
	}
	c.txn.If = append(c.txn.If, semper.Condition{Key: q.blockKey(name)})
	c.txn.Then = append(c.txn.Then, semper.Write{Key: q.blockKey(name), Value: block}, semper.Write{Key: q.headKey(name), Value: head})
	return nil
}

// mark writes down which jobs of blocks the commit ends, one record for each block.
func (q *Queue) mark(c *composed) {
	ended := map[record.Block][]queue.ID{}
	for _, n := range c.notices {
		if n.Kind == record.End && n.Packed {
			ended[record.BlockOf(n.ID)] = append(ended[record.BlockOf(n.ID)], n.ID)
		}
	}
	for _, ids := range ended {
		value := make([]byte, 0, 8*len(ids))
		for _, id := range ids {
			value = append(value, id[8:]...)
		}
		c.txn.Then = append(c.txn.Then, semper.Write{Key: q.markKey(ids[0]), Value: value})
	}
}
