package metrics

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"semper/edge/sketch"
)

var start = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// snap is a snapshot of some seconds after the start with one series.
func snap(seconds int, r Reading) *Snapshot {
	return &Snapshot{At: start.Add(time.Duration(seconds) * time.Second), Series: []Reading{r}}
}

func latencies(ds ...time.Duration) sketch.Counts {
	var s sketch.Sketch
	for _, d := range ds {
		s.Add(d)
	}
	return s.Read()
}

func TestBetween(t *testing.T) {
	t.Parallel()
	a, b, c := Key{App: "a"}, Key{App: "b"}, Key{App: "c"}
	old := &Snapshot{Series: []Reading{
		{Key: a, Classes: [6]uint64{2: 10, 5: 1}, Retries: 3, Held: 1, Shed: 2, UpstreamFailures: 4, Latency: latencies(1, 1)},
		{Key: b, Classes: [6]uint64{2: 10}, Retries: 9},
	}}
	now := &Snapshot{Series: []Reading{
		{Key: a, Classes: [6]uint64{2: 15, 5: 1}, Retries: 5, Held: 1, Shed: 3, UpstreamFailures: 4, Latency: latencies(1, 1, time.Hour)},
		{Key: b, Classes: [6]uint64{2: 4}, Retries: 1},
		{Key: c, Classes: [6]uint64{4: 2}},
	}}
	got := Between(old, now)
	want := []Flow{
		{Key: a, Classes: [6]uint64{2: 5}, Retries: 2, Shed: 1},
		{Key: b, Classes: [6]uint64{2: 4}, Retries: 1}, // began anew
		{Key: c, Classes: [6]uint64{4: 2}},
	}
	if got[0].Latency.Count() != 1 || got[0].Latency.Quantile(1) < 59*time.Minute {
		t.Errorf("latency of %d, %v", got[0].Latency.Count(), got[0].Latency.Quantile(1))
	}
	for i := range got {
		got[i].Latency, got[i].Upstream = sketch.Counts{}, sketch.Counts{}
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(sketch.Counts{})); d != "" {
		t.Error(d)
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	k := Key{App: "shop", Release: "r7", Pool: "shop/production/web", Route: "shop.example/"}
	minute := snap(0, Reading{Key: k, Classes: [6]uint64{2: 100}})
	ten := snap(50, Reading{Key: k, Classes: [6]uint64{2: 700}, Retries: 1})
	second := snap(59, Reading{Key: k, Classes: [6]uint64{2: 760}, Retries: 1})
	now := snap(60, Reading{
		Key: k, InFlight: 3, Classes: [6]uint64{0: 1, 1: 2, 2: 780, 3: 4, 4: 5, 5: 8}, Retries: 4, Held: 5, Shed: 6, UpstreamFailures: 7,
		Latency: latencies(10*time.Millisecond, 10*time.Millisecond, 10*time.Millisecond, time.Second), Upstream: latencies(time.Millisecond),
	})
	now.Series = append(now.Series, Reading{Key: Key{App: "silent"}})
	got := NewReport(now, second, ten, minute)
	if len(got.Rows) != 1 || !got.At.Equal(now.At) {
		t.Fatalf("%+v", got)
	}
	row := got.Rows[0]
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > want*sketch.RelativeError {
			t.Errorf("%s is %g, want %g", what, got, want)
		}
	}
	near("p50", row.Latency.P50, .01)
	near("p95", row.Latency.P95, 1)
	near("p99", row.Latency.P99, 1)
	near("p50 of instances", row.Upstream.P50, .001)
	row.Latency, row.Upstream = Latency{}, Latency{}
	want := Row{
		Key: k, Rate1: 40, Rate10: 10, Rate60: 700. / 60, InFlight: 3,
		Status:  Statuses{Informational: 2, Success: 80, Redirect: 4, ClientError: 5, ServerError: 8, None: 1},
		Retries: 3, Held: 5, Shed: 6, Failures: 7,
	}
	if d := cmp.Diff(want, row, cmp.AllowUnexported(sketch.Counts{})); d != "" {
		t.Error(d)
	}
	b, err := json.Marshal(got)
	if err != nil || !strings.Contains(string(b), `"app":"shop","release":"r7","pool":"shop/production/web","route":"shop.example/","rate_1s":40`) {
		t.Errorf("%s %v", b, err)
	}
}

// TestHistory pushes a snapshot a second, of a series that has one request in the first second, two in the second, and so on.
func TestHistory(t *testing.T) {
	t.Parallel()
	var h History
	if r := h.Report(); len(r.Rows) != 0 {
		t.Errorf("a report of nothing: %+v", r)
	}
	var s sketch.Sketch
	total := uint64(0)
	for i := range 200 {
		for range i {
			s.Add(time.Duration(i) * time.Millisecond)
		}
		total += uint64(i)
		h.Push(snap(i, Reading{Key: Key{App: "a"}, Classes: [6]uint64{2: total}, Latency: s.Read()}))
		if len(h.all) > 62 {
			t.Fatalf("%d snapshots are kept", len(h.all))
		}
		kept := 0
		for _, old := range h.all {
			if old.Series[0].Latency.Count() > 0 {
				kept++
			}
		}
		if kept > 12 {
			t.Fatalf("%d sketches are kept", kept)
		}
	}
	sum := func(n int) (sum float64) {
		for i := 200 - n; i < 200; i++ {
			sum += float64(i)
		}
		return sum
	}
	row := h.Report().Rows[0]
	if row.Rate1 != 199 || row.Rate10 != sum(10)/10 || row.Rate60 != sum(60)/60 {
		t.Errorf("rates %g, %g, %g; want %g, %g, %g", row.Rate1, row.Rate10, row.Rate60, 199., sum(10)/10, sum(60)/60)
	}
	if row.Latency.P99 < .197 || row.Latency.P50 < .19 { // of the last 10 s no request took less than 190 ms
		t.Errorf("latency %+v", row.Latency)
	}
}

func TestHistoryOfUnevenSeconds(t *testing.T) {
	t.Parallel()
	var h History
	for _, at := range []int{0, 30, 95} {
		h.Push(snap(at, Reading{Key: Key{App: "a"}, Classes: [6]uint64{2: uint64(at)}, Latency: latencies(make([]time.Duration, at)...)}))
		if row := h.Report().Rows; at > 0 && (row[0].Rate1 != 1 || row[0].Rate10 != 1 || row[0].Rate60 != 1) {
			t.Errorf("after %d seconds: %+v", at, row)
		}
	}
}
