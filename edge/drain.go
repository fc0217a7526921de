package edge

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"semper"
	"semper/edge/flight"
)

const (
	// idleGrace is what clients with idle connections get to send one more request on them, whose answer
	// tells them to close.
	idleGrace = 2 * time.Second
	// drainStreams is what streams and tunnels get when the edge itself drains. Their clients know how to
	// come back, and the next edge is there already.
	drainStreams = time.Minute
	closeWithin  = 5 * time.Second
	// lastWords is how long clients have to take the end of an answer that was cut, before their connections are closed.
	lastWords = time.Second
)

var errCut = errors.New("cut at a drain deadline")

// ending is the one drain of an edge.
type ending struct {
	once, cutOnce, finishOnce sync.Once

	cut  chan struct{} // closed when everything left is cut
	done chan struct{} // closed when nothing is left

	mu     sync.Mutex // guards what follows
	at     [flight.Classes]time.Time
	failed error
}

func newEnding() *ending { return &ending{cut: make(chan struct{}), done: make(chan struct{})} }

func (n *ending) finish() { n.finishOnce.Do(func() { close(n.done) }) }

// deadline of a class, zero for none.
func (n *ending) deadline(c flight.Class) time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.at[c]
}

// Done is closed when a drain has finished, whoever asked for it, or the edge is closed.
func (e *Edge) Done() <-chan struct{} { return e.end.done }

// Drain accepts nothing new from now on and returns when everything that was accepted has its answer.
// Listeners are closed in this process only. Answers say Connection: close; idle connections get a
// moment and are closed then; streams and tunnels end after a minute, tunnels with a Close frame. What
// is left at the end of ctx is cut, and the error says so. A second Drain waits for the first.
func (e *Edge) Drain(ctx context.Context) error {
	e.end.once.Do(func() { e.background.Drain(func(here context.Context) { e.drain(here, ctx) }) })
	select {
	case <-e.end.done:
	case <-e.ctx.Done():
	}
	e.end.mu.Lock()
	defer e.end.mu.Unlock()
	return e.end.failed
}

// drain is the drain that ctx bounds; the edge ends it through here.
func (e *Edge) drain(here, ctx context.Context) {
	defer e.end.finish()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.ctx, cancel)()
	defer context.AfterFunc(here, cancel)()
	now := time.Now()
	limit := now.Add(drainStreams)
	if d, ok := ctx.Deadline(); ok && d.Before(limit) {
		limit = d
	}
	e.end.mu.Lock()
	e.end.at[flight.Stream], e.end.at[flight.WebSocket] = limit, limit
	e.end.mu.Unlock()
	e.shut()
	e.tend()
	empty := func() bool { return e.serving.Load() == 0 && e.handlers.Load() == 0 && e.drivers.connections() == 0 }
	if !e.await(ctx, e.grace, empty) {
		e.drivers.sweep()
		if !e.await(ctx, 0, empty) {
			e.cutAll()
			e.end.mu.Lock()
			e.end.failed = &semper.Error{Code: semper.Timeout, Op: "drain edge " + e.o.ID, Message: "cut what was still in flight at the deadline", Err: ctx.Err()}
			e.end.mu.Unlock()
			e.await(context.WithoutCancel(ctx), closeWithin, func() bool { return e.handlers.Load() == 0 })
		}
	}
}

// shut closes the doors.
func (e *Edge) shut() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.draining.Store(true)
	for d := range e.doors {
		d.end()
	}
	clear(e.doors)
}

// cutAll cuts everything in flight, and whatever waits.
func (e *Edge) cutAll() {
	e.end.cutOnce.Do(func() { close(e.end.cut) })
	e.drivers.cut(func(*session) bool { return true })
	e.registry.Lock()
	defer e.registry.Unlock()
	now := time.Now()
	for _, b := range e.backends {
		b.cutClass(flight.Request)
		b.cutClass(flight.Write)
		b.cutClass(flight.Stream)
		b.cutTunnels(now)
	}
}

// await waits until ok, the end of ctx, the edge's, or the limit where there is one. It reports whether ok.
func (e *Edge) await(ctx context.Context, limit time.Duration, ok func() bool) bool {
	var late <-chan time.Time
	if limit > 0 {
		t := time.NewTimer(limit)
		defer t.Stop()
		late = t.C
	}
	for !ok() {
		select {
		case <-e.idle:
		case <-late:
			return ok()
		case <-ctx.Done():
			return ok()
		}
	}
	return true
}

// sayIdle tells a drain that something ended.
func (e *Edge) sayIdle() {
	if !e.draining.Load() {
		return
	}
	select {
	case e.idle <- struct{}{}:
	default:
	}
}

// A door is a listener this edge accepts from.
type door struct {
	net.Listener
	once sync.Once
	ctx  context.Context    // ends with it
	end  context.CancelFunc // whoever serves it returns then, and closes it
}

// open makes l a door; false when the edge takes no connections any more, and l is closed then.
func (e *Edge) open(l net.Listener) (*door, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	d := &door{Listener: l}
	d.ctx, d.end = context.WithCancel(e.ctx)
	if e.closed || e.draining.Load() {
		d.Close() //nolint:errcheck // nobody ever accepted from it
		return nil, false
	}
	e.doors[d] = struct{}{}
	return d, true
}

// Close gives this process's descriptor back, once.
func (d *door) Close() (err error) {
	d.once.Do(func() {
		d.end()
		err = d.Listener.Close()
	})
	return err
}
