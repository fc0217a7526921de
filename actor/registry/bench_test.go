package registry

import (
	"fmt"
	"testing"
	"time"

	"semper/actor"
)

// filled is a registry with n entries of one process, and that process as it sees itself.
func filled(t testing.TB, o Options, n int) (*Registry[int, int], *actor.Self[job]) {
	t.Helper()
	r := New[int, int](o)
	a := start(t, actor.Options{})
	t.Cleanup(a.PID().Kill)
	var self *actor.Self[job]
	if err := do(t, a, func(s *actor.Self[job]) error {
		self = s
		for i := range n {
			if err := r.Register(s, i, i); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return r, self
}

func BenchmarkFind(b *testing.B) {
	each(b, func(b *testing.B, r *Registry[int, int], _ *actor.Self[job], n int) {
		for i := 0; b.Loop(); i++ {
			if _, ok := r.Find(i % n); !ok {
				b.Fatal("not found")
			}
		}
	})
}

func BenchmarkWhereis(b *testing.B) {
	each(b, func(b *testing.B, r *Registry[int, int], _ *actor.Self[job], n int) {
		for i := 0; b.Loop(); i++ {
			if _, err := r.Whereis(i % n); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkRegister registers a key and takes it back.
func BenchmarkRegister(b *testing.B) {
	each(b, func(b *testing.B, r *Registry[int, int], self *actor.Self[job], n int) {
		for i := 0; b.Loop(); i++ {
			key := n + i%n
			if err := r.Register(self, key, 0); err != nil {
				b.Fatal(err)
			}
			r.Unregister(self, key)
		}
	})
}

func each(b *testing.B, f func(b *testing.B, r *Registry[int, int], self *actor.Self[job], n int)) {
	for _, n := range []int{1, 1_000_000} {
		b.Run(fmt.Sprintf("entries=%d", n), func(b *testing.B) {
			r, self := filled(b, Options{Partitions: 8}, n)
			b.ReportAllocs()
			f(b, r, self, n)
		})
	}
}

func BenchmarkLookupParallel(b *testing.B) {
	r, _ := filled(b, Options{Partitions: 8}, 1000)
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			r.Find(i % 1000)
		}
	})
}

func BenchmarkLock(b *testing.B) {
	r := New[string, int](Options{})
	for b.Loop() {
		_ = r.Lock(quiet, "key", func() error { return nil })
	}
}

// TestCostDoesNotGrow compares a registry of few entries with one of many. A look-up or a registration that went through
// the entries would cost ten thousand times as much in the larger; cache misses make it a few times.
func TestCostDoesNotGrow(t *testing.T) {
	t.Parallel()
	for _, keys := range []Keys{Unique, Duplicate, DuplicateByKey} {
		cost := func(n int) time.Duration {
			r, self := filled(t, Options{Keys: keys, Partitions: 2}, n)
			best := time.Duration(1 << 62)
			for range 5 {
				begin := time.Now()
				for i := range 200 {
					r.Find(i * 31 % n)
					r.Values(i*31%n, self.PID())
					if err := r.Register(self, n+i, 0); err != nil {
						t.Fatal(err)
					}
					r.Unregister(self, n+i)
				}
				best = min(best, time.Since(begin))
			}
			return best
		}
		if small, large := cost(10), cost(100_000); large > 100*small {
			t.Errorf("%v: 10 entries %v, 100,000 entries %v", keys, small, large)
		}
	}
}
