package web

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/api/apitest"
	"semper/queue"
	"semper/queue/meter"
)

// mailing is a semper with a queue: two jobs that are dead, one that runs, and one that waits.
func mailing(t *testing.T) (*apitest.Semper, queue.Queue, []queue.ID) {
	t.Helper()
	s := apitest.New()
	t.Cleanup(s.Close)
	deploy(t, s, "shop", "1", semper.RolloutWatch)
	q, err := s.QueueEngine().Open(t.Context(), queue.Service{App: "shop", Environment: semper.DefaultEnvironment, Service: "mail"}, queue.Policy{MaxAttempts: 1})
	if err != nil {
		t.Fatal(err)
	}
	var ids []queue.ID
	for range 4 {
		r, err := q.Enqueue(t.Context(), queue.Job{Request: queue.Request{
			Method: "POST", Target: "/send?token=s3cret", Host: "shop.example.com", Body: []byte(hostile), Header: http.Header{"Authorization": {"Bearer s3cret"}, "X-A": {hostile}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, r.ID)
	}
	claims, err := q.Claim(t.Context(), "queue-1", 3)
	if err != nil || len(claims) != 3 {
		t.Fatal(claims, err)
	}
	for _, c := range claims[:2] {
		if _, err := q.Fail(t.Context(), c.Lease, queue.Failure{Status: 500, Reason: "boom " + hostile, Result: &queue.Result{Status: 500, Body: []byte{0xff, 0xfe}}}); err != nil {
			t.Fatal(err)
		}
	}
	return s, q, ids
}

const mailPage = "/queue/shop/production/mail"

func TestQueuePages(t *testing.T) {
	t.Parallel()
	s, _, ids := mailing(t)
	h := Handler(s)
	dev, vera := api.Caller{Name: "dev", Role: api.Deployer}, api.Caller{Name: "vera", Role: api.Viewer}
	job := "/job/shop/production/mail/" + ids[0].String()
	for _, c := range []struct {
		path       string
		who        api.Caller
		has, lacks []string
	}{
		{"/", vera, []string{`href="` + mailPage + `"`, "Queues"}, nil},
		{"/app/shop/production", vera, []string{`href="` + mailPage + `"`}, nil},
		{mailPage, dev, []string{"open", "Pause: no job starts", "boom", job, "Retry all 2", "Discard all 2", "Running"}, []string{"s3cret", "Resume:"}},
		{mailPage, vera, []string{"boom", job, "semper queue pause mail -a shop"}, []string{"<form", "Retry all"}},
		{mailPage + "?state=queued", dev, []string{ids[3].String()}, []string{ids[0].String(), "Retry all"}},
		{mailPage + "?state=delayed", dev, []string{"None is delayed"}, nil},
		{job, dev, []string{"dead", "POST /send?token=(hidden)", "not shown: the values of Authorization, token", "answered 500", "2 B, not text", "Discard, for ever", "queue-1"}, []string{"s3cret"}},
		{job, vera, []string{"dead"}, []string{"<form", "s3cret"}},
	} {
		res := get(t, as(h, c.who), c.path)
		text := body(t, res)
		checkPage(t, c.path, res, text)
		for _, word := range c.has {
			if !strings.Contains(text, word) {
				t.Errorf("%s for %s does not have %q", c.path, c.who.Name, word)
			}
		}
		for _, word := range c.lacks {
			if strings.Contains(text, word) {
				t.Errorf("%s for %s has %q", c.path, c.who.Name, word)
			}
		}
	}
	for path, want := range map[string]int{
		"/queue/shop/production/mial": 404, mailPage + "?state=buried": 400, "/job/shop/production/mail/none": 404, "/job/shop/production/mail/" + queue.NewID(time.Now()).String(): 404,
	} {
		if res := get(t, h, path); res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
		}
	}
}

func TestQueueButtons(t *testing.T) {
	t.Parallel()
	s, q, ids := mailing(t)
	h := as(Handler(s), api.Caller{Name: "dev", Role: api.Deployer})
	do := func(verb string, form ...string) *http.Response { return pressed(t, h, mailPage+"/"+verb, form...) }
	stats := func() queue.Stats {
		t.Helper()
		st, err := q.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return st
	}
	if res := do("pause", "why", "the provider is down"); res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != mailPage {
		t.Fatalf("pause: %s", res.Status)
	}
	if p := stats().Paused; p == nil || p.Who != "dev" || p.Why != "the provider is down" {
		t.Fatalf("paused as %+v", p)
	}
	if text := body(t, get(t, h, mailPage)); !strings.Contains(text, "Resume: jobs start again") || !strings.Contains(text, "the provider is down") || !strings.Contains(text, "1 still runs") {
		t.Error("the page does not tell of the pause")
	}
	if res := do("resume"); res.StatusCode != http.StatusSeeOther || stats().Paused != nil {
		t.Errorf("resume: %s", res.Status)
	}
	if res := do("retry", "job", ids[0].String(), "from", "job"); res.StatusCode != http.StatusSeeOther || !strings.HasSuffix(res.Header.Get("Location"), ids[0].String()) || stats().Dead != 1 {
		t.Errorf("retry of one: %s", res.Status)
	}
	if res := do("retry", "job", ids[0].String()); res.StatusCode != http.StatusConflict {
		t.Errorf("retry of what is not dead: %s", res.Status)
	}
	if res := do("retry"); res.StatusCode != http.StatusSeeOther || stats().Dead != 0 {
		t.Errorf("retry of all: %s", res.Status)
	}
	if res := do("discard", "state", "queued", "why", "no more"); res.StatusCode != http.StatusSeeOther || stats().Queued != 0 {
		t.Errorf("discard: %s", res.Status)
	}
	for what, res := range map[string]*http.Response{"no verb": do("explode"), "no job": do("retry", "job", "x")} {
		if res.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", what, res.Status)
		}
	}
	if res := do("pause", "why", strings.Repeat("x", 2*mostWhy)); res.StatusCode != http.StatusBadRequest || stats().Paused != nil {
		t.Errorf("a reason without an end: %s", res.Status)
	}
	if text := body(t, get(t, h, mailPage)); !strings.Contains(text, "no more") || !strings.Contains(text, "by dev") {
		t.Error("the page does not tell what was done")
	}
}

// followQueue opens the stream of the page of the queue.
func followQueue(t *testing.T, h http.Handler) *browser {
	t.Helper()
	return followed(t, h, "/ui/events?app=shop&env=production&queue=mail")
}

func TestTheQueuesPageFollows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, q, ids := mailing(t)
		b := followQueue(t, as(Handler(s), api.Caller{Name: "dev", Role: api.Deployer}))
		synctest.Wait()
		names, _, _ := b.take(t)
		same(t, "to a browser that has nothing", names, queueFragments()...)
		time.Sleep(3*lookEvery + lookEvery/2)
		names, _, _ = b.take(t)
		same(t, "while nothing happens", names)

		if _, err := q.Pause(t.Context(), queue.By{Who: "ann"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		names, html, _ := b.take(t)
		same(t, "after a pause", names, "queuehead", "queuedeeds")
		if !strings.Contains(html["queuehead"], `data-say="No job starts"`) {
			t.Errorf("the pause is not told: %s", html["queuehead"])
		}
		if _, err := q.Retry(t.Context(), queue.By{Who: "ann"}, ids[0], ids[1]); err != nil {
			t.Fatal(err)
		}
		time.Sleep(lookEvery)
		names, html, _ = b.take(t)
		same(t, "after a retry", names, "queuehead", "queuejobs", "queuedeeds")
		if !strings.Contains(html["queuejobs"], ids[2].String()) {
			t.Error("without dead jobs those that run are not listed")
		}
		s.Down(&semper.Error{Code: semper.Unavailable, Message: "the store is away"})
	})
}

// working is a semper whose queues are counted.
type working struct {
	*apitest.Semper
	past []meter.Point
}

func (w working) QueuePast(context.Context, queue.Service) ([]meter.Point, error) { return w.past, nil }

func TestWhatHappensIsDrawn(t *testing.T) {
	t.Parallel()
	s, _, _ := mailing(t)
	w := working{Semper: s}
	for i := range 60 {
		w.past = append(w.past, meter.Point{Accepted: uint64(10 * i), Done: 300, Waiting: i, Oldest: float64(i), Blind: i == 30}) //nolint:gosec // small
	}
	res := get(t, Handler(w), mailPage)
	text := body(t, res)
	checkPage(t, mailPage, res, text)
	for _, want := range []string{"in the last 10m", "accepted 59/s", "done 30/s", "waiting 59", "oldest 59s", "0 to 59/s"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not tell %q", want)
		}
	}
	if n := strings.Count(text, `<polyline class="of-accepted"`); n != 5 {
		t.Errorf("%d lines: what was not known is a gap in two of three pictures", n)
	}
	if flows(w.past[:1]) != nil {
		t.Error("a picture of one point")
	}
}
