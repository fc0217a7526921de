package etcd_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/etcd"
	"semper/store"
	"semper/store/mem"
)

// pair is processes over one store.
type pair struct {
	*testing.T
	ctx   context.Context
	store *mem.Store
	p     queue.Policy
}

// bubble runs f where time is virtual, and ends with everything closed.
func bubble(t *testing.T, p queue.Policy, f func(*pair)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		s := mem.New()
		defer func() { must(t, s.Close()) }()
		f(&pair{t, ctx, s, p})
	})
}

// process is an engine and its queue.
type process struct {
	*etcd.Engine
	queue.Queue
}

func (p process) Close() error { return p.Engine.Close() }

func (p *pair) start(id string) process {
	p.Helper()
	e := engine(p.T, p.store, id, "")
	q, err := e.Open(p.ctx, shop, p.p)
	must(p.T, err)
	synctest.Wait() // who is first dispatches
	return process{e, q}
}

func (p *pair) enqueue(q queue.Producer, key string) queue.ID {
	p.Helper()
	r, err := q.Enqueue(p.ctx, queue.Job{Key: key, Request: queue.Request{Method: "POST", Target: "/" + key}})
	must(p.T, err)
	return r.ID
}

func (p *pair) state(q queue.Viewer, id queue.ID) queue.State {
	p.Helper()
	s, err := q.Get(p.ctx, id)
	must(p.T, err)
	return s.State
}

// TestHandOver closes the dispatcher again and again under load: the other takes over, jobs of one key start in the order
// they were accepted in by whichever process, and each is completed once.
func TestHandOver(t *testing.T) {
	bubble(t, queue.Policy{Order: queue.OrderKey, Lease: time.Minute}, func(p *pair) {
		var mu sync.Mutex
		started := map[string][]queue.ID{}
		completed := map[queue.ID]int{}
		var wg sync.WaitGroup
		workers := func(at process) process {
			for range 3 {
				wg.Go(func() {
					for {
						claims, err := at.Claim(p.ctx, "worker", 4)
						if err != nil {
							return
						}
						for _, c := range claims {
							mu.Lock()
							started[c.Key] = append(started[c.Key], c.ID)
							mu.Unlock()
							time.Sleep(time.Millisecond) // the work
							err := at.Complete(p.ctx, c.Lease, queue.Result{Status: 200})
							mu.Lock()
							if err == nil {
								completed[c.ID]++
							}
							mu.Unlock()
						}
					}
				})
			}
			return at
		}
		var all []queue.ID
		accepted := map[string][]queue.ID{}
		now, other := workers(p.start("edge-1")), workers(p.start("edge-2"))
		for life := range 6 {
			for i := range 40 {
				key := fmt.Sprint("k", i%5)
				id := p.enqueue([]process{now, other}[i%2], key)
				accepted[key], all = append(accepted[key], id), append(all, id)
			}
			must(t, now.Close()) // with jobs in every state
			now, other = other, workers(p.start(fmt.Sprint("edge-", life+3)))
		}
		for _, id := range all {
			s, err := other.Wait(p.ctx, id)
			must(t, err)
			if s.State != queue.Done {
				t.Errorf("%s is %s", id, s.State)
			}
		}
		must(t, errors.Join(now.Close(), other.Close()))
		wg.Wait()
		for key, want := range accepted {
			if got := slices.Compact(started[key]); !slices.Equal(got, want) { // a job whose worker's process ended starts again
				t.Errorf("%s: %d starts of %d jobs are not in the order of acceptance", key, len(got), len(want))
			}
		}
		for id, n := range completed {
			if n != 1 {
				t.Errorf("%s was completed %d times", id, n)
			}
		}
	})
}

// TestBell has another process accept, extend, complete, fail, retry and discard what the dispatcher hands out: it hears
// of all of it, and in its order.
func TestBell(t *testing.T) {
	bubble(t, queue.Policy{Order: queue.OrderStrict, Lease: 10 * time.Second, MaxAttempts: 1}, func(p *pair) {
		a, b := p.start("edge-1"), p.start("edge-2")
		defer func() { must(t, errors.Join(a.Close(), b.Close())) }()
		var ids []queue.ID
		for i := range 6 {
			ids = append(ids, p.enqueue([]process{b, a}[i%2], "k"))
		}
		for i, id := range ids {
			claims, err := a.Claim(p.ctx, "w", 10)
			must(t, err)
			if len(claims) != 1 || claims[0].ID != id {
				t.Fatalf("the claim after %d is %v", i, claims)
			}
			lease := claims[0].Lease
			time.Sleep(8 * time.Second)
			must(t, b.Extend(p.ctx, lease))
			time.Sleep(8 * time.Second)
			if s := p.state(a, id); s != queue.Running {
				t.Fatalf("a job whose lease another process extended is %s", s)
			}
			if i%2 == 0 {
				must(t, b.Complete(p.ctx, lease, queue.Result{Status: 200}))
				if err := a.Complete(p.ctx, lease, queue.Result{Status: 200}); !errors.Is(err, queue.ErrLeaseLost) {
					t.Errorf("a second end: %v", err)
				}
			} else if s, err := b.Fail(p.ctx, lease, queue.Failure{Status: 500}); err != nil || s != queue.Dead {
				t.Errorf("%s, %v", s, err)
			}
		}
		dead := []queue.ID{ids[1], ids[3], ids[5]}
		if n, err := b.Discard(p.ctx, queue.By{Who: "ada"}, dead[0]); n != 1 || err != nil {
			t.Errorf("%d discarded, %v", n, err)
		}
		if n, err := b.Retry(p.ctx, queue.By{Who: "ada"}, dead[1:]...); n != 2 || err != nil {
			t.Errorf("%d retried, %v", n, err)
		}
		synctest.Wait()
		s, err := a.Stats(p.ctx)
		must(t, err)
		if s.Queued != 2 || s.Dead+s.Running+s.Delayed != 0 || s.Dispatcher != "edge-1" {
			t.Errorf("the dispatcher knows %+v", s)
		}
		time.Sleep(2 * time.Second) // numbers of others are a second old
		if far, err := b.Stats(p.ctx); err != nil || far.Queued != 2 || far.Dispatcher != "edge-1" {
			t.Errorf("the other process knows %+v, %v", far, err)
		}
	})
}

