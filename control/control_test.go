package control_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/control"
)

func epochOf(b []byte) semper.Epoch {
	var t semper.Table
	if json.Unmarshal(b, &t) != nil {
		return -1
	}
	return t.Epoch
}

// in runs f on a fresh machine in a bubble of its own time.
func in(t *testing.T, f func(t *testing.T, m *machine, c *control.Control)) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		defer m.follow()()
		c, stop := m.run(m.store)
		defer stop()
		f(t, m, c)
	})
}

func request(version string) api.DeployRequest {
	return api.DeployRequest{
		Artifact: semper.DigestOf([]byte(version)), By: "tester",
		Spec: semper.Spec{
			App: "bar", Warm: semper.Duration(time.Minute), Routes: []semper.RouteRule{{Path: "/", To: "web"}},
			Services: map[string]semper.Service{"web": {Type: semper.Web, Instances: 2, Command: []string{"x"}, Health: semper.Health{Kind: semper.HealthNotify}}},
		},
	}
}

func deploy(t *testing.T, c *control.Control, version string) semper.Rollout {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	r, err := c.Deploy(ctx, request(version))
	if err != nil {
		t.Fatal(err)
	}
	if !r.State.Ended() {
		if r, err = c.WaitRollout(ctx, "bar", "", r.ID, "live"); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

func current(t *testing.T, c *control.Control) api.Status {
	t.Helper()
	s, err := c.Status(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestDeployMovesEverythingAndKeepsTheOldWarm(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		if r := deploy(t, c, "one"); !r.State.Live() {
			t.Fatalf("first deploy is %s: %s", r.State, r.Reason)
		}
		deploy(t, c, "two")
		s := current(t, c)
		if s.Release != "r2" || s.Previous != "r1" || !s.Warm || len(s.Instances) != 4 {
			t.Fatalf("after two deploys: %s, previous %s, warm %t, %d instances", s.Release, s.Previous, s.Warm, len(s.Instances))
		}
		r, err := c.Rollback(t.Context(), "bar", "", "", "tester")
		if err != nil {
			t.Fatal(err)
		}
		if r, err = c.WaitRollout(t.Context(), "bar", "", r.ID, "live"); err != nil || !r.State.Live() {
			t.Fatalf("rollback: %s %v", r.State, err)
		}
		if s := current(t, c); s.Release != "r1" || len(m.started) != 4 {
			t.Fatalf("rollback went to %s and started %d instances in all, want r1 and 4: a warm release needs no start", s.Release, len(m.started))
		}
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		if s := current(t, c); s.Warm || len(s.Instances) != 2 || s.Rollout.State != semper.RolloutDone || s.Previous != "r2" {
			t.Fatalf("after the warm time: warm %t, %d instances, %s, previous %s", s.Warm, len(s.Instances), s.Rollout.State, s.Previous)
		}
	})
}

func TestSameValueIsTheSameRelease(t *testing.T) {
	in(t, func(t *testing.T, _ *machine, c *control.Control) {
		deploy(t, c, "one")
		deploy(t, c, "two")
		if r := deploy(t, c, "one"); r.To != "r1" {
			t.Fatalf("the first value again became %s", r.To)
		}
		if r := deploy(t, c, "one"); r.State != semper.RolloutDone || !strings.Contains(r.Reason, "nothing to change") {
			t.Fatalf("deploy of what is current: %s %q", r.State, r.Reason)
		}
	})
}

func TestFailedDeployLeavesTheOldReleaseServing(t *testing.T) {
	for name, tc := range map[string]struct{ behaviour, want string }{
		"exits at once": {"exit", "exit code 3"},
		"never ready":   {"silent", "was not ready within 30s: it has not sent READY=1"},
	} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, m *machine, c *control.Control) {
				m.behaviour["r2"] = tc.behaviour
				deploy(t, c, "one")
				epoch := current(t, c).Epoch
				r := deploy(t, c, "two")
				if r.State != semper.RolloutFailed || !strings.Contains(r.Reason, tc.want) {
					t.Fatalf("%s: %q, want %q", r.State, r.Reason, tc.want)
				}
				if tc.behaviour == "exit" && (len(r.Tail) == 0 || r.Instance == "") {
					t.Errorf("no evidence: instance %q, tail %q", r.Instance, r.Tail)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				if s := current(t, c); s.Release != "r1" || s.Epoch != epoch || len(s.Instances) != 2 {
					t.Errorf("after the failure: %s at epoch %d (was %d), %d instances", s.Release, s.Epoch, epoch, len(s.Instances))
				}
			})
		})
	}
}

