package queuetest

import (
	"fmt"
	"time"

	"semper/queue"
)

func leaseEnds(f *fixture) {
	f.open(queue.Policy{Lease: time.Second, Backoff: queue.Backoff{Base: 10 * time.Millisecond}})
	id := f.put(job("slow"))
	first := f.one()
	second := f.one() // as soon as the lease has ended
	if second.ID != id || second.Lease.Attempt != 2 || second.Lease.Token <= first.Lease.Token {
		f.Errorf("first %+v, then %+v", first.Lease, second.Lease)
	}
	f.is(f.q.Complete(f.ctx, first.Lease, queue.Result{Status: 200}), queue.ErrLeaseLost)
	f.is(f.q.Extend(f.ctx, first.Lease), queue.ErrLeaseLost)
	f.is(f.q.Release(f.ctx, first.Lease), queue.ErrLeaseLost)
	_, err := f.q.Fail(f.ctx, first.Lease, queue.Failure{})
	f.is(err, queue.ErrLeaseLost)
	f.state(id, queue.Running) // the late one changed nothing
	f.complete(second)
	s := f.status(id)
	if len(s.Attempts) != 2 || s.Attempts[0].Reason != "the lease ended" || s.Attempts[1].Status != 200 {
		f.Errorf("attempts %+v", s.Attempts)
	}
}

func leaseExtend(f *fixture) {
	f.open(queue.Policy{Lease: 2 * time.Second})
	f.put(job("long"))
	c := f.one()
	for range 5 {
		f.pass(600 * time.Millisecond)
		f.must(f.q.Extend(f.ctx, c.Lease))
	}
	f.none()
	f.complete(c) // three seconds under a lease of two
}

func poison(f *fixture) {
	f.open(queue.Policy{Lease: time.Second, MaxAttempts: 3, Backoff: queue.Backoff{Base: 10 * time.Millisecond}})
	id := f.put(job("kills its worker"))
	f.put(job("other"))
	f.complete(f.claim(2)[1])
	f.claim(2 - 1)
	f.one()
	s, err := f.q.Wait(f.ctx, id)
	f.must(err)
	if s.State != queue.Dead || s.Why == "" || len(s.Attempts) != 3 {
		f.Fatalf("it is %s with %d attempts: %q", s.State, len(s.Attempts), s.Why)
	}
	for i, a := range s.Attempts {
		if a.Number != i+1 || a.Reason != "the lease ended" || a.Ended.IsZero() || a.Worker != "w" {
			f.Errorf("attempt %+v", a)
		}
	}
	f.none()
}

func release(f *fixture) {
	f.open(queue.Policy{MaxAttempts: 1})
	id := f.put(job("x"))
	f.put(job("y"))
	for range 3 {
		c := f.starts("x")[0]
		if c.Lease.Attempt != 1 {
			f.Errorf("attempt %d", c.Lease.Attempt)
		}
		f.must(f.q.Release(f.ctx, c.Lease))
		f.state(id, queue.Queued)
		f.is(f.q.Release(f.ctx, c.Lease), queue.ErrLeaseLost)
	}
	f.starts("x y")
}

func failBackoff(f *fixture) {
	f.open(queue.Policy{Backoff: queue.Backoff{Base: time.Second, Factor: 1, Jitter: 0.1}})
	id := f.put(job("x"))
	begin := time.Now()
	if s := f.fail(f.one()); s != queue.Delayed {
		f.Errorf("it is %s", s)
	}
	s := f.status(id)
	if s.State != queue.Delayed || s.Due.Before(begin.Add(800*time.Millisecond)) || len(s.Attempts) != 1 || s.Attempts[0].Status != 503 || s.Attempts[0].Reason != "busy" {
		f.Errorf("%+v", s)
	}
	f.none()
	c := f.one()
	if took := time.Since(begin); c.Lease.Attempt != 2 || took < 800*time.Millisecond {
		f.Errorf("attempt %d after %s", c.Lease.Attempt, took)
	}
	// Retry-After is obeyed where it is longer.
	f.must2(f.q.Fail(f.ctx, c.Lease, queue.Failure{Status: 429, RetryAfter: time.Minute}))
	if s := f.status(id); s.Due.Before(time.Now().Add(50 * time.Second)) {
		f.Errorf("due in %s after Retry-After: 60", time.Until(s.Due))
	}
}

func failFinal(f *fixture) {
	f.open(queue.Policy{})
	id := f.put(job("x"))
	s, err := f.q.Fail(f.ctx, f.one().Lease, queue.Failure{Status: 500, Final: true, Result: &queue.Result{Status: 500, Body: []byte("no")}})
	f.must(err)
	got := f.status(id)
	if s != queue.Dead || got.State != queue.Dead || got.Result == nil || string(got.Result.Body) != "no" {
		f.Errorf("%s: %+v", s, got)
	}
	if _, err := f.q.Peek(f.ctx, id); err != nil {
		f.Errorf("a dead job's request: %v", err)
	}
}

func failAttempts(f *fixture) {
	f.open(queue.Policy{MaxAttempts: 4, Backoff: queue.Backoff{Base: time.Millisecond}})
	id := f.put(job("x"))
	for i := range 4 {
		c := f.one()
		s, err := f.q.Fail(f.ctx, c.Lease, queue.Failure{Status: 500 + i})
		f.must(err)
		want := queue.Delayed
		if i == 3 {
			want = queue.Dead
		}
		if s != want {
			f.Errorf("after %d attempts it is %s", i+1, s)
		}
	}
	s := f.status(id)
	for i, a := range s.Attempts {
		if a.Status != 500+i || a.Number != i+1 {
			f.Errorf("attempt %+v", a)
		}
	}
	if len(s.Attempts) != 4 {
		f.Errorf("%d attempts", len(s.Attempts))
	}
	f.none()
}

func policyChanges(f *fixture) {
	f.open(queue.Policy{Running: 1})
	for i := range 4 {
		f.put(keyed("k", fmt.Sprint(i)))
	}
	c := f.starts("0")[0]
	f.none()
	f.p = queue.Policy{Running: 3}
	f.reopenQueue()
	more := f.starts("1 2")
	f.none()
	f.p = queue.Policy{Order: queue.OrderKey}
	f.reopenQueue()
	f.complete(c)
	f.complete(more[0])
	f.none() // one of the key runs
	f.complete(more[1])
	f.starts("3")
}
