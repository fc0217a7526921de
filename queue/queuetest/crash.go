package queuetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"semper/queue"
)

func crashKeeps(f *fixture) {
	f.open(queue.Policy{Backoff: queue.Backoff{Base: time.Hour}, MaxJobs: 8})
	dead := f.bury("dead")
	delayed := f.put(job("delayed"))
	f.fail(f.one())
	done := f.put(job("done"))
	f.complete(f.one())
	high := job("1")
	high.Priority = 1
	late := job("later")
	late.NotBefore = time.Now().Add(time.Hour)
	scheduled := f.put(late)
	f.put(job("2"))
	f.put(job("3"))
	f.put(high)
	before := map[queue.ID]queue.Status{}
	for _, id := range []queue.ID{dead, delayed, done, scheduled} {
		before[id] = f.status(id)
	}
	stats, err := f.q.Stats(f.ctx)
	f.must(err)
	f.crash()
	f.starts("1 2 3")
	for id, was := range before {
		is := f.status(id)
		if fmt.Sprint(is.State, is.Accepted.UnixMilli(), is.Due.UnixMilli(), is.Attempts, is.Why, is.Size) != fmt.Sprint(was.State, was.Accepted.UnixMilli(), was.Due.UnixMilli(), was.Attempts, was.Why, was.Size) {
			f.Errorf("before %+v, after %+v", was, is)
		}
	}
	now, err := f.q.Stats(f.ctx)
	f.must(err)
	if now.Bytes != stats.Bytes || now.Dead != 1 || now.Delayed != 1 || now.Running != 3 || now.Queued != 1 {
		f.Errorf("before %+v, after %+v", stats, now)
	}
	f.put(job("4"))
	f.put(job("5"))
	f.refuses()
}

func crashPause(f *fixture) {
	f.open(queue.Policy{})
	f.put(job("x"))
	p, err := f.q.Pause(f.ctx, ann)
	f.must(err)
	f.crash()
	f.none()
	f.put(job("y"))
	s, err := f.q.Stats(f.ctx)
	f.must(err)
	if s.Paused == nil || s.Paused.Who != "ann" || s.Paused.Revision != p.Revision {
		f.Errorf("paused by %+v, want %+v", s.Paused, p)
	}
	f.must(f.q.Resume(f.ctx, ann))
	f.starts("x y")
}

// crashLeases: who held a job holds it still, and for long enough; who does not come back loses it.
func crashLeases(f *fixture) {
	f.open(queue.Policy{Lease: 2 * time.Second, Running: 2, Backoff: queue.Backoff{Base: 10 * time.Millisecond}})
	f.put(job("held"))
	f.put(job("left"))
	f.put(job("waits"))
	c := f.claim(2)
	f.crash()
	f.none() // the bound counts those of before
	f.must(f.q.Extend(f.ctx, c[0].Lease))
	f.complete(c[0])
	w := f.starts("waits")[0]
	f.complete(w)
	again := f.starts("left")[0]
	if again.Lease.Attempt != 2 {
		f.Errorf("attempt %d", again.Lease.Attempt)
	}
	f.is(f.q.Complete(f.ctx, c[1].Lease, queue.Result{}), queue.ErrLeaseLost)
	f.complete(again)
}

// crowd is producers and workers that go on over crashes.
type crowd struct {
	*fixture
	ctx context.Context

	mu      sync.Mutex // guards the following
	now     queue.Queue
	acked   map[queue.ID]bool
	effects map[queue.ID]int
	done    map[queue.ID]int // Complete said so
}

