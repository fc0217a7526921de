package lane_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper/edge/hold"
	"semper/edge/lane"
)

// TestWhoWaitsGoesInOrder once the gate opens, and the pump ends with the last of them.
func TestWhoWaitsGoesInOrder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var open atomic.Bool
		var pumps sync.WaitGroup
		began := 0
		l := lane.New(lane.Options{
			Gate: func() hold.Gate { return hold.Gate{All: !open.Load(), Ready: true, Rate: 1000} },
			Pump: func(pump func(context.Context)) bool {
				began++
				pumps.Go(func() { pump(t.Context()) })
				return true
			},
		})
		var order []int
		var mu sync.Mutex
		far := time.Now().Add(time.Hour)
		for i := range 5 {
			w := &hold.Waiter{Held: far, Backend: far, Let: func(v hold.Verdict) {
				mu.Lock()
				defer mu.Unlock()
				if v == hold.Go {
					order = append(order, i)
				}
			}}
			if l.Join(w, hold.Bounds{Requests: 5, Bytes: 1}, false) != hold.Wait {
				t.Fatalf("number %d does not wait", i)
			}
		}
		if l.Join(&hold.Waiter{Held: far, Backend: far}, hold.Bounds{Requests: 5, Bytes: 1}, false) != hold.ShedRequests {
			t.Error("there was room for a sixth")
		}
		if !l.Behind(false) || !l.Behind(true) || l.Waiting() != 5 || began != 1 {
			t.Errorf("%d wait behind %d pumps", l.Waiting(), began)
		}
		open.Store(true)
		l.Wake()
		pumps.Wait()
		for i, got := range order {
			if got != i {
				t.Errorf("in order %v", order)
			}
		}
		if len(order) != 5 || l.Behind(true) || l.Waiting() != 0 {
			t.Errorf("%v went, %d wait", order, l.Waiting())
		}
	})
}

// TestWhoLeavesIsNotLetGo, and where there is no goroutine any more nobody is let go at all.
func TestWhoLeavesIsNotLetGo(t *testing.T) {
	t.Parallel()
	l := lane.New(lane.Options{
		Gate: func() hold.Gate { return hold.Gate{Writes: true, Ready: true} },
		Pump: func(func(context.Context)) bool { return false },
	})
	far := time.Now().Add(time.Hour)
	w := &hold.Waiter{Unsafe: true, Held: far, Backend: far, Let: func(hold.Verdict) { t.Error("let go") }}
	if l.Join(w, hold.Bounds{Requests: 1, Bytes: 1}, false) != hold.Wait || l.Behind(false) || !l.Behind(true) {
		t.Error("only unsafe requests wait behind it")
	}
	if !l.Leave(w) || l.Leave(w) || l.Waiting() != 0 {
		t.Error("it leaves once")
	}
}
