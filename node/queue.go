package node

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"

	"semper"
	"semper/internal/handoff"
	"semper/keeper"
	"semper/queue"
	"semper/queue/accept"
	"semper/queue/dispatch"
	"semper/queue/meter"
	"semper/queue/pull"
	"semper/store/etcd"
	"semper/supervise"
)

// Queue is the queue process: it writes down the requests that edges hand over, and sends each to an instance, by an edge, when
// there is one. It returns when ctx ends, and with an error when its tree has given up: then the keeper starts another. The
// socket outlives it, so that edges wait for the next one and lose nothing.
//
// It is a tree:
//
//	queue-1 (one for one)
//	├─ observer   shows the tree and its crashes
//	├─ sockets    gives the listening sockets to a keeper that lost its own
//	├─ meter      tells, on the process's own socket, what happens to queues and who has which jobs by which table
//	├─ queues     follows the route table: opens queues, and does their jobs
//	├─ instances  follows the keeper: what an instance that has ended held goes to others
//	├─ workers    answers instances that ask for jobs
//	└─ face       answers edges
//
// The order is that of the end, reversed: first no more requests are taken, then what is under way is given back.
func Queue(ctx context.Context, o PartOptions) error {
	d := dirs(o.Dir)
	sockets, err := handoff.Inherited()
	if err != nil {
		return err
	}
	defer handoff.Close(sockets)
	s, err := etcd.Open(ctx, d.storeSocket(), etcd.Options{})
	if err != nil {
		return err
	}
	defer s.Close() //nolint:errcheck // every write was acknowledged or reported
	engine, err := openQueues(d, s, engineOptions{id: o.ID, log: o.Log})
	if err != nil {
		return err
	}
	defer engine.Close() //nolint:errcheck // leases stay as they are
	edges := towardsEdges(d)
	defer edges.CloseIdleConnections()
	k := keeper.NewClient(d.keeper())
	defer k.Close()
	c := &clerk{id: o.ID, began: time.Now(), log: o.Log, store: s, engine: engine, edge: edges, keeper: k, secrets: secrets(d.secrets()), meter: meter.New(), open: map[semper.PoolKey]*work{}, moved: make(chan struct{}), asked: map[semper.InstanceID]int64{}}
	face := &surface{log: o.Log, handler: accept.New(accept.Options{Inbox: c.inbox, Log: o.Log}), sockets: socketsNamed(sockets, "queue")}
	tree, err := runTree(ctx, o, supervise.Flags{Name: o.ID, Intensity: 5, Period: 10 * time.Second}, []supervise.ChildSpec{
		{ID: "sockets", Restart: supervise.Transient, Start: supervise.Serve(handBack(ctx, o, sockets))},
		{ID: "meter", Start: supervise.ServeReady(c.tellCounts(o))},
		{ID: "queues", Shutdown: supervise.Infinity, Backoff: gently, Start: supervise.ServeReady(c.follow)},
		{ID: "instances", Backoff: gently, Start: supervise.Serve(c.mourn)},
		{ID: "workers", Shutdown: supervise.Infinity, Start: supervise.ServeReady(c.workers(socketsNamed(sockets, "jobs")).serve)},
		{ID: "face", Shutdown: supervise.Infinity, Start: supervise.ServeReady(face.serve)},
	})
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to end before it was ready
		}
		return err
	}
	select {
	case <-ctx.Done():
		return tree.Stop(context.WithoutCancel(ctx))
	case <-tree.Done():
		return fmt.Errorf("queue gave up: %w", tree.Reason().Err)
	}
}

// clerk has the queues that the route table asks for.
type clerk struct {
	id     string
	began  time.Time
	log    *slog.Logger
	store  *etcd.Store
	engine engine
	edge   http.RoundTripper
	secrets
	meter  *meter.Meter
	keeper *keeper.Client

	mu    sync.Mutex // guards what follows
	open  map[semper.PoolKey]*work
	epoch semper.Epoch                // of the table that all desks go by
	moved chan struct{}               // closed and replaced when it is another
	asked map[semper.InstanceID]int64 // the incarnations that have asked for a job, as far as the keeper knows
}

// work is one queue, and who does its jobs.
type work struct {
	accept.Inbox
	said string             // its settings as the table has them
	desk *pull.Desk         // where its workers ask; nil where its jobs are sent
	end  context.CancelFunc // of doing jobs
	call context.CancelFunc // of callbacks; nil: there are none
}

// inbox is the queue of a service, for package accept.
func (c *clerk) inbox(service semper.PoolKey) (accept.Inbox, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.open[service]
	if d == nil {
		return accept.Inbox{}, false
	}
	return d.Inbox, true
}

