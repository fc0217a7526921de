package queuetest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"semper"
	"semper/queue"
)

func unknown(f *fixture) {
	f.open(queue.Policy{})
	id := queue.NewID(time.Now())
	_, err := f.q.Get(f.ctx, id)
	f.is(err, queue.ErrNotFound)
	if semper.CodeOf(err) != semper.NotFound || semper.HintOf(err) == "" {
		f.Errorf("%v has the code %s and the hint %q", err, semper.CodeOf(err), semper.HintOf(err))
	}
	_, err = f.q.Wait(f.ctx, id)
	f.is(err, queue.ErrNotFound)
	_, err = f.q.Peek(f.ctx, id)
	f.is(err, queue.ErrNotFound)
	f.is(f.q.Complete(f.ctx, queue.Lease{ID: id, Attempt: 1, Token: 1}, queue.Result{}), queue.ErrLeaseLost)
}

func wait(f *fixture) {
	f.open(queue.Policy{})
	id := f.put(job("x"))
	ctx, cancel := context.WithTimeout(f.ctx, 20*time.Millisecond)
	defer cancel()
	s, err := f.q.Wait(ctx, id)
	f.must(err)
	if s.State != queue.Queued || ctx.Err() == nil {
		f.Errorf("it is %s, and the context %v", s.State, ctx.Err())
	}
	if s, err := f.q.Wait(ctx, id); err != nil || s.State != queue.Queued {
		f.Errorf("under a context that has ended it is %s, %v", s.State, err)
	}
	const waiters = 5
	got := make(chan queue.Status, waiters)
	for range waiters {
		go func() {
			s, err := f.q.Wait(f.ctx, id)
			if err != nil {
				f.Error(err)
			}
			got <- s
		}()
	}
	f.complete(f.one())
	for range waiters {
		if s := <-got; s.State != queue.Done || s.Result == nil || string(s.Result.Body) != "done" {
			f.Errorf("%+v", s)
		}
	}
}

func list(f *fixture) {
	f.open(queue.Policy{Backoff: queue.Backoff{Base: time.Hour}})
	want := map[queue.State]int{queue.Dead: 1, queue.Delayed: 1, queue.Done: 1, queue.Discarded: 1, queue.Running: 2, queue.Queued: 5}
	f.bury("dead")
	f.put(job("delayed"))
	f.fail(f.one())
	f.put(job("done"))
	f.complete(f.one())
	f.must2(f.q.Discard(f.ctx, ann, f.put(job("discarded"))))
	for i := range 7 {
		f.put(job(fmt.Sprint(i)))
	}
	f.starts("0 1")
	for _, s := range queue.States {
		all, err := f.q.List(f.ctx, s, queue.ID{}, 100)
		f.must(err)
		if len(all) != want[s] {
			f.Errorf("%d are listed as %s, want %d", len(all), s, want[s])
		}
		var paged []queue.Status
		for after := (queue.ID{}); ; after = paged[len(paged)-1].ID {
			page, err := f.q.List(f.ctx, s, after, 2)
			f.must(err)
			if len(page) == 0 {
				break
			}
			paged = append(paged, page...)
		}
		for i := range paged {
			if len(paged) != len(all) || paged[i].ID != all[i].ID || paged[i].State != s || paged[i].Size == 0 {
				f.Fatalf("%s by pages is %v, at once %v", s, paged, all)
			}
		}
	}
}

func stats(f *fixture) {
	f.open(queue.Policy{Backoff: queue.Backoff{Base: time.Hour}})
	begin := time.Now()
	f.bury("dead")
	f.put(job("delayed"))
	f.fail(f.one())
	f.put(job("running"))
	f.one()
	oldest := f.put(job("q1"))
	f.put(job("q2"))
	s, err := f.q.Stats(f.ctx)
	f.must(err)
	if s.Queued != 2 || s.Delayed != 1 || s.Running != 1 || s.Dead != 1 || s.Bytes <= 0 || s.Full || s.Paused != nil || s.Dispatcher == "" {
		f.Errorf("%+v", s)
	}
	if want := f.status(oldest).Accepted; !s.Oldest.Equal(want) || s.Age(begin.Add(time.Hour)) <= 0 {
		f.Errorf("the oldest is of %s, want %s", s.Oldest, want)
	}
}

func retention(f *fixture) {
	f.open(queue.Policy{Retain: time.Second, Dedup: time.Second, RetainDead: time.Second})
	id := f.put(job("x"))
	f.complete(f.one())
	dead := f.bury("y")
	if s := f.status(id); s.Kept.Before(time.Now()) {
		f.Errorf("kept until %s, and it is %s", s.Kept, time.Now())
	}
	gone := func(id queue.ID) func() bool {
		return func() bool { _, err := f.q.Get(f.ctx, id); return errors.Is(err, queue.ErrNotFound) }
	}
	f.eventually("the result to be forgotten", gone(id))
	f.eventually("the dead job to be discarded and forgotten", gone(dead))
}

func closed(f *fixture) {
	f.open(queue.Policy{})
	waits := make(chan error)
	go func() {
		_, err := f.q.Claim(f.ctx, "w", 1)
		waits <- err
	}()
	f.pass(10 * time.Millisecond)
	f.must(f.e.Close())
	f.is(<-waits, queue.ErrClosed)
	_, err := f.q.Enqueue(f.ctx, job("x"))
	f.is(err, queue.ErrClosed)
	_, err = f.e.Open(f.ctx, f.service(), queue.Policy{})
	f.is(err, queue.ErrClosed)
}