func (c *crowd) queue() queue.Queue {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// produce gives n jobs, asking for each under its key until it is acknowledged.
func (c *crowd) produce(name string, n int) {
	for i := range n {
		j := keyed(fmt.Sprint(i%5), fmt.Sprint(name, i))
		j.DedupKey = name + fmt.Sprint(i)
		for c.ctx.Err() == nil {
			r, err := c.queue().Enqueue(c.ctx, j)
			if err == nil {
				c.mu.Lock()
				c.acked[r.ID] = true
				c.mu.Unlock()
				break
			}
			if errors.Is(err, queue.ErrKeyReused) {
				c.Error(err)
			}
			c.idle()
		}
	}
}

func (c *crowd) work(seed int) {
	for n := seed; c.ctx.Err() == nil; {
		claims, err := c.queue().Claim(c.ctx, "w", 4)
		if err != nil {
			c.idle()
		}
		for _, claim := range claims {
			n++
			c.mu.Lock()
			c.effects[claim.ID]++
			c.mu.Unlock()
			c.end(claim, n)
		}
	}
}

// idle passes a moment, also when the crowd is being sent home.
func (c *crowd) idle() {
	t := time.NewTimer(time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-c.ctx.Done():
	}
}

func (c *crowd) end(claim queue.Claim, n int) {
	for c.ctx.Err() == nil {
		var err error
		switch {
		case n%7 == 0:
			_, err = c.queue().Fail(c.ctx, claim.Lease, queue.Failure{Status: 500})
		case n%11 == 0:
			err = c.queue().Release(c.ctx, claim.Lease)
		default:
			if err = c.queue().Complete(c.ctx, claim.Lease, queue.Result{Status: 200}); err == nil {
				c.mu.Lock()
				c.done[claim.ID]++
				c.mu.Unlock()
			}
		}
		if err == nil || errors.Is(err, queue.ErrLeaseLost) {
			return
		}
		c.idle()
	}
}

// crashAnyTime: whatever is acknowledged reaches one terminal state, and nothing else is there.
func crashAnyTime(f *fixture) {
	f.open(queue.Policy{Order: queue.OrderKey, Lease: time.Second, Backoff: queue.Backoff{Base: time.Millisecond, Max: 10 * time.Millisecond}, MaxAttempts: 1000})
	ctx, cancel := context.WithCancel(f.ctx)
	defer cancel()
	c := &crowd{fixture: f, ctx: ctx, now: f.q, acked: map[queue.ID]bool{}, effects: map[queue.ID]int{}, done: map[queue.ID]int{}}
	const producers, each = 4, 40
	var produce, work sync.WaitGroup
	for p := range producers {
		produce.Go(func() { c.produce(fmt.Sprint("p", p, "-"), each) })
	}
	for w := range 4 {
		work.Go(func() { c.work(w) })
	}
	for range 8 {
		f.pass(7 * time.Millisecond)
		f.crash()
		c.mu.Lock()
		c.now = f.q
		c.mu.Unlock()
	}
	produce.Wait()
	f.eventually("all to be terminal", func() bool {
		s, err := f.q.Stats(f.ctx)
		return err == nil && s.Queued+s.Delayed+s.Running == 0
	})
	cancel()
	work.Wait()
	f.audit(c, producers*each)
}

func (f *fixture) audit(c *crowd, want int) {
	f.Helper()
	if len(c.acked) != want {
		f.Errorf("%d jobs were acknowledged, want %d: a key gave two", len(c.acked), want)
	}
	there := map[queue.ID]int{}
	for _, s := range queue.States {
		all, err := f.q.List(f.ctx, s, queue.ID{}, 10*want)
		f.must(err)
		for _, j := range all {
			there[j.ID]++
			if !s.Terminal() {
				f.Errorf("%s is %s", j.ID, s)
			}
		}
	}
	if !maps.Equal(there, ones(c.acked)) {
		f.Errorf("%d jobs are terminal, %d were acknowledged: %v and %v", len(there), len(c.acked), missing(c.acked, there), there)
	}
	for id := range c.acked {
		if c.effects[id] == 0 {
			f.Errorf("%s never ran", id)
		}
		if c.done[id] > 1 {
			f.Errorf("%s was completed %d times", id, c.done[id])
		}
	}
}

func ones(ids map[queue.ID]bool) map[queue.ID]int {
	out := map[queue.ID]int{}
	for id := range ids {
		out[id] = 1
	}
	return out
}

func missing(ids map[queue.ID]bool, there map[queue.ID]int) []queue.ID {
	return slices.DeleteFunc(slices.Collect(maps.Keys(ids)), func(id queue.ID) bool { return there[id] == 1 })
}
