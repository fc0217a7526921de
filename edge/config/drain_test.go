package config

import (
	"testing"
	"time"

	"semper"
)

// A table comes without a monotonic clock; what is made of it has one, and keeps it over the tables
// that repeat the instant after somebody has set the clock.
func TestClockJumpMovesNoDeadline(t *testing.T) {
	t.Parallel()
	now := time.Now()
	wall := now.Add(30 * time.Second).Round(0).UTC()
	d := semper.Draining{Request: wall, Stream: wall, WebSocket: wall}
	first := Steady(semper.Draining{}, d, now)
	if left := first.Request.Sub(now); left < 29*time.Second || left > 31*time.Second {
		t.Fatalf("%s left, want 30s", left)
	}
	jumped := now.Round(0).Add(time.Hour) // an hour ahead, as after settimeofday
	again := Steady(first, d, jumped)
	if again.Request != first.Request || again.WebSocket != first.WebSocket {
		t.Errorf("after the jump the instant is %v, was %v", again.Request, first.Request)
	}
	if now.Add(time.Second).After(again.Request) {
		t.Error("a second later it has passed")
	}
}
