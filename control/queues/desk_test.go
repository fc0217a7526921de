package queues

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/queue"
	"semper/queue/etcd"
	"semper/store/mem"
)

var mail = queue.Service{App: "shop", Environment: "production", Service: "mail"}

// world is a store with a process that works at queues, and another that has a desk.
type world struct {
	worker queue.Queue
	desk   Desk

	mu     sync.Mutex // guards events
	events []semper.Event
}

// inWorld runs f in a bubble, where waiting costs nothing.
func inWorld(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := mem.New()
		defer s.Close() //nolint:errcheck // in memory
		open := func(id string, apart bool) *etcd.Engine {
			e, err := etcd.New(s, etcd.Options{ID: id, Apart: apart, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		worker, admin := open("queue-1", false), open("control-1", true)
		defer worker.Close() //nolint:errcheck // gives none
		defer admin.Close()  //nolint:errcheck // gives none
		w := &world{}
		var err error
		if w.worker, err = worker.Open(t.Context(), mail, queue.Policy{MaxAttempts: 1, MaxJobs: 50}); err != nil {
			t.Fatal(err)
		}
		w.desk = Desk{Engine: admin, Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Tell: func(_ context.Context, e semper.Event) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.events = append(w.events, e)
			return nil
		}}
		time.Sleep(2 * time.Second) // virtual: until the dispatcher has written down that it is there
		f(t, w)
	})
}