func TestStagingErrorFailsTheRollout(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		m.stageErr = &semper.Error{Code: semper.NoSpace, Message: "no space left"}
		if r := deploy(t, c, "one"); r.State != semper.RolloutFailed || !strings.Contains(r.Reason, "no space left") {
			t.Fatalf("%s: %q", r.State, r.Reason)
		}
		m.mu.Lock()
		m.stageErr = nil
		m.mu.Unlock()
		if r := deploy(t, c, "one"); !r.State.Live() {
			t.Fatalf("after room was made: %s: %q", r.State, r.Reason)
		}
	})
}

func TestCrashLoopWithinWatchRollsBack(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		deploy(t, c, "one")
		deploy(t, c, "two")
		m.mu.Lock()
		m.end(m.instances["bar/web.r2.1"], semper.Reason{Kind: semper.ReasonSignal, Signal: "SIGSEGV"}, true)
		m.mu.Unlock()
		time.Sleep(time.Second)
		synctest.Wait()
		s := current(t, c)
		if s.Release != "r1" || s.Rollout.State != semper.RolloutRolledBack || !strings.Contains(s.Rollout.Reason, "crash loop") {
			t.Fatalf("%s, %s: %q", s.Release, s.Rollout.State, s.Rollout.Reason)
		}
		reports, err := c.Crashes(t.Context(), "bar")
		if err != nil || len(reports) != 1 || reports[0].LastGood != "r1" || len(reports[0].Diff) == 0 {
			t.Fatalf("crash reports: %+v, %v", reports, err)
		}
		if len(m.crashes) != 0 {
			t.Errorf("the keeper still has %d reports", len(m.crashes))
		}
	})
}

func TestSecondDeployIsAConflict(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		m.behaviour["r2"] = "silent"
		deploy(t, c, "one")
		if _, err := c.Deploy(t.Context(), request("two")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		_, err := c.Deploy(t.Context(), request("three"))
		if semper.CodeOf(err) != semper.Conflict {
			t.Fatalf("second deploy: %v", err)
		}
		r, err := c.Abort(t.Context(), "bar", "", "tester")
		if err != nil || r.State != semper.RolloutFailed || current(t, c).Release != "r1" {
			t.Fatalf("abort: %s %v", r.State, err)
		}
	})
}

func TestNothingOldStopsBeforeEveryEdgeAcknowledged(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		deploy(t, c, "one")
		m.mu.Lock()
		m.frozen = true
		m.epochs = append(m.epochs, m.epochs[0]) // a second edge; neither follows
		m.mu.Unlock()
		r, err := c.Deploy(t.Context(), request("two"))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := current(t, c); s.Rollout.State != semper.RolloutConnect || m.instances["bar/web.r1.1"].State != semper.Starting {
			t.Fatalf("with no acknowledgement: %s, old instance %s", s.Rollout.State, m.instances["bar/web.r1.1"].State)
		}
		m.mu.Lock()
		m.frozen, m.epochs = false, []semper.Epoch{99}
		m.mu.Unlock()
		if r, err = c.WaitRollout(t.Context(), "bar", "", r.ID, "live"); err != nil || !r.State.Live() {
			t.Fatalf("%s %v", r.State, err)
		}
	})
}

func TestDrainWaitsForWhatIsInFlight(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		deploy(t, c, "one")
		m.mu.Lock()
		m.inFlight["bar/web.r1.1"] = semper.InFlight{semper.ClassRequest: 1}
		m.mu.Unlock()
		deploy(t, c, "two")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if s := current(t, c); s.Rollout.State != semper.RolloutDrain {
			t.Fatalf("with a request in flight on the old release: %s", s.Rollout.State)
		}
		m.mu.Lock()
		clear(m.inFlight)
		m.mu.Unlock()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if s := current(t, c); s.Rollout.State != semper.RolloutWatch {
			t.Fatalf("after it ended: %s", s.Rollout.State)
		}
	})
}