// TestPauseOfAnother pauses by one process while another hands out: no claim is committed after the barrier.
func TestPauseOfAnother(t *testing.T) {
	bubble(t, queue.Policy{}, func(p *pair) {
		a, b := p.start("edge-1"), p.start("edge-2")
		var mu sync.Mutex
		var tokens []int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					claims, err := a.Claim(p.ctx, "w", 2)
					if err != nil {
						return
					}
					for _, c := range claims {
						mu.Lock()
						tokens = append(tokens, c.Lease.Token)
						mu.Unlock()
						_ = a.Complete(p.ctx, c.Lease, queue.Result{Status: 200})
					}
				}
			})
		}
		stop, cancel := context.WithCancel(p.ctx)
		for i := range 2 {
			wg.Go(func() {
				for stop.Err() == nil {
					if _, err := []process{a, b}[i].Enqueue(p.ctx, queue.Job{Request: queue.Request{Method: "POST", Target: "/"}}); err != nil {
						t.Error(err)
						return
					}
					time.Sleep(time.Millisecond)
				}
			})
		}
		var count int
		for round := range 20 {
			time.Sleep(20 * time.Millisecond)
			pause, err := b.Pause(p.ctx, queue.By{Who: "ada"})
			must(t, err)
			time.Sleep(50 * time.Millisecond)
			must(t, b.Drained(p.ctx))
			mu.Lock()
			for _, token := range tokens {
				if token > pause.Revision {
					t.Errorf("round %d: a claim at %d, after the pause at %d", round, token, pause.Revision)
				}
			}
			if len(tokens) == count {
				t.Errorf("round %d: nothing was claimed since the last pause", round)
			}
			count = len(tokens)
			mu.Unlock()
			if s, err := a.Stats(p.ctx); err != nil || s.Paused == nil || s.Queued == 0 {
				t.Errorf("accepting goes on: %+v, %v", s, err)
			}
			must(t, b.Resume(p.ctx, queue.By{Who: "ada"}))
		}
		cancel()
		synctest.Wait()
		must(t, errors.Join(a.Close(), b.Close()))
		wg.Wait()
	})
}

// deafStore is one whose watches tell of nothing.
type deafStore struct{ store.Bulk }

func (d deafStore) Watch(ctx context.Context, _ string, _ int64) (<-chan []semper.Change, error) {
	c := make(chan []semper.Change)
	context.AfterFunc(ctx, func() { close(c) })
	return c, nil
}

// TestDeaf discards a job behind the dispatcher's back: its claim is refused, and the others that were to start with it do.
func TestDeaf(t *testing.T) {
	for _, least := range []int{1, 1000} {
		t.Run(fmt.Sprint("blocks from ", least), func(t *testing.T) {
			bubble(t, queue.Policy{}, func(p *pair) {
				e := engine(p.T, deafStore{p.store}, "edge-1", "")
				e.PackFrom(least)
				q, err := e.Open(p.ctx, shop, p.p)
				must(t, err)
				synctest.Wait()
				b := p.start("edge-2")
				ids := []queue.ID{p.enqueue(q, ""), p.enqueue(q, ""), p.enqueue(q, "")}
				if n, err := b.Discard(p.ctx, queue.By{Who: "ada"}, ids[1]); n != 1 || err != nil {
					t.Errorf("%d discarded, %v", n, err)
				}
				var got []queue.ID
				for len(got) < 2 {
					claims, err := q.Claim(p.ctx, "w", 3)
					must(t, err)
					for _, c := range claims {
						got = append(got, c.ID)
						must(t, q.Complete(p.ctx, c.Lease, queue.Result{Status: 200}))
					}
				}
				if slices.Contains(got, ids[1]) {
					t.Error("what was discarded starts")
				}
				must(t, errors.Join(b.Close(), e.Close()))
			})
		})
	}
}
