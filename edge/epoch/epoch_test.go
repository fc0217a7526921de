package epoch

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
)

func TestZeroCurrent(t *testing.T) {
	t.Parallel()
	var c Current[int]
	if c.Load() != nil {
		t.Error("a zero Current has a value")
	}
	one := 1
	if before := c.Swap(&one); before != nil || c.Load() != &one {
		t.Errorf("Swap returned %v and left %v", before, c.Load())
	}
}

func TestClaimByAnOldValueIsTakenBack(t *testing.T) {
	t.Parallel()
	var c Current[int]
	var n Count
	one, two := 1, 1
	c.Swap(&one)
	if !c.Claim(&one, &n) || n.Load() != 1 {
		t.Fatalf("a claim by the current value is not granted, or not counted: %d", n.Load())
	}
	c.Swap(&two)
	if c.Claim(&one, &n) {
		t.Error("a claim by a value that is not current is granted: equal is not the same")
	}
	if n.Load() != 1 {
		t.Errorf("%d in flight, want the one that was granted", n.Load())
	}
	n.Release()
	if n.Load() != 0 {
		t.Errorf("%d in flight after all have ended", n.Load())
	}
}

func TestIdleIsToldByTheLast(t *testing.T) {
	t.Parallel()
	var n Count
	told := 0
	n.OnIdle(func() { told++ })
	n.Claim()
	n.Claim()
	n.Release()
	n.Release()
	if told != 0 || n.Idle() {
		t.Fatal("a Count that is not retired is never idle")
	}
	n.Claim()
	n.Claim()
	n.Retire()
	if n.Load() != 2 {
		t.Errorf("Load is %d of a retired Count with two in flight", n.Load())
	}
	n.Release()
	if told != 0 || n.Idle() {
		t.Fatal("idle with one in flight")
	}
	n.Release()
	if told != 1 || !n.Idle() {
		t.Fatalf("told %d times, idle %v; want once, true", told, n.Idle())
	}
	n.Restore()
	n.Claim()
	n.Release()
	if told != 1 || n.Idle() {
		t.Error("a restored Count is in use again")
	}
}

func TestIdleOfShards(t *testing.T) {
	t.Parallel()
	shards := make([]Count, 3)
	shards[2].Claim()
	for i := range shards {
		shards[i].Retire()
	}
	if Idle(shards) {
		t.Error("idle with one in flight on the last shard")
	}
	shards[2].Release()
	if !Idle(shards) {
		t.Error("not idle with nothing in flight")
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c Current[int]
		one, two, three := 1, 2, 3
		c.Swap(&one)
		var woken atomic.Int32
		for range 3 {
			go func() {
				<-c.Changed(&one)
				woken.Add(1)
			}()
			synctest.Wait()
		}
		if woken.Load() != 0 {
			t.Fatal("woken while nothing changed")
		}
		c.Swap(&two)
		synctest.Wait()
		if woken.Load() != 3 {
			t.Errorf("%d of 3 woken by a swap", woken.Load())
		}
		<-c.Changed(&one) // over for long
		later := c.Changed(&two)
		select {
		case <-later:
			t.Error("the present value is over")
		default:
		}
		c.Swap(&three)
		<-later
	})
}

func TestNoAllocation(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	var c Current[int]
	var n Count
	one := 1
	c.Swap(&one)
	if got := testing.AllocsPerRun(1000, func() {
		if s := c.Load(); c.Claim(s, &n) {
			n.Release()
		}
	}); got != 0 {
		t.Errorf("%v allocations per request", got)
	}
}

// BenchmarkClaim is what a request pays for the protocol. Apart has a Count for each processor.
func BenchmarkClaim(b *testing.B) {
	b.Run("alone", func(b *testing.B) {
		var c Current[int]
		var n Count
		one := 1
		c.Swap(&one)
		b.ReportAllocs()
		for b.Loop() {
			if s := c.Load(); c.Claim(s, &n) {
				n.Release()
			}
		}
	})
	b.Run("shared", func(b *testing.B) {
		var c Current[int]
		var n Count
		one := 1
		c.Swap(&one)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if s := c.Load(); c.Claim(s, &n) {
					n.Release()
				}
			}
		})
	})
	b.Run("apart", func(b *testing.B) {
		var c Current[int]
		one := 1
		c.Swap(&one)
		b.ReportAllocs()
		b.RunParallel(func(pb *testing.PB) {
			n := new(Count)
			for pb.Next() {
				if s := c.Load(); c.Claim(s, n) {
					n.Release()
				}
			}
		})
	})
}
