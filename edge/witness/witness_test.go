package witness

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"semper/edge/accesslog"
	"semper/edge/http1"
	"semper/edge/metrics"
	"semper/edge/trace"
)

const ms = int64(time.Millisecond)

// written are the lines of a log that is closed.
func written(t *testing.T, b *bytes.Buffer) (out []map[string]any) {
	t.Helper()
	for line := range bytes.Lines(b.Bytes()) {
		var m map[string]any
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		out = append(out, m)
	}
	return out
}

func reading(t *testing.T, w *Witness, k metrics.Key) metrics.Reading {
	t.Helper()
	for _, r := range w.Readings(time.Now()).Series {
		if r.Key == k {
			return r
		}
	}
	t.Fatalf("there is no series %+v", k)
	return metrics.Reading{}
}

// TestAStoryWithEverything is a request that waits, fails at one instance, moves with a cutover to another release, and ends
// there.
func TestAStoryWithEverything(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w, err := New(Options{Loops: 1, Log: accesslog.Options{Writer: &log}})
	if err != nil {
		t.Fatal(err)
	}
	next := shop
	next.Release = "r2"
	old, now := w.Place(shop), w.Place(next)
	q := w.Shard(1).Begin(1*ms, &Client{}, parse(t, browser))
	q.Enter(old)
	q.Hold(1 * ms)
	if got := reading(t, w, shop); got.InFlight != 1 {
		t.Errorf("while it waits %d are in flight", got.InFlight)
	}
	q.Let(31*ms, true)
	q.Enter(old)
	q.Try(31*ms, "shop/web.r1.1")
	q.Fail(36*ms, metrics.FailReset, true)
	q.Count(metrics.RetryReset)
	q.Enter(now)
	q.Try(36*ms, "shop/web.r2.1")
	q.Head(56*ms, false, false)
	if got := string(q.AppendTiming(nil, 56*ms)); got != "" {
		t.Errorf("Server-Timing unasked: %q", got)
	}
	q.End(61*ms, End{Status: 200, Received: 3, Sent: 4})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	left, got := reading(t, w, shop), reading(t, w, next)
	if left.InFlight != 0 || left.Requests() != 0 || left.Held != 1 || left.Retries != 1 || left.UpstreamFailures != 1 {
		t.Errorf("of the release it left: %+v", left)
	}
	if got.InFlight != 0 || got.Classes[2] != 1 || got.Latency.Quantile(1).Round(ms60) != ms60 || got.Upstream.Count() != 1 {
		t.Errorf("of the release it ended at: %+v", got)
	}
	lines := written(t, &log)
	if len(lines) != 1 {
		t.Fatalf("%d lines", len(lines))
	}
	for k, want := range map[string]any{
		"release": "r2", "instance": "shop/web.r2.1", "tries": 2., "held": .03, "upstream_duration": .03, "duration": .06,
		"method": "GET", "target": "/products/42?utm_source=newsletter", "referer": "https://shop.example/products", "request_bytes": 3., "response_bytes": 4.,
	} {
		if lines[0][k] != want {
			t.Errorf("%s is %v, want %v", k, lines[0][k], want)
		}
	}
}

const ms60 = 60 * time.Millisecond

// TestAStreamCountsUntilItBegins: in the log it has all of its time.
func TestAStreamCountsUntilItBegins(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w, err := New(Options{Loops: 1, Log: accesslog.Options{Writer: &log}})
	if err != nil {
		t.Fatal(err)
	}
	q := w.Shard(1).Begin(0, &Client{}, parse(t, browser))
	q.Enter(w.Place(shop))
	q.Try(0, "i")
	q.Head(60*ms, true, false)
	q.End(int64(time.Hour), End{Status: 200})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := reading(t, w, shop); got.Latency.Quantile(1).Round(ms60) != ms60 || got.Upstream.Quantile(1).Round(ms60) != ms60 {
		t.Errorf("counted as %v, at the instance as %v", got.Latency.Quantile(1), got.Upstream.Quantile(1))
	}
	if got := written(t, &log)[0]["duration"]; got != 3600. {
		t.Errorf("logged as %v s", got)
	}
}

func TestTimingIsAppendedAsALine(t *testing.T) {
	t.Parallel()
	w := open(t, Options{Loops: 1, Timing: true})
	q := w.Shard(1).Begin(0, &Client{}, parse(t, browser))
	q.Enter(w.Place(shop))
	q.Try(1*ms, "i")
	q.Head(4*ms, false, false)
	if got := string(q.AppendTiming(nil, 4*ms)); !strings.HasPrefix(got, "Server-Timing: edge;dur=1, app;dur=3, traceparent;desc=") || !strings.HasSuffix(got, "\"\r\n") {
		t.Errorf("%q", got)
	}
	q.End(4*ms, End{Status: 200})
}

