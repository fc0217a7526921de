package metrics

import (
	"slices"
	"sync"
	"testing"
	"time"

	"semper/edge/trace"
)

func TestMethodOf(t *testing.T) {
	t.Parallel()
	for m := MethodConnect; int(m) < methods; m++ {
		if got := MethodOf([]byte(m.String())); got != m {
			t.Errorf("%v is %v", m, got)
		}
	}
	for _, s := range []string{"", "get", "Get", "GETS", "PROPFIND", "_OTHER"} {
		if got := MethodOf([]byte(s)); got != MethodOther {
			t.Errorf("%q is %v", s, got)
		}
	}
}

func TestStatusesHaveTheirColumns(t *testing.T) {
	t.Parallel()
	for status := -1; status < 700; status++ {
		got := columnID(column(status)).status()
		want := ""
		switch {
		case slices.Contains(registered[:], status):
			want = itoa(status)
		case status >= 200 && status < 600:
			want = itoa(status / 100 * 100) // RFC 9110, 15
		case status >= 100 && status < 200:
			want = "101" // no other of them is final
		}
		if got != want {
			t.Errorf("status %d is shown as %q", status, got)
		}
	}
	for f := FailConnect; int(f) < failures; f++ {
		c := columnID(firstFailure + int(f) - 1)
		if c.failure() != f.String() || c.status() != "" || class(int(c)) != 0 {
			t.Errorf("failure %v is shown as %q, status %q", f, c.failure(), c.status())
		}
	}
}

func itoa(n int) string {
	return string([]byte{byte('0' + n/100), byte('0' + n/10%10), byte('0' + n%10)})
}

func TestSizesGoToTheirBuckets(t *testing.T) {
	t.Parallel()
	for _, n := range []int64{-1, 0, 1, 255, 256, 257, 1023, 1024, 1025, 4096, 4097, 1<<30 - 1, 1 << 30, 1<<30 + 1, 1<<63 - 1} {
		var s sizes
		s.add(n)
		var v volumes
		v.add(&s)
		at := slices.IndexFunc(v.n[:], func(c uint64) bool { return c == 1 })
		if n <= 0 {
			if at >= 0 {
				t.Errorf("%d is counted", n)
			}
			continue
		}
		if at < sizeSteps && float64(n) > sizeBound(at) || at > 0 && float64(n) <= sizeBound(at-1) {
			t.Errorf("%d is in bucket %d, up to %g", n, at, sizeBound(at))
		}
	}
	if sizeBound(sizeSteps-1) != 1<<30 {
		t.Errorf("the last bound is %g", sizeBound(sizeSteps-1))
	}
}

func TestDurationsGoToTheirBuckets(t *testing.T) {
	t.Parallel()
	for i, b := range bounds {
		var h histogram
		if at := h.add(b); at != i {
			t.Errorf("%v is in bucket %d", b, at)
		}
		if at := h.add(b + 1); at != i+1 {
			t.Errorf("%v is in bucket %d", b+1, at)
		}
	}
	var h histogram
	if at := h.add(-time.Second); at != 0 || h.sum.Load() != 0 {
		t.Errorf("a clock set back is counted in bucket %d, sum %d", at, h.sum.Load())
	}
}

func TestAnExampleStaysForASecond(t *testing.T) {
	t.Parallel()
	var e exemplar
	if e.get() != (example{}) {
		t.Error("an example of nothing")
	}
	first, soon, later := trace.ID{1}, trace.ID{2}, trace.ID{3}
	at := int64(1e18)
	e.set(&Outcome{Trace: first, Ended: at})
	e.set(&Outcome{Trace: soon, Ended: at + fresh - 1})
	if got := e.get(); got.trace != first {
		t.Errorf("example %v", got.trace)
	}
	e.set(&Outcome{Trace: later, Span: trace.SpanID{4}, Ended: at + fresh, Took: time.Minute})
	if got := e.get(); got != (example{trace: later, span: trace.SpanID{4}, value: time.Minute, ended: at + fresh}) {
		t.Errorf("example %+v", got)
	}
}

