package callback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"semper"
	"semper/queue"
	"semper/queue/dispatch"
	"semper/queue/mem"
	"semper/webhook"
)

func TestRules(t *testing.T) {
	t.Parallel()
	open, own := Rules{}, Rules{Networks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("127.0.0.0/8")}}
	named := Rules{Hosts: []string{"hooks.example.com", "*.partner.example"}}
	const free, invalid, forbidden = "free", "invalid", "forbidden"
	for _, tc := range []struct {
		r         Rules
		url, want string
	}{
		{open, "https://hooks.example.com/done?n=1", free}, {open, "https://93.184.215.14:8443/", free}, {open, "https://[2606:2800:21f::1]/", free},
		{open, "http://hooks.example.com/", forbidden}, {open, "http://93.184.215.14/", forbidden},
		{open, "https://127.0.0.1/", forbidden}, {open, "https://localhost/", forbidden}, {open, "https://a.LOCALHOST./", forbidden}, {open, "https://10.0.0.1/", forbidden},
		{open, "https://192.168.1.1/", forbidden}, {open, "https://172.16.0.1/", forbidden}, {open, "https://169.254.169.254/latest", forbidden}, {open, "https://100.64.0.1/", forbidden},
		{open, "https://0.0.0.0/", forbidden}, {open, "https://224.0.0.1/", forbidden}, {open, "https://255.255.255.255/", forbidden}, {open, "https://192.0.0.192/", forbidden},
		{open, "https://[::1]/", forbidden}, {open, "https://[::]/", forbidden}, {open, "https://[fe80::1]/", forbidden}, {open, "https://[fd00:ec2::254]/", forbidden}, {open, "https://[fc00::1]/", forbidden},
		{open, "https://[::ffff:127.0.0.1]/", forbidden}, {open, "https://[::ffff:10.0.0.1]/", forbidden}, {open, "https://[64:ff9b::7f00:1]/", forbidden}, {open, "https://[2002:7f00:1::]/", forbidden},
		{open, "https://[::7f00:1]/", forbidden},
		{open, "https://2130706433/", invalid}, {open, "https://127.1/", invalid}, {open, "https://0x7f.0.0.1/", invalid}, {open, "https://0x7f000001/", invalid}, {open, "https://1.2.3.0x7f/", invalid},
		{open, "ftp://hooks.example.com/", invalid}, {open, "hooks.example.com", invalid}, {open, "https:///x", invalid}, {open, "https://", invalid}, {open, "", invalid},
		{open, "https://ann:secret@hooks.example.com/", invalid}, {open, "https://hooks.example.com/#x", invalid}, {open, "https://hooks.example.com/ä", invalid},
		{open, "https://hooks.example.com/" + strings.Repeat("x", 2048), invalid}, {open, "https://hooks.example.com:x/", invalid},
		{own, "http://127.0.0.1:8080/", free}, {own, "http://10.1.2.3/", free}, {own, "https://10.2.0.1/", forbidden}, {own, "http://93.184.215.14/", forbidden}, {own, "http://inside.example/", free},
		{named, "https://hooks.example.com/", free}, {named, "https://HOOKS.example.com./", free}, {named, "https://a.partner.example/", free},
		{named, "https://partner.example/", forbidden}, {named, "https://evilpartner.example/", forbidden}, {named, "https://other.example/", forbidden}, {named, "https://93.184.215.14/", forbidden},
		{Rules{Hosts: named.Hosts, To: "https://ours.example/x"}, "https://ours.example/x", free}, {Rules{Hosts: named.Hosts, To: "https://ours.example/x"}, "https://ours.example/y", forbidden},
		{Rules{Hosts: named.Hosts, To: "https://ours.example"}, "https://ours.example/", free}, {Rules{Hosts: named.Hosts, To: "https://ours.example?a"}, "https://ours.example/?a", free},
	} {
		err := tc.r.URL(tc.url)
		got := free
		if _, ok := errors.AsType[*Forbidden](err); ok {
			got = forbidden
		} else if err != nil {
			got = string(semper.CodeOf(err))
		}
		if got != tc.want {
			t.Errorf("%.60s: %s (%v), want %s", tc.url, got, err, tc.want)
		}
	}
}

var key = []byte("0123456789abcdef")

// world is a queue whose jobs have callbacks, those callbacks, and a receiver.
type world struct {
	jobs, calls *mem.Queue
	to          *httptest.Server
	rules       func() Rules
	mu          sync.Mutex // guards got
	got         []*http.Request
	bodies      []string
}

