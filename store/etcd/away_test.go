package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/store/etcd"
)

func TestServerAwayIsUnavailable(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	c := srv.client(t, etcd.Options{Patience: 50 * time.Millisecond})
	_, err := c.Get(t.Context(), "a")
	wantUnavailable(t, err, "nothing was changed")
	_, _, err = c.List(t.Context(), "a")
	wantUnavailable(t, err, "nothing was changed")
	_, err = c.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: "a"}}})
	wantUnavailable(t, err, "nothing was changed")
	ctx, cancel := context.WithCancel(t.Context())
	w, err := c.Watch(ctx, "", 0)
	must(t, err)
	cancel()
	if _, open := <-w; open {
		t.Error("a watch of nothing gives changes")
	}
	if _, err := c.Lead(ctx, "role", "me"); !errors.Is(err, context.Canceled) {
		t.Errorf("Lead: %v", err)
	}
}

func wantUnavailable(t *testing.T, err error, words string) {
	t.Helper()
	if semper.CodeOf(err) != semper.Unavailable || !strings.Contains(err.Error(), words) || semper.HintOf(err) == "" {
		t.Errorf("error is %v (code %q, hint %q), want unavailable: …%s…", err, semper.CodeOf(err), semper.HintOf(err), words)
	}
}

func TestServerStoppedByASignalIsUnavailable(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.start()
	c := srv.client(t, etcd.Options{})
	put(t, c, "a", "1")
	hasty := srv.client(t, etcd.Options{Patience: 100 * time.Millisecond})
	_, err := hasty.Get(t.Context(), "a")
	for semper.CodeOf(err) == semper.Unavailable { // until it is connected, for which a busy machine may take longer than its patience
		_, err = hasty.Get(t.Context(), "a")
	}
	must(t, err)
	srv.pause()
	_, err = hasty.Get(t.Context(), "a")
	wantUnavailable(t, err, "nothing was changed")
	_, err = hasty.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: "a", Value: []byte("2")}}})
	wantUnavailable(t, err, "may have applied or not")
	srv.resume()
	put(t, c, "a", "3")
}

func TestClientBeforeServer(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	c := srv.client(t, etcd.Options{})
	w, err := c.Watch(t.Context(), "", 0)
	must(t, err)
	done := make(chan error, 1)
	go func() {
		_, err := c.Commit(context.Background(), semper.Txn{Then: []semper.Write{{Key: "a", Value: []byte("1")}}})
		done <- err
	}()
	srv.start()
	must(t, <-done)
	if batch := <-w; len(batch) != 1 || batch[0].Key != "a" {
		t.Errorf("the watch gives %v", batch)
	}
}

// A server that is replaced, in order or not, must cost its clients nothing but time.
func TestRestart(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*testing.T, *server){
		"stop": func(t *testing.T, s *server) { must(t, s.stop()) },
		"kill": func(_ *testing.T, s *server) { s.kill() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := newServer(t)
			srv.start()
			c := srv.client(t, etcd.Options{Lease: 30 * time.Second})
			l, err := c.Lead(t.Context(), "role", "me")
			must(t, err)
			w, err := c.Watch(t.Context(), "k/", put(t, c, "k/0", "0"))
			must(t, err)
			const commits = 60
			go func() {
				for i := range commits {
					k := fmt.Sprintf("k/%d", i+1)
					_, err := c.Commit(context.Background(), semper.Txn{If: []semper.Condition{{Key: k}, l.Fence()}, Then: []semper.Write{{Key: k, Value: []byte("1")}}})
					if err != nil {
						t.Errorf("commit %d: %v", i, err)
					}
				}
			}()
			for i := range commits {
				if i == commits/3 || i == 2*commits/3 {
					end(t, srv)
					srv.start()
				}
				batch, open := <-w
				if !open || len(batch) != 1 || batch[0].Key != fmt.Sprintf("k/%d", i+1) {
					t.Fatalf("change %d is %v (%v)", i, batch, open)
				}
			}
			select {
			case <-l.Done():
				t.Error("the leadership did not survive")
			default:
			}
		})
	}
}

