package control_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/control"
)

// TestWrongAddressIsSaidAndSeldomLookedFor lets an app listen elsewhere. What a check costs must not grow with the connections
// the machine has, so the look that explains a failed one is not taken with each.
func TestWrongAddressIsSaidAndSeldomLookedFor(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		m.behaviour["r1"] = "silent"
		r := request("one")
		web := r.Spec.Services["web"]
		web.Instances, web.Listen, web.Health = 1, semper.ListenSocket, semper.Health{Kind: semper.HealthTCP, Grace: semper.Duration(20 * time.Second)}
		r.Spec.Services["web"] = web
		first, err := c.Deploy(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		looks := func(after time.Duration) int {
			time.Sleep(after)
			synctest.Wait()
			m.mu.Lock()
			defer m.mu.Unlock()
			return m.looks
		}
		if n := looks(900 * time.Millisecond); n != 0 {
			t.Errorf("%d looks at the table of connections in the first second of an instance, want none", n)
		}
		if n := looks(20 * time.Second); n < 10 || n > 20 {
			t.Errorf("%d looks in 20 seconds, want about one a second", n)
		}
		end, err := c.WaitRollout(t.Context(), "bar", "", first.ID, "live")
		if err != nil || !strings.Contains(end.Reason, "the process listens on 127.0.0.1:8000") {
			t.Fatalf("failed with %q, %v: want where it listens", end.Reason, err)
		}
	})
}

// TestTheKeeperIsToldBeforeRequestsAreSent checks that an instance found ready gets its share of the processors while no
// edge knows of it, and that none is announced that the keeper knows of first.
func TestTheKeeperIsToldBeforeRequestsAreSent(t *testing.T) {
	for kind, want := range map[semper.HealthKind][]string{
		semper.HealthExec:   {"bar/web.r1.1 incarnation 1, edges know of it: false", "bar/web.r1.2 incarnation 1, edges know of it: false"},
		semper.HealthNone:   {"bar/web.r1.1 incarnation 1, edges know of it: false", "bar/web.r1.2 incarnation 1, edges know of it: false"},
		semper.HealthNotify: nil,
	} {
		t.Run(string(kind), func(t *testing.T) {
			in(t, func(t *testing.T, m *machine, c *control.Control) {
				r := request("one")
				web := r.Spec.Services["web"]
				web.Health = semper.Health{Kind: kind, Exec: []string{"true"}}
				r.Spec.Services["web"] = web
				first, err := c.Deploy(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				if end, err := c.WaitRollout(t.Context(), "bar", "", first.ID, "live"); err != nil || !end.State.Live() {
					t.Fatalf("deploy is %s: %s, %v", end.State, end.Reason, err)
				}
				time.Sleep(time.Minute) // of checks that stay good
				synctest.Wait()
				if !m.published("bar/web.r1.1") || !m.published("bar/web.r1.2") {
					t.Error("no edge knows of the instances: what is wanted here says nothing")
				}
				m.mu.Lock()
				defer m.mu.Unlock()
				slices.Sort(m.foundReady)
				if !slices.Equal(m.foundReady, want) {
					t.Errorf("the keeper was told of %q, want %q", m.foundReady, want)
				}
			})
		})
	}
}