// TestNextControlGoesOn kills the control process after every number of store commits in turn; the
// next one must bring the rollout to its end, and no instance is started twice.
func TestNextControlGoesOn(t *testing.T) {
	t.Parallel()
	for n := range 12 {
		synctest.Test(t, func(t *testing.T) {
			m := newMachine(t)
			defer m.follow()()
			c, stop := m.run(m.store)
			deploy(t, c, "one")
			stop()
			mortal := &mortalStore{Store: m.store, left: n}
			c, stop = m.run(mortal)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			_, err := c.Deploy(ctx, request("two"))
			time.Sleep(time.Second)
			cancel()
			stop()
			c, stop = m.run(m.store)
			defer stop()
			time.Sleep(3 * time.Minute)
			synctest.Wait()
			s := current(t, c)
			if want := semper.ReleaseName("r2"); err == nil && s.Release != want {
				t.Errorf("after %d commits: the acknowledged deploy ended at %s (%s)", n, s.Release, s.Rollout.State)
			}
			if !s.Rollout.State.Ended() {
				t.Errorf("after %d commits: the rollout is still %s: %s", n, s.Rollout.State, s.Rollout.Step)
			}
			for id, times := range m.started {
				if times != 1 {
					t.Errorf("after %d commits: %s was started %d times", n, id, times)
				}
			}
		})
	}
}

var errAway = errors.New("store away")

// mortalStore fails every commit after the first left ones.
type mortalStore struct {
	semper.Store
	mu   sync.Mutex // guards left: tests look at it while others commit
	left int
}

func (s *mortalStore) Commit(ctx context.Context, t semper.Txn) (int64, error) {
	if !s.live() {
		return 0, &semper.Error{Code: semper.Unavailable, Err: errAway}
	}
	return s.Store.Commit(ctx, t)
}

// live takes one of the commits that are left, and reports whether there was one.
func (s *mortalStore) live() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left == 0 {
		return false
	}
	s.left--
	return true
}

func (s *mortalStore) dead() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.left == 0
}

func TestHoldIsAcknowledged(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		deploy(t, c, "one")
		epoch, err := c.Hold(t.Context(), "", "", api.HoldRequest{Writes: true, By: "tester"})
		if err != nil || m.epochs[0] < epoch {
			t.Fatalf("hold at %d, edge at %d: %v", epoch, m.epochs[0], err)
		}
		if s := current(t, c); len(s.Hold) != 1 || !s.Hold[0].Writes {
			t.Fatalf("hold is %+v", s.Hold)
		}
		if _, err := c.Resume(t.Context(), "", "", api.HoldRequest{By: "tester"}); err != nil || len(current(t, c).Hold) > 0 {
			t.Fatalf("resume: %v", err)
		}
	})
}

func TestDeadEdgesAreSettledOnce(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		deploy(t, c, "one")
		key := control.LedgerKey{App: "bar", Release: "r1"}
		m.mu.Lock()
		m.books = []control.Book{{
			Name: "ledger-edge-1-77.bin", PID: 77,
			Counts:  map[control.LedgerKey]semper.Ledger{key: {Accepted: 10, Served: 9}},
			Settled: map[control.LedgerKey]semper.Ledger{key: {Accepted: 10, Served: 9, Cut: 1}},
		}}
		m.mu.Unlock()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if l := current(t, c).Ledger["r1"]; l.Accepted != 10 || l.Cut != 1 {
			t.Fatalf("ledger %+v", l)
		}
		if len(m.dropped) == 0 {
			t.Error("the settled book was not dropped")
		}
	})
}

