// Command bench measures every figure semper claims, on this machine, against a real server in a
// temporary directory, and writes bench/RESULTS.md and bench/results.json.
//
//	make bench                              everything
//	make bench ARGS='-only deploys,idle'    some figures
//	make bench ARGS='-deploys 20'           a shorter run
//	make bench ARGS='-only actors'          actor and supervise beside Erlang/OTP, into bench/actors
//	make soak                               deploys, rollbacks and kills for half an hour
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"semper/bench/load"
	"semper/bench/rig"
)

// options are the flags.
type options struct {
	semper  string
	out     string
	only    string
	keep    bool
	deploys int
	kills   int
	samples int
	think   time.Duration
	quiet   time.Duration
	gap     time.Duration
	peers   bool
	soak    time.Duration
}

func main() {
	var o options
	flag.StringVar(&o.semper, "semper", "bin/semper", "the binary to measure")
	flag.StringVar(&o.out, "out", "bench", "directory for RESULTS.md and results.json")
	flag.StringVar(&o.only, "only", "", "comma-separated figures: "+strings.Join(names(), ", ")+"; empty: all")
	flag.BoolVar(&o.keep, "keep", false, "keep the data directory and the server's output")
	flag.IntVar(&o.deploys, "deploys", 100, "deploys back and forth under load")
	flag.IntVar(&o.kills, "kills", 20, "kill -9 of each part under load")
	flag.IntVar(&o.samples, "samples", 20, "measurements a median is taken of")
	flag.DurationVar(&o.think, "think", 0, "pause of a kept connection between an answer and its next request")
	flag.DurationVar(&o.quiet, "quiet", 20*time.Second, "load without a deploy, to compare with")
	flag.DurationVar(&o.gap, "gap", 500*time.Millisecond, "pause between two deploys under load")
	flag.BoolVar(&o.peers, "peers", false, "also compare with nginx and haproxy (as root on Debian they are installed when missing)")
	flag.DurationVar(&o.soak, "soak", 0, "instead of measuring: deploys, rollbacks and kills for this long")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// A measurement makes some figures. It finds a server with the app's release A in production and
// leaves one behind.
type measurement struct {
	name string
	run  func(context.Context, *bench) ([]figure, error)
}

func measurements() []measurement {
	return []measurement{
		{"idle", idle}, // first: nothing has been done to the server yet
		{"cost", cost},
		{"deploys", deploys},
		{"kills", kills},
		{"restart", restart},
		{"rollback", rollback},
		{"overhead", overhead},
		{"reboot", reboot},
		{"peers", peers},
	}
}

// actors is the measurement that wants no server, and has a page of its own.
const actors = "actors"

func names() []string {
	all := []string{actors}
	for _, m := range measurements() {
		all = append(all, m.name)
	}
	return all
}

// A bench is what measurements share.
type bench struct {
	options
	dir    string // temporary, holds everything
	server *rig.Server
	apps   map[string]string // release A and B: directory to deploy
	names  map[string]string // the same: release name
}

func run(ctx context.Context, o options) (err error) {
	for name := range strings.SplitSeq(o.only, ",") {
		if name != "" && !slices.Contains(names(), name) {
			return fmt.Errorf("no figure %q: there are %s", name, strings.Join(names(), ", "))
		}
	}
	if o.soak == 0 && (o.only == "" || slices.Contains(strings.Split(o.only, ","), actors)) {
		if err := besideOTP(ctx, o.only != ""); err != nil || o.only == actors {
			return err
		}
	}
	b := &bench{options: o, apps: map[string]string{}, names: map[string]string{}}
	if b.dir, err = os.MkdirTemp("", "semper-bench"); err != nil {
		return err
	}
	if o.keep {
		fmt.Fprintln(os.Stderr, "bench: everything is in", b.dir)
	} else {
		defer os.RemoveAll(b.dir)
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.server.Stop()) }()
	if o.soak > 0 {
		return b.endure(ctx)
	}
	var all []figure
	for _, m := range measurements() {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), m.name) || m.name == "peers" && !o.peers {
			continue
		}
		say("%s …", m.name)
		figures, err := m.run(ctx, b)
		for _, f := range figures {
			say("  %s: %s (%s) %s", f.Claim, f.Measured, f.Target, f.Verdict)
		}
		all = append(all, figures...)
		if err != nil {
			return errors.Join(fmt.Errorf("%s: %w", m.name, err), b.write(ctx, all))
		}
	}
	return b.write(ctx, all)
}

// besideOTP runs bench/actors, before there is a server that could disturb it. Who asked for it is told when there is no
// Erlang; for all others the rest goes on.
func besideOTP(ctx context.Context, asked bool) error {
	if _, err := exec.LookPath("erlc"); err != nil && !asked {
		say("%s: left out, as there is no Erlang/OTP here: apt-get install erlang-base", actors)
		return nil
	}
	say("%s …", actors)
	cmd := exec.CommandContext(ctx, "go", "run", "./bench/actors")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", actors, err)
	}
	return nil
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, time.Now().Format("15:04:05 ")+format+"\n", args...)
}

// start builds the app, starts the server and deploys both releases once, A last.
func (b *bench) start(ctx context.Context) error {
	bin, err := filepath.Abs(b.semper)
	if err != nil {
		return err
	}
	if err := os.Chmod(b.dir, 0o755); err != nil { // instances may run as users of their own
		return err
	}
	app := filepath.Join(b.dir, "app")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", app, "./bench/app")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the app: %w\n%s", err, text)
	}
	for _, name := range []string{"A", "B"} {
		b.apps[name] = filepath.Join(b.dir, name)
		if err := makeApp(b.apps[name], app, name); err != nil {
			return err
		}
	}
	address, err := rig.FreeAddress()
	if err != nil {
		return err
	}
	b.server = &rig.Server{Bin: bin, Dir: filepath.Join(b.dir, "data"), HTTP: address, Log: filepath.Join(b.dir, "server.log")}
	if err := b.server.Start(ctx); err != nil {
		return errors.Join(err, b.server.KillAll())
	}
	for _, name := range []string{"B", "A"} {
		if err := b.deploy(ctx, name); err != nil {
			return errors.Join(err, b.server.Stop())
		}
	}
	return nil
}

// deploy moves production to release A or B, and learns its name.
func (b *bench) deploy(ctx context.Context, name string) error {
	if _, err := b.server.Deploy(ctx, b.apps[name]); err != nil {
		return err
	}
	st, err := b.server.Status(ctx, appName)
	if err != nil {
		return err
	}
	b.names[name] = string(st.Release)
	return nil
}

// load is the load of the claims: kept connections in closed loops, new connections, slow requests
// and WebSockets.
func (b *bench) load(ctx context.Context, slowPath string) *load.Generator {
	return load.Start(ctx, load.Config{
		Address: b.server.HTTP, KeepAlive: 64, Think: b.think, Fresh: 20, Slow: 8, SlowPath: slowPath, Sockets: 20,
	})
}

// rest waits d, or until ctx ends.
func rest(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
