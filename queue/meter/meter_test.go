package meter

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/queue"
	"semper/queue/mem"
)

var mail = queue.Service{App: "shop", Environment: "production", Service: "mail"}

// world is a queue that is watched, in a bubble where waiting costs nothing.
type world struct {
	t     *testing.T
	meter *Meter
	queue queue.Queue // watched
	inner queue.Queue
}

func inWorld(t *testing.T, p queue.Policy, f func(w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		e := mem.New()
		defer e.Close() //nolint:errcheck // in memory
		q, err := e.Open(t.Context(), mail, p)
		if err != nil {
			t.Fatal(err)
		}
		m := New()
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- m.Run(ctx) }()
		f(&world{t: t, meter: m, queue: m.Watch(mail, q), inner: q})
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error("the meter ended with", err)
		}
	})
}

func (w *world) add(n int) {
	w.t.Helper()
	for range n {
		if _, err := w.queue.Enqueue(w.t.Context(), queue.Job{Request: queue.Request{Method: "POST", Target: "/"}}); err != nil {
			w.t.Fatal(err)
		}
	}
}

func (w *world) claim(n int) []queue.Claim {
	w.t.Helper()
	c, err := w.queue.Claim(w.t.Context(), "w", n)
	if err != nil || len(c) != n {
		w.t.Fatalf("%d of %d jobs claimed: %v", len(c), n, err)
	}
	return c
}

func (w *world) reading() Reading {
	w.t.Helper()
	r, ok := w.meter.Reading(w.t.Context(), mail)
	if !ok || r.Blind {
		w.t.Fatalf("no reading: %v %+v", ok, r)
	}
	return r
}

