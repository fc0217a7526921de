package room

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestRoom has many come and go, and never more in it than places.
func TestRoom(t *testing.T) {
	t.Parallel()
	const places, guests, visits = 3, 16, 500
	r := New(places)
	var inside, came atomic.Int64
	var wg sync.WaitGroup
	for i := range guests {
		wg.Go(func() {
			for range visits {
				if i%2 == 0 {
					if err := r.Wait(t.Context()); err != nil {
						t.Error(err)
						return
					}
				} else if !r.Take() {
					continue
				}
				if n := inside.Add(1); n > places {
					t.Errorf("%d are in a room of %d", n, places)
				}
				came.Add(1)
				inside.Add(-1)
				r.Leave()
			}
		})
	}
	wg.Wait()
	if came.Load() < guests/2*visits {
		t.Errorf("only %d came", came.Load())
	}
	for range places {
		if !r.Take() {
			t.Fatal("a place was lost")
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.Wait(ctx); !errors.Is(err, context.Canceled) || r.Take() {
		t.Errorf("a full room: %v", err)
	}
}

// TestPart has guests of two parts come and go, and never more of them than their part and the whole have places.
func TestPart(t *testing.T) {
	t.Parallel()
	const guests, visits = 8, 300
	whole := New(3)
	parts := []*Room{whole.Part(2), whole.Part(0)}
	bounds := []int64{2, 3}
	var all, came atomic.Int64
	inside := make([]atomic.Int64, len(parts))
	var wg sync.WaitGroup
	for i := range guests {
		n := i % len(parts)
		wg.Go(func() {
			for range visits {
				if err := parts[n].Wait(t.Context()); err != nil {
					t.Error(err)
					return
				}
				if in, of := inside[n].Add(1), all.Add(1); in > bounds[n] || of > 3 {
					t.Errorf("%d are in part %d, %d in the whole", in, n, of)
				}
				came.Add(1)
				inside[n].Add(-1)
				all.Add(-1)
				parts[n].Leave()
			}
		})
	}
	wg.Wait() // nobody waits for a place that is free: then this would never end
	if came.Load() != guests*visits {
		t.Errorf("%d came", came.Load())
	}
	for range 3 {
		if !whole.Take() {
			t.Fatal("a place of the whole was lost")
		}
	}
	for _, p := range parts {
		if p.Take() {
			t.Error("somebody is in a part, and the whole is full")
		}
	}
	if (*Room)(nil).Part(0) != nil {
		t.Error("a part of what has no end has one")
	}
}

func TestNoRoomIsWithoutEnd(t *testing.T) {
	t.Parallel()
	r := New(0)
	if !r.Take() || r.Wait(t.Context()) != nil {
		t.Error("somebody was kept out")
	}
	r.Leave()
}
