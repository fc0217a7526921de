package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/control"
	"semper/pipeline/course"
)

const soaks = 20 * time.Second

// judgedOnTheWay is a release that is judged in beta and, once it has run there for a while, in production.
func judgedOnTheWay(version string) api.DeployRequest {
	r := withSteps(version, append([]semper.Step{{Kind: semper.StepShadow, Share: .5, For: seconds(3), Requests: 50}}, shares(.1, .5)...)...)
	r.Spec.Environments = map[string]semper.Overlay{"beta": {Hosts: map[string]string{"*": "beta.example.com"}}}
	r.Pipeline = &semper.Pipeline{Stages: []semper.Stage{
		{Environment: "beta", Gates: []semper.Gate{{Kind: semper.GateShadow}, {Kind: semper.GateCanary}}},
		{Environment: "production", Gates: []semper.Gate{{Kind: semper.GateSoak, For: semper.Duration(soaks)}, {Kind: semper.GateCanary}}},
	}}
	return r
}

// An odyssey is a release on its way while control is killed.
type odyssey struct {
	ordeal
	sound semper.PoolKey // none of its requests fails
	ends  course.State
}

// TestNextControlFinishesARunOfJudgedRollouts kills control after every number of transitions in turn, until there is none left, in a run through
// beta to production that is judged in both and soaks between. Until the next one goes on, both have the old release or a declared split of
// it; then the run comes to what the judge makes of its release, and never to production before its time.
func TestNextControlFinishesARunOfJudgedRollouts(t *testing.T) {
	t.Parallel()
	trial := []string{"beta trial 1", "beta trial 2", "beta trial 3"}
	both := append(trial, "production, which soaks", "production trial 1", "production trial 2")
	for name, o := range map[string]odyssey{
		"as good":             {ordeal{fails: .001, end: "r2", at: append(both, "production trial 3", "production")}, "", course.Passed},
		"differs in beta":     {ordeal{fails: .001, differs: true, end: "r1", at: trial[:1]}, "", course.Failed},
		"fails in production": {ordeal{fails: .05, end: "r1", at: both}, "bar/beta/web", course.Failed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			seen, n := make(map[string]bool), 0
			for finished := false; !finished && n < 120 && !t.Failed(); n++ {
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

// dies has control die after n transitions of the run or of its rollouts. It returns what was left, and whether there was nothing left to do.
func (o *odyssey) dies(t *testing.T, n int) (at string, finished bool) {
	m := newMachine(t)
	m.differs, m.sound = o.differs, o.sound
	defer m.follow()()
	defer m.carry(map[semper.ReleaseName]float64{"r1": .001, "r2": o.fails})()
	c, kill := m.run(m.store)
	for _, environment := range []string{"beta", ""} {
		first := judgedOnTheWay("one")
		first.Environment, first.Hotfix = environment, "the first of all"
		if _, err := c.Deploy(as(t, "root", api.Admin), first); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
	}
	kill()

	mortal := &mortalModel{mortalStore{Store: m.store, left: n}}
	c, kill = m.run(mortal)
	ctx, cancel := context.WithTimeout(as(t, "dev", api.Deployer), 5*time.Second)
	if _, err := c.StartRun(ctx, judgedOnTheWay("two")); err != nil && !mortal.dead() && !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	for i := 0; i < 1500 && !mortal.dead(); i++ {
		time.Sleep(100 * time.Millisecond)
	}
	finished = !mortal.dead()
	time.Sleep(time.Second) // in which requests go on
	cancel()
	kill()
	at = m.way(t, n)

	c, kill = m.run(m.store)
	defer func() { kill() }()
	time.Sleep(2 * time.Second)
	synctest.Wait()
	p, err := c.Pipelines(t.Context(), "bar")
	if err != nil {
		t.Fatal(err)
	}
	if len(p[0].Runs) == 0 { // nothing was begun
		return at, finished
	}
	o.ended(t, n, c)
	m.once(t, n)
	return at, finished
}

// ended waits for the end of the run, and holds it against what was to become of it.
func (o *odyssey) ended(t *testing.T, n int, c *control.Control) {
	t.Helper()
	r := until(t, c, "ended", ended)
	if r.State != o.ends {
		t.Errorf("after %d transitions: %s is %s: %s", n, r.ID, r.State, r.Reason)
	}
	for i, environment := range []string{"beta", "production"} {
		s := rested(t, c, environment)
		want := o.end
		if environment == "beta" && o.sound != "" {
			want = "r2"
		}
		if s.Release != want || !s.Rollout.State.Ended() || len(s.Instances) != 2 {
			t.Errorf("after %d transitions: %s has %s with %d instances, and %s is %s: %s", n, environment, s.Release, len(s.Instances), s.Rollout.ID, s.Rollout.State, s.Rollout.Step)
		}
		if i == 1 && s.Rollout.To == "r2" && s.Rollout.StartedAt.Sub(r.Stages[0].LiveAt) < soaks {
			t.Errorf("after %d transitions: production began at %s, %s after beta was live", n, s.Rollout.StartedAt, s.Rollout.StartedAt.Sub(r.Stages[0].LiveAt))
		}
	}
}

// way checks that both environments have what is declared of them, and says how far the run has come.
func (m *machine) way(t *testing.T, n int) string {
	t.Helper()
	beta, production := m.declared(t, n, "beta"), m.declared(t, n, "production")
	items, _, err := m.store.List(t.Context(), "pipeline-run/")
	if err != nil {
		t.Fatal(err)
	}
	if len(items) == 0 {
		return "nothing"
	}
	var r course.Run
	if err := json.Unmarshal(items[0].Value, &r); err != nil {
		t.Fatal(err)
	}
	switch r.Stages[1].State {
	case course.StagePending:
		return "beta " + beta
	case course.StageBefore:
		return "production, which soaks"
	case course.StageDeploy:
		return fmt.Sprint("production ", production)
	default:
		return "production"
	}
}
