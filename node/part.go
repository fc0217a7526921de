package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"semper/edge"
	"semper/internal/handoff"
	"semper/internal/notify"
)

// PartOptions are what the keeper gives each of semper's own processes.
type PartOptions struct {
	Dir string // data directory, absolute
	ID  string // "edge-2", unique among the living
	Log *slog.Logger

	ACME ACME // of an edge
	Edge EdgeOptions
}

// EdgeOptions are how an edge takes requests.
type EdgeOptions struct {
	Driver        edge.Driver
	H2C           bool           // HTTP/2 without TLS from clients that begin with it
	Trusted       []netip.Prefix // proxies in front, whose word on the client is believed
	ProxyProtocol bool           // connections begin with a PROXY header; those of others than Trusted are closed
	AccessLog     string         // "json", "combined" or "off"; empty: as SEMPER_ACCESS_LOG says
	Slot          int            // this edge's among the UDP sockets of each address, if it has such: see package steer
}

// offering gives the inherited sockets back to a keeper that lost its own, until its context ends or that of the
// part: one that is on its way out has a successor to ask.
func offering(part context.Context, o PartOptions, sockets []handoff.Socket) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(part, cancel)()
		return handoff.Serve(ctx, dirs(o.Dir).run(o.ID+".fd"), sockets)
	}
}

// answer serves h on the part's own unix socket, mode 0600, until ctx ends, which cuts what is under way.
func answer(ctx context.Context, o PartOptions, h http.Handler, ready func()) error {
	path := dirs(o.Dir).run(o.ID + ".sock")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return errors.Join(err, l.Close())
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	defer context.AfterFunc(ctx, func() { s.Close() })() //nolint:errcheck // the next incarnation binds anew
	ready()
	if err := s.Serve(l); ctx.Err() == nil {
		return err
	}
	return ctx.Err()
}

// ready tells the keeper, and returns once it has taken it in: from then on this part is counted. A
// keeper that is away asks nobody; the next one sees the part alive.
func ready(ctx context.Context, log *slog.Logger) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := notify.Await(ctx, notify.Ready); err != nil {
		log.Warn("the keeper was not told that this part is ready", "error", err)
	}
}

// again calls f until ctx ends, with a pause after each return.
func again(ctx context.Context, pause time.Duration, f func(context.Context)) {
	for ctx.Err() == nil {
		f(ctx)
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
		t.Stop()
	}
}