// here is where receivers of tests are.
func here() Rules { return Rules{Networks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}} }

func start(t *testing.T, answer http.HandlerFunc) *world {
	t.Helper()
	w := &world{rules: here}
	e := mem.New()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	s := queue.Service{App: "shop", Environment: "production", Service: "web"}
	p := Policy()
	p.Backoff, p.MaxAttempts = queue.Backoff{Base: time.Millisecond}, 3
	for q, of := range map[**mem.Queue]struct {
		s queue.Service
		p queue.Policy
	}{&w.jobs: {s, queue.Policy{}}, &w.calls: {Of(s), p}} {
		opened, err := e.Open(t.Context(), of.s, of.p)
		if err != nil {
			t.Fatal(err)
		}
		*q = opened.(*mem.Queue) //nolint:errcheck,forcetypeassert // it is one
	}
	w.to = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.mu.Lock()
		w.got, w.bodies = append(w.got, r), append(w.bodies, string(body))
		w.mu.Unlock()
		answer(rw, r)
	}))
	t.Cleanup(w.to.Close)
	return w
}

// work has callbacks made and sent until the test ends.
func (w *world) work(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	quiet := slog.New(slog.DiscardHandler)
	wg.Go(func() { Follow(ctx, w.jobs, w.jobs, w.calls, quiet) })
	wg.Go(func() {
		dispatch.Run(ctx, w.calls, dispatch.Options{Service: "shop/production/web.callbacks", Worker: "me", Log: quiet, Settings: func() queue.Settings { return queue.Settings{Policy: Policy()} },
			Edge: &Transport{Rules: func() Rules { return w.rules() }, Key: func() ([]byte, error) { return key, nil }}})
	})
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// done is a job that ended with this response, and whose client is to be told at a path.
func (w *world) done(t *testing.T, path string, r queue.Result) queue.ID {
	t.Helper()
	receipt, err := w.jobs.Enqueue(t.Context(), queue.Job{Callback: w.to.URL + path, Request: queue.Request{Method: "POST", Target: "/export"}})
	if err != nil {
		t.Fatal(err)
	}
	c, err := w.jobs.Claim(t.Context(), "me", 1)
	if err == nil {
		err = w.jobs.Complete(t.Context(), c[0].Lease, r)
	}
	if err != nil {
		t.Fatal(err)
	}
	return receipt.ID
}

// call is how the one callback ended.
func (w *world) call(t *testing.T) queue.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		for _, s := range queue.States {
			list, err := w.calls.List(ctx, s, queue.ID{}, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(list) == 1 {
				end, err := w.calls.Wait(ctx, list[0].ID)
				if err != nil || !end.State.Terminal() {
					t.Fatal(end, err)
				}
				return end
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	t.Fatal("there is no callback")
	return queue.Status{}
}

func TestAClientIsTold(t *testing.T) {
	t.Parallel()
	first := true
	w := start(t, func(rw http.ResponseWriter, _ *http.Request) {
		if first {
			rw.WriteHeader(http.StatusNotFound)
		}
		first = false
	})
	id := w.done(t, "/told?token=x", queue.Result{Status: 201, Header: http.Header{"Content-Type": {"text/plain"}, "Set-Cookie": {"sid=secret"}}, Body: []byte("märz")})
	w.work(t)
	end := w.call(t)
	if end.State != queue.Done || len(end.Attempts) != 2 {
		t.Fatalf("%+v", end)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, r := range w.got {
		h := r.Header
		if !webhook.Verify(key, h.Get(webhook.HeaderID), h.Get(webhook.HeaderTimestamp), h.Get(webhook.HeaderSignature), []byte(w.bodies[i]), time.Now()) {
			t.Errorf("a message that is not semper's: %v", h)
		}
		if r.Method != "POST" || r.RequestURI != "/told?token=x" || h.Get(webhook.HeaderID) != w.got[0].Header.Get(webhook.HeaderID) || h.Get("Semper-Queue")+h.Get("Semper-Callback") != "" {
			t.Errorf("asked %s %s %v", r.Method, r.RequestURI, h)
		}
	}
	var m message
	if err := json.Unmarshal([]byte(w.bodies[1]), &m); err != nil {
		t.Fatal(err)
	}
	d := m.Data
	if m.Type != "request.done" || d.ID != id || d.State != queue.Done || d.Attempts != 1 || d.Location != "/.well-known/semper/requests/"+id.String() {
		t.Errorf("told %s", w.bodies[1])
	}
	if d.Response == nil || d.Response.Status != 201 || d.Response.Text == nil || *d.Response.Text != "märz" || d.Response.Header.Get("Content-Type") != "text/plain" || strings.Contains(w.bodies[1], "secret") {
		t.Errorf("told %s", w.bodies[1])
	}
	if ends, err := w.jobs.Untold(t.Context(), queue.ID{}, 10); err != nil || len(ends) != 0 {
		t.Error("still to be told:", ends, err)
	}
}

func TestBodiesAreBounded(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		body string
		has  func(*response) bool
	}{
		"bytes":     {"\xff\x00", func(r *response) bool { return string(r.Bytes) == "\xff\x00" && r.Text == nil }},
		"too large": {strings.Repeat("x", MaxBody+1), func(r *response) bool { return r.Text == nil && r.Bytes == nil && r.Size == MaxBody+1 }},
		"empty":     {"", func(r *response) bool { return r.Text == nil && r.Bytes == nil && r.Size == 0 }},
	} {
		b, err := describe(queue.Status{State: queue.Done, Result: &queue.Result{Status: 200, Body: []byte(tc.body)}})
		var m message
		if err == nil {
			err = json.Unmarshal(b, &m)
		}
		if err != nil || !tc.has(m.Data.Response) {
			t.Errorf("%s: %.200s %v", name, b, err)
		}
	}
}

// A callback is shown to people as other jobs are, who hide what a target's parameters may tell; so the URL stands nowhere else.
func TestTheURLOfACallbackStandsInItsTargetOnly(t *testing.T) {
	t.Parallel()
	w := start(t, func(http.ResponseWriter, *http.Request) {})
	w.done(t, "/told?token=s3cret", queue.Result{Status: 200})
	if err := (follower{w.jobs, w.jobs, w.calls}).round(t.Context()); err != nil {
		t.Fatal(err)
	}
	c, err := w.calls.Claim(t.Context(), "me", 1)
	if err != nil {
		t.Fatal(err)
	}
	r := c[0].Request
	if r.Target != "/told?token=s3cret" || "http://"+r.Host != w.to.URL || strings.Contains(fmt.Sprint(r.Header, string(r.Body), c[0].Key), "s3cret") {
		t.Errorf("%+v", r)
	}
}

// What cannot be told dies with its reason, and who looks at it sees no more of the URL than its host.
func TestWhatCannotBeToldIsADeadLetter(t *testing.T) {
	t.Parallel()
	var looks int
	for name, tc := range map[string]struct {
		rules    func() Rules
		answer   int
		attempts int
		why      string
	}{
		"forbidden by now": {func() Rules { return Rules{} }, 200, 1, "not a public address"},
		"a name that leads elsewhere since": {func() Rules {
			if looks++; looks == 1 {
				return here()
			}
			return Rules{}
		}, 200, 1, "leads to a forbidden place"},
		"a redirect": {here, 302, 3, "302"},
		"gone":       {here, 410, 1, "wants none of it"},
		"failing":    {here, 500, 3, "500"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("Location", "http://169.254.169.254/")
				rw.WriteHeader(tc.answer)
			})
			w.rules = tc.rules
			w.done(t, "/?token=s3cret", queue.Result{Status: 200})
			w.work(t)
			end := w.call(t)
			reason := end.Attempts[len(end.Attempts)-1].Reason
			if end.State != queue.Dead || len(end.Attempts) != tc.attempts || !strings.Contains(reason, tc.why) || strings.Contains(reason, "s3cret") {
				t.Errorf("%s after %d attempts: %q", end.State, len(end.Attempts), reason)
			}
		})
	}
}

// forgetful is a queue whose process is killed before it says that ends were told.
type forgetful struct{ queue.Teller }

var errKilled = errors.New("killed")

func (forgetful) Told(context.Context, ...queue.End) error { return errKilled }

func TestWhatIsKilledInBetweenTellsNobodyTwice(t *testing.T) {
	t.Parallel()
	w := start(t, func(http.ResponseWriter, *http.Request) {})
	w.done(t, "/", queue.Result{Status: 200})
	for range 2 {
		if err := (follower{w.jobs, forgetful{w.jobs}, w.calls}).round(t.Context()); !errors.Is(err, errKilled) {
			t.Fatal(err)
		}
	}
	if err := (follower{w.jobs, w.jobs, w.calls}).round(t.Context()); err != nil {
		t.Fatal(err)
	}
	if s, err := w.calls.Stats(t.Context()); err != nil || s.Queued != 1 {
		t.Errorf("%+v %v", s, err)
	}
}
