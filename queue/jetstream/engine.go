package jetstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"semper"
	"semper/queue"
	"semper/queue/etcd"
	"semper/queue/jetstream/streamstore"
)

// Options of an engine.
type Options struct {
	ID       string        // of this process: unique among those alive, the same over restarts
	Bodies   string        // directory of large bodies and of the note; empty: none, and a loss between two lives is not seen
	Log      *slog.Logger  // nil: slog.Default()
	Apart    bool          // it never hands out jobs
	Patience time.Duration // how long a call waits for servers that are away; 0: 5 s
}

// Engine is a [queue.Engine] over JetStream. It is there at once, and usable as soon as servers answer and their settings
// have been found good; until then its calls give why. Its methods are safe for concurrent use.
type Engine struct {
	settings Settings
	o        Options
	client   *http.Client // of monitoring
	tls      *tls.Config

	ctx   context.Context // ends with Close
	end   context.CancelFunc
	wg    sync.WaitGroup
	again chan struct{} // holds one when the connection was lost and is back

	mu      sync.Mutex // guards the following
	under   *under     // nil before it is usable
	why     error      // it is not
	changed chan struct{}
}

// under is what works once the settings are good.
type under struct {
	*etcd.Engine
	nc    *nats.Conn
	store *streamstore.Store
	id    string // of the stream
}

var _ queue.Engine = (*Engine)(nil)

// New is an engine by s. An error is one of s or o; servers are not asked yet.
func New(s Settings, o Options) (*Engine, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	if o.ID == "" {
		return nil, wrong("an engine without an id", "give it the name of its process, which stays the same over restarts")
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	e := &Engine{settings: s.Filled(), o: o, again: make(chan struct{}, 1), changed: make(chan struct{}), why: unreachable(errors.New("it is being asked for the first time"))}
	if s.CA != "" {
		pem, err := os.ReadFile(s.CA)
		if err != nil {
			return nil, wrong("ca: "+err.Error(), "name a PEM file that semper may read")
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, wrong("ca: "+s.CA+" holds no certificate", "name a PEM file of the authority")
		}
		e.tls = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	if s.Credentials != "" {
		if _, err := os.Stat(s.Credentials); err != nil {
			return nil, wrong("credentials: "+err.Error(), "name a file as nsc writes it, that semper may read")
		}
	}
	e.client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{TLSClientConfig: e.tls}}
	e.ctx, e.end = context.WithCancel(context.Background())
	e.wg.Go(e.run)
	return e, nil
}

// How long between looks at what is not usable yet, and between notes.
const (
	lookLeast = 250 * time.Millisecond
	lookMost  = 5 * time.Second
	noteEvery = 5 * time.Second
)

// run makes the engine usable, and again when what was good is no longer, until it is closed.
func (e *Engine) run() {
	defer e.client.CloseIdleConnections()
	for rest := lookLeast; e.ctx.Err() == nil; rest = min(2*rest, lookMost) {
		u, err := e.begin()
		if err == nil {
			rest = lookLeast
			e.set(u, nil)
			err = e.keep(u)
		}
		if e.ctx.Err() != nil {
			return
		}
		e.set(nil, err)
		e.o.Log.Error("queue: JetStream cannot be used; looking again", "error", err, "hint", semper.HintOf(err))
		t := time.NewTimer(rest)
		select {
		case <-t.C:
		case <-e.ctx.Done():
			t.Stop()
		}
	}
}

func (e *Engine) set(u *under, why error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.under, e.why = u, why
	close(e.changed)
	e.changed = make(chan struct{})
}

// begin connects, looks at the settings, and puts the recipe over the stream.
func (e *Engine) begin() (u *under, err error) {
	nc, err := e.connect()
	if err != nil {
		return nil, unreachable(err)
	}
	defer func() {
		if err != nil {
			nc.Close()
		}
	}()
	id, noted, err := e.examine(nc)
	if err != nil {
		return nil, err
	}
	store, err := streamstore.New(nc, streamstore.Options{Stream: e.settings.Stream, Patience: e.o.Patience, AtLeast: noted.Sequence, Log: e.o.Log})
	if err != nil {
		return nil, err
	}
	recipe, err := etcd.New(store, etcd.Options{ID: e.o.ID, Bodies: e.o.Bodies, Log: e.o.Log, Apart: e.o.Apart})
	if err != nil {
		_ = store.Close() // nothing was begun
		return nil, err
	}
	return &under{Engine: recipe, nc: nc, store: store, id: id}, nil
}

func (e *Engine) connect() (*nats.Conn, error) {
	back := func(*nats.Conn) {
		select {
		case e.again <- struct{}{}:
		default:
		}
	}
	options := []nats.Option{
		nats.Name("semper " + e.o.ID), nats.Timeout(2 * time.Second), nats.MaxReconnects(-1), nats.ReconnectWait(100 * time.Millisecond), nats.ReconnectJitter(100*time.Millisecond, 500*time.Millisecond),
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2),
		nats.ReconnectBufSize(-1), // what cannot be sent now is decided anew later
		nats.ReconnectHandler(back),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			e.o.Log.Warn("queue: nats-server", "error", err)
		}),
	}
	if e.tls != nil {
		options = append(options, nats.Secure(e.tls))
	}
	if e.settings.Credentials != "" {
		options = append(options, nats.UserCredentials(e.settings.Credentials))
	}
	o := nats.GetDefaultOptions()
	o.Servers = e.settings.Servers
	for _, option := range options {
		if err := option(&o); err != nil {
			return nil, err
		}
	}
	return o.Connect()
}

