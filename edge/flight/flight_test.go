package flight_test

import (
	"sync"
	"testing"

	"semper"
	"semper/edge/flight"
)

func TestClassesAddUp(t *testing.T) {
	t.Parallel()
	var n flight.Count
	n.Turn(flight.Request, flight.Of(true)) // a write
	n.Turn(flight.Request, flight.Of(false))
	n.Turn(flight.Request, flight.Of(true))
	n.Turn(flight.Write, flight.Stream) // whose answer is a stream
	n.Turn(flight.Request, flight.WebSocket)
	want := map[semper.Class]int64{semper.ClassRequest: 1, semper.ClassWrite: 1, semper.ClassStream: 1, semper.ClassWebSocket: 1}
	for c := flight.Request; c < flight.Classes; c++ {
		if got := n.Load(c, 4); got != want[c.Name()] {
			t.Errorf("%s: %d, want %d", c.Name(), got, want[c.Name()])
		}
	}
}

// TestNothingIsLostBetweenClasses turns exchanges back and forth side by side, and counts them in the end.
func TestNothingIsLostBetweenClasses(t *testing.T) {
	t.Parallel()
	var n flight.Count
	n.Turn(flight.Request, flight.Write)
	var turning sync.WaitGroup
	for range 4 {
		turning.Go(func() {
			for range 5000 {
				n.Turn(flight.Request, flight.Write)
				n.Turn(flight.Write, flight.Stream)
				n.Turn(flight.Stream, flight.Request)
			}
		})
	}
	turning.Wait()
	if w, s, r := n.Load(flight.Write, 1), n.Load(flight.Stream, 1), n.Load(flight.Request, 1); w != 1 || s != 0 || r != 0 {
		t.Errorf("write %d, stream %d, request %d: want 1, 0, 0", w, s, r)
	}
}
