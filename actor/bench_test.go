package actor

import (
	"context"
	"runtime"
	"sync"
	"testing"
)

// A token is a message that costs nothing by itself.
type token struct {
	n    int
	from From[int]
	to   chan<- struct{}
}

// sink answers calls and counts casts down.
type sink struct{ n int }

func (s *sink) Handle(_ *Self[token], m token) error {
	s.n++
	m.from.Reply(s.n)
	if m.to != nil && m.n == 0 {
		close(m.to)
	}
	return nil
}

func mustStart[M any](b testing.TB, s Server[M], o Options) Ref[M] {
	b.Helper()
	ref, err := Start(context.Background(), s, o)
	if err != nil {
		b.Fatal(err)
	}
	return ref
}

func BenchmarkCall(b *testing.B) {
	ref := mustStart(b, &sink{}, Options{})
	ask := func(f From[int]) token { return token{n: 1, from: f} }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Call(context.Background(), ref, ask); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCallWithDeadline(b *testing.B) {
	ref := mustStart(b, &sink{}, Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ask := func(f From[int]) token { return token{n: 1, from: f} }
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Call(ctx, ref, ask); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCast(b *testing.B) {
	ref := mustStart(b, &sink{}, Options{})
	done := make(chan struct{})
	b.ReportAllocs()
	b.ResetTimer()
	for i := b.N - 1; i >= 0; i-- {
		_ = ref.Cast(token{n: i, to: done})
	}
	<-done
}

func BenchmarkFanIn(b *testing.B) {
	const senders = 10_000
	ref := mustStart(b, &sink{}, Options{})
	var all sync.WaitGroup
	b.ResetTimer()
	for range senders {
		all.Go(func() {
			for range b.N / senders {
				_ = ref.Cast(token{})
			}
		})
	}
	all.Wait()
	done := make(chan struct{})
	_ = ref.Cast(token{to: done})
	<-done
}

func BenchmarkStart(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		mustStart(b, &sink{}, Options{})
	}
}

// ringer passes a token on.
type ringer struct{ next Ref[token] }

func (r *ringer) Handle(_ *Self[token], m token) error {
	if m.n == 0 {
		close(m.to)
		return nil
	}
	m.n--
	return r.next.Cast(m)
}

func BenchmarkRing(b *testing.B) {
	const size = 1000
	var all [size]*ringer
	first := mustStart(b, Server[token](&ringer{}), Options{})
	all[0] = first.s.server.(*ringer)
	next := first
	for i := 1; i < size; i++ {
		all[i] = &ringer{next: next}
		next = mustStart(b, Server[token](all[i]), Options{})
	}
	all[0].next = next
	done := make(chan struct{})
	b.ResetTimer()
	_ = first.Cast(token{n: b.N, to: done})
	<-done
}

func BenchmarkIdle(b *testing.B) {
	for range b.N {
		const n = 100_000
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		refs := make([]Ref[token], n)
		for i := range refs {
			refs[i] = mustStart(b, &sink{}, Options{})
			_ = refs[i].Cast(token{})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc+after.StackInuse-before.HeapAlloc-before.StackInuse)/n, "B/process")
		b.ReportMetric(float64(runtime.NumGoroutine()), "goroutines")
		runtime.KeepAlive(refs)
	}
}