func TestTrafficOfAnEnvironment(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		deploy(t, c, "one")
		m.mu.Lock()
		m.traffic = api.Traffic{Silent: []string{"edge-2"}, Rows: []api.TrafficRow{
			{Route: ""}, {App: "bar", Environment: "production", Release: "r1"}, {App: "bar", Environment: "beta"}, {App: "foo", Environment: "production"},
		}}
		m.mu.Unlock()
		for _, tc := range []struct {
			app, env string
			rows     int
		}{{"", "", 4}, {"bar", "", 2}, {"bar", "production", 1}, {"", "production", 2}} {
			got, err := c.Traffic(t.Context(), tc.app, tc.env)
			if err != nil || len(got.Rows) != tc.rows || len(got.Silent) != 1 {
				t.Errorf("%+v: %+v %v", tc, got, err)
			}
		}
		if _, err := c.Traffic(t.Context(), "nobody", ""); semper.CodeOf(err) != semper.NotFound {
			t.Errorf("of an app that is not there: %v", err)
		}
		m.mu.Lock()
		m.trafficErr = errors.New("no edge answers")
		m.mu.Unlock()
		if _, err := c.Traffic(t.Context(), "", ""); semper.CodeOf(err) != semper.Unavailable {
			t.Errorf("of silent edges: %v", err)
		}
	})
}

func TestScaleAndRestart(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		deploy(t, c, "one")
		wait := func(r semper.Rollout, err error) {
			t.Helper()
			if err == nil {
				r, err = c.WaitRollout(t.Context(), "bar", "", r.ID, "done")
			}
			if err != nil || r.State != semper.RolloutDone {
				t.Fatalf("%s %v: %s", r.State, err, r.Reason)
			}
		}
		wait(c.Scale(t.Context(), "bar", "", map[string]int{"web": 4}, "tester"))
		wait(c.Scale(t.Context(), "bar", "", map[string]int{"web": 1}, "tester"))
		wait(c.Restart(t.Context(), "bar", "", nil, "tester"))
		s := current(t, c)
		if len(s.Instances) != 1 || s.Instances[0].ID != "bar/web.r1.5" || s.Release != "r1" {
			t.Fatalf("%+v", s.Instances)
		}
		if _, err := c.Scale(t.Context(), "bar", "", map[string]int{"wbe": 1}, "tester"); semper.CodeOf(err) != semper.NotFound {
			t.Errorf("unknown service: %v", err)
		}
	})
}

func TestPlanIsWhatDeployDoes(t *testing.T) {
	in(t, func(t *testing.T, _ *machine, c *control.Control) {
		deploy(t, c, "one")
		p, err := c.Plan(t.Context(), request("two"))
		if err != nil {
			t.Fatal(err)
		}
		if p.From != "r1" || p.To != "r2" || !p.New || len(p.Changes) != 1 {
			t.Errorf("plan %+v", p)
		}
		if current(t, c).Release != "r1" {
			t.Error("a plan changed something")
		}
		var planned, done []semper.RolloutState
		for _, s := range p.Steps {
			planned = append(planned, s.State)
		}
		deploy(t, c, "two")
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		for _, s := range current(t, c).Rollout.Steps {
			if s.State != semper.RolloutDone {
				done = append(done, s.State)
			}
		}
		if strings.Join(words(planned), " ") != strings.Join(words(done), " ") {
			t.Errorf("planned %v, did %v", planned, done)
		}
		stale := request("three")
		stale.ExpectRevision = p.Revision
		if _, err := c.Deploy(t.Context(), stale); semper.CodeOf(err) != semper.Conflict {
			t.Errorf("deploy of a stale plan: %v", err)
		}
	})
}

func words[S ~string](in []S) []string {
	var out []string
	for _, s := range in {
		out = append(out, string(s))
	}
	return out
}

func TestSecretsArePinnedOrRefused(t *testing.T) {
	in(t, func(t *testing.T, _ *machine, c *control.Control) {
		r := request("one")
		svc := r.Spec.Services["web"]
		svc.Env = map[string]semper.EnvVar{"KEY": {Secret: "known"}}
		r.Spec.Services["web"] = svc
		if _, err := c.Deploy(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		rels, err := c.Releases(t.Context(), "bar")
		if err != nil || rels[0].Spec.Services["web"].Env["KEY"].Secret != "known@3" {
			t.Fatalf("%+v %v", rels, err)
		}
		svc.Env = map[string]semper.EnvVar{"KEY": {Secret: "unknown"}}
		r.Spec.Services["web"] = svc
		if _, err := c.Plan(t.Context(), r); semper.CodeOf(err) != semper.Invalid {
			t.Errorf("unknown secret: %v", err)
		}
	})
}
