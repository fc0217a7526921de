package etcd

import (
	"sync"
	"sync/atomic"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/backlog"
	"semper/queue/etcd/line"
	"semper/queue/etcd/record"
	"semper/queue/spill"
)

// Queue is one service's, as one process has it.
type Queue struct {
	e       *Engine
	service queue.Service
	prefix  string     // of its keys
	bodies  *spill.Dir // nil: none
	ops     chan *op
	wake    chan struct{} // holds one when the dispatcher may have something to do
	askers  line.Line     // of jobs
	place   atomic.Int64

	mu sync.Mutex // guards the following

	policy  queue.Policy
	term    *term             // while this process dispatches, or reads the backlog in order to
	held    map[queue.ID]held // running attempts that this process claimed
	waiters map[queue.ID][]chan struct{}
	moved   chan struct{} // closed and replaced when a job stopped running
	recent  recent
	far     far

	farRead sync.Mutex // held by who reads far's numbers, for all who wait for them
}

var _ queue.Queue = (*Queue)(nil)

// term is a time of dispatching with one reading of the backlog.
type term struct {
	fence semper.Condition
	doubt atomic.Bool // the backlog has to be read again

	// guarded by the queue's mu
	back    *backlog.Backlog // nil while it is read
	base    int64            // the revision it was read at
	belled  int64            // of the last bell that was heard
	pending []learned        // while it is read
	pause   *queue.Pause
	own     map[int64]bool     // bells of this process that are still to be heard
	early   map[queue.ID]int64 // ends that were heard of before the beginning, and their revisions

	pages    map[int32]page // of the index
	lastPage int32
	fresh    []queue.ID             // jobs that may be on none
	blocks   map[record.Block]int32 // their pages
}

type learned struct {
	fenced   bool
	revision int64
	notices  []notice
	starts   []*starting // of new jobs, in the same commit
}

// held is a running attempt's record and its version.
type held struct {
	state
	token int64
}

func newQueue(e *Engine, s queue.Service, p queue.Policy) *Queue {
	return &Queue{
		e: e, service: s, prefix: "q/" + s.String() + "/", policy: p.Filled(),
		ops: make(chan *op, 1024), wake: make(chan struct{}, 1),
		held: map[queue.ID]held{}, waiters: map[queue.ID][]chan struct{}{}, moved: make(chan struct{}),
		recent: recent{jobs: map[queue.ID]queue.Job{}},
	}
}

func (q *Queue) setPolicy(p queue.Policy) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.policy = p.Filled()
	if t := q.term; t != nil && t.back != nil {
		t.back.SetPolicy(p, time.Now())
	}
	q.nudge()
}

func (q *Queue) rules() queue.Policy {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.policy
}

// nudge makes the dispatcher look.
func (q *Queue) nudge() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// dispatching is the term of this process, if it has read its backlog.
func (q *Queue) dispatching() *term {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.term == nil || q.term.back == nil {
		return nil
	}
	return q.term
}

// doubt makes the dispatcher read its backlog again.
func (q *Queue) doubt(t *term) {
	t.doubt.Store(true)
	q.nudge()
}

// lost is whether t's leadership is over. Then nobody here acts under it any more.
func (q *Queue) lost(t *term) (bool, error) {
	items, err := q.e.store.Fetch(q.e.ctx, t.fence.Key)
	if err != nil {
		return false, err
	}
	if items[0].Version == t.fence.Version {
		return false, nil
	}
	q.mu.Lock()
	if q.term == t {
		q.term = nil
	}
	q.mu.Unlock()
	q.doubt(t)
	return true, nil
}

// learn is what a commit of this process has changed: under the dispatcher's fence, or with the bell.
func (q *Queue) learn(c composed, revision int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, n := range c.notices {
		q.forgetLocked(n)
	}
	q.began(c.starts, revision)
	if t := q.term; t != nil {
		t.learn(q, learned{c.term != nil, revision, c.notices, c.starts})
	}
	q.rise(c)
	q.nudge()
}

