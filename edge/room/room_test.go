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

func TestNoRoomIsWithoutEnd(t *testing.T) {
	t.Parallel()
	r := New(0)
	if !r.Take() || r.Wait(t.Context()) != nil {
		t.Error("somebody was kept out")
	}
	r.Leave()
}
