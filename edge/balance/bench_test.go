package balance

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

func TestNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, policy := range everyPolicy {
		for _, weights := range [][]uint16{{1, 1, 1}, {1, 2, 3, 4, 5, 6}} {
			members := pool(weights...)
			p := NewPicker(Options{Policy: policy, SlowStart: time.Second, MaxInFlight: 100}, members)
			o := &Outlier{}
			avoid := []*Backend{members[1].Backend}
			now := started
			if got := testing.AllocsPerRun(1000, func() {
				now += int64(time.Millisecond)
				b, _ := p.Pick(Query{Now: now, Random: rand.Uint64(), Key: uint64(now)})
				p.Pick(Query{Now: now, Random: rand.Uint64(), Key: uint64(now), Avoid: avoid})
				b.InFlight.Claim()
				b.Observe(now, time.Millisecond)
				b.Succeeded()
				b.Failed(o)
				b.InFlight.Release()
			}); got != 0 {
				t.Errorf("%v of %d: %v allocations per request", policy, len(weights), got)
			}
		}
	}
}

func BenchmarkPick(b *testing.B) {
	for _, policy := range everyPolicy {
		for _, n := range []int{2, 4, 16, 100} {
			b.Run(fmt.Sprintf("%v/%d", policy, n), func(b *testing.B) {
				members := alike(n)
				for _, m := range members {
					m.Observe(started, time.Millisecond)
				}
				p := NewPicker(Options{Policy: policy}, members)
				r := rand.NewPCG(1, 2)
				b.ReportAllocs()
				for b.Loop() {
					x := r.Uint64()
					p.Pick(Query{Now: started + int64(time.Second), Random: x, Key: x})
				}
			})
		}
	}
}

func BenchmarkPickWeighted(b *testing.B) {
	for _, policy := range everyPolicy {
		members := pool(1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
		p := NewPicker(Options{Policy: policy}, members)
		r := rand.NewPCG(1, 2)
		b.Run(policy.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x := r.Uint64()
				p.Pick(Query{Now: started, Random: x, Key: x})
			}
		})
	}
}

// BenchmarkAnswer is what a response costs: its latency and its outcome.
func BenchmarkAnswer(b *testing.B) {
	m := alike(1)[0]
	now := started
	b.ReportAllocs()
	for b.Loop() {
		now += 15_000
		m.Observe(now, time.Millisecond)
		m.Succeeded()
	}
}

func BenchmarkMaglevTable(b *testing.B) {
	for _, n := range []int{3, 100} {
		members := alike(n)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				newMaglevTable(members, 0)
			}
		})
	}
}
