package control_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"semper"
)

// TestWhoIsToldFindsWhatItIsToldOf follows the events and looks at the state after each: it is as the event says, or further.
func TestWhoIsToldFindsWhatItIsToldOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		defer m.follow()()
		c, stop := m.run(m.store)
		defer stop()
		events, err := c.Events(t.Context(), "bar", 0, true)
		if err != nil {
			t.Fatal(err)
		}
		const releases = 20
		followed := make(chan int)
		go func() {
			n := 0
			for e := range events {
				var told, is int
				if _, err := fmt.Sscanf(e.Rollout, "d-%d", &told); err != nil {
					continue
				}
				st := current(t, c)
				if _, err := fmt.Sscanf(st.Rollout.ID, "d-%d", &is); err != nil || is < told {
					t.Errorf("told %s of %s, and the newest rollout is %q", e.Kind, e.Rollout, st.Rollout.ID)
				}
				if e.Kind == "rollout."+string(semper.RolloutDrain) {
					if is == told && !st.Rollout.State.Live() {
						t.Errorf("told that %s is live, and it is %s", e.Rollout, st.Rollout.State)
					}
					if n++; n == releases {
						break
					}
				}
			}
			followed <- n
		}()
		for i := range releases {
			deploy(t, c, fmt.Sprint("v", i))
		}
		if n := <-followed; n != releases {
			t.Errorf("%d releases came live, told are %d", releases, n)
		}
	})
}
