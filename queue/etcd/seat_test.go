package etcd_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/queue"
	"semper/store/mem"
)

// forgetful is a store that, once, commits and does not answer.
type forgetful struct {
	*mem.Store
	once atomic.Bool
}

func (f *forgetful) Commit(ctx context.Context, t semper.Txn) (int64, error) {
	revision, err := f.Store.Commit(ctx, t)
	if err == nil && f.once.CompareAndSwap(true, false) {
		return 0, &semper.Error{Code: semper.Unavailable, Op: "store", Message: "the answer was lost"}
	}
	return revision, err
}

// asking claims up to n jobs beside the test, which it gives when there are any.
func (p *pair) asking(q queue.Worker, n int) <-chan []queue.Claim {
	out := make(chan []queue.Claim, 1)
	go func() {
		claims, err := q.Claim(p.ctx, "w", n)
		if err != nil {
			close(out)
			return
		}
		out <- claims
	}()
	synctest.Wait()
	return out
}

// got is what there is by now.
func got(out <-chan []queue.Claim) []queue.Claim {
	synctest.Wait()
	select {
	case claims := <-out:
		return claims
	default:
		return nil
	}
}

func (p *pair) plain(q queue.Producer) queue.Receipt {
	p.Helper()
	r, err := q.Enqueue(p.ctx, queue.Job{Request: queue.Request{Method: "POST", Target: "/"}})
	must(p.T, err)
	return r
}

// TestStartsAsAccepted: where somebody waits for jobs, a new one is claimed in the commit that accepts it; as one record
// and as one of a block. It has its place among those accepted before and after it nevertheless, whoever dispatches.
func TestStartsAsAccepted(t *testing.T) {
	for name, least := range map[string]int{"block": 1, "record": 1000} {
		t.Run(name, func(t *testing.T) {
			bubble(t, queue.Policy{}, func(p *pair) {
				open := func(id string) process {
					e := engine(p.T, p.store, id, "")
					e.PackFrom(least)
					q, err := e.Open(p.ctx, shop, p.p)
					must(p.T, err)
					synctest.Wait()
					return process{e, q}
				}
				a := open("edge-1")
				out := p.asking(a, 5)
				first := p.plain(a)
				claims := got(out)
				if len(claims) != 1 || claims[0].ID != first.ID || claims[0].Lease.Token != first.Revision || claims[0].Lease.Attempt != 1 || claims[0].Request.Method != "POST" {
					t.Fatalf("accepted as %+v, claimed as %+v", first, claims)
				}
				if s := p.state(a, first.ID); s != queue.Running {
					t.Errorf("it is %s", s)
				}
				second := p.plain(a)
				must(t, a.Release(p.ctx, claims[0].Lease))
				must(t, a.Close())
				b := open("edge-2")
				defer func() { must(t, b.Close()) }()
				claims, err := b.Claim(p.ctx, "w", 2)
				must(t, err)
				if len(claims) != 2 || claims[0].ID != first.ID || claims[1].ID != second.ID || claims[0].Lease.Attempt != 1 {
					t.Fatalf("in the order of %s, %s: %+v", first.ID, second.ID, claims)
				}
				for _, c := range claims {
					must(t, b.Complete(p.ctx, c.Lease, queue.Result{Status: 200}))
				}
				if s, err := b.Stats(p.ctx); err != nil || s.Queued+s.Running+s.Delayed+s.Dead != 0 || s.Bytes != 0 {
					t.Errorf("%+v, %v", s, err)
				}
			})
		})
	}
}