// follow opens what each new route table asks for, until ctx ends; then it waits for the jobs under way. It is ready at the
// first table, or when none came in time: edges have requests to hand over only by one.
func (c *clerk) follow(ctx context.Context, ready func()) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	late := time.AfterFunc(tableWait, ready)
	defer late.Stop()
	defer c.forget()
	leftBehind(ctx, c.engine, c.store, c.log)
	gone, err := c.engine.Ready(ctx)
	if err != nil {
		return err
	}
	wg.Go(func() {
		select {
		case <-gone: // the next incarnation opens the queues of what comes after it
			cancel()
		case <-ctx.Done():
		}
	})
	again(ctx, 50*time.Millisecond, func(ctx context.Context) {
		items, rev, err := c.store.List(ctx, tableKey)
		if err != nil {
			c.log.Debug("store away; working by the last route table", "error", err)
			return
		}
		for _, it := range items {
			c.apply(ctx, &wg, it)
		}
		ready()
		ch, err := c.store.Watch(ctx, tableKey, rev)
		if err != nil {
			return
		}
		for batch := range ch {
			for _, change := range batch {
				if !change.Deleted {
					c.apply(ctx, &wg, change.Item)
				}
			}
		}
	})
	return ctx.Err()
}

// forget closes the inboxes: the next incarnation of follow begins with none.
func (c *clerk) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range c.open {
		if d.desk != nil {
			d.desk.Close()
		}
	}
	clear(c.open)
	c.epoch = 0
}

// apply has an inbox for each service of the table that has a queue. The jobs of one that has left it stay where they are, until
// it is there again. When it returns, jobs are handed out by this table alone.
func (c *clerk) apply(ctx context.Context, wg *sync.WaitGroup, it semper.Item) {
	if it.Key != tableKey {
		return
	}
	var t semper.Table
	if err := json.Unmarshal(it.Value, &t); err != nil {
		c.log.Error("route table refused; working by the one before", "error", err)
		return
	}
	wanted := map[semper.PoolKey]desire{}
	for pulls, pools := range map[bool][]semper.Pool{false: t.Pools, true: t.Workers} {
		for i := range pools {
			if p := &pools[i]; p.Jobs != nil && p.Arm == "" {
				wanted[p.Key] = desire{string(p.Jobs), pulls}
			}
		}
	}
	c.mu.Lock()
	maps.DeleteFunc(c.open, func(key semper.PoolKey, d *work) bool {
		w, stays := wanted[key]
		if stays = stays && w.pulls == (d.desk != nil) || d.desk != nil && len(d.desk.Held()) > 0; !stays {
			d.end()
			d.hangUp()
		}
		return !stays
	})
	for key, w := range wanted {
		if d := c.open[key]; d != nil && d.said == w.said {
			continue
		}
		if err := c.openLocked(ctx, wg, key, w); err != nil {
			c.log.Error("a queue is not open", "queue", key, "error", err)
		}
	}
	c.mu.Unlock()
	c.follows(t)
}

// A desire is a queue that a table wants: its settings, and whether its workers ask for jobs.
type desire struct {
	said  string
	pulls bool
}

// openLocked opens a queue and has its jobs done, or gives an open one its new settings.
func (c *clerk) openLocked(ctx context.Context, wg *sync.WaitGroup, key semper.PoolKey, want desire) error {
	said := want.said
	settings, err := queue.ReadSettings(json.RawMessage(said))
	if err != nil {
		return err
	}
	service, err := serviceOf(key)
	if err != nil {
		return err
	}
	q, err := c.engine.Open(ctx, service, settings.Policy)
	if err != nil {
		return err
	}
	q = c.meter.Watch(service, q)
	inbox := accept.Inbox{Queue: q, Settings: settings, Allows: allows(settings)}
	d := c.open[key]
	if d != nil {
		d.said, d.Inbox = said, inbox
		return c.callLocked(ctx, wg, key, d)
	}
	doing, end := context.WithCancel(ctx)
	d = &work{Inbox: inbox, said: said, end: end}
	c.open[key] = d
	if want.pulls {
		d.desk = pull.NewDesk(key, q, c.log)
		wg.Go(func() {
			d.desk.Run(doing)
			d.desk.Close()
		})
		return c.callLocked(ctx, wg, key, d)
	}
	wg.Go(func() {
		dispatch.Run(doing, q, dispatch.Options{Service: key, Worker: c.id, Edge: c.edge, Log: c.log, Settings: func() queue.Settings {
			d, _ := c.inbox(key) // none: its last jobs end by the defaults
			return d.Settings
		}})
	})
	return c.callLocked(ctx, wg, key, d)
}

// serviceOf is whose pool key is.
func serviceOf(key semper.PoolKey) (queue.Service, error) {
	parts := strings.Split(string(key), "/")
	if len(parts) != 3 {
		return queue.Service{}, &semper.Error{Code: semper.Invalid, Op: "open a queue", Message: fmt.Sprintf("%q is not app/environment/service", key)}
	}
	return queue.Service{App: parts[0], Environment: parts[1], Service: parts[2]}, nil
}
