package mem

import (
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"semper/queue"
	"semper/queue/backlog"
)

// Engine is a [queue.Engine]. Its methods are safe for concurrent use.
type Engine struct {
	world *world
	done  chan struct{} // closed by Close
	once  sync.Once
}

// world is what engines over the same memory share.
type world struct {
	mu sync.Mutex // guards all below it

	revision int64
	queues   map[queue.Service]*memory
}

// memory is one queue, over all engines.
type memory struct {
	w       *world
	policy  queue.Policy
	back    *backlog.Backlog
	jobs    map[queue.ID]*record
	keys    map[string]known // idempotency keys
	ended   []queue.ID       // terminal but dead ones, oldest first
	untold  map[queue.ID]queue.End
	buried  []queue.ID // dead ones, oldest first; some may be so no longer
	pause   *queue.Pause
	deeds   []queue.Deed  // oldest first
	changed chan struct{} // closed and replaced with each change
}

type known struct {
	id     queue.ID
	digest [32]byte
	until  time.Time
}

type record struct {
	job     queue.Job
	size    int64
	state   queue.State // only where terminal; else the backlog knows it
	history []queue.Attempt
	now     queue.Attempt // that runs
	begun   int
	spent   int // attempts before an operator's last Retry
	ended   time.Time
	kept    time.Time
	why     string
	result  *queue.Result
}

var _ queue.Engine = (*Engine)(nil)

// New is an engine without queues.
func New() *Engine {
	return &Engine{world: &world{revision: 1, queues: map[queue.Service]*memory{}}, done: make(chan struct{})}
}

// Restart closes the engine and gives another over the same memory.
func (e *Engine) Restart() *Engine {
	_ = e.Close()
	return &Engine{world: e.world, done: make(chan struct{})}
}

// Close ends what waits.
func (e *Engine) Close() error {
	e.once.Do(func() { close(e.done) })
	return nil
}

// Open is the queue of a service.
func (e *Engine) Open(ctx context.Context, s queue.Service, p queue.Policy) (queue.Queue, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if e.closed() {
		return nil, queue.Closed()
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	e.world.mu.Lock()
	defer e.world.mu.Unlock()
	m := e.world.queues[s]
	if m == nil {
		m = &memory{w: e.world, policy: p.Filled(), back: backlog.New(p), jobs: map[queue.ID]*record{}, keys: map[string]known{}, untold: map[queue.ID]queue.End{}, changed: make(chan struct{})}
		e.world.queues[s] = m
	} else {
		m.policy = p.Filled()
		m.back.SetPolicy(p, time.Now())
		m.tell()
	}
	return &Queue{engine: e, m: m}, nil
}

// Queues are all there are, by name.
func (e *Engine) Queues(ctx context.Context) ([]queue.Listing, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	e.world.mu.Lock()
	defer e.world.mu.Unlock()
	now := time.Now()
	var out []queue.Listing
	for s, m := range e.world.queues {
		out = append(out, queue.Listing{Service: s, Policy: m.policy, Stats: m.back.Stats(now), At: now})
	}
	slices.SortFunc(out, func(a, b queue.Listing) int { return strings.Compare(a.Service.String(), b.Service.String()) })
	return out, nil
}

func (e *Engine) closed() bool {
	select {
	case <-e.done:
		return true
	default:
		return false
	}
}

// tell wakes whoever waits for a change, and gives the change its revision.
func (m *memory) tell() int64 {
	m.w.revision++
	close(m.changed)
	m.changed = make(chan struct{})
	return m.w.revision
}

// tick does what time has made due.
func (m *memory) tick(now time.Time) {
	m.back.Due(now)
	for _, e := range m.back.Overdue(now, m.back.Len()) {
		m.fail(m.jobs[e.ID], queue.LeaseEnded(), now)
	}
	for _, e := range m.back.Expired(now, m.back.Len()) {
		m.end(m.jobs[e.ID], queue.Expired, "its time to live ended before an attempt began", nil, now)
	}
	for len(m.buried) > 0 {
		r := m.jobs[m.buried[0]]
		if r != nil && r.state == queue.Dead && r.kept.After(now) {
			break
		}
		if r != nil && r.state == queue.Dead {
			m.end(r, queue.Discarded, "it was dead for as long as dead jobs are kept", r.result, now)
		}
		m.buried = m.buried[1:]
	}
	for len(m.ended) > 0 && !m.jobs[m.ended[0]].kept.After(now) {
		r := m.jobs[m.ended[0]]
		delete(m.jobs, r.job.ID)
		if k := r.job.DedupKey; m.keys[k].id == r.job.ID {
			delete(m.keys, k)
		}
		m.ended = m.ended[1:]
	}
}

// fail ends the running attempt of r and gives what became of it.
func (m *memory) fail(r *record, f queue.Failure, now time.Time) queue.State {
	id := r.job.ID
	a := r.now
	a.Ended, a.Status, a.Reason = now.Round(0), f.Status, f.Reason
	r.history = queue.Remember(r.history, a)
	next := m.policy.After(r.begun-r.spent, f, now, rand.Float64())
	defer m.tell()
	if !next.Dead {
		m.back.Back(id, r.begun, next.Due, now)
		return queue.Delayed
	}
	r.state, r.why, r.result, r.ended, r.kept = queue.Dead, next.Why, f.Result, now.Round(0), now.Add(m.policy.RetainDead)
	m.toTell(r)
	m.back.Bury(id, r.begun, now)
	m.buried = append(m.buried, id)
	return queue.Dead
}

// end makes r terminal, other than dead.
func (m *memory) end(r *record, s queue.State, why string, result *queue.Result, now time.Time) {
	r.state, r.why, r.result, r.ended = s, why, result, now.Round(0)
	r.kept = now.Add(max(m.policy.Retain, m.policy.Dedup))
	r.job.Request.Body = nil
	m.back.Remove(r.job.ID, now)
	m.ended = append(m.ended, r.job.ID)
	m.toTell(r)
	m.tell()
}

// toTell remembers that the end of r is to be told, if it is.
func (m *memory) toTell(r *record) {
	if r.job.Callback != "" {
		m.untold[r.job.ID] = queue.End{ID: r.job.ID, To: r.job.Callback, Mark: m.w.revision + 1}
	}
}