func TestShareOfStartedTracesThatAreSampled(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ set, least, most float64 }{{0, 1, 1}, {1, 1, 1}, {-1, 0, 0}, {.25, .2, .3}} {
		w := open(t, Options{Loops: 1, Sampled: tc.set})
		s, p, r, n := w.Shard(1), w.Place(shop), parse(t, browser), 0
		for range 4000 {
			q := s.Begin(0, &Client{}, r)
			var f http1.Forward
			q.Forward(&f, r)
			c, ok := trace.Parse(f.TraceParent)
			if !ok || string(q.ID()) != c.Trace.String() {
				t.Fatalf("traceparent %q, id %q", f.TraceParent, q.ID())
			}
			if c.Flags&trace.Sampled != 0 {
				n++
			}
			q.Enter(p)
			q.End(0, End{Status: 200})
		}
		if share := float64(n) / 4000; share < tc.least || share > tc.most {
			t.Errorf("Sampled %v: %v of the traces are", tc.set, share)
		}
	}
}

// TestSeriesAreForgottenWhenTheirReleaseIsLongGone and nothing is in flight there; one that comes back begins anew.
func TestSeriesAreForgottenWhenTheirReleaseIsLongGone(t *testing.T) {
	t.Parallel()
	w := open(t, Options{Loops: 1})
	gone, stays, busy := shop, shop, shop
	stays.Release, busy.Release = "r2", "r3"
	current := []*Place{w.Place(stays)}
	w.Place(gone)
	q := w.Shard(1).Begin(0, &Client{}, parse(t, browser))
	q.Enter(w.Place(busy))
	has := func(k metrics.Key) bool {
		for _, r := range w.Readings(time.Now()).Series {
			if r.Key == k {
				return true
			}
		}
		return false
	}
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	w.Look(at, current)
	w.Look(at.Add(keptFor-time.Second), current)
	if !has(gone) {
		t.Error("forgotten before the last scrape could see it")
	}
	w.Look(at.Add(keptFor), current)
	if has(gone) || !has(stays) || !has(busy) || !has(metrics.Key{}) {
		t.Errorf("gone %v, current %v, busy %v, no route %v", has(gone), has(stays), has(busy), has(metrics.Key{}))
	}
	q.End(0, End{Status: 200})
	w.Look(at.Add(2*keptFor), current)
	if has(busy) {
		t.Error("one that had something in flight is kept for ever")
	}
	w.Place(gone)
	w.Look(at.Add(2*keptFor+time.Second), current)
	if !has(gone) {
		t.Error("one that has just come back is forgotten")
	}
}

// TestGoroutinesShare tells many stories at a time; the race detector looks on.
func TestGoroutinesShare(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w, err := New(Options{Goroutines: 2, Log: accesslog.Options{Writer: &log}})
	if err != nil {
		t.Fatal(err)
	}
	p := w.Place(shop)
	const each, n = 200, 4
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			s := w.Shard(0)
			for i := range each {
				r := httptest.NewRequest(http.MethodPut, "/a?b", nil)
				if i%2 == 0 {
					r.Header.Set("Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
				}
				q := s.BeginHTTP(time.Now().UnixNano(), &Client{}, r)
				q.ForwardHTTP(r.Header, "id")
				q.Enter(p)
				q.Try(time.Now().UnixNano(), "i")
				q.End(time.Now().UnixNano(), End{Status: 204})
			}
		})
	}
	all.Wait()
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := reading(t, w, shop); got.Classes[2] != n*each || got.InFlight != 0 {
		t.Errorf("%+v", got)
	}
	for _, l := range written(t, &log) {
		if l["method"] != "PUT" || l["target"] != "/a?b" || l["status"] != 204. {
			t.Fatalf("%v", l)
		}
	}
}

// TestTheTimeOfDayFollowsTheClock: a loop's own clock begins anywhere.
func TestTheTimeOfDayFollowsTheClock(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	w, err := New(Options{Loops: 1, Log: accesslog.Options{Writer: &log}})
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now()
	w.Shard(1).Refused(5*ms, &Client{}, 400, "bad-request")
	w.Shard(0).Refused(time.Hour.Nanoseconds(), &Client{}, 408, "slow-head")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	lines := written(t, &log)
	if len(lines) != 2 {
		t.Fatalf("%v", lines)
	}
	for _, l := range lines {
		at, err := time.Parse(time.RFC3339Nano, l["ts"].(string))
		if err != nil || at.Before(before.Add(-time.Second)) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("%v: %v", l, err)
		}
	}
}

func TestAWitnessThatCannotLogSaysSo(t *testing.T) {
	t.Parallel()
	if _, err := New(Options{Log: accesslog.Options{Path: t.TempDir()}}); err == nil {
		t.Error("a directory is taken for a log")
	}
}
