package metrics

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"semper/edge/sketch"
)

// overWire is a report as another process gets it.
func overWire(t *testing.T, r Report) Report {
	t.Helper()
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var got Report
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestMergedQuantilesAreThoseOfAllRequests has one edge with nine fast requests and one with a slow one: the mean of their
// quantiles would be half of the slow one's.
func TestMergedQuantilesAreThoseOfAllRequests(t *testing.T) {
	t.Parallel()
	k := Key{App: "shop", Release: "r1"}
	one := func(at int, requests uint64, ds ...time.Duration) Report {
		old := snap(at-10, Reading{Key: k})
		now := snap(at, Reading{Key: k, InFlight: 2, Classes: [6]uint64{2: requests}, Latency: latencies(ds...), Retries: 1, Held: 2, Shed: 3, UpstreamFailures: 4})
		return overWire(t, NewReport(now, old, old, old))
	}
	fast := one(20, 9, slices.Repeat([]time.Duration{time.Millisecond}, 9)...)
	slow := one(19, 1, time.Second)
	other := one(21, 5)
	other.Rows[0].Key = Key{App: "blog"}
	got := Merge(fast, slow, other)
	if !got.At.Equal(slow.At) || len(got.Rows) != 2 || got.Rows[0].App != "blog" {
		t.Fatalf("%+v", got)
	}
	row := got.Rows[1]
	for _, q := range []struct{ got, want float64 }{{row.Latency.P50, .001}, {row.Latency.P95, 1}, {row.Latency.P99, 1}} {
		if math.Abs(q.got-q.want) > q.want*sketch.RelativeError {
			t.Errorf("a quantile is %g, want %g", q.got, q.want)
		}
	}
	if row.Rate10 != 1 || row.InFlight != 4 || row.Status.Success != 10 || row.Retries != 2 || row.Held != 4 || row.Shed != 6 || row.Failures != 8 {
		t.Errorf("%+v", row)
	}
	if n := fast.Rows[0].Latency.Sketch.Count(); n != 9 {
		t.Errorf("an edge's own report was changed: %d requests", n)
	}
}

func TestMergeOfNothing(t *testing.T) {
	t.Parallel()
	if r := Merge(); r.Rows == nil || len(r.Rows) > 0 {
		t.Errorf("%+v", r)
	}
}
