package wire_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"semper"
	"semper/keeper/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve answers on a unix socket as a keeper would.
func serve(t *testing.T, h http.Handler) *wire.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "w")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	srv := &http.Server{Handler: h, BaseContext: func(net.Listener) context.Context { return ctx }}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(wire.SameUser{Listener: l}) })
	c := wire.NewClient(path)
	t.Cleanup(func() {
		c.Close()
		cancel()
		_ = srv.Close()
		wg.Wait()
		os.RemoveAll(dir)
	})
	return c
}

func TestErrorsArriveWhole(t *testing.T) {
	t.Parallel()
	var give error
	c := serve(t, wire.Take(func(context.Context, wire.StopRequest) (struct{}, error) { return struct{}{}, give }))
	cause := errors.New("disk on fire")
	for _, code := range []semper.Code{
		semper.Internal, semper.Invalid, semper.NotFound, semper.Conflict, semper.Forbidden, semper.Unavailable,
		semper.Timeout, semper.Tampered, semper.NoSpace,
	} {
		give = &semper.Error{Code: code, Op: "stop x", Message: "it stays", Hint: "push", Err: cause}
		err := c.Stop(t.Context(), "x", "")
		if semper.CodeOf(err) != code || semper.HintOf(err) != "push" || err.Error() != give.Error() {
			t.Errorf("%s: %v, hint %q", code, err, semper.HintOf(err))
		}
	}
	give = cause
	if err := c.Stop(t.Context(), "x", ""); semper.CodeOf(err) != semper.Internal || err.Error() != "stop x: disk on fire" {
		t.Error(err)
	}
	give = nil
	if err := c.Stop(t.Context(), "x", ""); err != nil {
		t.Error(err)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	c := wire.NewClient("/no/such/socket")
	if _, err := c.Info(t.Context()); semper.CodeOf(err) != semper.Unavailable || semper.HintOf(err) == "" {
		t.Error(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	if _, err := c.Info(ctx); semper.CodeOf(err) != semper.Timeout {
		t.Error(err)
	}
}

// state is a keeper's: what changes is published while nobody can see it otherwise.
type state struct {
	mu  sync.Mutex
	all map[semper.InstanceID]semper.InstanceStatus
}

func (s *state) list(then func()) []semper.InstanceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []semper.InstanceStatus{}
	for _, st := range s.all {
		list = append(list, st)
	}
	then()
	return list
}

func (s *state) set(f *wire.Feed, id semper.InstanceID, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := semper.InstanceStatus{Spec: semper.InstanceSpec{ID: id}, Incarnation: n}
	s.all[id] = st
	f.Publish(st)
}

func TestWatchersSeeTheWholeThenEachChangeInOrder(t *testing.T) {
	t.Parallel()
	s := &state{all: map[semper.InstanceID]semper.InstanceStatus{}}
	feed := &wire.Feed{All: s.list}
	c := serve(t, http.HandlerFunc(feed.Serve))
	s.set(feed, "old", 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ch, err := c.Watch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	first := <-ch
	if len(first) != 1 || first[0].Spec.ID != "old" {
		t.Fatalf("%+v", first)
	}
	const ids, changes = 4, 3000 // more than a watcher may be behind
	var wg sync.WaitGroup
	for i := range ids {
		wg.Go(func() {
			for n := range int64(changes) {
				s.set(feed, semper.InstanceID(strconv.Itoa(i)), n+1)
			}
		})
	}
	last := map[semper.InstanceID]int64{}
	for done := 0; done < ids; {
		for _, st := range <-ch {
			if st.Incarnation < last[st.Spec.ID] {
				t.Fatalf("%s went from %d back to %d", st.Spec.ID, last[st.Spec.ID], st.Incarnation)
			}
			if st.Incarnation == changes && last[st.Spec.ID] != changes {
				done++
			}
			last[st.Spec.ID] = st.Incarnation
		}
	}
	wg.Wait()
	cancel()
	for range ch { // it closes
	}
}

func TestUpgradeLogEnds(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/upgrade", wire.Take(func(context.Context, wire.UpgradeRequest) (wire.UpgradeBegun, error) {
		return wire.UpgradeBegun{ID: "one"}, nil
	}))
	mux.HandleFunc("GET /v1/upgrade", wire.Give(func(*http.Request) (wire.UpgradeLog, error) {
		return wire.UpgradeLog{ID: "two"}, nil // a newer one has begun meanwhile
	}))
	c := serve(t, mux)
	ch, err := c.Upgrade(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if step, ok := <-ch; ok {
		t.Errorf("%+v", step)
	}
}
