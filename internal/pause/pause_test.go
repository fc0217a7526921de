package pause_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"semper/internal/pause"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		if !pause.For(t.Context(), time.Minute) || time.Since(begun) != time.Minute {
			t.Errorf("nobody ended it, and it took %s", time.Since(begun))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		if pause.For(ctx, time.Hour) || time.Since(begun) != time.Second {
			t.Errorf("its context ended after a second, and it took %s", time.Since(begun))
		}
		for range 100 { // either case of a select may be taken when both are ready
			if pause.For(ctx, 0) {
				t.Fatal("its context had ended, and it says go on")
			}
		}
	})
}
