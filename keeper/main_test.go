package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"semper/internal/handoff"
	"semper/internal/notify"
	"semper/internal/steer"
	"semper/keeper"
)

// roleEnv makes the test binary play a part of semper instead of running tests.
const roleEnv = "SEMPER_KEEPER_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(roleEnv) == "" || len(os.Args) < 2 {
		os.Exit(m.Run())
	}
	if err := play(os.Args[1], flags(os.Args[2:])); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// flags reads "--name value" pairs.
func flags(args []string) map[string]string {
	f := map[string]string{}
	for i := 0; i+1 < len(args); i += 2 {
		f[args[i]] = args[i+1]
	}
	return f
}

func play(role string, f map[string]string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	switch role {
	case "version":
		fmt.Println("semper test")
		return nil
	case "keeper":
		self, err := os.Executable()
		if err != nil {
			return err
		}
		within, _ := time.ParseDuration(f["--ready-within"])
		return keeper.Run(ctx, keeper.Options{
			HTTPS: strings.Fields(f["--https"]), HTTP3: f["--http3"] != "",
			Dir: f["--data"], HTTP: []string{f["--http"]}, EdgeArgs: strings.Fields(f["--edge"]), Binary: self, StopAllOnSignal: f["--all"] != "", ReadyWithin: within,
			Log:   slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug})),
			Ready: func() { fmt.Println("ready") },
		})
	case "notify":
		return notify.Send(notify.Ready)
	case "program":
		return program(ctx)
	case "store", "control", "queue":
		return holder(ctx, f)
	case "edge":
		return edge(ctx, f)
	}
	return fmt.Errorf("no role %q", role)
}

// holder is a part that only holds and offers its sockets.
func holder(ctx context.Context, f map[string]string) error {
	_, sockets, err := handoff.Listeners()
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { _ = handoff.Serve(ctx, f["--data"]+"/run/"+f["--id"]+".fd", sockets) })
	if os.Getenv("SEMPER_TEST_UNREADY") != f["--id"] {
		if err := notify.Send(notify.Ready); err != nil {
			return err
		}
	}
	<-ctx.Done()
	return nil
}

// edge answers every request with its id and pid, and drains as the real one does.
func edge(ctx context.Context, f map[string]string) error {
	sockets, err := handoff.Inherited()
	if err != nil {
		return err
	}
	groups, listening := steer.Grouped(keeper.UDP, sockets)
	byName, err := handoff.Listen(listening)
	if err != nil {
		return err
	}
	for _, group := range groups {
		close, err := answerPackets(group, f)
		if err != nil {
			return err
		}
		defer close()
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { _ = handoff.Serve(ctx, f["--data"]+"/run/"+f["--id"]+".fd", sockets) })
	own := f["--data"] + "/run/" + f["--id"] + ".sock"
	_ = os.Remove(own)
	l, err := net.Listen("unix", own)
	if err != nil {
		return err
	}
	control := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/drain" {
			stop()
		}
	})}
	wg.Go(func() { _ = control.Serve(l) })
	if err := notify.Await(ctx, notify.Ready); err != nil {
		return err
	}
	// Shutdown of the standard library drops a request it has just read, so connections are counted instead.
	var open sync.WaitGroup
	public := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s %d", f["--id"]+f["--greeting"], os.Getpid())
		}),
		ConnState: func(_ net.Conn, s http.ConnState) {
			switch s {
			case http.StateNew:
				open.Add(1)
			case http.StateClosed:
				open.Done()
			}
		},
	}
	public.SetKeepAlivesEnabled(false)
	var accepting sync.WaitGroup
	for _, l := range byName["http"] {
		accepting.Go(func() { _ = public.Serve(l) })
	}
	<-ctx.Done()
	for _, l := range byName["http"] {
		err = errors.Join(err, l.Close())
	}
	accepting.Wait()
	open.Wait()
	return errors.Join(err, control.Close())
}
