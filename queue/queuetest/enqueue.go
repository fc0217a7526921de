package queuetest

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/google/go-cmp/cmp"

	"semper"
	"semper/queue"
)

func roundTrip(f *fixture) {
	f.open(queue.Policy{})
	want := queue.Job{Key: "user-7", Priority: 3, DedupKey: "abc", Expires: time.Now().Add(time.Hour).UTC().Truncate(time.Millisecond),
		Request: queue.Request{Method: "PUT", Target: "/a?b=c%20d", Host: "shop.example", Body: []byte{0, 1, 0xff, '\n'},
			Header: http.Header{"Content-Type": {"application/octet-stream"}, "X-Two": {"1", "2"}}}}
	r, err := f.q.Enqueue(f.ctx, want)
	f.must(err)
	if r.ID == (queue.ID{}) || r.Duplicate || r.Revision == 0 {
		f.Errorf("receipt %+v", r)
	}
	peeked, err := f.q.Peek(f.ctx, r.ID)
	f.must(err)
	claim := f.one()
	for _, got := range []queue.Job{peeked, claim.Job} {
		if got.Accepted.IsZero() || got.ID != r.ID {
			f.Errorf("%s accepted at %v, want %s", got.ID, got.Accepted, r.ID)
		}
		got.ID, got.Accepted = queue.ID{}, time.Time{}
		if diff := cmp.Diff(want, got); diff != "" {
			f.Error(diff)
		}
	}
	if claim.Lease.ID != r.ID || claim.Lease.Attempt != 1 || claim.For <= 0 {
		f.Errorf("claim %+v for %s", claim.Lease, claim.For)
	}
	f.state(r.ID, queue.Running)
	result := queue.Result{Status: 201, Header: http.Header{"Location": {"/x"}}, Body: []byte("made")}
	f.must(f.q.Complete(f.ctx, claim.Lease, result))
	s := f.status(r.ID)
	if diff := cmp.Diff(&result, s.Result); diff != "" || s.State != queue.Done {
		f.Errorf("%s with %s", s.State, diff)
	}
	if len(s.Attempts) != 1 || s.Attempts[0].Number != 1 || s.Attempts[0].Status != 201 || s.Attempts[0].Worker != "w" || s.Attempts[0].Ended.IsZero() {
		f.Errorf("attempts %+v", s.Attempts)
	}
	f.is(f.q.Complete(f.ctx, claim.Lease, result), queue.ErrLeaseLost)
}

func enqueueInvalid(f *fixture) {
	f.open(queue.Policy{MaxBody: 8})
	big, noMethod, late, high := job("123456789"), job(""), job(""), job("")
	noMethod.Request.Method = ""
	late.Expires = time.Now().Add(-time.Second)
	high.Priority = 10
	_, err := f.q.Enqueue(f.ctx, big)
	f.is(err, queue.ErrTooLarge)
	for _, j := range []queue.Job{noMethod, late, high} {
		if _, err := f.q.Enqueue(f.ctx, j); semper.CodeOf(err) != semper.Invalid {
			f.Errorf("%+v: %v", j, err)
		}
	}
	if _, err := f.e.Open(f.ctx, queue.Service{App: "a/b", Environment: "p", Service: "s"}, queue.Policy{}); semper.CodeOf(err) != semper.Invalid {
		f.Errorf("a name with a slash: %v", err)
	}
	if _, err := f.e.Open(f.ctx, f.service(), queue.Policy{Order: "any"}); semper.CodeOf(err) != semper.Invalid {
		f.Errorf("an order that is none: %v", err)
	}
	f.none()
}

func dedup(f *fixture) {
	f.open(queue.Policy{})
	j := job("pay 5")
	j.DedupKey = "k"
	first, err := f.q.Enqueue(f.ctx, j)
	f.must(err)
	again := func(what string) {
		f.Helper()
		r, err := f.q.Enqueue(f.ctx, j)
		f.must(err)
		if r.ID != first.ID || !r.Duplicate {
			f.Errorf("%s: the same key gives %+v, want %s", what, r, first.ID)
		}
	}
	again("queued")
	other := job("pay 6")
	other.DedupKey = "k"
	_, err = f.q.Enqueue(f.ctx, other)
	f.is(err, queue.ErrKeyReused)
	if semper.CodeOf(err) != semper.Invalid {
		f.Errorf("its code is %s", semper.CodeOf(err))
	}
	c := f.one()
	again("running")
	f.complete(c)
	again("done")
	f.none()
}

func dedupAtOnce(f *fixture) {
	f.open(queue.Policy{})
	const callers = 24
	ids := make([]queue.ID, callers)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			j := job("same")
			j.DedupKey = "k"
			r, err := f.q.Enqueue(f.ctx, j)
			if err != nil {
				f.Error(err)
			}
			ids[i] = r.ID
		})
	}
	wg.Wait()
	for _, id := range ids {
		if id != ids[0] {
			f.Fatalf("one key gave %s and %s", ids[0], id)
		}
	}
	f.starts("same")
	f.none()
}

func dedupEnds(f *fixture) {
	f.open(queue.Policy{Dedup: time.Second, Retain: 10 * time.Second})
	j := job("again")
	j.DedupKey = "k"
	first := f.put(j)
	f.pass(1100 * time.Millisecond)
	if second := f.put(j); second == first {
		f.Error("the key is remembered beyond its time")
	}
	if n := len(f.claim(2)); n != 2 {
		f.Errorf("%d jobs", n)
	}
}

func largeBody(f *fixture) {
	f.open(queue.Policy{MaxBody: 4 << 20})
	body := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // 3 MiB: more than a record or a commit holds
	id := f.put(queue.Job{Request: queue.Request{Method: "POST", Target: "/", Body: body}})
	if f.h.Reopen != nil {
		f.crash()
	}
	c := f.one()
	if !bytes.Equal(c.Request.Body, body) {
		f.Fatalf("the body has %d bytes and is another", len(c.Request.Body))
	}
	f.must(f.q.Complete(f.ctx, c.Lease, queue.Result{Status: 200, Body: body}))
	if s := f.status(id); s.Result == nil || !bytes.Equal(s.Result.Body, body) {
		f.Error("the result is another")
	}
}

func fullByJobs(f *fixture) {
	f.open(queue.Policy{MaxJobs: 3})
	for i := range 3 {
		f.put(job(fmt.Sprint(i)))
	}
	f.refuses()
	f.complete(f.one())
	f.put(job("3"))
	f.refuses()
	f.starts("1 2 3")
}

func (f *fixture) refuses() {
	f.Helper()
	_, err := f.q.Enqueue(f.ctx, job("one too many"))
	full, ok := errors.AsType[*queue.Full](err)
	if !errors.Is(err, queue.ErrFull) || !ok || full.RetryAfter <= 0 || semper.HintOf(err) == "" {
		f.Errorf("a full queue says %v", err)
	}
}

func fullByBytes(f *fixture) {
	f.open(queue.Policy{MaxBytes: 1000})
	f.put(job(string(make([]byte, 900))))
	if _, err := f.q.Enqueue(f.ctx, job(string(make([]byte, 200)))); !errors.Is(err, queue.ErrFull) {
		f.Errorf("more bytes than the bound: %v", err)
	}
	f.put(job("small"))
	f.complete(f.one())
	f.put(job(string(make([]byte, 200))))
}
