package control_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/control"
)

// withSteps is a request for a release with steps.
func withSteps(version string, steps ...semper.Step) api.DeployRequest {
	r := request(version)
	r.Spec.Warm, r.Spec.Deploy = semper.Duration(10*time.Second), &semper.Deploy{Steps: steps}
	return r
}

// alone are steps that need no verdict: a pause, and all of the requests, with which nothing is left to compare.
func alone() []semper.Step {
	return []semper.Step{{Kind: semper.StepPause}, {Kind: semper.StepTraffic, Share: 1, For: semper.Duration(5 * time.Second)}}
}

func TestPlanTellsTheSteps(t *testing.T) {
	in(t, func(t *testing.T, _ *machine, c *control.Control) {
		deploy(t, c, "one")
		r := withSteps("two", semper.Step{Kind: semper.StepTraffic, Share: 0.05, For: semper.Duration(time.Minute)}, semper.Step{Kind: semper.StepPause}, semper.Step{Kind: semper.StepTraffic, Share: 0.5})
		p, err := c.Plan(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range p.Steps {
			got = append(got, string(s.State)+": "+s.What)
		}
		all := strings.Join(got, "\n")
		for _, want := range []string{
			"start: start 1 instance of r2 and as many new ones of r1", "trial: step 1 of 3: 5 % of the requests, 1m0s at least",
			"trial: step 2 of 3: pause", "trial: step 3 of 3: 50 % of the requests", "start: start the other 1 instance of r2", "connect: ", "watch: ",
		} {
			if !strings.Contains(all, want) {
				t.Errorf("no %q in\n%s", want, all)
			}
		}
		r.Spec.Deploy.Steps[2].Share = 0.01
		if _, err := c.Plan(t.Context(), r); semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), "deploy.steps[2]") {
			t.Errorf("a share that shrinks: %v", err)
		}
	})
}

func TestSteeringATrial(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		deploy(t, c, "one")
		r := withSteps("two", semper.Step{Kind: semper.StepTraffic, Share: 0.5})
		began, err := c.Deploy(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		s := current(t, c)
		if s.Release != "r1" || s.Rollout.State != semper.RolloutTrial || len(s.Rollout.Way) != 1 || s.Rollout.Trial.Share != 0.5 {
			t.Fatalf("without requests: %s, %s: %s", s.Release, s.Rollout.State, s.Rollout.Step)
		}
		roles := map[string]int{}
		for _, in := range s.Instances {
			roles[in.Role]++
		}
		if roles["candidate"] != 1 || roles["baseline"] != 1 || roles["current"] != 2 {
			t.Errorf("instances %v", roles)
		}
		for range 2 {
			if p, err := c.Pause(t.Context(), "", "", "ann"); err != nil || p.Trial.PausedBy != "ann" {
				t.Fatalf("pause: %+v %v", p.Trial, err)
			}
		}
		if p, err := c.ResumeRollout(t.Context(), "", "", "ann"); err != nil || p.Trial.Paused {
			t.Fatalf("resume: %+v %v", p.Trial, err)
		}
		if _, err := c.Promote(t.Context(), "", "", api.Promotion{By: "ann", Step: 1}); err != nil {
			t.Fatal(err)
		}
		if r, err := c.WaitRollout(t.Context(), "bar", "", began.ID, "live"); err != nil || !r.State.Live() || r.Trial.Passed[0].By != "ann" {
			t.Fatalf("%s %+v %v", r.State, r.Trial, err)
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := current(t, c); len(s.Instances) != 2 || s.Release != "r2" {
			t.Errorf("%s with %d instances", s.Release, len(s.Instances))
		}
	})
}

// mortalModel counts the commits that change an environment or a run of a pipeline, and lets the judge's records pass until it is dead.
type mortalModel struct{ mortalStore }

func (s *mortalModel) Commit(ctx context.Context, t semper.Txn) (int64, error) {
	moves := slices.ContainsFunc(t.Then, func(w semper.Write) bool {
		return strings.HasPrefix(w.Key, "env/") || strings.HasPrefix(w.Key, "pipeline-run/")
	})
	if !moves && !s.dead() {
		return s.Store.Commit(ctx, t)
	}
	return s.mortalStore.Commit(ctx, t)
}

// TestNextControlFinishesATrial kills control after every number of commits of transitions in turn, in a rollout that goes through all
// kinds of transitions of a trial. Between the two, what serves is the old release or a declared split; the next one goes on,
// and when its pause is ended, brings it to its end. No instance is started twice.
func TestNextControlFinishesATrial(t *testing.T) {
	t.Parallel()
	const commits = 20
	for n := range commits {
		synctest.Test(t, func(t *testing.T) {
			m := newMachine(t)
			defer m.follow()()
			c, stop := m.run(m.store)
			deploy(t, c, "one")
			stop()
			c, stop = m.run(&mortalModel{mortalStore{Store: m.store, left: n}})
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			_, err := c.Deploy(ctx, withSteps("two", alone()...))
			time.Sleep(time.Second)
			if err == nil {
				_, _ = c.ResumeRollout(ctx, "", "", "ann") // which may find no store
			}
			time.Sleep(15 * time.Second)
			if n == commits-1 && !current(t, c).Rollout.State.Live() {
				t.Errorf("%d commits are not all that there are", n)
			}
			cancel()
			stop()
			c, stop = m.run(m.store)
			defer stop()
			time.Sleep(time.Second)
			synctest.Wait()
			s := current(t, c)
			if r := s.Rollout; s.Release != "r1" && !slices.Contains([]semper.RolloutState{semper.RolloutConnect, semper.RolloutDrain, semper.RolloutWatch, semper.RolloutRetire, semper.RolloutDone}, r.State) {
				t.Errorf("after %d commits: %s serves at %s", n, s.Release, r.State)
			}
			if tr := s.Rollout.Trial; tr != nil && tr.Paused {
				if _, err := c.ResumeRollout(t.Context(), "", "", "ann"); err != nil {
					t.Errorf("after %d commits: %v", n, err)
				}
			}
			time.Sleep(40 * time.Second)
			synctest.Wait()
			s = current(t, c)
			if !s.Rollout.State.Ended() || err == nil && s.Release != "r2" || len(s.Instances) != 2 {
				t.Errorf("after %d commits: %s of %s with %d instances: %s", n, s.Rollout.State, s.Release, len(s.Instances), s.Rollout.Step)
			}
			for id, times := range m.started {
				if times != 1 {
					t.Errorf("after %d commits: %s was started %d times", n, id, times)
				}
			}
		})
	}
}
