package control_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/control"
	"semper/task"
)

// crons is a request with a web service, a task, and a cron that is due each ten seconds.
func crons(version string) api.DeployRequest {
	r := request(version)
	r.Spec.Warm = semper.Duration(time.Second)
	r.Spec.Services["once"] = semper.Service{Type: semper.Task, Command: []string{"once"}}
	r.Spec.Services["report"] = semper.Service{Type: semper.Cron, Command: []string{"report"}, Task: task.Settings{Schedule: "@every 10s", Overlap: task.Queue}.Raw()}
	return r
}

// live deploys r and waits until the release before is gone.
func live(t *testing.T, c *control.Control, m *machine, r api.DeployRequest) {
	t.Helper()
	m.blobs[r.Artifact] = true
	ro, err := c.Deploy(t.Context(), r)
	if err == nil {
		_, err = c.WaitRollout(t.Context(), "bar", "", ro.ID, "done")
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestKillsAroundCrons kills the control process, which leaves the rest as it is, at random moments while a cron is due again and again: each due
// time has one run, each run one start, and each end is told once.
func TestKillsAroundCrons(t *testing.T) {
	t.Parallel()
	for seed := range 6 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := newMachine(t)
				defer m.follow()()
				c, kill := m.run(m.store)
				live(t, c, m, crons("one"))
				for i := range 60 {
					time.Sleep(time.Duration((i*37+seed*911)%4000) * time.Millisecond)
					kill()
					time.Sleep(time.Duration(i*53%300) * time.Millisecond)
					c, kill = m.run(m.store)
				}
				time.Sleep(time.Minute)
				all, err := c.Tasks(context.Background(), "bar", "")
				if err != nil {
					t.Fatal(err)
				}
				dues := map[string]string{}
				for _, k := range all {
					if k.Due.IsZero() {
						t.Errorf("who asked for %+v?", k)
					}
					if other := dues[k.Due.String()]; other != "" {
						t.Errorf("%s and %s are due at %s", other, k.ID, k.Due)
					}
					dues[k.Due.String()] = k.ID
				}
				kill()
				m.mu.Lock()
				defer m.mu.Unlock()
				runs := 0
				for id, n := range m.started {
					if task.IDOf(id) == "" {
						continue
					}
					if runs++; n != 1 {
						t.Errorf("%s was started %d times", id, n)
					}
				}
				if runs < 10 || len(dues) < 10 {
					t.Errorf("%d runs of %d due times", runs, len(dues))
				}
			})
		})
	}
}

func TestTaskOfARelease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		defer m.follow()()
		c, kill := m.run(m.store)
		defer func() { kill() }()
		ctx := context.Background()
		live(t, c, m, crons("one"))
		m.mu.Lock()
		m.hang = true
		m.mu.Unlock()
		k, err := c.BeginTask(ctx, api.TaskRequest{Command: []string{"./manage", "users"}, By: "ann", Deadline: semper.Duration(time.Hour)})
		if err != nil || k.Service != "web" || k.Release != "r1" || k.State != task.Starting {
			t.Fatalf("%+v %v", k, err)
		}
		time.Sleep(time.Second)
		st, err := c.Status(ctx, "bar", "")
		if err != nil || len(st.Tasks) == 0 || st.Tasks[len(st.Tasks)-1].State != task.Running || len(st.Crons) != 1 || st.Crons[0].Next.IsZero() {
			t.Fatalf("%+v %v", st, err)
		}
		for _, in := range st.Instances {
			if task.IDOf(in.ID) != "" {
				t.Errorf("%s is no instance", in.ID)
			}
		}
		m.mu.Lock()
		spec := m.instances[k.Unit].Spec
		m.mu.Unlock()
		if !spec.Apart || spec.Spec.Restart != semper.Temporary || !spec.Until.Equal(k.Until) || spec.Spec.Command[0] != "./manage" {
			t.Errorf("%+v", spec)
		}
		// It outlives a deploy in its release, whose artifact stays, and the control process.
		live(t, c, m, crons("two"))
		live(t, c, m, crons("three"))
		time.Sleep(time.Minute)
		kill()
		c, kill = m.run(m.store)
		if gc, err := c.GC(ctx, "bar", 1, true); err != nil || gc.Kept != 3 {
			t.Errorf("%+v %v", gc, err)
		}
		if again, err := c.Task(ctx, k.ID); err != nil || again.State != task.Running || again.Release != "r1" {
			t.Errorf("%+v %v", again, err)
		}
		if _, err := c.EndTask(ctx, k.ID, "bob", "enough"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if end, err := c.Task(ctx, k.ID); err != nil || end.State != task.Stopped || end.Why != "enough" || end.Stop.By != "bob" {
			t.Errorf("%+v %v", end, err)
		}
	})
}
