package control_test

import (
	"context"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/experiment/design"
)

// TestNextControlFinishesAJudgedRollout kills control after every number of transitions in turn, in a rollout that is judged by what
// clients meet. Between the two the old release serves, or a declared split; the next one promotes what is as good, and returns what is not.
func TestNextControlFinishesAJudgedRollout(t *testing.T) {
	t.Parallel()
	for fails, release := range map[float64]semper.ReleaseName{.001: "r2", .05: "r1"} {
		t.Run(string("ends with "+release), func(t *testing.T) {
			t.Parallel()
			seen := make(map[semper.RolloutState]bool)
			for n := range 14 {
				synctest.Test(t, func(t *testing.T) { seen[dies(t, n, fails, release)] = true })
			}
			for _, at := range []semper.RolloutState{semper.RolloutStage, semper.RolloutStart, semper.RolloutTrial} {
				if !seen[at] {
					t.Errorf("control never died at %s", at)
				}
			}
		})
	}
}

// dies has control die after n transitions of a rollout whose requests fail so often. It returns the state that was left.
func dies(t *testing.T, n int, fails float64, want semper.ReleaseName) semper.RolloutState {
	m := newMachine(t)
	defer m.follow()()
	defer m.carry(map[semper.ReleaseName]float64{"r1": .001, "r2": fails})()
	c, kill := m.run(m.store)
	deploy(t, c, "one")
	kill()
	mortal := &mortalModel{mortalStore{Store: m.store, left: n}}
	c, kill = m.run(mortal)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	_, err := c.Deploy(ctx, stepped("two"))
	for i := 0; i < 700 && !mortal.dead(); i++ {
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(time.Second) // in which requests go on
	cancel()
	kill()
	left := m.declared(t, n)

	c, kill = m.run(m.store)
	defer func() { kill() }()
	time.Sleep(80 * time.Second)
	synctest.Wait()
	s := current(t, c)
	switch r := s.Rollout; {
	case err != nil && r.ID == "d-1": // nothing was begun
	case s.Release != want, want == "r1" && r.State != semper.RolloutFailed, want == "r2" && !r.State.Live():
		t.Errorf("after %d transitions: %s serves, %s is %s: %s; it waits for %q", n, s.Release, r.ID, r.State, r.Reason, r.Step)
	}
	for id, times := range m.started {
		if times != 1 {
			t.Errorf("after %d transitions: %s was started %d times", n, id, times)
		}
	}
	return left
}

// declared checks that what edges go by is what the stored rollout says: all to one release, or the share of a step that it has come to.
func (m *machine) declared(t *testing.T, n int) semper.RolloutState {
	t.Helper()
	var table semper.Table
	var env semper.Environment
	for key, into := range map[string]any{"table": &table, "env/bar/production": &env} {
		it, err := m.store.Get(t.Context(), key)
		if err == nil {
			err = json.Unmarshal(it.Value, into)
		}
		if err != nil {
			t.Fatal(key, err)
		}
	}
	r := env.Rollout
	for _, p := range table.Pools {
		if p.Key != "bar/production/web" {
			continue
		}
		share := 0.0
		if p.Split != nil {
			share = p.Split.Arms[0].Share
		}
		steps := stepped("two").Spec.Deploy.Steps
		if share > 0 && (r.Trial == nil || share > steps[min(r.Trial.Step, len(steps)-1)].Share) {
			t.Errorf("after %d transitions: %s is at %s, and %s has %v of the requests", n, r.ID, r.State, r.To, share)
		}
		if p.Arm == "" && p.Release != "r1" && !r.State.Live() && r.State != semper.RolloutConnect {
			t.Errorf("after %d transitions: %s serves at %s", n, p.Release, r.State)
		}
	}
	return r.State
}

// TestNextControlFinishesAnExperimentOfReleases kills control after every number of transitions in turn, from the start of an experiment
// of releases to the end of the rollout that promotes its winner. The next one has users on both releases, or on the winner, or on the
// current one alone, as it was declared last, and leaves nothing running that serves nobody.
func TestNextControlFinishesAnExperimentOfReleases(t *testing.T) {
	t.Parallel()
	ends := make(map[string]bool)
	for n := range 14 {
		synctest.Test(t, func(t *testing.T) { ends[diesComparing(t, n)] = true })
	}
	for _, end := range []string{"nothing was begun", string(design.Running), string(design.Promoted)} {
		if !ends[end] {
			t.Errorf("no death led to %q: %v", end, ends)
		}
	}
}

func diesComparing(t *testing.T, n int) (end string) {
	m := newMachine(t)
	defer m.follow()()
	c, kill := m.run(m.store)
	for _, version := range []string{"one", "two", "one"} {
		r := request(version)
		r.Spec.Warm = semper.Duration(5 * time.Second)
		if _, err := c.Deploy(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second) // until nothing is warm
	}
	kill()
	mortal := &mortalModel{mortalStore{Store: m.store, left: n}}
	c, kill = m.run(mortal)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	_ = c.StartExperiment(ctx, "bar", "", design.Plan{
		Name: "checkout", By: "header:X-User",
		Variants: []design.Variant{{Name: "control", Share: .5}, {Name: "green", Share: .5, Release: "r2"}},
		Metrics:  []design.Metric{{Name: "order", Kind: design.MetricConversion, Role: design.RolePrimary}},
	}, false, "ann") // whether it was told or not
	cancel()
	time.Sleep(3 * time.Second)
	ctx, cancel = context.WithTimeout(t.Context(), 5*time.Second)
	_ = c.EndExperiment(ctx, "bar", "", "checkout", "green", "ann")
	time.Sleep(5 * time.Second)
	cancel()
	kill()

	c, kill = m.run(m.store)
	defer func() { kill() }()
	time.Sleep(time.Minute)
	synctest.Wait()
	list, err := c.Experiments(t.Context(), "bar", "")
	if err != nil {
		t.Fatal(err)
	}
	s := current(t, c)
	ready := make(map[semper.ReleaseName]int)
	for _, in := range s.Instances {
		if in.State == semper.Ready {
			ready[in.Release]++
		}
	}
	release, others := semper.ReleaseName("r1"), 0
	if end = "nothing was begun"; len(list) > 0 {
		end = string(list[0].State)
	}
	switch end {
	case string(design.Running):
		others = 1
	case string(design.Promoted):
		release = "r2"
	}
	if s.Release != release || ready[release] != 2 || len(s.Instances) != 2+others || !s.Rollout.State.Ended() || end == string(design.Starting) {
		t.Errorf("after %d transitions: %s, %s serves with %v: %s is %s", n, end, s.Release, ready, s.Rollout.ID, s.Rollout.State)
	}
	for id, times := range m.started {
		if times != 1 {
			t.Errorf("after %d transitions: %s was started %d times", n, id, times)
		}
	}
	return end
}