func TestStopIsQuickAndCleansUp(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.start()
	c := srv.client(t, etcd.Options{})
	_, err := c.Watch(t.Context(), "", 0) // a stream that never ends by itself
	must(t, err)
	put(t, c, "a", "1")
	must(t, srv.stop())
	if _, err := os.Lstat(srv.socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket is still there: %v", err)
	}
	for line := range strings.Lines(srv.log()) {
		// That the machine is slow it may say: etcd names the time it had reckoned with.
		if !strings.Contains(line, "expected-duration=") && !strings.Contains(line, "retry-timeout=") {
			t.Errorf("the server complained: %s", line)
		}
	}
}

// increment is a commit that may be sent again: it breaks its own condition.
func increment(s semper.Store, key string) (int64, error) {
	var n int
	it, err := s.Get(context.Background(), key)
	if err == nil {
		_, err = fmt.Sscan(string(it.Value), &n)
	}
	if err != nil && !errors.Is(err, semper.ErrNotFound) {
		return 0, err
	}
	return s.Commit(context.Background(), semper.Txn{
		If:   []semper.Condition{{Key: key, Version: it.Version}},
		Then: []semper.Write{{Key: key, Value: []byte(fmt.Sprint(n + 1))}},
	})
}

func TestLostAnswer(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.start()
	direct := srv.client(t, etcd.Options{})
	type result struct {
		rev int64
		err error
	}
	// lose lets commit reach the server and loses the answer to it.
	lose := func(t *testing.T, key string, commit func(semper.Store) (int64, error)) result {
		p := newProxy(t, srv.socket)
		c, err := etcd.Open(t.Context(), p.socket, etcd.Options{Patience: 30 * time.Second})
		must(t, err)
		t.Cleanup(func() { must(t, c.Close()) })
		w, err := direct.Watch(t.Context(), key, put(t, direct, "marker", key))
		must(t, err)
		_, err = c.Get(t.Context(), "marker") // connects
		must(t, err)
		ch := make(chan result, 1)
		p.block(false, true)
		go func() {
			rev, err := commit(c)
			ch <- result{rev, err}
		}()
		<-w // it is applied
		p.cut()
		p.block(false, false)
		return <-ch
	}
	t.Run("repeated where that is safe", func(t *testing.T) {
		t.Parallel()
		r := lose(t, "counter", func(s semper.Store) (int64, error) {
			return s.Commit(context.Background(), semper.Txn{
				If:   []semper.Condition{{Key: "counter"}},
				Then: []semper.Write{{Key: "counter", Value: []byte("1")}, {Key: "counter/event", Value: []byte("+1")}},
			})
		})
		must(t, r.err)
		it, err := direct.Get(t.Context(), "counter")
		must(t, err)
		if it.Version != r.rev || string(it.Value) != "1" {
			t.Errorf("Commit gives revision %d, the key says %q at %d", r.rev, it.Value, it.Version)
		}
	})
	t.Run("told where it is not", func(t *testing.T) {
		t.Parallel()
		r := lose(t, "plain", func(s semper.Store) (int64, error) {
			return s.Commit(context.Background(), semper.Txn{Then: []semper.Write{{Key: "plain", Value: []byte("1")}}})
		})
		wantUnavailable(t, r.err, "may have applied or not")
	})
}

// Unreachable is not dead: the old leader may go on deciding, but nothing of it is committed.
func TestUnreachableLeaderIsFenced(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.start()
	direct := srv.client(t, etcd.Options{})
	p := newProxy(t, srv.socket)
	c, err := etcd.Open(t.Context(), p.socket, etcd.Options{Lease: 2 * time.Second})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	first, err := c.Lead(t.Context(), "role", "a")
	must(t, err)
	p.block(true, true)
	second, err := direct.Lead(t.Context(), "role", "b") // when the lease has ended
	must(t, err)
	<-first.Done()
	p.block(false, false)
	_, err = c.Commit(t.Context(), semper.Txn{If: []semper.Condition{first.Fence()}, Then: []semper.Write{{Key: "x", Value: []byte("1")}}})
	if !errors.Is(err, semper.ErrConflict) {
		t.Errorf("a decision of the old leader: %v", err)
	}
	_, err = direct.Commit(t.Context(), semper.Txn{If: []semper.Condition{second.Fence()}, Then: []semper.Write{{Key: "x", Value: []byte("2")}}})
	must(t, err)
}