// TestStartUnderPause: a pause that the dispatcher has not heard of holds. What is accepted under it waits.
func TestStartUnderPause(t *testing.T) {
	bubble(t, queue.Policy{}, func(p *pair) {
		e := engine(t, deafStore{p.store}, "edge-1", "")
		q, err := e.Open(p.ctx, shop, p.p)
		must(t, err)
		synctest.Wait()
		b := p.start("edge-2")
		defer func() { must(t, errors.Join(b.Close(), e.Close())) }()
		out := p.asking(q, 1)
		_, err = b.Pause(p.ctx, queue.By{Who: "ada"})
		must(t, err)
		r := p.plain(q)
		if claims := got(out); claims != nil || p.state(b, r.ID) != queue.Queued {
			t.Fatalf("%v start under a pause, and it is %s", claims, p.state(b, r.ID))
		}
		must(t, q.Resume(p.ctx, queue.By{Who: "ada"}))
		if claims := got(out); len(claims) != 1 || claims[0].ID != r.ID {
			t.Fatalf("%v start after it", claims)
		}
	})
}

// TestStartsNotAsAccepted: a job waits where a bound is reached.
func TestStartsNotAsAccepted(t *testing.T) {
	bubble(t, queue.Policy{Running: 1}, func(p *pair) {
		a := p.start("edge-1")
		defer func() { must(t, a.Close()) }()
		out := p.asking(a, 1)
		p.plain(a)
		claims := got(out)
		out = p.asking(a, 1)
		second := p.plain(a)
		if got := got(out); len(claims) != 1 || got != nil {
			t.Fatalf("%v and then %v start where one may run", claims, got)
		}
		must(t, a.Complete(p.ctx, claims[0].Lease, queue.Result{Status: 200}))
		if claims = got(out); len(claims) != 1 || claims[0].ID != second.ID || claims[0].Lease.Token == second.Revision {
			t.Fatalf("%v start when that has ended", claims)
		}
		must(t, a.Complete(p.ctx, claims[0].Lease, queue.Result{Status: 200}))
	})
}

// TestOrderStartsLater: a new job that stands in an order may have one before it that is being accepted as well.
func TestOrderStartsLater(t *testing.T) {
	bubble(t, queue.Policy{Order: queue.OrderKey}, func(p *pair) {
		a := p.start("edge-1")
		defer func() { must(t, a.Close()) }()
		out := p.asking(a, 1)
		r, err := a.Enqueue(p.ctx, queue.Job{Key: "k", Request: queue.Request{Method: "POST", Target: "/"}})
		must(t, err)
		if claims := got(out); len(claims) != 1 || claims[0].Lease.Token == r.Revision {
			t.Fatalf("accepted at %d, claimed as %+v", r.Revision, claims)
		}
	})
}

// TestStartInDoubt: of a job whose acceptance has no answer nobody gets a claim. It runs, for all that is known, until its
// lease ends, and whoever waited gets it then.
func TestStartInDoubt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		s := &forgetful{Store: mem.New()}
		defer func() { must(t, s.Close()) }()
		p := &pair{T: t, ctx: ctx, store: s.Store}
		e := engine(t, s, "edge-1", "")
		defer func() { must(t, e.Close()) }()
		q, err := e.Open(ctx, shop, queue.Policy{Lease: time.Minute})
		must(t, err)
		synctest.Wait()
		out := p.asking(q, 1)
		s.once.Store(true)
		if _, err := q.Enqueue(ctx, queue.Job{Request: queue.Request{Method: "POST", Target: "/"}}); semper.CodeOf(err) != semper.Unavailable {
			t.Fatalf("an acceptance without an answer: %v", err)
		}
		time.Sleep(30 * time.Second)
		if claims := got(out); claims != nil {
			t.Fatalf("%+v may not be there", claims)
		}
		claims := <-out // in virtual time
		if len(claims) != 1 || claims[0].Lease.Attempt != 2 {
			t.Fatalf("after its lease: %+v", claims)
		}
		must(t, q.Complete(ctx, claims[0].Lease, queue.Result{Status: 200}))
		if s, err := q.Stats(ctx); err != nil || s.Queued+s.Running+s.Delayed+s.Dead != 0 {
			t.Errorf("%+v, %v", s, err)
		}
	})
}
