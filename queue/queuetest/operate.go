package queuetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"semper/queue"
)

var ann = queue.By{Who: "ann", Why: "migration"}

// pauseBarrier pauses in a burst, again and again: no claim has a revision between those of a pause and its resume.
func pauseBarrier(f *fixture) {
	f.open(queue.Policy{})
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	var mu sync.Mutex
	var tokens []int64
	var work sync.WaitGroup
	for range 4 {
		work.Go(func() {
			for {
				claims, err := f.q.Claim(ctx, "w", 3)
				if err != nil {
					return
				}
				for _, c := range claims {
					mu.Lock()
					tokens = append(tokens, c.Lease.Token)
					mu.Unlock()
					if err := f.q.Complete(f.ctx, c.Lease, queue.Result{Status: 200}); err != nil {
						f.Error(err)
					}
				}
			}
		})
	}
	accepted := make(chan int)
	enough := make(chan struct{})
	go func() {
		n := 0
		defer func() { accepted <- n }()
		for ; ; n++ {
			select {
			case <-enough:
				return
			default:
				if _, err := f.q.Enqueue(f.ctx, job("x")); err != nil {
					f.Error(err)
				}
			}
			if f.h.Bubble { // where time does not pass by itself
				t := time.NewTimer(time.Millisecond)
				<-t.C
			}
		}
	}()
	type span struct{ from, to int64 }
	var pauses []span
	for range 10 {
		f.pass(5 * time.Millisecond)
		p, err := f.q.Pause(f.ctx, ann)
		f.must(err)
		f.must(f.q.Drained(f.ctx))
		r, err := f.q.Enqueue(f.ctx, job("while paused")) // accepting goes on
		f.must(err)
		f.pass(3 * time.Millisecond)
		f.state(r.ID, queue.Queued)
		pauses = append(pauses, span{p.Revision, r.Revision})
		f.must(f.q.Resume(f.ctx, ann))
	}
	close(enough)
	total := <-accepted + len(pauses)
	f.eventually("all to be claimed", func() bool { mu.Lock(); defer mu.Unlock(); return len(tokens) == total })
	cancel()
	work.Wait()
	for _, token := range tokens {
		for _, p := range pauses {
			if token > p.from && token <= p.to {
				f.Errorf("a claim of revision %d, and no job may start from %d to %d", token, p.from, p.to)
			}
		}
	}
}

// eventually waits until ok does.
func (f *fixture) eventually(what string, ok func() bool) {
	f.Helper()
	for !ok() {
		if f.ctx.Err() != nil {
			f.Fatalf("waited in vain for %s", what)
		}
		f.pass(5 * time.Millisecond)
	}
}

func pauseTwice(f *fixture) {
	f.open(queue.Policy{})
	f.must(f.q.Resume(f.ctx, ann)) // of nothing
	f.put(job("x"))
	first, err := f.q.Pause(f.ctx, ann)
	f.must(err)
	second, err := f.q.Pause(f.ctx, queue.By{Who: "bob"})
	f.must(err)
	if first.Who != "ann" || first.Why != "migration" || first.Revision == 0 || first.Since.IsZero() || second.Who != "ann" || second.Revision != first.Revision {
		f.Errorf("paused by %+v, then %+v", first, second)
	}
	f.none()
	s, err := f.q.Stats(f.ctx)
	f.must(err)
	if s.Paused == nil || s.Paused.Who != "ann" {
		f.Errorf("stats say %+v", s.Paused)
	}
	f.must(f.q.Resume(f.ctx, ann))
	f.starts("x")
}

func drained(f *fixture) {
	f.open(queue.Policy{Lease: time.Second, MaxAttempts: 1})
	f.must(f.q.Drained(f.ctx))
	f.put(job("a"))
	f.put(job("b"))
	c := f.claim(2)
	f.must2(f.q.Pause(f.ctx, ann))
	ctx, cancel := context.WithTimeout(f.ctx, 50*time.Millisecond)
	defer cancel()
	if err := f.q.Drained(ctx); !errors.Is(err, context.DeadlineExceeded) {
		f.Errorf("two jobs run, and Drained says %v", err)
	}
	f.complete(c[0])
	f.must(f.q.Drained(f.ctx)) // the other's lease ends
	f.state(c[1].ID, queue.Dead)
}

