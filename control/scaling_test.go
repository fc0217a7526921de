package control_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/autoscale"
	"semper/control"
)

// waitFor makes so many wait for web at an edge.
func (m *machine) waitFor(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = map[semper.PoolKey]int{"bar/production/web": n}
	m.asked += uint64(n)
	close(m.moved)
	m.moved = make(chan struct{})
}

// TestNumbersFollowTheLoad up, down, to nothing, and back when somebody asks: at once.
func TestNumbersFollowTheLoad(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		q := request("one")
		web := q.Spec.Services["web"]
		web.Autoscale = autoscale.Policy{Min: 0, Max: 5, InFlight: 10, Down: autoscale.Pace{After: semper.Duration(time.Minute)}}.WithDefaults(true, false).Encode()
		q.Spec.Services["web"] = web
		r, err := c.Deploy(t.Context(), q)
		if err == nil {
			_, err = c.WaitRollout(t.Context(), "bar", "", r.ID, "done")
		}
		if err != nil {
			t.Fatal(err)
		}
		first := current(t, c).Instances[0].ID
		busy := func(n int) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.inFlight = map[semper.InstanceID]semper.InFlight{first: {semper.ClassRequest: n}}
		}
		sees := func(after time.Duration, n int, why string) {
			t.Helper()
			time.Sleep(after)
			synctest.Wait()
			s := current(t, c)
			if len(s.Scaling) != 1 || s.Scale["web"] != n || s.Scaling[0].Want != n || !strings.Contains(s.Scaling[0].Why, why) {
				t.Fatalf("after %s: %+v, want %d: %s", after, s.Scaling, n, why)
			}
			m.mu.Lock()
			defer m.mu.Unlock()
			for id, in := range m.instances {
				if n == 0 && in.State != semper.Ended {
					t.Errorf("it sleeps, and %s is %s", id, in.State)
				}
			}
		}
		busy(39)
		sees(30*time.Second, 4, "of 10 each")
		busy(0)
		sees(40*time.Second, 4, "")
		sees(20*time.Minute, 0, "")
		sees(time.Hour, 0, "nothing to do")
		m.waitFor(3)
		sees(100*time.Millisecond, 1, "of 10 each")
		m.waitFor(0)
		if got := current(t, c).Instances; len(got) != 1 || got[0].State != semper.Ready || got[0].ID == first {
			t.Errorf("woken are %+v", got)
		}
		if _, err := c.Scale(t.Context(), "bar", "", map[string]int{"web": 2}, "ops"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := current(t, c); s.Scale["web"] != 2 || !s.Scaling[0].ByHand {
			t.Errorf("what somebody set is %+v an hour later", s.Scaling)
		}
		if _, err := c.Scale(t.Context(), "bar", "", map[string]int{"web": api.AutoScale}, "ops"); err != nil {
			t.Fatal(err)
		}
		sees(time.Hour, 0, "nothing to do")
		kinds := map[string]int{}
		events, err := c.Events(t.Context(), "bar", 0, false)
		if err != nil {
			t.Fatal(err)
		}
		for e := range events {
			if strings.HasPrefix(e.Kind, "scale.") {
				kinds[e.Kind]++
			}
		}
		if kinds["scale.up"] == 0 || kinds["scale.down"] == 0 || kinds["scale.asleep"] != 2 || kinds["scale.awake"] != 1 || kinds["scale.by"] != 1 {
			t.Errorf("events %v", kinds)
		}
	})
}
