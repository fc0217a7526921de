package node

import (
	"context"
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
	"semper/internal/handoff"
	"semper/keeper"
	"semper/store/blob"
	"semper/store/etcd"
	"semper/web"
)

// Control is the control process: it leads rollouts and answers the API and the page.
func Control(ctx context.Context, o PartOptions) error {
	d := dirs(o.Dir)
	listeners, sockets, err := handoff.Listeners()
	if err != nil {
		return err
	}
	defer offer(ctx, o, sockets)()
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
	k := keeper.NewClient(d.keeper())
	defer k.Close()
	machine := &machine{dirs: d, keeper: k}
	edges := newEdges(k)
	defer edges.close()
	c := control.New(control.Options{
		Store: s, Keeper: k, Edges: edges, Blobs: blobAdapter{blobs}, Ledgers: ledgers(d.edge()),
		Secrets: secrets(d.secrets()), Machine: machine, Log: o.Log, ID: holder(),
	})
	lead, resign := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer resign()
	wg.Go(func() {
		if err := c.Run(lead); err != nil {
			o.Log.Error("control ended", "error", err)
		}
	})
	h := api.NewServer(c, api.ServerOptions{Log: o.Log, Token: func() string { return token }, PeerCredCheck: true, UI: web.Handler(c)})
	certs, err := certificates(d.tls())
	if err != nil {
		return err
	}
	for i, l := range listeners["apitcp"] {
		listeners["apitcp"][i] = newSecureListener(l, certs)
	}
	return serveAPI(ctx, o.Log, h, listeners)
}

// serveAPI serves until ctx ends, then lets short requests finish; long ones are cut and their
// clients come back to the next control process, which listens on the same sockets.
func serveAPI(ctx context.Context, log *slog.Logger, h http.Handler, listeners map[string][]net.Listener) error {
	base, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second, ConnContext: api.ConnContext,
		BaseContext: func(net.Listener) context.Context { return base },
		ErrorLog:    slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	var wg sync.WaitGroup
	failed := make(chan error, 8)
	for _, ls := range listeners {
		for _, l := range ls {
			wg.Go(func() {
				if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
					failed <- err
				}
			})
		}
	}
	ready(ctx, log)
	var err error
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
