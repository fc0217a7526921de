package arms

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestTheWallClockIsReadOnceInAWhile, and where nobody says how much time has passed, each time.
func TestTheWallClockIsReadOnceInAWhile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var w wall
		began := time.Now()
		is := func(what string, at time.Duration, want time.Duration) {
			t.Helper()
			if got := w.now(int64(at)).Sub(began.Truncate(time.Second)); got != want {
				t.Errorf("%s: %v later, want %v", what, got, want)
			}
		}
		is("at first", time.Minute, 0)
		time.Sleep(10 * time.Second)
		is("a moment later, as far as the edge knows", time.Minute+wallAge/2, 0)
		is("a moment before, on another loop", time.Minute-wallAge/2, 0)
		is("without the edge's clock", 0, 10*time.Second)
		is("after that", time.Minute+wallAge/2, 10*time.Second)
		time.Sleep(5 * time.Second)
		is("when a while is over", time.Minute+2*wallAge, 15*time.Second)
	})
}
