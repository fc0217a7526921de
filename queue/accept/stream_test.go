package accept_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/internal/inbox"
	"semper/queue"
	"semper/queue/accept"
)

// listen asks for a job's states, and gives what came when the answer is over.
func listen(ctx context.Context, h http.Handler, at string, seen ...string) <-chan *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, "GET", at, nil)
	r.Header.Set(inbox.Field, string(service))
	r.Header.Set("Accept", "text/html, text/event-stream; q=0.9")
	for _, s := range seen {
		r.Header.Set("Last-Event-ID", s)
	}
	out := make(chan *httptest.ResponseRecorder, 1)
	go func() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		out <- w
	}()
	return out
}

// told is the ids and names of the events of a stream.
func told(w *httptest.ResponseRecorder) string {
	var all []string
	for line := range strings.Lines(w.Body.String()) {
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			all = append(all, strings.TrimSpace(id))
		}
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			all = append(all, strings.TrimSpace(name))
		}
	}
	return strings.Join(all, " ")
}

func TestAStreamTellsEachStateAndEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, q := open(t, queue.Settings{Policy: queue.Policy{Backoff: queue.Backoff{Base: time.Minute, Jitter: 0.01}}})
		at := ask(h, "POST", "/", "x").Header().Get("Location")
		stream := listen(t.Context(), h, at)
		for _, fails := range []bool{true, false} {
			time.Sleep(20 * time.Second)
			c, err := q.Claim(t.Context(), "me", 1)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(10 * time.Second) // an attempt that takes its time
			if fails {
				_, err = q.Fail(t.Context(), c[0].Lease, queue.Failure{Status: 503, Reason: "10.0.0.7 is away"})
			} else {
				err = q.Complete(t.Context(), c[0].Lease, queue.Result{Status: 201, Body: []byte("made")})
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		w := <-stream
		if want := "0 queued 1 running 2 delayed 3 running end-2 done"; told(w) != want {
			t.Errorf("told %q, not %q", told(w), want)
		}
		body := w.Body.String()
		if w.Code != 200 || w.Header().Get("Content-Type") != "text/event-stream" || !strings.Contains(body, ": still here\n\n") || !strings.HasPrefix(body, "retry: ") {
			t.Errorf("%d %v %s", w.Code, w.Header(), body)
		}
		if !strings.Contains(body, `"status":201`) || !strings.Contains(body, `"due":`) || strings.Contains(body, "10.0.0.7") {
			t.Errorf("events say %s", body)
		}
		for seen, want := range map[string]string{"": "0 queued 1 running 2 delayed 3 running end-2 done", "1": "2 delayed 3 running end-2 done", "nonsense": "0 queued 1 running 2 delayed 3 running end-2 done", "end-1": "3 running end-2 done"} {
			if w := <-listen(t.Context(), h, at, seen); told(w) != want {
				t.Errorf("after %q: told %q, not %q", seen, told(w), want)
			}
		}
		if w := <-listen(t.Context(), h, at, "end-2"); w.Code != http.StatusNoContent {
			t.Errorf("who has heard the end: %d %s", w.Code, w.Body)
		}
	})
}

func TestAStreamEndsAsItsClientDoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, q := open(t, queue.Settings{})
		at := ask(h, "POST", "/", "x").Header().Get("Location")
		ctx, leave := context.WithCancel(t.Context())
		stream := listen(ctx, h, at)
		time.Sleep(time.Minute)
		leave()
		if w := <-stream; told(w) != "0 queued" {
			t.Errorf("told %q", told(w))
		}
		id, err := queue.ParseID(strings.TrimPrefix(at, inbox.Path+"/"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Discard(t.Context(), queue.By{Who: "me"}, id); err != nil {
			t.Fatal(err)
		}
		if w := <-listen(t.Context(), h, at, "0"); told(w) != "end-0 discarded" {
			t.Errorf("told %q", told(w))
		}
	})
}

func TestFewerWaitThanAsk(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, q := open(t, queue.Settings{})
		h := handler(q, queue.Settings{}, accept.Options{Waiting: 1})
		at := ask(h, "POST", "/", "x").Header().Get("Location")
		ctx, leave := context.WithCancel(t.Context())
		first := listen(ctx, h, at)
		synctest.Wait()
		if w := <-listen(t.Context(), h, at); w.Code != 503 || w.Header().Get("Retry-After") == "" {
			t.Errorf("one too many: %d %v", w.Code, w.Header())
		}
		if w := ask(h, "GET", at, "", "Prefer", "wait=30"); w.Code != 202 || w.Header().Get("Preference-Applied") != "" {
			t.Errorf("a wait without a place: %d %v", w.Code, w.Header())
		}
		leave()
		<-first
		if w := ask(h, "GET", at, "", "Prefer", "wait=3"); w.Header().Get("Preference-Applied") != "wait=3" {
			t.Errorf("a place is not free again: %v", w.Header())
		}
	})
}
