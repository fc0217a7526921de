package e2e_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"semper/webhook"
)

// A receiver is told how requests ended.
type receiver struct {
	*httptest.Server
	mu   sync.Mutex        // guards told
	told map[string]string // type by the id of a request
}

func newReceiver(t *testing.T, secret string) *receiver {
	t.Helper()
	key, err := webhook.Key([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	rec := &receiver{told: map[string]string{}}
	rec.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		h := r.Header
		var m struct {
			Type string
			Data struct{ ID string }
		}
		if err != nil || !webhook.Verify(key, h.Get(webhook.HeaderID), h.Get(webhook.HeaderTimestamp), h.Get(webhook.HeaderSignature), body, time.Now()) || json.Unmarshal(body, &m) != nil {
			t.Errorf("a message that is not semper's: %v %s %v", h, body, err)
			return
		}
		rec.mu.Lock()
		defer rec.mu.Unlock()
		rec.told[m.Data.ID] = m.Type
	}))
	t.Cleanup(rec.Close)
	return rec
}

func (r *receiver) of(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[id]
}

// TestClientsSayHowTheirRequestsAreDone: what a client may ask for, through the whole server; and what is refused, or ends badly.
func TestClientsSayHowTheirRequestsAreDone(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123"
	s := start(t)
	dir, effects := asyncApp(t)
	file := filepath.Join(dir, "semper.yaml")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), "jobs: { attempts: 100, timeout: 10s, body: 64KiB }",
		"jobs: { attempts: 3, timeout: 10s, longest: 1m, body: 64KiB, backoff: { first: 300ms, max: 1s }, order: key, key: X-Customer, callbacks: { secret: callback_key, networks: [127.0.0.0/8] } }", 1)
	changed = strings.Replace(changed, "to: web }", "to: web, mode: either }", 1)
	write(t, file, changed, 0o644)
	if r := s.cli("deploy", "-f", dir); r.code == 0 || !strings.Contains(r.err, "semper secret set callback_key") {
		t.Errorf("callbacks that nobody can sign: exit %d\n%s", r.code, r.err)
	}
	key := filepath.Join(t.TempDir(), "key")
	write(t, key, secret, 0o600)
	s.must("secret", "set", "callback_key", "-a", "bar", "--from", key)
	s.must("deploy", "-f", dir)
	s.serves("r1", "one")
	rec := newReceiver(t, secret)
	accepted := func(target string, header ...string) (at string) {
		t.Helper()
		var a answer
		eventually(t, "a request is accepted", func() bool {
			a = s.sent("POST", target, "x", header...)
			return a.status == http.StatusAccepted
		})
		return a.header.Get("Location")
	}
	first := accepted("/jobs/flaky", "Semper-Callback", rec.URL+"/told", "Semper-TTL", "60")
	done := s.over(first)
	if done.status != http.StatusCreated || done.header.Get("X-Done-For") != "127.0.0.1" {
		t.Errorf("done: %s", done)
	}
	events := s.sent("GET", first, "", "Accept", "text/event-stream")
	if want := "queued running delayed running done"; states(events.body) != want || events.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("the stream has %q, want %q: %s", states(events.body), want, events)
	}
	eventually(t, "its client is told", func() bool { return rec.of(path.Base(first)) == "request.done" })
	poison := accepted("/jobs/poison", "Semper-Callback", rec.URL+"/told", "X-Customer", "poison")
	if a := s.over(poison); a.status != http.StatusBadGateway {
		t.Errorf("what kills its instance: %s", a)
	}
	stream := s.sent("GET", poison, "", "Accept", "text/event-stream")
	if !strings.HasSuffix(states(stream.body), " dead") {
		t.Errorf("what kills its instance: %q", states(stream.body))
	}
	eventually(t, "its client is told, too", func() bool { return rec.of(path.Base(poison)) == "request.dead" })
	s.serves("r1", "one") // and the service is there
	inOrder(t, s, effects, accepted)
	large := s.over(accepted("/jobs/large"))
	if large.status != http.StatusOK || len(large.body) != 3_000_000 {
		t.Errorf("a large answer: %d with %d bytes", large.status, len(large.body))
	}
	later := s.sent("GET", "/", "", "Prefer", "wait=0, respond-async")
	if later.status != http.StatusAccepted || later.header.Get("Preference-Applied") != "respond-async" {
		t.Errorf("who may wait: %s", later)
	}
	for what, tc := range map[string]struct {
		got    answer
		status int
		says   string
	}{
		"a callback to where clouds keep credentials": {s.sent("POST", "/jobs/a", "x", "Semper-Callback", "https://169.254.169.254/latest"), 422, "169.254.169.254"},
		"a callback that is no URL":                   {s.sent("POST", "/jobs/a", "x", "Semper-Callback", "nobody"), 400, "Semper-Callback"},
		"more important than allowed":                 {s.sent("POST", "/jobs/a", "x", "Semper-Priority", "1"), 400, "Semper-Priority"},
		"too late":                                    {s.sent("POST", "/jobs/a", "x", "Semper-Not-Before", "86401"), 400, "Semper-Not-Before"},
		"at once, as ever":                            {s.sent("GET", "/", ""), 200, "one"},
	} {
		if tc.got.status != tc.status || !strings.Contains(tc.got.body, tc.says) {
			t.Errorf("%s: %s", what, tc.got)
		}
	}
}

// over is the answer of a Location once its request is over.
func (s *server) over(at string) (a answer) {
	s.t.Helper()
	eventually(s.t, at+" is over", func() bool {
		a = s.sent("GET", at, "", "Prefer", "wait=20")
		return a.status != 0 && a.status != http.StatusAccepted && a.status != http.StatusServiceUnavailable
	})
	return a
}

// inOrder: the requests of one customer have their effects as they were accepted, whatever fails in between.
func inOrder(t *testing.T, s *server, effects string, accepted func(string, ...string) string) {
	t.Helper()
	want := map[string][]string{}
	var last []string
	for i := range 12 {
		customer, target := []string{"ann", "bob"}[i%2], "/jobs/a"
		if i%5 == 0 {
			target = "/jobs/flaky"
		}
		at := accepted(target, "X-Customer", customer)
		want[customer] = append(want[customer], path.Base(at))
		last = append(last, at)
	}
	for _, at := range last[10:] {
		if a := s.over(at); a.status != http.StatusCreated {
			t.Errorf("the last of a customer: %s", a)
		}
	}
	b, err := os.ReadFile(effects)
	if err != nil {
		t.Fatal(err)
	}
	for customer, ids := range want {
		var got []string
		for id := range strings.FieldsSeq(string(b)) {
			if slices.Contains(ids, id) {
				got = append(got, id)
			}
		}
		if !slices.Equal(got, ids) {
			t.Errorf("%s's were done in the order %v, accepted in %v", customer, got, ids)
		}
	}
}

// states are the names of a stream's events.
func states(stream string) string {
	var all []string
	for line := range strings.Lines(stream) {
		if name, ok := strings.CutPrefix(line, "event: "); ok {
			all = append(all, strings.TrimSpace(name))
		}
	}
	return strings.Join(all, " ")
}
