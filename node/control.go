package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"semper/api"
	"semper/control"
	"semper/edge/config"
	"semper/internal/handoff"
	"semper/keeper"
	"semper/store/blob"
	"semper/store/etcd"
	"semper/supervise"
	"semper/web"
)

// Control is the control process: it leads rollouts and answers the API and the page. It returns when ctx ends, and
// with an error when its tree has given up: then the keeper starts another.
func Control(ctx context.Context, o PartOptions) error {
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
	blobs, err := blob.Open(d.blobs())
	if err != nil {
		return err
	}
	token, err := apiToken(d.token())
	if err != nil {
		return err
	}
	keys, err := signingKeys(d.identity())
	if err != nil {
		return err
	}
	certs, err := apiCertificates(ctx, d, sockets, o.Log)
	if err != nil {
		return err
	}
	defer certs.close() //nolint:errcheck // nothing was written that was not reported
	k := keeper.NewClient(d.keeper())
	defer k.Close()
	jobs, err := openQueues(d, s, engineOptions{id: o.ID, log: o.Log, apart: true})
	if err != nil {
		return err
	}
	defer jobs.Close() //nolint:errcheck // it has none
	edges, asking := newEdges(k), newEdges(k)
	defer edges.close()
	defer asking.close()
	c := control.New(control.Options{
		Store: s, Keeper: k, Edges: edges, Blobs: blobAdapter{blobs}, Ledgers: ledgers(d.edge()),
		Secrets: secrets(d.secrets()), Machine: &machine{dirs: d, keeper: k}, Log: o.Log, ID: holder(), Keys: keys, Check: config.CheckSpec, Queues: jobs, QueueCounters: counters{asking},
		Supervision: func(ctx context.Context) supervise.Options { return below(o.ID, observe(ctx, o.Log, "model")) },
	})
	edges.scaled = c.Scalings
	h := api.NewServer(c, api.ServerOptions{Log: o.Log, Token: func() string { return token }, User: c.User, PeerCredCheck: true, UI: web.Handler(c)})
	return controlTree(ctx, o, c, sockets, &surface{log: o.Log, handler: h, sockets: sockets, certs: certs.config()})
}

// controlTree runs the parts until ctx ends or they give up. They do not depend on each other's state, so one that ends
// is restarted alone. The order is that of the end, reversed: first the API finishes what it has, and then the leadership is
// given up. Five restarts in ten seconds are what a bad moment
// may cost; with more, the process is begun anew.
func controlTree(ctx context.Context, o PartOptions, c *control.Control, sockets []handoff.Socket, s *surface) error {
	tree, err := runTree(ctx, o, supervise.Flags{Name: o.ID, Intensity: 5, Period: 10 * time.Second}, []supervise.ChildSpec{
		{ID: "sockets", Restart: supervise.Transient, Start: supervise.Serve(handBack(ctx, o, sockets))},
		c.Spec(),
		{ID: "api", Shutdown: supervise.Infinity, Start: supervise.ServeReady(s.serve)},
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
		return fmt.Errorf("control gave up: %w", tree.Reason().Err)
	}
}

// handBack gives the inherited sockets to a keeper that lost its own, until part ends: a process on its way out has a
// successor to ask. That it cannot is no reason to end: it tries again.
func handBack(part context.Context, o PartOptions, sockets []handoff.Socket) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(part, cancel)()
		again(ctx, time.Second, func(ctx context.Context) {
			if err := handoff.Serve(ctx, dirs(o.Dir).run(o.ID+".fd"), sockets); err != nil {
				o.Log.Error("listening sockets cannot be handed back; trying again", "error", err)
			}
		})
		return nil
	}
}

// below has events tell where in the tree of this process a supervisor is that only knows its place in a part of it.
func below(root string, o supervise.Options) supervise.Options {
	observe := o.Observe
	o.Observe = func(e supervise.Event) {
		e.Supervisor = root + "/" + e.Supervisor
		observe(e)
	}
	return o
}

// surface serves the API and the page on the sockets this process was given.
type surface struct {
	log     *slog.Logger
	handler http.Handler
	sockets []handoff.Socket
	certs   *tls.Config // nil without a TCP address
	told    sync.Once   // the keeper, that this part is ready
	// conn is what each connection is remembered by; nil: as the API does.
	conn func(context.Context, net.Conn) context.Context
}

// serve serves until ctx ends, then lets short requests finish; long ones are cut and their clients come back to the
// next control process, which listens on the same sockets.
func (s *surface) serve(ctx context.Context, up func()) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	conn := s.conn
	if conn == nil {
		conn = api.ConnContext
	}
	srv := &http.Server{
		Handler: s.handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second, ConnContext: conn,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	listeners, err := s.listen()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		wg.Go(func() {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	s.told.Do(func() { ready(ctx, s.log) })
	up()
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if srv.Shutdown(short) != nil {
		cut()
		err = errors.Join(err, srv.Close())
	}
	wg.Wait()
	return err
}

// listen makes listeners of their own for this incarnation: it closes them in the end, and the sockets stay.
func (s *surface) listen() ([]net.Listener, error) {
	var out []net.Listener
	for _, socket := range s.sockets {
		l, err := socket.Listen()
		if err != nil {
			for _, l := range out {
				err = errors.Join(err, l.Close())
			}
			return nil, err
		}
		if socket.Name == "apitcp" {
			l = newSecureListener(l, s.certs)
		}
		out = append(out, l)
	}
	return out, nil
}

// holder names this process among all that ever were on this machine, so that a successor can tell
// whether it still lives.
func holder() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	ticks, err := startTicks(os.Getpid())
	if err != nil {
		return fmt.Sprintf("%s/%d/%d", host, os.Getpid(), time.Now().UnixNano())
	}
	return fmt.Sprintf("%s/%d/%d", host, os.Getpid(), ticks)
}
