package accept_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"semper"
	"semper/internal/inbox"
	"semper/queue"
	"semper/queue/accept"
	"semper/queue/mem"
)

const service semper.PoolKey = "shop/production/web"

// open is a handler over one queue with these settings, and the queue.
func open(t *testing.T, s queue.Settings) (http.Handler, queue.Queue) {
	t.Helper()
	e := mem.New()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	q, err := e.Open(t.Context(), queue.Service{App: "shop", Environment: "production", Service: "web"}, s.Policy)
	if err != nil {
		t.Fatal(err)
	}
	return handler(q, s, accept.Options{}), q
}

func handler(q queue.Queue, s queue.Settings, o accept.Options) http.Handler {
	o.Log = slog.New(slog.DiscardHandler)
	o.Inbox = func(k semper.PoolKey) (accept.Inbox, bool) { return accept.Inbox{Queue: q, Settings: s}, k == service }
	return accept.New(o)
}

// ask is the answer to a request that an edge hands over for service.
func ask(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Header.Set(inbox.Field, string(service))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestARequestIsWrittenDownAsItCame(t *testing.T) {
	t.Parallel()
	h, q := open(t, queue.Settings{KeyField: "X-Customer"})
	w := ask(h, "PATCH", "/pay?n=%2F", "money", "X-Customer", "ann", "X-Other", "kept", "Prefer", "respond-async, handling=lenient")
	if w.Code != 202 || w.Header().Get("Preference-Applied") != "respond-async" {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	c, err := q.Claim(t.Context(), "me", 5)
	if err != nil || len(c) != 1 {
		t.Fatal(c, err)
	}
	r := c[0].Request
	if r.Method != "PATCH" || r.Target != "/pay?n=%2F" || string(r.Body) != "money" || r.Host != "example.com" || c[0].Key != "ann" {
		t.Errorf("written down: %+v, key %q", r, c[0].Key)
	}
	if r.Header.Get("X-Other") != "kept" || r.Header.Get("Prefer") != "" || r.Header.Get(inbox.Field) != "" {
		t.Errorf("fields: %v", r.Header)
	}
	if want := inbox.Path + "/" + c[0].ID.String(); w.Header().Get("Location") != want {
		t.Errorf("it is at %s, not %s", w.Header().Get("Location"), want)
	}
}

// A job's life as its client sees it: each state has its answer.
func TestALocationTellsTheStateOfItsJob(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end    func(q queue.Queue, l queue.Lease) error
		status int
		state  queue.State
		body   string
	}{
		"running": {func(queue.Queue, queue.Lease) error { return nil }, 202, queue.Running, `"state":"running"`},
		"done": {func(q queue.Queue, l queue.Lease) error {
			return q.Complete(t.Context(), l, queue.Result{Status: 201, Header: http.Header{"X-A": {"b"}, "Content-Length": {"999"}}, Body: []byte("made")})
		}, 201, queue.Done, "made"},
		"done without content": {func(q queue.Queue, l queue.Lease) error { return q.Complete(t.Context(), l, queue.Result{Status: 204}) }, 204, queue.Done, ""},
		"dead": {func(q queue.Queue, l queue.Lease) error {
			_, err := q.Fail(t.Context(), l, queue.Failure{Status: 500, Final: true})
			return err
		}, 502, queue.Dead, "not completed"},
		"discarded": {func(q queue.Queue, l queue.Lease) error {
			return errors.Join(q.Release(t.Context(), l), second(q.Discard(t.Context(), queue.By{Who: "me"}, l.ID)))
		}, 410, queue.Discarded, `"the request was discarded"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, q := open(t, queue.Settings{})
			at := ask(h, "POST", "/", "x").Header().Get("Location")
			c, err := q.Claim(t.Context(), "me", 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := tc.end(q, c[0].Lease); err != nil {
				t.Fatal(err)
			}
			w := ask(h, "GET", at, "")
			if w.Code != tc.status || w.Header().Get("Semper-Job-State") != string(tc.state) || !strings.Contains(w.Body.String(), tc.body) {
				t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
			}
			if kind := w.Result().Header["Content-Type"]; tc.state == queue.Done && len(kind) > 0 {
				t.Errorf("the instance said no Content-Type, and its client reads %q", kind)
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestWhoWaitsGetsTheResponse(t *testing.T) {
	t.Parallel()
	h, q := open(t, queue.Settings{})
	done := make(chan error, 1)
	go func() {
		c, err := q.Claim(t.Context(), "me", 1)
		if err == nil {
			err = q.Complete(t.Context(), c[0].Lease, queue.Result{Status: 200, Body: []byte("at once")})
		}
		done <- err
	}()
	w := ask(h, "POST", "/", "x", "Prefer", "wait=30")
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if w.Code != 200 || w.Body.String() != "at once" || w.Header().Get("Preference-Applied") != "wait=30" || w.Header().Get("Location") == "" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestWhatIsNotTakenIsSaid(t *testing.T) {
	t.Parallel()
	h, _ := open(t, queue.Settings{Policy: queue.Policy{MaxJobs: 2, MaxBody: 10}})
	first := ask(h, "POST", "/", "one", "Idempotency-Key", "k")
	again := ask(h, "POST", "/", "one", "Idempotency-Key", "k")
	if again.Code != 202 || again.Header().Get("Location") != first.Header().Get("Location") || again.Header().Get("Semper-Duplicate") != "true" {
		t.Errorf("the same again: %d %v", again.Code, again.Header())
	}
	ask(h, "POST", "/", "two")
	for what, tc := range map[string]struct {
		got        *httptest.ResponseRecorder
		status     int
		comingBack bool
	}{
		"another request under the key": {ask(h, "POST", "/", "other", "Idempotency-Key", "k"), 422, false},
		"a body over the bound":         {ask(h, "POST", "/", "0123456789a"), 413, false},
		"one too many":                  {ask(h, "POST", "/", "three"), 429, true},
		"a service without a queue":     {ask(h, "POST", "/", "x", inbox.Field, "shop/production/gone"), 503, true},
		"a request that never was":      {ask(h, "GET", inbox.Path+"/00000000000000000000000000", ""), 404, false},
		"no name of a request":          {ask(h, "GET", inbox.Path+"/../x", ""), 404, false},
		"a change":                      {ask(h, "POST", first.Header().Get("Location"), ""), 405, false},
		"somebody else's":               {ask(h, "GET", first.Header().Get("Location"), "", inbox.Field, "shop/staging/web"), 503, true},
	} {
		h := tc.got.Header()
		if tc.got.Code != tc.status || (h.Get("Retry-After") != "") != tc.comingBack || h.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %v %s", what, tc.got.Code, h, tc.got.Body)
		}
	}
}

func TestWhoIsToldIsWrittenDown(t *testing.T) {
	t.Parallel()
	_, q := open(t, queue.Settings{})
	rules := func(url string) error {
		switch url {
		case "http://10.0.0.1/":
			return errors.New("nothing is sent to 10.0.0.1")
		case "x":
			return &semper.Error{Code: semper.Invalid, Message: "it is no URL"}
		}
		return nil
	}
	with := func(c *queue.Callbacks) http.Handler {
		return accept.New(accept.Options{Log: slog.New(slog.DiscardHandler), Inbox: func(semper.PoolKey) (accept.Inbox, bool) {
			return accept.Inbox{Queue: q, Settings: queue.Settings{Callbacks: c}, Allows: rules}, true
		}})
	}
	h, nobody := with(&queue.Callbacks{Secret: "k", To: "https://all.example/"}), with(nil)
	for what, tc := range map[string]struct {
		got    *httptest.ResponseRecorder
		status int
		says   string
	}{
		"a forbidden place":                {ask(h, "POST", "/", "x", "Semper-Callback", "http://10.0.0.1/"), 422, "10.0.0.1"},
		"no URL":                           {ask(h, "POST", "/", "x", "Semper-Callback", "x"), 400, "Semper-Callback: it is no URL"},
		"a service that tells nobody":      {ask(nobody, "POST", "/", "x", "Semper-Callback", "https://a.example/"), 422, "jobs.callbacks"},
		"nobody, of one that tells no one": {ask(nobody, "POST", "/", "x"), 202, ""},
	} {
		if tc.got.Code != tc.status || !strings.Contains(tc.got.Body.String(), tc.says) {
			t.Errorf("%s: %d %s", what, tc.got.Code, tc.got.Body)
		}
	}
	ask(h, "POST", "/", "x")
	ask(h, "POST", "/", "x", "Semper-Callback", "https://one.example/")
	c, err := q.Claim(t.Context(), "me", 5)
	if err != nil || len(c) != 3 {
		t.Fatal(c, err)
	}
	if c[0].Callback != "" || c[1].Callback != "https://all.example/" || c[2].Callback != "https://one.example/" || c[2].Request.Header.Get("Semper-Callback") != "" {
		t.Errorf("told: %q %q %q %v", c[0].Callback, c[1].Callback, c[2].Callback, c[2].Request.Header)
	}
}

// full is a queue whose disk is.
type full struct{ queue.Queue }

func (full) Enqueue(context.Context, queue.Job) (queue.Receipt, error) {
	return queue.Receipt{}, &semper.Error{Code: semper.NoSpace, Op: "body write", Hint: "free space on the disk of the data directory"}
}

func TestAFullDiskAcceptsNothingAndSaysSo(t *testing.T) {
	t.Parallel()
	_, q := open(t, queue.Settings{})
	w := ask(handler(full{q}, queue.Settings{}, accept.Options{}), "POST", "/", "x")
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("Location") != "" || strings.Contains(w.Body.String(), "directory") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// crammed is a queue on a disk without room.
type crammed struct{ queue.Queue }

func (crammed) Enqueue(context.Context, queue.Job) (queue.Receipt, error) {
	return queue.Receipt{}, &semper.Error{Code: semper.NoSpace, Op: "store", Message: "the store takes no writes: its disk is nearly full"}
}

func TestWithoutRoomARequestIsNotAccepted(t *testing.T) {
	t.Parallel()
	_, q := open(t, queue.Settings{})
	w := ask(handler(crammed{q}, queue.Settings{}, accept.Options{}), "POST", "/", "x")
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("Location") != "" || !strings.Contains(w.Body.String(), "no room") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}
