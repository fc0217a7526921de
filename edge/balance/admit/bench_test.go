package admit

import (
	"math"
	"testing"
	"time"
)

// onPath is what a request asks of this package at most.
func onPath() func(now int64) {
	var l Limit
	var b Bucket
	adaptive := NewAdaptive(AdaptivePolicy{}, 0)
	table := NewTable(1000)
	route, client := NewRate(1_000_000, time.Second, 1000), NewRate(10, time.Second, 10)
	key := []byte("203.0.113.7")
	return func(now int64) {
		b.Take(now, route)
		table.Take(now, client, 1, key)
		if l.Enter(Shares{}.Of(adaptive.Bound(), Low)) {
			adaptive.Observe(now, time.Millisecond, l.InFlight())
			l.Leave()
		}
	}
}

func TestNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	request, now := onPath(), int64(0)
	if got := testing.AllocsPerRun(5000, func() {
		now += int64(time.Millisecond)
		request(now)
	}); got != 0 {
		t.Errorf("%v allocations per request", got)
	}
}

func BenchmarkEnterAndLeave(b *testing.B) {
	var l Limit
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if l.Enter(math.MaxInt32) {
				l.Leave()
			}
		}
	})
}

func BenchmarkObserve(b *testing.B) {
	a := NewAdaptive(AdaptivePolicy{}, 0)
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 15_000
		a.Observe(now, time.Millisecond, 10)
	}
}

func BenchmarkBucket(b *testing.B) {
	var bucket Bucket
	r := NewRate(1_000_000, time.Second, 1000)
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 1000
		bucket.Take(now, r)
	}
}

func BenchmarkTable(b *testing.B) {
	table := NewTable(100_000)
	r := NewRate(10, time.Second, 10)
	keys := make([][]byte, 1<<16)
	for i := range keys {
		keys[i] = []byte{203, 0, byte(i >> 8), byte(i)}
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			table.Take(int64(i), r, 1, keys[i&(1<<16-1)])
		}
	})
}

func BenchmarkBudget(b *testing.B) {
	var budget Budget
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 1_000_000
		budget.Count()
		budget.Retry(now, BudgetPolicy{Ratio: 0.2, Floor: 10})
	}
}