func (w *world) has(what string, want Counts) {
	w.t.Helper()
	if got := w.reading().Total; got != want {
		w.t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

// TestWhatIsCounted is each end that a job and an attempt can come to.
func TestWhatIsCounted(t *testing.T) {
	inWorld(t, queue.Policy{MaxAttempts: 2, MaxJobs: 5, MaxBody: 10, Backoff: queue.Backoff{Base: time.Second, Max: time.Second}}, func(w *world) {
		ctx := w.t.Context()
		keyed := queue.Job{DedupKey: "k", Request: queue.Request{Method: "POST", Target: "/"}}
		for range 2 {
			if _, err := w.queue.Enqueue(ctx, keyed); err != nil {
				w.t.Fatal(err)
			}
		}
		keyed.Request.Target = "/other"
		if _, err := w.queue.Enqueue(ctx, keyed); !errors.Is(err, queue.ErrKeyReused) {
			w.t.Fatal(err)
		}
		if _, err := w.queue.Enqueue(ctx, queue.Job{Request: queue.Request{Method: "POST", Target: "/", Body: []byte(strings.Repeat("x", 11))}}); !errors.Is(err, queue.ErrTooLarge) {
			w.t.Fatal(err)
		}
		w.add(4)
		if _, err := w.queue.Enqueue(ctx, queue.Job{Request: queue.Request{Method: "POST", Target: "/"}}); !errors.Is(err, queue.ErrFull) {
			w.t.Fatal(err)
		}
		want := Counts{Accepted: 5, Duplicate: 1, Invalid: 2, Full: 1}
		w.has("after accepting", want)

		c := w.claim(5)
		time.Sleep(200 * time.Millisecond)
		if err := w.queue.Complete(ctx, c[0].Lease, queue.Result{Status: 200}); err != nil {
			w.t.Fatal(err)
		}
		if s, err := w.queue.Fail(ctx, c[1].Lease, queue.Failure{Status: 500}); s != queue.Delayed || err != nil {
			w.t.Fatal(s, err)
		}
		if s, err := w.queue.Fail(ctx, c[2].Lease, queue.Failure{Final: true}); s != queue.Dead || err != nil {
			w.t.Fatal(s, err)
		}
		if err := w.queue.Release(ctx, c[3].Lease); err != nil {
			w.t.Fatal(err)
		}
		if err := w.queue.Complete(ctx, c[0].Lease, queue.Result{Status: 200}); !errors.Is(err, queue.ErrLeaseLost) {
			w.t.Fatal("a job is done twice:", err)
		}
		want.Attempts, want.Done, want.Failed, want.Dead = 5, 1, 2, 1
		w.has("after the ends", want)
		r := w.reading()
		if n := r.Attempts.Total(); n != 3 {
			t.Errorf("%d attempts took a time; the one that was given back is none", n)
		}
		if limit, beyond, ok := r.Jobs.Within(.99); r.Jobs.Total() != 1 || limit != 250*time.Millisecond || beyond || !ok {
			t.Errorf("jobs took %v %v %v", limit, beyond, ok)
		}
		if r.Stats.Dead != 1 || r.Stats.Running != 1 {
			t.Errorf("it stands %+v", r.Stats)
		}
	})
}

// TestLeasesThatEnd are nobody's call, and count: as a failure where there is a next attempt, and as a death where there is none.
func TestLeasesThatEnd(t *testing.T) {
	inWorld(t, queue.Policy{MaxAttempts: 2, Lease: 5 * time.Second, Backoff: queue.Backoff{Base: time.Second, Max: time.Second}}, func(w *world) {
		w.add(2)
		c := w.claim(2)
		for range 4 { // one of them is extended, beyond what both would have
			time.Sleep(4 * time.Second)
			if err := w.queue.Extend(w.t.Context(), c[0].Lease); err != nil {
				w.t.Fatal(err)
			}
		}
		w.has("one lease has ended", Counts{Accepted: 2, Attempts: 2, Failed: 1})
		w.claim(1)
		if err := w.queue.Complete(w.t.Context(), c[0].Lease, queue.Result{Status: 200}); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(2 * Step)
		w.has("the last attempt was not heard of either", Counts{Accepted: 2, Attempts: 3, Failed: 2, Done: 1, Dead: 1})
		time.Sleep(5 * Step)
		w.has("and counts once", Counts{Accepted: 2, Attempts: 3, Failed: 2, Done: 1, Dead: 1})
	})
}

// TestAnEndSomewhereElse is one that another process tells the engine.
func TestAnEndSomewhereElse(t *testing.T) {
	inWorld(t, queue.Policy{Lease: 5 * time.Second}, func(w *world) {
		w.add(1)
		c := w.claim(1)
		if err := w.inner.Complete(w.t.Context(), c[0].Lease, queue.Result{Status: 200}); err != nil {
			w.t.Fatal(err)
		}
		time.Sleep(2 * Step)
		w.has("done elsewhere", Counts{Accepted: 1, Attempts: 1, Done: 1})
	})
}

// TestThePast is bounded, ends with what happened last, and adds up.
func TestThePast(t *testing.T) {
	inWorld(t, queue.Policy{}, func(w *world) {
		time.Sleep(time.Second) // between two points
		for range Kept + 10 {
			w.add(2)
			if err := w.queue.Complete(w.t.Context(), w.claim(1)[0].Lease, queue.Result{Status: 200}); err != nil {
				w.t.Fatal(err)
			}
			time.Sleep(Step)
		}
		r := w.reading()
		if len(r.Past) != Kept {
			t.Fatalf("%d points", len(r.Past))
		}
		for i, p := range r.Past {
			if p.Accepted != 2 || p.Done != 1 || p.Waiting != i+11 || p.Oldest <= 0 || p.Blind {
				t.Fatalf("point %d is %+v", i, p)
			}
		}
		if n := r.Lately.Accepted; n != 12 || r.Over < time.Minute-Step || r.Over > time.Minute+Step {
			t.Errorf("lately %d in %v", n, r.Over)
		}
		if n := r.Recent.Total(); n < 30 || n > 61 {
			t.Errorf("%d jobs are recent", n)
		}
		if _, ok := w.meter.Reading(w.t.Context(), queue.Service{App: "none"}); ok {
			t.Error("what is not watched has a reading")
		}
		if all := w.meter.Readings(w.t.Context()); len(all) != 1 || all[0].Past != nil || all[0].Total != r.Total {
			t.Errorf("all readings: %+v", all)
		}
	})
}

// TestWatchedAgain goes on counting.
func TestWatchedAgain(t *testing.T) {
	inWorld(t, queue.Policy{}, func(w *world) {
		w.add(1)
		w.queue = w.meter.Watch(mail, w.inner)
		w.add(1)
		w.has("by both", Counts{Accepted: 2})
	})
}

// TestWhatAQueueCanDoBeside is not hidden by watching it.
func TestWhatAQueueCanDoBeside(t *testing.T) {
	t.Parallel()
	m := New()
	if _, ok := m.Watch(mail, struct{ queue.Queue }{}).(queue.Teller); ok {
		t.Error("what tells nothing is a teller")
	}
	if _, ok := m.Watch(mail, struct {
		queue.Queue
		queue.Teller
	}{}).(queue.Teller); !ok {
		t.Error("a teller is none any more")
	}
}

func TestWithin(t *testing.T) {
	t.Parallel()
	var h Histogram
	if _, _, ok := h.Within(.5); ok {
		t.Error("a quantile of nothing")
	}
	for _, d := range []time.Duration{-time.Second, time.Millisecond, 5 * time.Millisecond, 6 * time.Millisecond, 25 * time.Hour} {
		h.add(d)
	}
	for q, want := range map[float64]time.Duration{.5: 5 * time.Millisecond, .75: 10 * time.Millisecond, 1: 24 * time.Hour} {
		if got, beyond, ok := h.Within(q); got != want || !ok || beyond != (q == 1) {
			t.Errorf("%v within %v, beyond %v; want %v", q, got, beyond, want)
		}
	}
	if both := h.with(h); both.Total() != 10 || h.Total() != 5 {
		t.Errorf("added up: %d, and %d", both.Total(), h.Total())
	}
}
