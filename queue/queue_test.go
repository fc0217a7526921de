package queue_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"semper"
	"semper/queue"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestIDs(t *testing.T) {
	t.Parallel()
	// The example of the ULID specification: 01ARZ3NDEKTSV4RRFFQ69G5FAV is of 2016-07-30T23:54:10.259Z.
	id, err := queue.ParseID("01ARZ3NDEKTSV4RRFFQ69G5FAV")
	if err != nil || !id.Time().Equal(time.Date(2016, 7, 30, 23, 54, 10, 259e6, time.UTC)) {
		t.Errorf("%s, %v", id.Time().UTC(), err)
	}
	for _, bad := range []string{"", "x", "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAU", strings.Repeat("x", 1000)} {
		if _, err := queue.ParseID(bad); semper.CodeOf(err) != semper.NotFound || len(err.Error()) > 200 {
			t.Errorf("ParseID(%.30q) = %v", bad, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a := queue.NewID(time.UnixMilli(rapid.Int64Range(0, 1<<48-1).Draw(t, "a")))
		b := queue.NewID(time.UnixMilli(rapid.Int64Range(0, 1<<48-1).Draw(t, "b")))
		back, err := queue.ParseID(strings.ToLower(a.String()))
		if err != nil || back != a {
			t.Fatalf("%s reads as %s, %v", a, back, err)
		}
		if (string(a[:]) < string(b[:])) != (a.String() < b.String()) || a.Time().Before(b.Time()) && a.String() > b.String() {
			t.Fatalf("%s and %s sort otherwise than they are", a, b)
		}
	})
}

func FuzzParseID(f *testing.F) {
	f.Add("01ARZ3NDEKTSV4RRFFQ69G5FAV")
	f.Fuzz(func(t *testing.T, text string) {
		if id, err := queue.ParseID(text); err == nil && !strings.EqualFold(id.String(), text) {
			t.Errorf("%q reads as %s", text, id)
		}
	})
}

// TestBackoff holds Delay against repeated multiplication.
func TestBackoff(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := queue.Backoff{Base: time.Duration(rapid.Int64Range(1, 1e12).Draw(t, "base")), Max: time.Duration(rapid.Int64Range(1, 1e15).Draw(t, "max")),
			Factor: rapid.Float64Range(1, 10).Draw(t, "factor"), Jitter: rapid.Float64Range(0.01, 1).Draw(t, "jitter")}
		n, random := rapid.IntRange(1, 5000).Draw(t, "n"), rapid.Float64Range(0, 0.999).Draw(t, "random")
		want := float64(b.Base)
		for i := 1; i < n && want < float64(b.Max); i++ {
			want *= b.Factor
		}
		want = min(want, float64(b.Max)) * (1 - b.Jitter*random)
		if got := float64(b.Delay(n, random)); got < 0 || math.Abs(got-want) > 1+want/1e6 {
			t.Fatalf("%+v after %d attempts waits %g, want %g", b, n, got, want)
		}
	})
}

func TestAfter(t *testing.T) {
	t.Parallel()
	now := time.Now()
	p := queue.Policy{MaxAttempts: 3, Backoff: queue.Backoff{Base: time.Second, Max: time.Minute, Jitter: 0.5}}
	for _, c := range []struct {
		n    int
		f    queue.Failure
		dead bool
		wait time.Duration
	}{
		{1, queue.Failure{}, false, time.Second},
		{2, queue.Failure{}, false, 2 * time.Second},
		{3, queue.Failure{}, true, 0},
		{1, queue.Failure{Final: true}, true, 0},
		{1, queue.Failure{RetryAfter: 30 * time.Second}, false, 30 * time.Second},
		{1, queue.Failure{RetryAfter: time.Millisecond}, false, time.Second},
		{1, queue.Failure{RetryAfter: time.Hour}, false, time.Minute},
	} {
		got := p.After(c.n, c.f, now, 0)
		if got.Dead != c.dead || got.Dead != (got.Why != "") || !c.dead && got.Due.Sub(now) != c.wait {
			t.Errorf("after attempt %d with %+v: %+v", c.n, c.f, got)
		}
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	for status, want := range map[int]bool{0: true, 200: false, 404: false, 408: true, 429: true, 500: true, 503: true, 599: true} {
		if got := (queue.Policy{}).Retries(status); got != want {
			t.Errorf("by default %d is retried: %t", status, got)
		}
	}
	only := queue.Policy{RetryOn: []string{"503"}}
	if !only.Retries(503) || only.Retries(500) || only.Retries(0) {
		t.Error("503 alone is to be retried")
	}
}

func TestPolicies(t *testing.T) {
	t.Parallel()
	for name, p := range map[string]queue.Policy{
		"order": {Order: "fifo"}, "lease": {Lease: time.Millisecond}, "attempts": {MaxAttempts: -1}, "rate": {Rate: math.NaN()},
		"jitter": {Backoff: queue.Backoff{Jitter: 2}}, "class": {RetryOn: []string{"6xx"}}, "word": {RetryOn: []string{"timeout"}},
	} {
		if err := p.Check(); semper.CodeOf(err) != semper.Invalid || semper.HintOf(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := (queue.Policy{}).Filled().Check(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
}

func TestDigest(t *testing.T) {
	t.Parallel()
	base := func() queue.Job {
		return queue.Job{Key: "k", Request: queue.Request{Method: "POST", Target: "/a", Host: "h", Header: map[string][]string{"Content-Type": {"text/plain"}, "Date": {"now"}}, Body: []byte("b")}}
	}
	same := base()
	same.Request.Header.Set("Date", "later")
	same.ID = queue.NewID(time.Now())
	if base().Digest() != same.Digest() {
		t.Error("the date and the id are part of what was asked for")
	}
	for name, change := range map[string]func(*queue.Job){
		"body": func(j *queue.Job) { j.Request.Body = []byte("c") }, "method": func(j *queue.Job) { j.Request.Method = "PUT" },
		"type": func(j *queue.Job) { j.Request.Header.Set("Content-Type", "text/html") }, "key": func(j *queue.Job) { j.Key = "l" },
		"shifted": func(j *queue.Job) { j.Request.Method, j.Request.Target = "POST/", "a" },
	} {
		if other := base(); base().Digest() == func() [32]byte { change(&other); return other.Digest() }() {
			t.Errorf("another %s is the same request", name)
		}
	}
}

func TestRemember(t *testing.T) {
	t.Parallel()
	var history []queue.Attempt
	for n := 1; n <= 2*queue.MaxHistory; n++ {
		history = queue.Remember(history, queue.Attempt{Number: n, Reason: strings.Repeat("ä", queue.MaxReason)})
	}
	if len(history) != queue.MaxHistory || history[0].Number != queue.MaxHistory+1 || history[len(history)-1].Number != 2*queue.MaxHistory {
		t.Errorf("%d attempts from %d on", len(history), history[0].Number)
	}
	if n := len(history[0].Reason); n > queue.MaxReason+len("…") {
		t.Errorf("a reason of %d bytes", n)
	}
}
