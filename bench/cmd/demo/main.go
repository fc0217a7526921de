// Command demo is semper's main job in one run: it starts a server, deploys an example, puts load on
// it, deploys a second release under that load and shows that nothing was lost. Then it stays up,
// with the page, until Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
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

// An example that the demo can deploy.
type example struct {
	name, needs string // what must be installed for it
	path        string // where it answers
}

var examples = []example{{"python-hello", "python3", "/"}, {"go-hello", "go", "/go-hello"}}

func main() {
	semper := flag.String("semper", "bin/semper", "the binary")
	http := flag.String("http", "127.0.0.1:8080", "public address; a free port when it is taken")
	api := flag.String("api", "127.0.0.1:8081", "address of the page; a free port when it is taken")
	once := flag.Bool("once", false, "end after the second release instead of staying up")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *semper, *http, *api, *once); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, semper, http, api string, once bool) (err error) {
	dir, err := os.MkdirTemp("", "semper-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // instances may run as users of their own
		return err
	}
	chosen, app, err := prepare(dir)
	if err != nil {
		return err
	}
	bin, err := filepath.Abs(semper)
	if err != nil {
		return err
	}
	s := &rig.Server{Bin: bin, Dir: filepath.Join(dir, "data"), Log: filepath.Join(dir, "server.log")}
	if s.HTTP, err = free(http); err != nil {
		return err
	}
	if s.API, err = free(api); err != nil {
		return err
	}
	say("start a server: semper server run --data %s --http %s --api %s", s.Dir, s.HTTP, s.API)
	if err := s.Start(ctx); err != nil {
		return errors.Join(err, s.KillAll())
	}
	defer func() {
		say("stop everything")
		err = errors.Join(err, s.Stop())
	}()
	say("deploy the first release: semper deploy -f %s", app)
	if err := deploy(ctx, s, app); err != nil {
		return err
	}
	if err := second(ctx, s, app, chosen); err != nil {
		return err
	}
	if once {
		return nil
	}
	return stay(ctx, s, app, chosen)
}

// prepare copies an example that can run here, so that its second release changes no file of the repository.
func prepare(dir string) (example, string, error) {
	i := slices.IndexFunc(examples, func(e example) bool { _, err := exec.LookPath(e.needs); return err == nil })
	if i < 0 {
		return example{}, "", errors.New("neither python3 nor go is installed: the demo has nothing to deploy")
	}
	to := filepath.Join(dir, examples[i].name)
	from := filepath.Join("examples", examples[i].name)
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		return example{}, "", err
	}
	return examples[i], to, nil
}

// free is the address when nobody listens on it, else one with a free port.
func free(address string) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return rig.FreeAddress()
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// deploy shows what a person would see.
func deploy(ctx context.Context, s *rig.Server, dir string) error {
	cmd := exec.CommandContext(ctx, s.Bin, "deploy", "-f", dir)
	cmd.Env = append(os.Environ(), "SEMPER_HOST="+s.Host())
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	return cmd.Run()
}

// second deploys a second release under load and shows what became of every request.
func second(ctx context.Context, s *rig.Server, app string, e example) error {
	say("put load on it: 32 kept connections, 20 new ones a second, 4 requests of 2 seconds")
	g := load.Start(ctx, load.Config{
		Address: s.HTTP, Path: e.path, Lenient: true, KeepAlive: 32, Think: 10 * time.Millisecond, Fresh: 20,
		Slow: 4, SlowPath: strings.TrimSuffix(e.path, "/") + "/slow?ms=2000",
	})
	defer g.Stop()
	g.Enter("before")
	if err := rest(ctx, 3*time.Second); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(app, "version.txt"), []byte("two\n"), 0o644); err != nil {
		return err
	}
	say("deploy a second release under that load: echo two > version.txt; semper deploy -f %s", app)
	g.Enter("deploying")
	g.Deploying("r2")
	if err := deploy(ctx, s, app); err != nil {
		return err
	}
	g.Cutover(time.Now())
	g.Enter("after")
	if err := rest(ctx, 3*time.Second); err != nil {
		return err
	}
	r := g.Stop()
	say("what the clients saw:")
	r.Print(os.Stderr)
	say("what semper counted: semper ledger")
	out, err := s.Run(ctx, "ledger")
	if err != nil {
		return err
	}
	_, _ = os.Stderr.Write(out)
	if r.Failed > 0 {
		return fmt.Errorf("%d of %d requests failed", r.Failed, r.Requests)
	}
	say("%d requests, 0 lost", r.Requests)
	return nil
}

// stay keeps the server up, with a little traffic to look at, until Ctrl-C.
func stay(ctx context.Context, s *rig.Server, app string, e example) error {
	token, err := os.ReadFile(filepath.Join(s.Dir, "token"))
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, `
  the app    http://%s%s
  the page   http://%s/login?token=%s
  the CLI    export SEMPER_HOST=%s

  try        bin/semper status -w
             bin/semper rollback
             bin/semper deploy -f %s
             bin/semper tree                   and kill -9 any pid in it

Ctrl-C stops everything and removes it.
`, s.HTTP, e.path, s.API, strings.TrimSpace(string(token)), s.Host(), app)
	g := load.Start(ctx, load.Config{Address: s.HTTP, Path: e.path, Lenient: true, KeepAlive: 4, Think: 200 * time.Millisecond})
	defer g.Stop()
	<-ctx.Done()
	return nil
}

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

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "\n── "+format+"\n", args...) }
