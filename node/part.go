package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"semper/internal/handoff"
	"semper/internal/notify"
)

// PartOptions are what the keeper gives each of semper's own processes.
type PartOptions struct {
	Dir string // data directory, absolute
	ID  string // "edge-2", unique among the living
	Log *slog.Logger
}

// offer gives the inherited sockets back to a keeper that lost its own, for as long as ctx lives.
func offer(ctx context.Context, o PartOptions, sockets []handoff.Socket) func() {
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		defer close(done)
		if err := handoff.Serve(ctx, dirs(o.Dir).run(o.ID+".fd"), sockets); err != nil && ctx.Err() == nil {
			o.Log.Error("listening sockets cannot be handed back", "error", err)
		}
	}()
	return func() {
		cancel()
		<-done
		handoff.Close(sockets)
	}
}

// answer serves h on the part's own unix socket, mode 0600.
func answer(o PartOptions, h http.Handler) (func(), error) {
	path := dirs(o.Dir).run(o.ID + ".sock")
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("the part's own socket ended", "error", err)
		}
	}()
	return func() {
		if err := s.Close(); err != nil {
			o.Log.Debug("own socket", "error", err)
		}
		<-done
	}, nil
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
