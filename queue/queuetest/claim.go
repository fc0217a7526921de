package queuetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"semper/queue"
)

func claimPriority(f *fixture) {
	f.open(queue.Policy{})
	for i, p := range []int{0, -9, 9, 0, 9, 5} {
		j := job(fmt.Sprint(i))
		j.Priority = p
		f.put(j)
	}
	f.starts("2 4 5 0 3 1")
}

func claimWaits(f *fixture) {
	f.open(queue.Policy{})
	got := make(chan string)
	go func() {
		c, err := f.q.Claim(f.ctx, "w", 5)
		if err != nil {
			f.Error(err)
		}
		got <- bodies(c)
	}()
	f.pass(20 * time.Millisecond)
	f.put(job("late"))
	if s := <-got; s != "late" {
		f.Errorf("got %q", s)
	}
}

func claimContext(f *fixture) {
	f.open(queue.Policy{})
	ctx, cancel := context.WithCancel(f.ctx)
	cancel()
	f.put(job("x"))
	if c, err := f.q.Claim(ctx, "w", 1); !errors.Is(err, context.Canceled) || len(c) > 0 {
		f.Errorf("Claim under an ended context: %v, %v", c, err)
	}
	f.starts("x")
	f.none()
}

func claimEachOnce(f *fixture) {
	f.open(queue.Policy{})
	const jobs, workers = 300, 8
	var mu sync.Mutex
	seen := map[queue.ID]int{}
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				claims, err := f.q.Claim(ctx, "w", 7)
				if err != nil {
					return
				}
				for _, c := range claims {
					if err := f.q.Complete(f.ctx, c.Lease, queue.Result{Status: 200}); err != nil {
						f.Error(err)
					}
					mu.Lock()
					seen[c.ID]++
					if len(seen) == jobs {
						cancel()
					}
					mu.Unlock()
				}
			}
		})
	}
	var producers sync.WaitGroup
	for p := range 10 {
		producers.Go(func() {
			for i := range jobs / 10 {
				if _, err := f.q.Enqueue(f.ctx, job(fmt.Sprint(p, i))); err != nil {
					f.Error(err)
				}
			}
		})
	}
	producers.Wait()
	wg.Wait()
	for id, n := range seen {
		if n != 1 {
			f.Errorf("%s was given out %d times", id, n)
		}
	}
	if len(seen) != jobs {
		f.Errorf("%d of %d jobs were given out", len(seen), jobs)
	}
}

func notBefore(f *fixture) {
	f.open(queue.Policy{})
	j := job("later")
	j.NotBefore = time.Now().Add(time.Second)
	id := f.put(j)
	f.state(id, queue.Queued)
	f.put(job("now"))
	f.starts("now")
	f.none()
	f.starts("later")
	if time.Now().Before(j.NotBefore) {
		f.Error("it started before its time")
	}
}

func expired(f *fixture) {
	f.open(queue.Policy{TTL: time.Second})
	id := f.put(job("too late"))
	runs := f.put(job("runs"))
	c := f.claim(2)
	f.must(f.q.Release(f.ctx, c[slices.IndexFunc(c, func(c queue.Claim) bool { return c.ID == id })].Lease))
	s, err := f.q.Wait(f.ctx, id)
	f.must(err)
	if s.State != queue.Expired || s.Why == "" || s.Ended.IsZero() {
		f.Errorf("it is %s: %q", s.State, s.Why)
	}
	f.none()
	f.state(runs, queue.Running) // a TTL ends no attempt
}

func boundRunning(f *fixture) {
	f.open(queue.Policy{Running: 2})
	for i := range 4 {
		f.put(job(fmt.Sprint(i)))
	}
	c := f.starts("0 1")
	f.none()
	f.complete(c[0])
	c = append(c[1:], f.starts("2")...)
	f.none()
	f.fail(c[0])
	f.starts("3")
	f.none()
}

func boundPerKey(f *fixture) {
	f.open(queue.Policy{PerKey: 2})
	for i, key := range []string{"a", "a", "a", "b", "", ""} {
		f.put(keyed(key, fmt.Sprint(i)))
	}
	c := f.starts("0 1 3 4 5")
	f.none()
	f.complete(c[1])
	f.starts("2")
}

func boundRate(f *fixture) {
	f.open(queue.Policy{Rate: 2, Burst: 3})
	for i := range 6 {
		f.put(job(fmt.Sprint(i)))
	}
	begin := time.Now()
	f.starts("0 1 2 3 4 5")
	// Three at once, three more at two a second; what passed between Open and now may have added to the first.
	if took := time.Since(begin); took < 400*time.Millisecond {
		f.Errorf("six starts under a rate of 2 and a burst of 3 took %s", took)
	}
}

func orderKey(f *fixture) {
	f.open(queue.Policy{Order: queue.OrderKey, Backoff: queue.Backoff{Base: 20 * time.Millisecond}})
	for _, b := range []string{"a1", "a2", "b1", "a3", "b2"} {
		j := keyed(b[:1], b)
		if b == "a2" {
			j.Priority = 9 // has no say within its lane
		}
		f.put(j)
	}
	c := f.starts("a1 b1")
	f.none()
	f.complete(c[1])
	b2 := f.starts("b2")[0]
	if s := f.fail(c[0]); s != queue.Delayed {
		f.Errorf("it is %s", s)
	}
	again := f.starts("a1")[0] // never a2
	if again.Lease.Attempt != 2 {
		f.Errorf("attempt %d", again.Lease.Attempt)
	}
	f.none()
	f.complete(b2)
	f.complete(again)
	a2 := f.starts("a2")[0]
	f.must2(f.q.Fail(f.ctx, a2.Lease, queue.Failure{Final: true})) // a dead job does not hold its lane
	f.starts("a3")
}

func (f *fixture) must2(_ any, err error) {
	f.Helper()
	f.must(err)
}

func orderStrict(f *fixture) {
	f.open(queue.Policy{Order: queue.OrderStrict, Backoff: queue.Backoff{Base: 20 * time.Millisecond}})
	for i := range 4 {
		j := keyed(fmt.Sprint("k", i), fmt.Sprint(i))
		j.Priority = i
		f.put(j)
	}
	for i := range 3 {
		c := f.starts(fmt.Sprint(i))[0]
		f.none()
		if i == 1 {
			f.fail(c)
			c = f.starts("1")[0]
		}
		f.complete(c)
	}
	f.starts("3")
}
