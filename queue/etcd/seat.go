package etcd

import (
	"time"

	"semper"
	"semper/queue/etcd/record"
	"semper/store"
)

// seat puts claims of new jobs into the commit that accepts them, as far as somebody waits for jobs and these may start:
// a commit less for each, and no wait for a second one. Whether the queue is paused by now is a condition, as of any claim.
func (q *Queue) seat(c *composed, ops []*op) error {
	for _, n := range c.notices {
		if n.Kind == record.Pause { // what starts with it would have started after it
			return nil
		}
	}
	room := store.MaxOps - 1 - len(c.txn.If) - len(c.txn.Then)
	now := time.Now()
	q.mu.Lock()
	c.shares = q.askers.Take(func(want int) int {
		for _, o := range ops {
			if len(c.starts) == min(want, room) {
				break
			}
			if st := c.term.sit(o, now); st != nil {
				c.starts = append(c.starts, st)
			}
		}
		return len(c.starts)
	})
	q.mu.Unlock()
	if len(c.starts) == 0 {
		return nil
	}
	rest := c.starts
	for _, s := range c.shares {
		for _, st := range rest[:s.Jobs] {
			st.to = s.Asker
			st.attempt(1, now)
			text, err := record.Pack(nil, st.state)
			if err != nil {
				return err
			}
			c.txn.Then = append(c.txn.Then, semper.Write{Key: q.key(kRun, st.job.ID), Value: text})
		}
		rest = rest[s.Jobs:]
	}
	c.txn.If = append(c.txn.If, semper.Condition{Key: q.prefix + kPause})
	return nil
}

// sit is the beginning of the job of o, if it has a new one that may start at once. Its order is the revision of the
// commit, which its record says by saying that it is its own.
func (t *term) sit(o *op, now time.Time) *starting {
	if o.fresh == nil || o.keep.Request.Method == "" || t.doubt.Load() {
		return nil
	}
	m := o.fresh.meta
	m.Packed = o.packed
	seat := t.back.Seat(m.Entry(o.id, 0), now)
	if seat == nil {
		return nil
	}
	st := &starting{job: o.keep, op: o, seat: seat, state: state{Meta: m, Requeue: true}}
	st.job.ID = o.id
	return st
}

// rise gives back the places that a commit has kept, under the queue's mu: its jobs run, or it was not performed.
func (q *Queue) rise(c composed) {
	now := time.Now()
	for _, st := range c.starts {
		c.term.back.Leave(st.seat, now)
	}
}

// unseat undoes seat.
func (q *Queue) unseat(c composed) {
	q.mu.Lock()
	q.rise(c)
	q.mu.Unlock()
	q.answer(c.shares, nil)
}
