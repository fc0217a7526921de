// Command trial is semper's edge with a way to tell it, while it runs, how a release is tried: by which split of the requests, and with
// copies of how many. bench/proxy measures what each costs the same process.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"semper"
	"semper/edge"
)

func main() {
	address := flag.String("http", "127.0.0.1:8080", "plaintext address that is measured")
	control := flag.String("control", "127.0.0.1:8081", "address of the edge's control: what it answers on its own socket, and PUT /table")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *address, *control); err != nil {
		fmt.Fprintln(os.Stderr, "trial:", err)
		stop()
		os.Exit(1)
	}
}

// run serves until ctx ends.
func run(ctx context.Context, address, control string) (err error) {
	e, err := edge.New(edge.Options{ID: "trial", Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	told, err := net.Listen("tcp", control)
	if err != nil {
		return errors.Join(err, l.Close())
	}
	s := &http.Server{Handler: handler(e), ReadHeaderTimeout: time.Second}
	failed := make(chan error, 2)
	go func() { failed <- e.ServeUntil(ctx, l, edge.Terms{}) }()
	go func() { failed <- s.Serve(told) }()
	select {
	case <-ctx.Done():
		err = nil
	case err = <-failed:
	}
	return errors.Join(err, s.Close(), l.Close())
}

// handler is e's control with one word more: PUT /table makes the body, a semper.Table, what it serves by.
func handler(e *edge.Edge) http.Handler {
	m := http.NewServeMux()
	m.Handle("/", e.Control())
	m.HandleFunc("PUT /table", func(w http.ResponseWriter, r *http.Request) {
		var t semper.Table
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&t)
		if err == nil {
			err = e.Apply(t)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return m
}
