package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"semper"
	"semper/edge/arms"
	"semper/edge/background"
	"semper/edge/balance"
	"semper/edge/config"
	"semper/edge/epoch"
	"semper/edge/flight"
	"semper/edge/gate"
	"semper/edge/ledger"
	"semper/edge/local"
	"semper/edge/mirror"
	"semper/edge/probe"
	"semper/edge/rouse"
	"semper/edge/route"
	"semper/edge/strain"
	"semper/edge/tablefile"
	"semper/edge/variant"
	"semper/edge/witness"
	"semper/supervise"
)

// Options say what an edge is made of.
type Options struct {
	ID      string         // "edge-1"; part of the ledger's file name
	Dir     string         // DIR/edge: the last table and the ledgers; made when there is none. "" keeps nothing
	Log     *slog.Logger   // nil discards; requests are logged at debug level
	Trusted []netip.Prefix // peers whose X-Forwarded-*, Forwarded, X-Real-Ip and X-Request-Id are believed
	TLS     *tls.Config    // for listeners served with TLS; HTTP/2 is offered on those
	// Belongs reports whether a request for a host may come over a connection whose handshake asked for another name: by
	// whoever knows the certificates. Without it, those that stand in TLS decide.
	Belongs func(state tls.ConnectionState, host string) bool
	// Challenges, if set, answers what an ACME authority asks in plaintext below /.well-known/acme-challenge/, before any rule
	// does, and leaves to next what is no challenge.
	Challenges func(next http.Handler) http.Handler
	// Observe is told what happens to the parts in the background, as the Observe of supervise.Options; nil: nobody is.
	// It must not call the edge.
	Observe func(supervise.Event)
	// Trees say where an artifact is unpacked whose files a table's routes answer with.
	Trees config.Trees
	// Driver says what carries plaintext connections.
	Driver Driver
	// Witness says what is seen of requests beside the metrics, which are always: the access log, and what becomes of traces.
	// How many loops and goroutines there are the edge says itself.
	Witness witness.Options
}

// Key names an entry of a ledger: a release of an app.
type Key = ledger.Key

// Edge is the data plane of one process. Its methods are safe for concurrent use.
type Edge struct {
	o         Options
	log       *slog.Logger
	books     *ledger.Ledger
	witness   *witness.Witness
	arms      *arms.Tallies
	mirrors   *mirror.Mirrors
	strain    *strain.Strain
	exposures variant.Log
	bell      rouse.Bell // rung when a request begins to wait for a service that may sleep

	current epoch.Current[snapshot]
	trusted *config.Networks
	changes balance.Changes // of the fitness of all backends
	origin  time.Time       // of now

	challenges http.Handler    // nil: nobody has any
	ctx        context.Context // of everything in the background
	stop       context.CancelFunc
	background *background.Tree
	kick       chan struct{} // buffered, 1: wakes the loop of tend.go

	drivers  drivers
	handlers atomic.Int64  // requests inside ServeHTTP, tunnels included
	serving  atomic.Int64  // accept loops; while one runs a connection may be between the kernel and its driver
	draining atomic.Bool   // no new connections; answers say Connection: close
	grace    time.Duration // idleGrace, but in tests
	idle     chan struct{} // buffered, 1: a handler or a connection ended while draining
	end      *ending

	order    sync.Mutex // one Apply at a time; outermost
	registry sync.Mutex // guards what follows
	backends map[incarnation]*backend
	lanes    map[semper.PoolKey]*line
	gates    *gate.Gates
	memories map[string]*config.Memory // by the name of a rule
	retired  local.Retired
	ends     config.Ends // of the holds of its table
	key      []byte      // for cookies, where a Config brings none

	mu     sync.Mutex // guards what follows; innermost
	closed bool
	doors  map[*door]struct{}
}