func (w *world) add(t *testing.T, n int) (ids []queue.ID) {
	t.Helper()
	for range n {
		r, err := w.worker.Enqueue(t.Context(), queue.Job{Request: queue.Request{
			Method: "POST", Target: "/send?to=ann&api_key=s3cret", Host: "shop.example", Body: []byte("hello"),
			Header: http.Header{"Authorization": {"Bearer s3cret"}, "Cookie": {"sid=s3cret", "b=s3cret"}, "Content-Type": {"text/plain"}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	return ids
}

// bury has n jobs die.
func (w *world) bury(t *testing.T, n int) {
	t.Helper()
	for n > 0 {
		claims, err := w.worker.Claim(t.Context(), "w", n)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range claims {
			f := queue.Failure{Status: 500, Reason: "boom", Final: true, Result: &queue.Result{Status: 500, Header: http.Header{"Set-Cookie": {"sid=s3cret"}}, Body: []byte("no")}}
			if _, err := w.worker.Fail(t.Context(), c.Lease, f); err != nil {
				t.Fatal(err)
			}
		}
		n -= len(claims)
	}
}

// TestPauseIsABarrier: what another process would claim after it is not handed out, drained is told when it is so, and somebody is on record.
func TestPauseIsABarrier(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		w.add(t, 3)
		claims, err := w.worker.Claim(t.Context(), "w", 1)
		if err != nil {
			t.Fatal(err)
		}
		by := queue.By{Who: "ann", Why: "the provider is down"}
		q, err := w.desk.PauseQueue(t.Context(), queue.Service{Service: "mail"}, by)
		if err != nil || q.Paused == nil || q.Paused.By != by || q.Drained {
			t.Fatalf("%+v %v", q, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if more, err := w.worker.Claim(ctx, "w", 5); err == nil {
			t.Fatalf("%d jobs started after the pause", len(more))
		}
		if err := w.worker.Complete(t.Context(), claims[0].Lease, queue.Result{Status: 204}); err != nil {
			t.Fatal(err)
		}
		if q, err = w.desk.Queue(t.Context(), mail); err != nil || !q.Drained || q.Running != 0 {
			t.Errorf("drained: %+v %v", q, err)
		}
		w.add(t, 1) // accepting goes on
		if _, err := w.desk.PauseQueue(t.Context(), mail, queue.By{Who: "bob"}); err != nil {
			t.Error(err)
		}
		if q, err = w.desk.ResumeQueue(t.Context(), mail, queue.By{Who: "bob"}); err != nil || q.Paused != nil || q.Drained {
			t.Errorf("resumed: %+v %v", q, err)
		}
		if _, err := w.worker.Claim(t.Context(), "w", 5); err != nil {
			t.Error(err)
		}
		q, err = w.desk.Queue(t.Context(), mail)
		if err != nil || len(q.Deeds) != 2 || q.Deeds[0].What != "resume" || q.Deeds[1].By != by {
			t.Errorf("deeds: %+v %v", q.Deeds, err)
		}
		if len(w.events) != 2 || w.events[0].Kind != "queue.paused" || w.events[0].By != "ann" || !strings.Contains(w.events[0].Message, "provider") || w.events[1].Kind != "queue.resumed" {
			t.Errorf("a pause of what is paused is no event, and the others are: %+v", w.events)
		}
	})
}

// TestDeadLetters are found, looked into, retried and discarded by all or by name.
func TestDeadLetters(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ids := w.add(t, 7)
		w.bury(t, 7)
		dead, err := w.desk.Jobs(t.Context(), mail, queue.Dead, queue.ID{}, 100)
		if err != nil || len(dead) != 7 || dead[0].Result != nil {
			t.Fatalf("%+v %v", dead, err)
		}
		by := queue.By{Who: "ann"}
		if n, err := w.desk.RetryJobs(t.Context(), mail, api.JobChoice{IDs: ids[:2]}, by); n != 2 || err != nil {
			t.Error(n, err)
		}
		if n, err := w.desk.RetryJobs(t.Context(), mail, api.JobChoice{IDs: ids[:1]}, by); n != 0 || semper.CodeOf(err) != semper.Conflict {
			t.Error("what is queued is not dead:", n, err)
		}
		if n, err := w.desk.DiscardJobs(t.Context(), mail, api.JobChoice{IDs: ids[2:3]}, by); n != 1 || err != nil {
			t.Error(n, err)
		}
		if n, err := w.desk.RetryJobs(t.Context(), mail, api.JobChoice{All: true}, by); n != 4 || err != nil {
			t.Error(n, err)
		}
		if n, err := w.desk.DiscardJobs(t.Context(), mail, api.JobChoice{All: true, State: queue.Queued}, by); n != 6 || err != nil {
			t.Error(n, err)
		}
		if n, err := w.desk.RetryJobs(t.Context(), mail, api.JobChoice{All: true}, by); n != 0 || err != nil {
			t.Error(n, err)
		}
		kinds := make([]string, len(w.events))
		for i, e := range w.events {
			kinds[i] = e.Message
		}
		want := []string{"2 jobs of mail retried", "1 job of mail discarded", "4 jobs of mail retried", "6 jobs of mail discarded"}
		if !slices.Equal(kinds, want) {
			t.Errorf("told %q, not %q", kinds, want)
		}
	})
}

// TestNoSecretLeaves, of a request or of a response.
func TestNoSecretLeaves(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		id := w.add(t, 1)[0]
		w.bury(t, 1)
		j, err := w.desk.Job(t.Context(), mail, id)
		if err != nil || j.Request == nil || j.Response == nil || j.Result != nil {
			t.Fatalf("%+v %v", j, err)
		}
		r := j.Request
		if r.Target != "/send?to=ann&api_key=(hidden)" || r.Header.Get("Content-Type") != "text/plain" || string(r.Body) != "hello" || r.Size != 5 {
			t.Errorf("%+v", r)
		}
		if want := []string{"Authorization", "Cookie", "api_key"}; !slices.Equal(r.Hidden, want) || len(r.Header["Cookie"]) != 2 {
			t.Errorf("%q, not %q", r.Hidden, want)
		}
		for _, h := range []http.Header{r.Header, j.Response.Header} {
			for name, values := range h {
				if strings.Contains(strings.Join(values, ""), "s3cret") {
					t.Errorf("%s: %q", name, values)
				}
			}
		}
		if stored, err := w.worker.Peek(t.Context(), id); err != nil || stored.Request.Header.Get("Authorization") != "Bearer s3cret" {
			t.Errorf("hiding changed what is stored: %+v %v", stored, err)
		}
	})
}

// TestWhatIsRefused says what is wrong and what to do.
func TestWhatIsRefused(t *testing.T) {
	inWorld(t, func(t *testing.T, w *world) {
		ctx, by := t.Context(), queue.By{Who: "ann"}
		refused := func(name string, err error, code semper.Code, word string) {
			t.Helper()
			if semper.CodeOf(err) != code || !strings.Contains(err.Error()+semper.HintOf(err), word) {
				t.Errorf("%s: %v (%s), not %s with %q", name, err, semper.HintOf(err), code, word)
			}
		}
		_, err := w.desk.Queue(ctx, queue.Service{Service: "mial"})
		refused("a queue that is not there", err, semper.NotFound, "did you mean mail?")
		_, err = w.desk.Jobs(ctx, mail, "buried", queue.ID{}, 1)
		refused("no state", err, semper.Invalid, "dead")
		_, err = w.desk.Job(ctx, mail, queue.NewID(time.Now()))
		refused("no job", err, semper.NotFound, "no such job")
		_, err = w.desk.RetryJobs(ctx, mail, api.JobChoice{}, by)
		refused("no choice", err, semper.Invalid, "--all")
		_, err = w.desk.RetryJobs(ctx, mail, api.JobChoice{All: true, State: queue.Queued}, by)
		refused("not dead", err, semper.Invalid, "only dead")
		_, err = w.desk.DiscardJobs(ctx, mail, api.JobChoice{All: true, State: queue.Running}, by)
		refused("what runs", err, semper.Invalid, "not discarded")
		if list, err := (Desk{}).Queues(ctx, "", ""); len(list) != 0 || err != nil {
			t.Error("without an engine:", list, err)
		}
	})
}

// TestWhichQueueIsMeant, where names are the same in several places.
func TestWhichQueueIsMeant(t *testing.T) {
	t.Parallel()
	var all []queue.Listing
	for _, s := range []queue.Service{{App: "blog", Environment: "test", Service: "mail"}, {App: "shop", Environment: "production", Service: "mail"}, {App: "shop", Environment: "test", Service: "mail"}, {App: "shop", Environment: "test", Service: "scan"}, {App: "blog", Environment: "qa", Service: "scan"}} {
		all = append(all, queue.Listing{Service: s})
	}
	for _, tc := range []struct {
		of   queue.Service
		want string
		code semper.Code
	}{
		{queue.Service{Service: "mail"}, "shop/production/mail", ""}, // the usual environment
		{queue.Service{Service: "mail", App: "blog"}, "blog/test/mail", ""},
		{queue.Service{Service: "mail", App: "shop", Environment: "test"}, "shop/test/mail", ""},
		{queue.Service{Service: "scan"}, "", semper.Invalid},
		{queue.Service{Service: "scan", App: "wiki"}, "", semper.NotFound},
	} {
		l, err := choose(all, tc.of)
		if semper.CodeOf(err) != tc.code || err == nil && l.Service.String() != tc.want {
			t.Errorf("%v: %v %v", tc.of, l.Service, err)
		}
	}
}
