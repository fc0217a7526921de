package observer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"semper/actor"
	"semper/supervise"
)

// Many processes crash while semper asks, hangs up and comes back; no report is told twice, and those told and those
// said to be lost are not more than there were.
func TestCrashesWhileSemperComesAndGoes(t *testing.T) {
	t.Parallel()
	const workers, rounds = 8, 20
	l := listen(t, socket(t))
	u := NewUplink(Options{Socket: l.path, Queue: 16})
	var reported atomic.Int64
	ctx := actor.WithReporter(quiet, func(actor.CrashReport) { reported.Add(1) })
	var specs []supervise.ChildSpec
	for i := range workers {
		specs = append(specs, actorSpec(fmt.Sprint(i)))
	}
	s, err := u.Run(ctx, supervise.Flags{Name: "shop", Intensity: 1 << 20}, specs, supervise.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	seen, lost := map[string]bool{}, uint64(0)
	take := func(c Crash) {
		mu.Lock()
		defer mu.Unlock()
		if seen[c.PID] {
			t.Errorf("%s is told twice", c.PID)
		}
		if c.Path != "shop/"+c.Label {
			t.Errorf("%s of %s", c.Path, c.Label)
		}
		seen[c.PID] = true
		lost += c.Dropped
	}
	var crashing sync.WaitGroup
	for i := range workers {
		crashing.Go(func() {
			for range rounds {
				for _, c := range s.Children() {
					p, ok := c.Child.(process)
					if !ok || c.ID != fmt.Sprint(i) {
						continue
					}
					if r, err := actor.RefOf[any](p.PID()); err == nil {
						_ = r.Cast(errBoom)
						<-p.PID().Done()
					}
				}
			}
		})
	}
	for range 3 {
		c := l.accept(t, take)
		for range 20 {
			n := started(t, c)
			if below(t, n, ID).State != "running" {
				t.Errorf("%+v", n)
			}
		}
		c.Close()
	}
	crashing.Wait()
	last := l.accept(t, take)
	started(t, last)
	stop(t, s) // tells what is left
	<-last.Done()
	mu.Lock()
	defer mu.Unlock()
	if told := int64(len(seen)) + int64(lost); told == 0 || told > reported.Load() {
		t.Errorf("%d told and %d lost, of %d", len(seen), lost, reported.Load())
	}
}

func BenchmarkTree(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d, err := supervise.StartDynamic(quiet, supervise.DynamicFlags{}, supervise.Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer func() { d.Kill(); <-d.Done() }()
			for range n {
				if _, err := d.StartChild(quiet, actorSpec("a")); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				Tree(d)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/child")
		})
	}
}

// odd is a child whose methods panic.
type odd struct{ supervise.Child }

func (odd) PID() actor.PID { panic("odd") }

// A child of the program's own making that breaks when it is looked at costs neither a report nor the connection.
func TestOddChildren(t *testing.T) {
	t.Parallel()
	l := listen(t, socket(t))
	u, s := run(t, Options{Socket: l.path}, supervise.Flags{Name: "shop", Intensity: 3}, supervise.ChildSpec{
		ID: "odd", Start: func(ctx context.Context) (supervise.Child, error) {
			c, err := supervise.Serve(waits)(ctx)
			return odd{c}, err
		},
	}, actorSpec("cart"))
	crashes := make(chan Crash, 1)
	c := l.accept(t, func(c Crash) { crashes <- c })
	var remote *RemoteError
	for range 2 * slots {
		if _, err := c.Tree(soon(t)); !errors.As(err, &remote) || !strings.Contains(remote.Text, "odd") {
			t.Errorf("%v", err)
		}
	}
	_ = ref(t, s, "cart").Cast(errBoom)
	select {
	case got := <-crashes:
		if got.Path != "shop/cart" || got.Reason != "crash: boom" {
			t.Errorf("%+v", got)
		}
	case <-soon(t).Done():
		t.Fatal("no crash came")
	}
	if u.dropped.Load() != 0 {
		t.Error("a report was lost")
	}
}
