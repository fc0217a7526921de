package etcd

import (
	"context"
	"encoding/json"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/etcd/record"
	"semper/queue/spill"
	"semper/store"
)

// Options of an engine.
type Options struct {
	ID     string       // of this process: unique among those alive, the same over restarts
	Bodies string       // directory of large bodies; empty: bodies over queue.Inline are refused
	Log    *slog.Logger // nil: slog.Default()
	Apart  bool         // it never hands out jobs, so its Claim waits in vain: for processes that only accept, look or operate
}

// Engine is a [queue.Engine] over a store. Its methods are safe for concurrent use.
type Engine struct {
	store     store.Bulk
	id        string
	bodies    string // directory; empty: none
	apart     bool
	log       *slog.Logger
	packLeast int // jobs of one commit that make a block
	newID     func(time.Time) queue.ID

	ctx context.Context // ends with Close
	end context.CancelFunc
	wg  sync.WaitGroup

	mu     sync.Mutex // guards queues, and orders wg.Go before the wait of Close
	queues map[queue.Service]*Queue
}

var _ queue.Engine = (*Engine)(nil)

// New is an engine over s, which stays the caller's.
func New(s store.Bulk, o Options) (*Engine, error) {
	e := &Engine{store: s, id: o.ID, bodies: o.Bodies, apart: o.Apart, log: o.Log, packLeast: packLeast, newID: queue.NewID, queues: map[queue.Service]*Queue{}}
	if e.log == nil {
		e.log = slog.Default()
	}
	if o.ID == "" {
		return nil, &semper.Error{Code: semper.Invalid, Op: "queue", Message: "an engine without an id", Hint: "give it the name of its process, which stays the same over restarts"}
	}
	e.ctx, e.end = context.WithCancel(context.Background())
	return e, nil
}

// Open is the queue of a service. Unless the engine is apart, it offers itself as the queue's dispatcher from now on.
func (e *Engine) Open(ctx context.Context, s queue.Service, p queue.Policy) (queue.Queue, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := s.Check(); err != nil {
		return nil, err
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.Err() != nil {
		return nil, queue.Closed()
	}
	if q := e.queues[s]; q != nil {
		q.setPolicy(p)
		return q, nil
	}
	q := newQueue(e, s, p)
	if e.bodies != "" {
		var err error
		if q.bodies, err = spill.Open(filepath.Join(e.bodies, s.App, s.Environment, s.Service)); err != nil {
			return nil, err
		}
	}
	e.queues[s] = q
	e.wg.Go(q.commits)
	if !e.apart {
		e.wg.Go(q.campaign)
	}
	return q, nil
}

// Queues are all that ever had a dispatcher, by name, with what the last one wrote down: the policy and the numbers of At.
func (e *Engine) Queues(ctx context.Context) ([]queue.Listing, error) {
	items, _, err := e.store.List(ctx, statPrefix)
	if err != nil {
		return nil, err
	}
	out := make([]queue.Listing, len(items))
	for i, it := range items {
		if err := json.Unmarshal(it.Value, &out[i]); err != nil {
			return nil, record.Damaged(it.Key, err)
		}
	}
	return out, nil
}

// Close gives dispatching up and returns when nothing of the engine runs.
func (e *Engine) Close() error {
	e.mu.Lock()
	e.end()
	e.mu.Unlock()
	e.wg.Wait()
	return nil
}
