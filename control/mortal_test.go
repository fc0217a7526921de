package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/control"
	"semper/experiment/design"
)

// An ordeal is a release that is judged while control is killed.
type ordeal struct {
	steps   []semper.Step
	fails   float64            // of its requests
	differs bool               // it answers copies as the current release never does
	end     semper.ReleaseName // that serves at the end
	at      []string           // where control must have died at least once
}

func seconds(n int) semper.Duration { return semper.Duration(time.Duration(n) * time.Second) }

// shares are steps with parts of the requests.
func shares(all ...float64) (out []semper.Step) {
	for _, s := range all {
		out = append(out, semper.Step{Kind: semper.StepTraffic, Share: s, For: seconds(4), Requests: 20})
	}
	return out
}

// TestNextControlFinishesAJudgedRollout kills control after every number of transitions in turn, until there is none left, in rollouts that are
// judged by what clients meet and by how copies of requests are answered. Between the two the old release serves, or a declared split; the
// next one promotes what is as good, and returns what is not.
func TestNextControlFinishesAJudgedRollout(t *testing.T) {
	t.Parallel()
	long := []semper.Step{{Kind: semper.StepTraffic, Share: .05, For: seconds(20), Requests: 500}, {Kind: semper.StepTraffic, Share: .5, For: seconds(20), Requests: 500}}
	shadow := []semper.Step{{Kind: semper.StepShadow, Share: .5, For: seconds(5), Requests: 100}}
	for name, o := range map[string]ordeal{
		"two steps":               {steps: long, fails: .001, end: "r2", at: []string{"stage", "start", "trial 1", "trial 2", "watch"}},
		"two steps, errors":       {steps: long, fails: .05, end: "r1", at: []string{"stage", "start", "trial 1"}},
		"many steps":              {steps: shares(.01, .05, .25, .5, 1), fails: .001, end: "r2", at: []string{"trial 1", "trial 2", "trial 3", "trial 4", "trial 5", "watch"}},
		"copies, then steps":      {steps: append(shadow, shares(.1, .5)...), fails: .001, end: "r2", at: []string{"start", "trial 1", "trial 2", "trial 3", "watch"}},
		"copies differ":           {steps: append(shadow, shares(.1, .5)...), fails: .001, differs: true, end: "r1", at: []string{"start", "trial 1"}},
		"copies, and then errors": {steps: append(shadow, shares(.1, .5)...), fails: .05, end: "r1", at: []string{"start", "trial 1", "trial 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen, n := make(map[string]bool), 0
			for finished := false; !finished && n < 60 && !t.Failed(); n++ {
				synctest.Test(t, func(t *testing.T) {
					var at string
					at, finished = o.dies(t, n)
					seen[at] = true
				})
			}
			for _, at := range o.at {
				if !seen[at] {
					t.Errorf("of %d deaths none was at %s: %v", n, at, seen)
				}
			}
		})
	}
}

// dies has control die after n transitions. It returns what was left, and whether there was nothing left to do.
func (o *ordeal) dies(t *testing.T, n int) (at string, finished bool) {
	m := newMachine(t)
	m.differs = o.differs
	defer m.follow()()
	defer m.carry(map[semper.ReleaseName]float64{"r1": .001, "r2": o.fails})()
	c, kill := m.run(m.store)
	deploy(t, c, "one")
	kill()
	mortal := &mortalModel{mortalStore{Store: m.store, left: n}}
	c, kill = m.run(mortal)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	_, err := c.Deploy(ctx, withSteps("two", o.steps...))
	for i := 0; i < 900 && !mortal.dead(); i++ {
		time.Sleep(100 * time.Millisecond)
	}
	finished = !mortal.dead()
	time.Sleep(time.Second) // in which requests go on
	cancel()
	kill()
	at = m.declared(t, n, "production")

	c, kill = m.run(m.store)
	defer func() { kill() }()
	s := rested(t, c, "production")
	switch r := s.Rollout; {
	case err != nil && r.ID == "d-1": // nothing was begun
	case s.Release != o.end, !r.State.Ended(), len(s.Instances) != 2, o.end == "r1" && r.State != semper.RolloutFailed:
		t.Errorf("after %d transitions: %s serves with %d instances, %s is %s: %s; it waits for %q", n, s.Release, len(s.Instances), r.ID, r.State, r.Reason, r.Step)
	}
	m.once(t, n)
	return at, finished
}

// rested waits until nothing of an environment is under way any more, for two minutes at most.
func rested(t *testing.T, c *control.Control, environment string) (s api.Status) {
	t.Helper()
	for range 24 {
		time.Sleep(5 * time.Second)
		synctest.Wait()
		var err error
		if s, err = c.Status(t.Context(), "bar", environment); err != nil {
			t.Fatal(err)
		}
		if s.Rollout.State.Ended() && len(s.Instances) == 2 {
			break
		}
	}
	return s
}

// once checks that no instance was started twice.
func (m *machine) once(t *testing.T, n int) {
	t.Helper()
	for id, times := range m.started {
		if times != 1 {
			t.Errorf("after %d transitions: %s was started %d times", n, id, times)
		}
	}
}

// declared checks that what edges go by is what the stored rollout says: all to one release, or the share of the step that it has come to,
// and no copies but those of that step. It returns how far the rollout is.
func (m *machine) declared(t *testing.T, n int, environment string) string {
	t.Helper()
	var table semper.Table
	var env semper.Environment
	for key, into := range map[string]any{"table": &table, "env/bar/" + environment: &env} {
		it, err := m.store.Get(t.Context(), key)
		if err == nil {
			err = json.Unmarshal(it.Value, into)
		}
		if err != nil {
			t.Fatal(key, err)
		}
	}
	r := env.Rollout
	at, onTrial := string(r.State), r.Trial != nil && r.Epoch > 0 && !r.State.Ended() && !r.State.Live() && r.State != semper.RolloutConnect
	if r.State == semper.RolloutTrial {
		at = fmt.Sprintf("trial %d", r.Trial.Step+1)
	}
	pool := semper.NamePool("bar", environment, "web")
	i := slices.IndexFunc(table.Pools, func(p semper.Pool) bool { return p.Key == pool })
	if i < 0 {
		t.Fatalf("after %d transitions: no route leads to %s", n, pool)
	}
	p, share, copies := table.Pools[i], 0.0, 0.0
	if p.Split != nil {
		share = p.Split.Arms[0].Share
	}
	if p.Shadow != nil {
		copies = p.Shadow.Share
	}
	if !onTrial && share+copies > 0 || onTrial && (share != r.Trial.Share || copies != r.Trial.Shadow) {
		t.Errorf("after %d transitions: %s is at %s, and %s has %v of the requests and copies of %v: %+v", n, r.ID, at, r.To, share, copies, r.Trial)
	}
	if onTrial && p.Release != r.From {
		t.Errorf("after %d transitions: %s serves at %s", n, p.Release, at)
	}
	if p.Release != env.Current.Release {
		t.Errorf("after %d transitions: %s serves at %s, and the environment has %s", n, p.Release, at, env.Current.Release)
	}
	return at
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
	m.once(t, n)
	return end
}
