package jetstream_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"semper/queue"
	"semper/queue/jetstream"
)

// role, when set, makes this test binary a worker with clients, by its arguments.
const role = "SEMPER_TEST_JETSTREAM_ROLE"

func TestMain(m *testing.M) {
	if os.Getenv(role) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { // it dies with the test
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := beEdge(ctx, os.Args[1], os.Args[2], os.Args[3]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

var (
	shop  = queue.Service{App: "shop", Environment: "production", Service: "mailer"}
	rules = queue.Policy{Order: queue.OrderKey, Lease: 2e9, MaxAttempts: 1000, Backoff: queue.Backoff{Base: 5e6, Max: 50e6}}
)

// beEdge accepts and does jobs, and says what clients were told and what was done, until it is killed.
func beEdge(ctx context.Context, server, monitor, name string) error {
	e, err := jetstream.New(jetstream.Settings{Servers: []string{server}, Monitor: []string{monitor}, MaxBytes: 256 << 20}, jetstream.Options{ID: "edge", Log: quiet(), Patience: 30e9})
	if err != nil {
		return err
	}
	if _, err := e.Ready(ctx); err != nil {
		return err
	}
	q, err := e.Open(ctx, shop, rules)
	if err != nil {
		return err
	}
	out := make(chan string, 1000)
	go func() {
		for line := range out {
			fmt.Println(line)
		}
	}()
	out <- "ready"
	for w := range 3 {
		go func() {
			for i := w; ctx.Err() == nil; i++ {
				claims, _ := q.Claim(ctx, fmt.Sprint("w", w), 3)
				for _, c := range claims {
					out <- "did " + c.ID.String()
					if i%5 == 0 {
						_, _ = q.Fail(ctx, c.Lease, queue.Failure{Status: 503})
					} else if q.Complete(ctx, c.Lease, queue.Result{Status: 200}) == nil {
						out <- "done " + c.ID.String()
					}
				}
			}
		}()
	}
	for i := 0; ctx.Err() == nil; i++ {
		j := queue.Job{Key: fmt.Sprint(i % 7), DedupKey: fmt.Sprint(name, i), Request: queue.Request{Method: "POST", Target: "/", Body: []byte(name)}}
		if r, err := q.Enqueue(ctx, j); err == nil {
			out <- "ack " + r.ID.String()
		}
	}
	return nil
}

// child is a process of this test binary.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan string
}

// start returns when the process has said that it is ready.
func start(t testing.TB, args ...string) *child {
	t.Helper()
	exe, err := os.Executable()
	must(t, err)
	c := &child{cmd: exec.Command(exe, args...), lines: make(chan string, 100_000)}
	c.cmd.Env = append(os.Environ(), role+"=edge")
	c.cmd.Stderr = os.Stderr
	c.stdin, err = c.cmd.StdinPipe()
	must(t, err)
	out, err := c.cmd.StdoutPipe()
	must(t, err)
	must(t, c.cmd.Start())
	t.Cleanup(func() { c.kill() })
	go func() {
		defer close(c.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			c.lines <- s.Text()
		}
	}()
	if first, ok := <-c.lines; !ok || first != "ready" {
		t.Fatalf("the edge said %q", first)
	}
	return c
}

// kill is kill -9, and gives what the process had said.
func (c *child) kill() (said []string) {
	if c.cmd == nil {
		return nil
	}
	_ = c.cmd.Process.Signal(syscall.SIGKILL)
	for line := range c.lines {
		said = append(said, line)
	}
	_ = c.cmd.Wait()
	c.stdin.Close()
	c.cmd = nil
	return said
}
