package etcd_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper/queue"
	"semper/queue/etcd"
	"semper/queue/queuetest"
	storeetcd "semper/store/etcd"
)

// role, when set, makes this test binary a part of what is tested: the store, or an edge with clients and workers.
const role = "SEMPER_TEST_QUEUE_ROLE"

func TestMain(m *testing.M) {
	if r := os.Getenv(role); r != "" {
		ctx, cancel := context.WithCancel(context.Background())
		go func() { // it dies with the test
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
		var err error
		if r == "store" {
			err = storeetcd.Serve(ctx, storeetcd.ServeOptions{Dir: os.Args[1], Socket: os.Args[2], Ready: func() { fmt.Println("ready") },
				Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
		} else {
			err = beEdge(ctx, os.Args[1], os.Args[2])
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// child is a process of this test, over its restarts.
type child struct {
	t     testing.TB
	role  string
	args  []string
	cmd   *exec.Cmd
	stdin io.Closer
	lines chan string
}

func start(t testing.TB, role_ string, args ...string) *child {
	t.Helper()
	c := &child{t: t, role: role_, args: args}
	t.Cleanup(c.kill)
	c.start()
	return c
}

// start returns when the process has said a first line.
func (c *child) start() {
	c.t.Helper()
	exe, err := os.Executable()
	must(c.t, err)
	c.cmd = exec.Command(exe, c.args...)
	c.cmd.Env = append(os.Environ(), role+"="+c.role)
	c.cmd.Stderr = os.Stderr
	c.stdin, err = c.cmd.StdinPipe()
	must(c.t, err)
	out, err := c.cmd.StdoutPipe()
	must(c.t, err)
	must(c.t, c.cmd.Start())
	c.lines = make(chan string, 100_000)
	lines := c.lines
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
	}()
	if first, ok := <-c.lines; !ok || first != "ready" {
		c.t.Fatalf("the %s said %q", c.role, first)
	}
}

// kill is kill -9, and gives what the process had said.
func (c *child) kill() { c.rest() }

func (c *child) rest() (said []string) {
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

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newStore is a store process and the socket it listens on.
func newStore(t testing.TB) (*child, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "q")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "s.sock")
	return start(t, "store", t.TempDir(), socket), socket
}

// real is an engine over a store process, with its client.
type real struct {
	*etcd.Engine
	client *storeetcd.Store
	socket string
	id     string
	bodies string
}

func (r *real) Close() error {
	err := r.Engine.Close()
	_ = r.client.Close()
	return err
}

func connect(t testing.TB, socket, id, bodies string) *real {
	t.Helper()
	client, err := storeetcd.Open(t.Context(), socket, storeetcd.Options{Patience: 20 * time.Second, Lease: 2 * time.Second})
	must(t, err)
	return &real{engine(t, client, id, bodies), client, socket, id, bodies}
}

// TestContractEtcd runs the contract over a real store.
func TestContractEtcd(t *testing.T) {
	t.Parallel()
	_, socket := newStore(t)
	var n int
	var mu sync.Mutex
	queuetest.Run(t, queuetest.Harness{
		Schedules: 3,
		Open: func(t testing.TB) queue.Engine {
			mu.Lock()
			defer mu.Unlock()
			n++
			return connect(t, socket, fmt.Sprint("edge-", n), t.TempDir())
		},
		Reopen: func(t testing.TB, e queue.Engine) queue.Engine {
			old := e.(*real)
			must(t, old.Close())
			return connect(t, old.socket, old.id, old.bodies)
		},
	})
}

var (
	shop  = queue.Service{App: "shop", Environment: "production", Service: "mailer"}
	rules = queue.Policy{Order: queue.OrderKey, Lease: time.Second, MaxAttempts: 1000, Backoff: queue.Backoff{Base: 5 * time.Millisecond, Max: 50 * time.Millisecond}}
)

// beEdge accepts and does jobs, and says what clients were told and what was done, until it is killed.
func beEdge(ctx context.Context, socket, name string) error {
	client, err := storeetcd.Open(ctx, socket, storeetcd.Options{Lease: 2 * time.Second})
	if err != nil {
		return err
	}
	e, err := etcd.New(client, etcd.Options{ID: "edge", Log: quiet()})
	if err != nil {
		return err
	}
	e.PackFrom(1)
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
		j := queue.Job{Key: fmt.Sprint(i % 7), Request: queue.Request{Method: "POST", Target: "/", Body: []byte(name)}}
		if i%3 == 0 { // it stands under a key of its own, the others in blocks
			j.DedupKey = fmt.Sprint(name, i)
		}
		if r, err := q.Enqueue(ctx, j); err == nil {
			out <- "ack " + r.ID.String()
		}
	}
	return nil
}

// TestKilled kills the edge and the store, with kill -9, under load: what was acknowledged reaches one terminal state.
func TestKilled(t *testing.T) {
	t.Parallel()
	store, socket := newStore(t)
	acked, did, done := map[string]bool{}, map[string]int{}, map[string]int{}
	const kills = 6
	for i := range kills {
		edge := start(t, "edge", socket, fmt.Sprint("life", i, "-"))
		count := 0
		note := func(line string) {
			word, id, _ := strings.Cut(line, " ")
			switch word {
			case "ack":
				acked[id] = true
				count++
			case "did":
				did[id]++
			case "done":
				done[id]++
			}
		}
		for count < 50+20*i { // acknowledged, so that each life gets somewhere, on whatever machine
			line, ok := <-edge.lines
			if !ok {
				t.Fatal("the edge ended by itself")
			}
			note(line)
			if i%2 == 1 && count == 25 && store.cmd != nil {
				store.kill()
				store.start()
				count++
			}
		}
		for _, line := range edge.rest() {
			note(line)
		}
	}
	e := connect(t, socket, "edge", "")
	defer func() { must(t, e.Close()) }()
	q, err := e.Open(t.Context(), shop, rules)
	must(t, err)
	finish(t, q)
	terminal := map[string]int{}
	for _, s := range queue.States {
		all, err := q.List(t.Context(), s, queue.ID{}, 1_000_000)
		must(t, err)
		for _, j := range all {
			terminal[j.ID.String()]++
			if s != queue.Done {
				t.Errorf("%s is %s", j.ID, s)
			}
		}
	}
	for id := range acked {
		if terminal[id] != 1 {
			t.Errorf("%s was acknowledged and is in %d terminal states", id, terminal[id])
		}
	}
	for id, n := range done {
		if n != 1 || did[id] == 0 || !acked[id] && terminal[id] != 1 {
			t.Errorf("%s was completed %d times, done %d times", id, n, did[id])
		}
	}
	// One job per life may have been accepted without its client hearing of it.
	if n := len(terminal) - len(acked); n < 0 || n > 2*kills {
		t.Errorf("%d jobs are there, %d were acknowledged", len(terminal), len(acked))
	}
	t.Logf("%d acknowledged, %d there, over %d kills", len(acked), len(terminal), kills+kills/2)
}

// finish does what is left.
func finish(t *testing.T, q queue.Queue) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		s, err := q.Stats(ctx)
		must(t, err)
		if s.Queued+s.Delayed+s.Running == 0 {
			return
		}
		short, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
		claims, _ := q.Claim(short, "last", 100)
		cancel()
		for _, c := range claims {
			must(t, q.Complete(ctx, c.Lease, queue.Result{Status: 200}))
		}
	}
}