// bury gives a dead job.
func (f *fixture) bury(body string) queue.ID {
	f.Helper()
	id := f.put(job(body))
	f.must2(f.q.Fail(f.ctx, f.one().Lease, queue.Failure{Status: 500, Final: true}))
	return id
}

func retry(f *fixture) {
	f.open(queue.Policy{MaxAttempts: 2, Backoff: queue.Backoff{Base: time.Millisecond}, TTL: time.Hour})
	a, b := f.bury("a"), f.bury("b")
	queued := f.put(job("c"))
	n, err := f.q.Retry(f.ctx, ann, a, b, queued, a)
	if n != 2 || !errors.Is(err, queue.ErrState) {
		f.Errorf("%d were retried, %v", n, err)
	}
	f.state(a, queue.Queued)
	c := f.starts("c a b") // behind what was there
	if c[1].Lease.Attempt != 2 {
		f.Errorf("attempt %d", c[1].Lease.Attempt)
	}
	if s := f.fail(c[1]); s != queue.Delayed { // it has all its attempts again
		f.Errorf("it is %s after one attempt more", s)
	}
	again := f.starts("a")[0]
	if s := f.fail(again); s != queue.Dead {
		f.Errorf("it is %s after two attempts more", s)
	}
	if s := f.status(a); len(s.Attempts) != 3 {
		f.Errorf("%d attempts are known, want all three", len(s.Attempts))
	}
	_, err = f.q.Retry(f.ctx, ann, queue.NewID(time.Now()))
	f.is(err, queue.ErrNotFound)
}

func discard(f *fixture) {
	f.open(queue.Policy{Backoff: queue.Backoff{Base: time.Hour}})
	dead := f.bury("dead")
	delayed := f.put(job("delayed"))
	f.fail(f.one())
	queued, running := f.put(job("queued")), f.put(job("running"))
	c := f.claim(2)
	f.must(f.q.Release(f.ctx, c[0].Lease))
	n, err := f.q.Discard(f.ctx, ann, dead, delayed, queued, running)
	if n != 3 || !errors.Is(err, queue.ErrState) {
		f.Errorf("%d were discarded, %v", n, err)
	}
	for _, id := range []queue.ID{dead, delayed, queued} {
		if s := f.status(id); s.State != queue.Discarded || s.Why == "" || s.Ended.IsZero() {
			f.Errorf("%+v", s)
		}
		_, err := f.q.Peek(f.ctx, id)
		f.is(err, queue.ErrState)
	}
	f.none()
	f.complete(c[1])
	s, err := f.q.Stats(f.ctx)
	f.must(err)
	if s.Queued+s.Delayed+s.Running+s.Dead != 0 || s.Bytes != 0 {
		f.Errorf("nothing is left, and stats say %+v", s)
	}
}

func deeds(f *fixture) {
	f.open(queue.Policy{})
	a, b := f.bury("a"), f.bury("b")
	f.must2(f.q.Pause(f.ctx, ann))
	f.pass(2 * time.Millisecond)
	f.must(f.q.Resume(f.ctx, queue.By{Who: "bob"}))
	f.pass(2 * time.Millisecond)
	f.must2(f.q.Retry(f.ctx, ann, a))
	f.pass(2 * time.Millisecond)
	f.must2(f.q.Discard(f.ctx, ann, a, b))
	got, err := f.q.Deeds(f.ctx, 3)
	f.must(err)
	var words []string
	for _, d := range got {
		if d.At.IsZero() {
			f.Errorf("%+v has no time", d)
		}
		words = append(words, fmt.Sprint(d.Who, " ", d.What, " ", len(d.IDs), " ", d.Why))
	}
	if want := "[ann discard 2 migration ann retry 1 migration bob resume 0 ]"; fmt.Sprint(words) != want {
		f.Errorf("got %v, want %s", words, want)
	}
}