// New is an edge that serves by the last table on disk, as soon as it is given a listener.
func New(o Options) (*Edge, error) {
	if o.ID == "" {
		return nil, &semper.Error{Code: semper.Invalid, Op: "start edge", Message: "an edge needs an id"}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	t, err := tablefile.Load(o.Dir, o.Log)
	if err != nil {
		return nil, fmt.Errorf("start edge: %w", err)
	}
	books, err := ledger.Open(o.Dir, o.ID)
	if err != nil {
		return nil, fmt.Errorf("start edge: %w", err)
	}
	e := &Edge{
		o: o, log: o.Log, books: books, kick: make(chan struct{}, 1), idle: make(chan struct{}, 1),
		backends: make(map[incarnation]*backend), lanes: make(map[semper.PoolKey]*line), origin: time.Now(),
		doors: make(map[*door]struct{}), end: newEnding(), grace: idleGrace, trusted: (*config.Networks)(&o.Trusted),
	}
	if o.Challenges != nil {
		e.challenges = o.Challenges(http.HandlerFunc(e.serve))
	}
	e.gates = gate.NewGates(e.now, e.pumpGate)
	e.ctx, e.stop = context.WithCancel(context.Background())
	if err := e.newWitness(); err != nil {
		e.stop()
		return nil, errors.Join(fmt.Errorf("start edge: %w", err), books.Close())
	}
	e.strain = strain.New(o.Log, e.witness.Paused)
	if err := e.startDrivers(); err != nil {
		e.stop()
		return nil, errors.Join(fmt.Errorf("start edge: %w", err), e.witness.Close(), books.Close())
	}
	e.current.Swap(e.empty()) // for tend, which begins at once
	if e.background, err = background.Start(o.ID, background.Parts{
		Tend: e.loop, Log: e.witness.ServeLog, Traffic: e.watchTraffic, Strain: e.strain.Watch, Shadow: e.mirrors.Serve,
	}, e.log, o.Observe); err != nil {
		e.stop()
		e.drivers.tunnels.Close()
		return nil, errors.Join(append(e.drivers.close(), fmt.Errorf("start edge: %w", err), e.witness.Close(), books.Close())...)
	}
	if t.Epoch > 0 {
		m, _, err := config.OfTable(t, e.o.Trees)
		if err == nil {
			err = e.serveBy(t, m)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("start edge: %w", err), e.Close())
		}
		e.log.Info("serving by the last route table", "epoch", t.Epoch)
	}
	return e, nil
}

// now is the clock of all that is decided about requests: monotonic nanoseconds.
func (e *Edge) now() int64 { return int64(time.Since(e.origin)) }

func (e *Edge) snapshot() *snapshot { return e.current.Load() }

// Epoch is that of the table it serves by; 0 before the first.
func (e *Edge) Epoch() semper.Epoch { return e.snapshot().epoch }

// WaitEpoch returns once the edge serves by epoch n or a later one.
func (e *Edge) WaitEpoch(ctx context.Context, n semper.Epoch) error {
	for {
		s := e.snapshot()
		if s.epoch >= n {
			return nil
		}
		select {
		case <-e.current.Changed(s):
		case <-ctx.Done():
			return ctx.Err()
		case <-e.ctx.Done():
			return &semper.Error{Code: semper.Unavailable, Op: "wait for an epoch", Message: "the edge is closed"}
		}
	}
}

// Apply makes t the table requests are served by: it is checked, kept on disk, and then swapped in as
// one value. When Apply returns nil, no request whose head is read later can reach anything t leaves
// out, and State counts everything that was under way before. A table of an epoch that is not higher
// than the current one is ignored.
func (e *Edge) Apply(t semper.Table) error {
	e.order.Lock()
	defer e.order.Unlock()
	if t.Epoch <= e.Epoch() {
		return nil
	}
	if t.Epoch > 0 && e.snapshot().alone {
		return &semper.Error{Code: semper.Conflict, Op: "apply a route table", Message: "the edge goes by a Config"}
	}
	if err := tablefile.Validate(t); err != nil {
		return err
	}
	m, odd, err := config.OfTable(t, e.o.Trees)
	if err != nil {
		return err
	}
	if odd != nil {
		e.log.Warn("a route table says what this edge does not know; it serves by the rest", "epoch", t.Epoch, "error", odd)
	}
	if err := e.ctx.Err(); err != nil {
		return &semper.Error{Code: semper.Unavailable, Op: "apply a route table", Message: "the edge is closed"}
	}
	if err := tablefile.Save(e.o.Dir, t); err != nil {
		return err
	}
	return e.serveBy(t, m)
}

// serveBy makes t, whose rules are m, the current snapshot. One at a time.
func (e *Edge) serveBy(t semper.Table, m *route.Matcher) error {
	sites := local.OpenEach(m, e.tend, e.log)
	e.registry.Lock()
	defer e.registry.Unlock()
	s, err := e.compileTable(t, m)
	if err != nil {
		return errors.Join(err, local.Close(sites))
	}
	s.answer(sites)
	e.retired.Add(e.install(s).sites)
	e.tend()
	return nil
}

// install makes s the current snapshot, in the order of package epoch: what comes back is restored, the pointer swapped, and
// then what is left out retired. It returns the snapshot before. e.registry is held.
func (e *Edge) install(s *snapshot) (before *snapshot) {
	named := make(map[*backend]bool)
	for _, p := range s.pools {
		for _, b := range p.backends {
			named[b] = true
			b.left.Store(false)
			b.balance.InFlight.Restore()
			b.uncut()
		}
	}
	before = e.current.Swap(s)
	for _, b := range e.backends {
		if !named[b] {
			b.left.Store(true)
			b.balance.InFlight.Retire()
		}
	}
	e.wakeLocked()
	return before
}

