package client_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/client"
	"semper/queue/mem"
	"semper/queue/pull"
)

var quiet = slog.New(slog.DiscardHandler)

// served is a queue in memory with the real API before it, on a socket, for one worker.
func served(t *testing.T, p queue.Policy) (q queue.Queue, desk *pull.Desk, c *client.Client) {
	t.Helper()
	const key semper.PoolKey = "shop/production/mail"
	engine := mem.New()
	q, err := engine.Open(t.Context(), queue.Service{App: "shop", Environment: "production", Service: "mail"}, p)
	if err != nil {
		t.Fatal(err)
	}
	desk = pull.NewDesk(key, q, quiet)
	plan, _ := pull.PlanOf(semper.Table{Epoch: 1, Workers: []semper.Pool{{Key: key, Release: "r1", Backend: []semper.Backend{{ID: "shop/mail.r1.1"}}}}}, key)
	desk.Apply(plan)
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Minute, Handler: pull.New(pull.Options{
		Who: func(*http.Request) (pull.Instance, error) {
			return pull.Instance{ID: "shop/mail.r1.1", Incarnation: 1, App: "shop", Environment: "production", Service: "mail", Release: "r1"}, nil
		},
		Asked: func(context.Context, pull.Instance) {}, Desk: func(semper.PoolKey) *pull.Desk { return desk }, Log: quiet,
		Queue: func(k semper.PoolKey) (queue.Producer, queue.Settings, bool) {
			return q, queue.Settings{Policy: p}, k == key
		},
	})}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { desk.Run(ctx) })
	wg.Go(func() { _ = srv.Serve(l) })
	c = client.NewAt(path)
	t.Cleanup(func() {
		c.Close()
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		wg.Wait()
		desk.Close()
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return q, desk, c
}

// work runs a worker until stop is called, which returns when it has ended.
func work(t *testing.T, c *client.Client, o client.Options, h client.Handler) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	o.Log = quiet
	go func() { done <- client.Work(ctx, c, o, h) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func give(t *testing.T, c *client.Client, d client.Draft) queue.ID {
	t.Helper()
	text, _, err := c.Enqueue(t.Context(), "mail", d)
	if err != nil {
		t.Fatal(err)
	}
	id, err := queue.ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestWorkEndsJobsAsHandlersSay(t *testing.T) {
	t.Parallel()
	q, _, c := served(t, queue.Policy{MaxAttempts: 2, Backoff: queue.Backoff{Base: time.Millisecond, Max: time.Millisecond}})
	var back, failed atomic.Int32
	defer work(t, c, client.Options{Concurrency: 4}, func(_ context.Context, j *client.Job) (client.Result, error) {
		switch j.Target {
		case "/final":
			return client.Result{}, client.Final(errors.New("no such address"))
		case "/fails":
			failed.Add(1)
			return client.Result{}, client.After(0, errors.New("not yet"))
		case "/panics":
			panic("a bug")
		case "/back":
			if back.Add(1) == 1 {
				return client.Result{}, fmt.Errorf("the database is away: %w", client.ErrBack)
			}
		}
		return client.Result{Status: 201, ContentType: "text/plain", Body: append([]byte(j.Header.Get("Content-Type")+" "), j.Body...)}, nil
	})()
	for target, want := range map[string]struct {
		state    queue.State
		attempts int
		says     string
	}{
		"/": {queue.Done, 1, "a/b hello"}, "/final": {queue.Dead, 1, "no such address"}, "/fails": {queue.Dead, 2, "not yet"},
		"/panics": {queue.Dead, 2, "a bug"}, "/back": {queue.Done, 1, "a/b hello"},
	} {
		s, err := q.Wait(t.Context(), give(t, c, client.Draft{Path: target, ContentType: "a/b", Body: []byte("hello")}))
		if err != nil || s.State != want.state || len(s.Attempts) != want.attempts {
			t.Errorf("%s: %+v %v", target, s, err)
			continue
		}
		if last := s.Attempts[len(s.Attempts)-1]; want.state == queue.Dead && !strings.Contains(last.Reason, want.says) {
			t.Errorf("%s: %q", target, last.Reason)
		}
		if want.state == queue.Done && (s.Result.Status != 201 || string(s.Result.Body) != want.says) {
			t.Errorf("%s: %+v %q", target, s.Result, s.Result.Body)
		}
	}
}

func TestWorkKeepsLeasesAndLosesThem(t *testing.T) {
	t.Parallel()
	q, _, c := served(t, queue.Policy{Lease: time.Second})
	lost := make(chan error, 1)
	release := make(chan struct{})
	stop := work(t, c, client.Options{Concurrency: 2}, func(ctx context.Context, j *client.Job) (client.Result, error) {
		if j.Target == "/lost" && j.Attempt == 1 {
			<-ctx.Done()
			lost <- context.Cause(ctx)
			return client.Result{}, nil
		}
		if j.Target == "/long" {
			select {
			case <-release:
			case <-ctx.Done():
				return client.Result{}, context.Cause(ctx)
			}
		}
		return client.Result{}, nil
	})
	long, gone := give(t, c, client.Draft{Path: "/long"}), give(t, c, client.Draft{Path: "/lost"})
	var s queue.Status
	for s.State != queue.Running {
		var err error
		if s, err = q.Get(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
	}
	// Somebody takes the job away: the next extension hears of it.
	for token := int64(1); ; token++ {
		if _, err := q.Fail(t.Context(), queue.Lease{ID: gone, Attempt: 1, Token: token}, queue.Failure{}); err == nil {
			break
		}
	}
	if err := <-lost; !errors.Is(err, client.ErrLeaseLost) {
		t.Errorf("%v", err)
	}
	if s, err := q.Wait(t.Context(), gone); err != nil || s.State != queue.Done || len(s.Attempts) != 2 {
		t.Errorf("%+v %v", s, err)
	}
	close(release) // the other has had several leases by then
	if s, err := q.Wait(t.Context(), long); err != nil || s.State != queue.Done || len(s.Attempts) != 1 {
		t.Errorf("%+v %v", s, err)
	}
	stop()
}

func TestWorkFinishesWhatItHas(t *testing.T) {
	t.Parallel()
	q, desk, c := served(t, queue.Policy{})
	begun, finish := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- client.Work(ctx, c, client.Options{Log: quiet}, func(ctx context.Context, _ *client.Job) (client.Result, error) {
			close(begun)
			<-finish
			return client.Result{}, ctx.Err()
		})
	}()
	id := give(t, c, client.Draft{})
	<-begun
	cancel()
	select {
	case err := <-ended:
		t.Errorf("the worker ended with a job in hand: %v", err)
	default:
	}
	close(finish)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if s, err := q.Get(t.Context(), id); err != nil || s.State != queue.Done || len(desk.Held()) != 0 {
		t.Errorf("%+v %v, held %v", s, err, desk.Held())
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	t.Parallel()
	_, desk, c := served(t, queue.Policy{MaxBody: 8})
	if _, _, err := c.Enqueue(t.Context(), "mail", client.Draft{Body: []byte("123456789")}); err == nil || !strings.Contains(err.Error(), "8 bytes") {
		t.Errorf("%v", err)
	}
	if first, dup, err := c.Enqueue(t.Context(), "mail", client.Draft{Idempotency: "k", Priority: 1, Delay: time.Hour}); err != nil || dup {
		t.Errorf("%v", err)
	} else if again, dup, err := c.Enqueue(t.Context(), "mail", client.Draft{Idempotency: "k", Priority: 1, Delay: time.Hour}); err != nil || !dup || again != first {
		t.Errorf("%s %s %t %v", first, again, dup, err)
	}
	j := &client.Job{ID: queue.NewID(time.Now()).String(), Lease: "1-1"}
	if err := c.Complete(t.Context(), j, client.Result{}); !errors.Is(err, client.ErrLeaseLost) {
		t.Errorf("%v", err)
	}
	plan, _ := pull.PlanOf(semper.Table{Epoch: 2, Draining: []semper.Draining{{Instances: []semper.InstanceID{"shop/mail.r1.1"}, Request: time.Now().Add(time.Hour)}}}, "shop/production/mail")
	desk.Apply(plan)
	if _, err := c.Claim(t.Context(), 1, 0); !errors.Is(err, client.ErrQuiesced) {
		t.Errorf("%v", err)
	}
	away := client.NewAt(filepath.Join(t.TempDir(), "none"))
	if _, err := away.Claim(t.Context(), 1, 0); !errors.Is(err, client.ErrUnavailable) {
		t.Errorf("%v", err)
	}
	if _, err := client.NewAt("").Claim(t.Context(), 1, 0); err == nil || !strings.Contains(err.Error(), client.Env) {
		t.Errorf("%v", err)
	}
}
