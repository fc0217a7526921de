package admit

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestRateByHand follows GCRA(10, 2) and a burst, in units of a nanosecond.
func TestRateByHand(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate     Rate
		arrivals []int64
		conform  []bool
	}{
		{Rate{10, 2}, []int64{0, 10, 18, 28, 38}, []bool{true, true, true, true, true}},
		{Rate{10, 2}, []int64{0, 10, 15, 25, 35}, []bool{true, true, false, true, true}},
		{Rate{10, 2}, []int64{0, 7, 8, 17, 18}, []bool{true, false, true, false, true}},
		{NewRate(1, 100, 3), []int64{0, 0, 0, 0, 99, 100, 100, 500, 500, 500, 500}, []bool{true, true, true, false, false, true, false, true, true, true, false}},
	} {
		var due int64
		var got []bool
		for _, at := range c.arrivals {
			next, early := c.rate.Take(at, due)
			got = append(got, early == 0)
			due = next
		}
		if !slices.Equal(got, c.conform) {
			t.Errorf("%v at %v: %v, want %v", c.rate, c.arrivals, got, c.conform)
		}
	}
}

// TestRateIsALeakyBucket: I.371 defines the algorithm twice, by virtual scheduling and as a leaky bucket, and says that the
// two agree on every arrival.
func TestRateIsALeakyBucket(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := Rate{interval: rapid.Int64Range(1, 50).Draw(t, "interval"), tolerance: rapid.Int64Range(0, 200).Draw(t, "tolerance")}
		var due, now int64
		var level, last int64
		for range rapid.IntRange(1, 100).Draw(t, "arrivals") {
			now += rapid.Int64Range(0, 80).Draw(t, "pause")
			next, early := r.Take(now, due)
			due = next
			drained := max(level-(now-last), 0)
			conforms := drained <= r.tolerance
			if conforms {
				level, last = drained+r.interval, now
			}
			if conforms != (early == 0) {
				t.Fatalf("at %d: early by %d, and the bucket says %v", now, early, conforms)
			}
			if early > 0 {
				if _, still := r.Take(now+early-1, due); still == 0 {
					t.Fatal("a nanosecond before the end of the wait would do as well")
				}
				if _, still := r.Take(now+early, due); still != 0 {
					t.Fatal("too early still, after the wait it was told")
				}
			}
		}
	})
}

func TestNewRate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		requests int
		period   time.Duration
		burst    int
		atOnce   int
		inTen    int // periods, with what comes at once
	}{{10, time.Second, 5, 5, 105}, {1, time.Minute, 1, 1, 11}, {100, time.Second, 0, 1, 1001}, {3, time.Second, 3, 3, 33}} {
		r := NewRate(c.requests, c.period, c.burst)
		var b Bucket
		got := 0
		for b.Take(0, r) == 0 {
			got++
		}
		if got != c.atOnce {
			t.Errorf("%+v: %d at once", c, got)
		}
		for now := int64(1); now <= 10*int64(c.period); now += int64(c.period) / 1000 {
			if b.Take(now, r) == 0 {
				got++
			}
		}
		if got < c.inTen-1 || got > c.inTen {
			t.Errorf("%+v: %d in ten periods, want %d", c, got, c.inTen)
		}
	}
	var none Bucket
	for range 1000 {
		if none.Take(0, NewRate(0, time.Second, 1)) != 0 || none.Take(0, Rate{}) != 0 {
			t.Fatal("no limit limits")
		}
	}
	huge := NewRate(1, math.MaxInt64, math.MaxInt)
	if huge.tolerance < 0 || NewRate(1, time.Hour, math.MaxInt).tolerance < 0 {
		t.Error("a burst without end overflows")
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for early, want := range map[int64]int{1: 1, second: 1, second + 1: 2, 90 * second: 90} {
		if got := RetryAfter(early); got != want {
			t.Errorf("%d ns: %d s, want %d", early, got, want)
		}
	}
}

func TestBucketOfMany(t *testing.T) {
	t.Parallel()
	var b Bucket
	r := NewRate(1, time.Second, 100)
	var got atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 1000 {
				if b.Take(0, r) == 0 {
					got.Add(1)
				}
			}
		})
	}
	all.Wait()
	if got.Load() != 100 {
		t.Errorf("%d of a burst of 100", got.Load())
	}
}

// TestTable: each client of each route has a bucket of its own, as long as there is room.
func TestTable(t *testing.T) {
	t.Parallel()
	table := NewTable(20_000)
	r := NewRate(1, time.Second, 2)
	for route := range uint64(2) {
		for i := range 500 {
			client := fmt.Append(nil, "203.0.113.", i)
			for n, want := range []bool{true, true, false} {
				if early := table.Take(0, r, route, client); (early == 0) != want {
					t.Fatalf("route %d, client %d, request %d: early by %d", route, i, n, early)
				}
			}
		}
	}
	if early := table.Take(second, r, 0, []byte("203.0.113.7")); early != 0 {
		t.Errorf("early by %d after a second", early)
	}
	if table.Take(0, Rate{}, 0, nil) != 0 {
		t.Error("no limit limits")
	}
}

// TestTableForgetsWhoIsDue: a flood of new clients does not free one that is over its limit, and its room is bounded.
func TestTableForgetsWhoIsDue(t *testing.T) {
	t.Parallel()
	table := NewTable(ways * 64)
	r := NewRate(1, time.Second, 5)
	now := second
	noisy := []byte("198.51.100.1")
	for range 5 {
		table.Take(now, r, 0, noisy)
	}
	flood := 0
	for i := range 100_000 {
		now += 2 * second / 100_000
		if table.Take(now, r, 0, fmt.Append(nil, "flood", i)) == 0 {
			flood++
		}
		if i%1000 == 0 && now < second+second/2 && table.Take(now, r, 0, noisy) == 0 {
			t.Fatal("the flood has made room for who was over the limit")
		}
	}
	if flood != 100_000 {
		t.Errorf("%d of 100,000 new clients are let in: they have to pay for others", flood)
	}
	if table.Clients() != ways*64 {
		t.Errorf("room for %d", table.Clients())
	}
}

func TestTableOfMany(t *testing.T) {
	t.Parallel()
	table := NewTable(64)
	r := NewRate(1, time.Hour, 50)
	var got [4]atomic.Int64
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 4000 {
				if table.Take(1, r, 0, []byte{byte(i % 4)}) == 0 {
					got[i%4].Add(1)
				}
			}
		})
	}
	all.Wait()
	for i := range got {
		if got[i].Load() != 50 {
			t.Errorf("client %d: %d of a burst of 50", i, got[i].Load())
		}
	}
}
