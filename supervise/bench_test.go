package supervise

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"
)

// quick is a child that costs nothing but itself.
type quick struct{ done chan struct{} }

func (q quick) Done() <-chan struct{} { return q.done }
func (q quick) Reason() Reason        { return Reason{Kind: Crash} }
func (q quick) Shutdown()             { close(q.done) }
func (q quick) Kill()                 { close(q.done) }

func newQuick(context.Context) (Child, error) { return quick{done: make(chan struct{})}, nil }

// BenchmarkRestart is the time from the end of a child to the call of its next start.
func BenchmarkRestart(b *testing.B) {
	started := make(chan quick, 1)
	s, err := Start(bg, Flags{Intensity: 1 << 30, Period: time.Nanosecond}, []ChildSpec{{ID: "a",
		Start: func(ctx context.Context) (Child, error) {
			q := quick{done: make(chan struct{})}
			started <- q
			return q, nil
		}}}, Options{})
	if err != nil {
		b.Fatal(err)
	}
	q := <-started
	for b.Loop() {
		close(q.done)
		q = <-started
	}
	b.StopTimer()
	if err := s.Stop(bg); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkStartChild is the time until a start is acknowledged, and, with an id, until that child is gone again: beside
// few others and beside many, which must cost the same.
func BenchmarkStartChild(b *testing.B) {
	for _, n := range []int{1, 100_000} {
		b.Run(fmt.Sprintf("supervisor/beside %d", n), func(b *testing.B) {
			s, err := Start(bg, Flags{}, nil, Options{})
			if err != nil {
				b.Fatal(err)
			}
			for i := range n {
				if err := s.StartChild(bg, ChildSpec{ID: fmt.Sprint(i), Start: newStill}); err != nil {
					b.Fatal(err)
				}
			}
			spec := ChildSpec{ID: "x", Start: newStill, Restart: Temporary}
			b.ReportAllocs()
			for b.Loop() {
				if err := s.StartChild(bg, spec); err != nil {
					b.Fatal(err)
				}
				if err := s.TerminateChild(bg, "x"); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			end(s)
		})
	}
	b.Run("dynamic", func(b *testing.B) {
		d, err := StartDynamic(bg, DynamicFlags{}, Options{})
		if err != nil {
			b.Fatal(err)
		}
		spec := ChildSpec{Start: newStill}
		b.ReportAllocs()
		for b.Loop() {
			if _, err := d.StartChild(bg, spec); err != nil {
				b.Fatal(err)
			}
		}
		b.StopTimer()
		end(d)
	})
}

// BenchmarkIdleChild is what a supervised Notifier costs in memory when it does nothing.
func BenchmarkIdleChild(b *testing.B) {
	for b.Loop() {
		b.ReportMetric(bytesPerIdle(b, 100_000), "B/child")
	}
}

// bytesPerIdle is the heap and the stacks per idle supervised child, without the child itself.
func bytesPerIdle(tb testing.TB, n int) float64 {
	tb.Helper()
	d, err := StartDynamic(bg, DynamicFlags{}, Options{})
	if err != nil {
		tb.Fatal(err)
	}
	children := make([]*still, n)
	for i := range children {
		children[i] = new(still)
	}
	before := inUse()
	for _, c := range children {
		if _, err := d.StartChild(bg, ChildSpec{Start: func(context.Context) (Child, error) { return c, nil }}); err != nil {
			tb.Fatal(err)
		}
	}
	used := float64(inUse()-before) / float64(n)
	end(d)
	runtime.KeepAlive(children)
	return used
}

func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