// backend is the incarnation in, made when there is none. e.registry is held.
func (e *Edge) backend(in incarnation, l life, c probe.Check) *backend {
	b := e.backends[in]
	if b == nil {
		b = e.newBackend(in, l)
		e.backends[in] = b
	} else if b.key != l.key { // an arm's, which has become the service's
		b.key = l.key
		b.place.Store(e.witness.Place(l.key))
	}
	b.asks(c)
	return b
}

// wake makes every line look again.
func (e *Edge) wake() {
	e.registry.Lock()
	defer e.registry.Unlock()
	e.wakeLocked()
}

func (e *Edge) wakeLocked() {
	for _, l := range e.lanes {
		l.Wake()
	}
}

// State is what the edge says of itself. Its epoch is read before what is in flight: what that epoch
// leaves out can only become less.
func (e *Edge) State() semper.EdgeState {
	e.registry.Lock()
	defer e.registry.Unlock()
	s := semper.EdgeState{
		ID: e.o.ID, PID: os.Getpid(), Epoch: e.Epoch(), Draining: e.draining.Load(),
		InFlight: make(map[semper.InstanceID]semper.InFlight), Held: make(map[semper.PoolKey]int),
	}
	for _, b := range e.backends {
		for c := range flight.Classes {
			if n := b.inFlight(c); n != 0 {
				if s.InFlight[b.id] == nil {
					s.InFlight[b.id] = make(semper.InFlight)
				}
				s.InFlight[b.id][c.Name()] += int(n)
			}
		}
		if !b.up() && !b.left.Load() {
			s.Ejected = append(s.Ejected, b.id)
		}
	}
	slices.Sort(s.Ejected)
	for k, l := range e.lanes {
		if n := l.Waiting(); n > 0 {
			s.Held[k] = n
		}
		s.Waiting = l.AppendRoutes(s.Waiting)
	}
	return s
}

// Close ends everything at once: what is in flight is cut. After a Drain there is nothing to cut.
func (e *Edge) Close() error {
	e.mu.Lock()
	was := e.closed
	e.closed = true
	e.mu.Unlock()
	if was {
		return nil
	}
	e.shut()
	e.cutAll()
	e.drivers.tunnels.Close()
	e.await(context.Background(), lastWords, func() bool { return e.handlers.Load() == 0 })
	errs := e.drivers.close()
	e.mirrors.Close()
	e.stop()
	errs = append(errs, e.background.Stop())
	done := e.await(context.Background(), closeWithin, func() bool { return e.handlers.Load() == 0 })
	for _, b := range e.known() {
		b.pool.Close()
	}
	e.end.finish()
	e.registry.Lock()
	e.retired.Add(e.snapshot().sites)
	e.retired.Close(e.log)
	e.registry.Unlock()
	if done { // what still counts must not find its counters gone
		errs = append(errs, e.books.Close())
	}
	errs = append(errs, e.witness.Close())
	return errors.Join(errs...)
}

// known are the backends there are.
func (e *Edge) known() []*backend {
	e.registry.Lock()
	defer e.registry.Unlock()
	return slices.Collect(maps.Values(e.backends))
}

// Serve takes connections from l until the edge is drained or closed. Then l is closed here, and only
// here: the socket stays open for whoever else has it. An error tells that l failed before that.
func (e *Edge) Serve(l net.Listener, useTLS bool) error {
	if !useTLS {
		return e.ServeUntil(context.Background(), l, Terms{})
	}
	if e.o.TLS == nil {
		return &semper.Error{Code: semper.Invalid, Op: "serve " + l.Addr().String(), Message: "a TLS listener needs a TLS configuration"}
	}
	return e.ServeUntil(context.Background(), l, Terms{TLS: e.o.TLS})
}

// ServeUntil is Serve on terms, and ends with ctx as well. The connections it took stay.
func (e *Edge) ServeUntil(ctx context.Context, l net.Listener, t Terms) error {
	d, ok := e.open(l)
	if !ok {
		return nil
	}
	e.serving.Add(1)
	defer func() {
		d.Close() //nolint:errcheck // nothing is lost with it
		e.mu.Lock()
		delete(e.doors, d)
		e.mu.Unlock()
		e.serving.Add(-1)
		e.sayIdle()
	}()
	defer context.AfterFunc(ctx, d.end)()
	err := e.drivers.serve(d, t)
	if d.ctx.Err() != nil || err == nil {
		return nil
	}
	return fmt.Errorf("serve %s: %w", l.Addr(), err)
}

// Background is the supervisor of all that works beside the requests, to be shown or to stand in a tree of the
// caller's, as a child that runs already. It ends with Close, or when it has given up: then the edge is to be closed and
// replaced by another. Whoever stops it closes the edge too.
func (e *Edge) Background() *supervise.Supervisor { return e.background.Root }