// learn applies what was committed here, now or when the backlog is read. Its bell, if it had one, is not heard again.
func (t *term) learn(q *Queue, l learned) {
	switch {
	case t.back == nil:
		t.pending = append(t.pending, l)
	case l.revision <= t.base:
	case l.fenced:
		t.apply(q, l.revision, l.notices)
		t.began(l.starts, l.revision)
	case l.revision > t.belled:
		t.own[l.revision] = true
		t.apply(q, l.revision, l.notices)
	}
}

// forgetLocked lets go of what is kept here of a job that no longer runs, and tells whoever waits for its end.
func (q *Queue) forgetLocked(n notice) {
	switch n.Kind {
	case record.Back, record.Bury, record.End:
		delete(q.held, n.ID)
		close(q.moved)
		q.moved = make(chan struct{})
	}
	switch n.Kind {
	case record.Bury, record.End:
		q.recent.drop(n.ID)
		for _, w := range q.waiters[n.ID] {
			close(w)
		}
		delete(q.waiters, n.ID)
	}
}

// apply brings the backlog to what notices of revision say.
func (t *term) apply(q *Queue, revision int64, notices []notice) {
	t.learnBlocks(q, revision, notices)
	now := time.Now()
	for _, n := range notices {
		if t.stale(n, revision) {
			continue
		}
		switch n.Kind {
		case record.Add:
			e := n.Meta.Entry(n.ID, revision)
			e.Seen = revision
			if n.Noted {
				e.Note = revision
			}
			if n.Attempt == 0 && n.Meta.Packed {
				e.Page = t.blockPage(q, record.BlockOf(n.ID))
			}
			if n.Attempt > 0 { // an operator's Retry
				if was := t.back.Get(n.ID); was != nil {
					e.Page = was.Page
				}
				t.back.Remove(n.ID, now)
				e.Attempt, e.At, e.Expires = int32(n.Attempt), time.Time{}, time.Time{}
			}
			t.back.Add(e, now)
			if e.Attempt == 0 && !n.Meta.Packed {
				t.fresh = append(t.fresh, n.ID)
			}
			continue
		case record.Back:
			t.back.Back(n.ID, n.Attempt, n.Due, now)
		case record.Bury:
			t.back.Bury(n.ID, n.Attempt, now)
		case record.End:
			t.back.Remove(n.ID, now)
		case record.Extend:
			t.back.Extend(n.ID, n.Token, now.Add(t.back.Policy().Lease))
		case record.Pause:
			t.pause = &queue.Pause{Revision: revision} // who paused is read when it is asked for
			t.back.Pause(true)
		case record.Resume:
			t.pause = nil
			t.back.Pause(false)
		}
		if n.Noted {
			t.back.Note(n.ID, revision)
		}
		t.back.Saw(n.ID, revision)
	}
}

// maxEarly bounds what is remembered of ends whose beginning is never heard of.
const maxEarly = 10_000

// stale is whether something newer is known of the job. A change goes over the bell if it was begun before this process
// dispatched, and may be heard after one that was begun later and is known from its commit.
func (t *term) stale(n notice, revision int64) bool {
	if n.ID == (queue.ID{}) {
		return false
	}
	e := t.back.Get(n.ID)
	if e != nil {
		return revision <= e.Seen && n.Kind != record.Extend
	}
	if n.Kind == record.End {
		if t.early == nil || len(t.early) >= maxEarly {
			t.early = map[queue.ID]int64{}
		}
		t.early[n.ID] = revision
		return true
	}
	end, ended := t.early[n.ID]
	return ended && revision < end
}

// recent is requests that were accepted here while the dispatcher was, so that a job that starts soon is not read
// again. The oldest stay, because they start first.
type recent struct {
	jobs  map[queue.ID]queue.Job
	bytes int64
}

// recentBytes is how much of them is kept.
const recentBytes = 8 << 20

func (r *recent) full() bool { return r.bytes >= recentBytes }

func (r *recent) put(j queue.Job) {
	r.jobs[j.ID] = j
	r.bytes += j.Size()
}

func (r *recent) drop(id queue.ID) { r.take(id) }

func (r *recent) take(id queue.ID) (queue.Job, bool) {
	j, ok := r.jobs[id]
	if ok {
		delete(r.jobs, id)
		r.bytes -= j.Size()
	}
	return j, ok
}