// TestExamplesAreNeverMixed has writers whose examples are recognizable as wholes.
func TestExamplesAreNeverMixed(t *testing.T) {
	t.Parallel()
	var e exemplar
	var wg sync.WaitGroup
	for w := range byte(4) {
		wg.Go(func() {
			for i := range int64(5000) {
				o := Outcome{Ended: (i + 1) * fresh}
				for j := range o.Trace {
					o.Trace[j] = w + 1
				}
				for j := range o.Span {
					o.Span[j] = w + 1
				}
				o.Took = time.Duration(w + 1)
				e.set(&o)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for over := false; !over; {
		select {
		case <-done:
			over = true
		default:
		}
		x := e.get()
		if x == (example{}) {
			continue
		}
		w := byte(x.value)
		if x.trace != (trace.ID{w, w, w, w, w, w, w, w, w, w, w, w, w, w, w, w}) || x.span != (trace.SpanID{w, w, w, w, w, w, w, w}) {
			t.Fatalf("mixed: %+v", x)
		}
	}
}

func TestSeriesAreBoundedAndForgotten(t *testing.T) {
	t.Parallel()
	r := New(Options{MaxSeries: 2})
	a, b := r.Series(Key{App: "a"}), r.Series(Key{App: "b"})
	if a == b || r.Series(Key{App: "a"}) != a {
		t.Error("a key has not exactly one series")
	}
	c := r.Series(Key{App: "c"})
	if c != r.Series(Key{App: "d"}) || c.Key() != Others {
		t.Error("keys over the maximum do not share a series")
	}
	r.Retain(func(k Key) bool { return k.App == "b" })
	if got := r.Series(Key{App: "c"}); got.Key().App != "c" {
		t.Errorf("no room where a series was forgotten: %v", got.Key())
	}
	if r.Series(Key{App: "b"}) != b {
		t.Error("a series that was retained is another one")
	}
}

func TestShardsBeginAgainBehindTheLast(t *testing.T) {
	t.Parallel()
	r := New(Options{Shards: 3})
	s := r.Series(Key{})
	for i := -7; i < 7; i++ {
		if s.Shard(i) != s.Shard(int(uint(i)%3)) || r.Shard(i) != r.Shard(int(uint(i)%3)) {
			t.Errorf("shard %d", i)
		}
	}
	if New(Options{}).Series(Key{}).Shard(0) == nil {
		t.Error("no shard")
	}
}

func TestNothingIsLostOverShards(t *testing.T) {
	t.Parallel()
	const loops, each = 4, 500
	r := New(Options{Shards: 2}) // shared
	s := r.Series(Key{App: "a"})
	var wg sync.WaitGroup
	for l := range loops {
		wg.Go(func() {
			c := s.Shard(l)
			for i := range each {
				c.Begin()
				c.Try(&Attempt{Method: MethodGet, Failure: FailReset, Took: 1})
				c.Count(RetryReset)
				c.Try(&Attempt{Method: MethodGet, Status: 200, Took: 1, Reused: true})
				c.Done(&Outcome{Method: MethodGet, Status: 200 + i%4*100, Took: time.Duration(i), Sampled: true, Ended: int64(i)})
			}
		})
	}
	for last := uint64(0); last < loops*each; {
		n := r.Snapshot(time.Time{}).Series[0].Requests()
		if n < last {
			t.Fatalf("%d after %d", n, last)
		}
		last = n
	}
	wg.Wait()
	got := r.Snapshot(time.Time{}).Series[0]
	const all = loops * each
	if got.InFlight != 0 || got.Classes != [6]uint64{2: all / 4, 3: all / 4, 4: all / 4, 5: all / 4} ||
		got.Latency.Count() != all || got.Upstream.Count() != all || got.Retries != all || got.UpstreamFailures != all {
		t.Errorf("%+v", got)
	}
}

func TestCountingDoesNotAllocate(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	c := New(Options{}).Series(Key{}).Shard(0)
	ended := int64(1)
	one := func() {
		ended += 2 * fresh
		count(c, ended)
	}
	one()
	if n := testing.AllocsPerRun(100, one); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// count is all the counting of one ordinary request.
func count(c *Counters, ended int64) {
	c.Begin()
	a := Attempt{Method: MethodGet, Status: 200, Took: 300 * time.Microsecond, Reused: true}
	c.Try(&a)
	o := Outcome{Method: MethodGet, Status: 200, Took: 400 * time.Microsecond, ResponseBody: 128, Sampled: true, Ended: ended}
	c.Done(&o)
}

func BenchmarkRequest(b *testing.B) {
	c := New(Options{}).Series(Key{}).Shard(0)
	b.ReportAllocs()
	for b.Loop() {
		count(c, 1)
	}
}

func BenchmarkRequestShared(b *testing.B) {
	c := New(Options{}).Series(Key{}).Shard(0)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		for p.Next() {
			count(c, 1)
		}
	})
}

func BenchmarkSnapshot(b *testing.B) {
	r := New(Options{Shards: 4})
	for _, app := range []string{"a", "b", "c", "d"} {
		for i := range 4 {
			count(r.Series(Key{App: app}).Shard(i), 1)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Snapshot(time.Time{})
	}
}
