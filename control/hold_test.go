package control_test

import (
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/control"
)

// TestHoldEndsWithWhatItWaitsFor: requests wait for a migration to begin, so that is asked often.
func TestHoldEndsWithWhatItWaitsFor(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		deploy(t, c, "one")
		m.mu.Lock()
		m.inFlight["bar/web.r1.1"] = semper.InFlight{semper.ClassRequest: 1, semper.ClassWrite: 1}
		m.mu.Unlock()
		q := request("two")
		q.Spec.Migrate = &semper.Migration{Service: semper.Service{Command: []string{"x"}}, Hold: semper.HoldWrites}
		if _, err := c.Deploy(t.Context(), q); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := current(t, c); s.Rollout.State != semper.RolloutHold {
			t.Fatalf("with a write under way: %s", s.Rollout.State)
		}
		m.mu.Lock()
		m.inFlight["bar/web.r1.1"] = semper.InFlight{semper.ClassRequest: 1}
		m.mu.Unlock()
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if s := current(t, c); s.Rollout.State != semper.RolloutMigrate {
			t.Fatalf("a moment after it ended: %s", s.Rollout.State)
		}
	})
}
