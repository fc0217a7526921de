// Command semper keeps services up for ever: see semper --help.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"semper/cli"
	"semper/edge"
	"semper/internal/notify"
	"semper/internal/priority"
	"semper/node"
)

func main() {
	collect(forCommands)
	os.Exit(cli.Main(context.Background(), os.Args[1:], cli.Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, LookupEnv: os.LookupEnv,
		Yield: func() { background(slog.Default()) },
	}, cli.ServerCommands{
		Run:    func(_ context.Context, o cli.RunOptions) error { return node.BecomeKeeper(o.Args) },
		Keeper: runKeeper,
		Part:   runPart,
		Edge:   runEdge,
		Stop:   node.Stop,
	}))
}

// runKeeper is the root process. SIGTERM ends it and leaves what it runs to the next keeper, as a
// service manager's restart wants; SIGINT, a person's Ctrl-C, stops everything in order.
func runKeeper(ctx context.Context, o cli.RunOptions) error {
	title("semper keeper")
	collect(forKeeper)
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM)
	defer cancel()
	interrupt := make(chan os.Signal, 2)
	signal.Notify(interrupt, os.Interrupt)
	defer signal.Stop(interrupt)
	log := logger(o.Verbose)
	done := make(chan struct{})
	defer close(done)
	go func() { // ends with runKeeper
		for again := false; ; again = true {
			select {
			case <-done:
				return
			case <-interrupt:
			}
			if again {
				cancel()
				return
			}
			fmt.Fprintln(os.Stderr, "semper: stopping everything in order; Ctrl-C again leaves it running")
			if err := node.Stop(ctx, o.Dir, true); err != nil {
				log.Error("not stopped in order", "error", err)
				cancel()
			}
		}
	}()
	err := node.Keeper(ctx, node.KeeperOptions{
		Dir: o.Dir, HTTP: o.HTTP, HTTPS: o.HTTPS, HTTP3: o.HTTP3, API: o.API, EdgeArgs: o.EdgeArgs, StopAll: o.StopAll, Log: log,
		Ready: func() { up(o, log) },
	})
	if err == nil && ctx.Err() != nil && !o.StopAll {
		fmt.Fprintln(os.Stderr, "semper: the keeper has ended alone, what it ran goes on: the same command takes it over, and then semper server stop ends all of it")
	}
	return err
}

// up says that the server is up: to a person, and to a service manager that asked to be told.
func up(o cli.RunOptions, log *slog.Logger) {
	if err := notify.Send(notify.Ready); err != nil {
		log.Warn("the service manager was not told that semper is up", "error", err)
	}
	secure := ""
	if len(o.HTTPS) > 0 {
		secure = ", https " + strings.Join(o.HTTPS, " ")
	}
	fmt.Fprintf(os.Stderr, "semper is up: http %s%s, api unix://%s/api.sock, pid %d\n", strings.Join(o.HTTP, " "), secure, o.Dir, os.Getpid())
	if o.API != "" {
		fmt.Fprintf(os.Stderr, "the page: http://%s/login?token=… with the token in %s/token\n", o.API, o.Dir)
	}
}

func runPart(ctx context.Context, kind string, o cli.PartOptions) error {
	title("semper " + kind)
	ctx, cancel := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer cancel()
	trusted, err := o.Edge.Networks()
	if err != nil {
		return err
	}
	p := node.PartOptions{
		Dir: o.Dir, ID: o.ID, Log: logger(o.Verbose).With("part", o.ID),
		ACME: node.ACME{Authority: o.Edge.ACME, Email: o.Edge.ACMEEmail, Roots: o.Edge.ACMERoots},
		Edge: node.EdgeOptions{
			Driver: edge.Driver(o.Edge.Driver), H2C: o.Edge.H2C, Trusted: trusted, ProxyProtocol: o.Edge.ProxyProtocol, AccessLog: o.Edge.AccessLog, Slot: o.HTTP3Slot,
		},
	}
	switch kind {
	case "store":
		return node.Store(ctx, p)
	case "control":
		background(p.Log)
		return node.Control(ctx, p)
	case "queue":
		return node.Queue(ctx, p)
	case "edge":
		return node.Edge(ctx, p)
	}
	return fmt.Errorf("no part %q", kind)
}

// How far the heap may grow over what lives, in percent, before it is collected; the keeper gives its parts theirs. A command
// ends before a collection would pay. The keeper's live heap is some 2 MB: collected as Go does by itself, each deploy had one.
const (
	forCommands = 400
	forKeeper   = 300
	forEdge     = 100 // alone, beside nothing
)

// collect sets when the heap is collected, unless the environment does.
func collect(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// background steps back behind what serves: packing and staging the next release must not take
// processor time from the requests of the present one.
func background(log *slog.Logger) {
	if err := priority.Lower(priority.Background); err != nil {
		log.Warn("priority not lowered", "error", err)
	}
}

// title names this process in tools that show the command's short name; the arguments say it anyway.
func title(s string) {
	if err := os.WriteFile("/proc/self/comm", []byte(s), 0); err != nil {
		slog.Debug("process title not set", "error", err)
	}
}

func logger(verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			a.Value = slog.StringValue(a.Value.Time().UTC().Format(time.RFC3339Nano))
		}
		return a
	}}))
}