// examine gives the stream's id when jobs are safe there.
func (e *Engine) examine(nc *nats.Conn) (id string, noted note, err error) {
	noted, err = readNote(e.o.Bodies, e.settings.Stream)
	if err != nil {
		return "", noted, err
	}
	ctx, cancel := context.WithTimeout(e.ctx, e.o.Patience)
	defer cancel()
	facts, err := gather(ctx, nc, e.client, e.settings, noted)
	if err != nil {
		return "", noted, err
	}
	if err := refused(facts.Refusals(e.settings)); err != nil {
		return "", noted, err
	}
	id = facts.Config.Metadata[metaID]
	return id, noted, noted.check(id)
}

// keep notes how far the stream has come, and looks again after each reconnection, until the engine is closed, or gives why
// the stream is no longer to be used. Then nothing of u runs.
func (e *Engine) keep(u *under) error {
	defer func() {
		e.set(nil, queue.Closed())
		_ = u.Engine.Close()
		_ = u.store.Close()
		e.note(u)
		u.nc.Close()
	}()
	tick := time.NewTicker(noteEvery)
	defer tick.Stop()
	look := time.NewTimer(time.Hour)
	defer look.Stop()
	for {
		select {
		case <-tick.C:
			e.note(u)
			continue
		case <-u.store.Failed():
			return u.store.Err()
		case <-e.again:
		case <-look.C:
		case <-e.ctx.Done():
			return queue.Closed()
		}
		id, _, err := e.examine(u.nc)
		switch {
		case err == nil && id != u.id:
			err = note{Stream: e.settings.Stream, Sequence: u.store.Sequence()}.gone("another of this name stands in its place")
		case err == nil || e.ctx.Err() != nil:
			continue
		case semper.CodeOf(err) == semper.Unavailable: // it is on its way
			look.Reset(time.Second)
			continue
		}
		u.store.Refuse(err) // whoever is under way learns why
		return err
	}
}

func (e *Engine) note(u *under) {
	n := note{Stream: e.settings.Stream, ID: u.id, Sequence: u.store.Sequence()}
	if err := n.write(e.o.Bodies); err != nil {
		e.o.Log.Warn("queue: how far the stream has come cannot be noted", "error", err)
	}
}

// ready is what works, or why nothing does.
func (e *Engine) ready() (*under, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.ctx.Err() != nil {
		return nil, queue.Closed()
	}
	return e.under, e.why
}

// Ready returns when the engine is usable, or gives why not when ctx ends. gone is closed when it is no longer; the queues
// that were opened before are closed then.
func (e *Engine) Ready(ctx context.Context) (gone <-chan struct{}, err error) {
	for {
		e.mu.Lock()
		changed := e.changed
		e.mu.Unlock()
		_, err := e.ready()
		if err == nil || e.ctx.Err() != nil {
			return changed, err
		}
		select {
		case <-changed:
		case <-e.ctx.Done():
		case <-ctx.Done():
			return nil, err
		}
	}
}

// Open is the queue of a service. While the engine is not usable it gives why.
func (e *Engine) Open(ctx context.Context, s queue.Service, p queue.Policy) (queue.Queue, error) {
	u, err := e.ready()
	if err != nil {
		return nil, err
	}
	return u.Open(ctx, s, p)
}

// Queues are all that ever had a dispatcher, by name.
func (e *Engine) Queues(ctx context.Context) ([]queue.Listing, error) {
	u, err := e.ready()
	if err != nil {
		return nil, err
	}
	return u.Queues(ctx)
}

// Close gives dispatching up and returns when nothing of the engine runs. Leases stay as they are.
func (e *Engine) Close() error {
	e.end()
	e.wg.Wait()
	return nil
}
