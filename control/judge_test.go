package control_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/control"
	"semper/control/judging"
	"semper/edge/mirror/told"
)

const record = "judge/bar/production/d-2"

// carry has the edges carry 1,000 requests a second for each service, and copies of them, as the stored table says. Of those each release
// fails its part. It goes on until the returned function is called.
func (m *machine) carry(fails map[semper.ReleaseName]float64) func() {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		counts := make(map[string]*semper.ArmCounts)
		serve := func(pool semper.PoolKey, rollout string, arm semper.Arm, r semper.ReleaseName, n float64) {
			id := strings.Join([]string{string(pool), rollout, string(arm), string(r)}, "|")
			if counts[id] == nil {
				counts[id] = &semper.ArmCounts{Edge: "edge-1@1", Pool: pool, Rollout: rollout, Arm: arm, Release: r}
			}
			c := counts[id]
			c.Assigned += uint64(n)
			c.Requests += uint64(n)
			if pool != m.sound {
				c.Failed = uint64(math.Floor(float64(c.Requests) * fails[r]))
			}
		}
		copied := make(map[string]uint64)
		var table semper.Table
		version := int64(-1)
		for ctx.Err() == nil {
			if it, err := m.store.Get(ctx, "table"); err == nil && it.Version != version {
				table, version = semper.Table{}, it.Version
				if err := json.Unmarshal(it.Value, &table); err != nil {
					panic(err)
				}
			}
			split(table, serve)
			m.copy(table, copied)
			m.mu.Lock()
			m.arms = nil
			for _, c := range counts {
				out := *c
				out.Latency = latencies(c.Requests)
				m.arms = append(m.arms, out)
			}
			m.mu.Unlock()
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	return func() { cancel(); <-done }
}

// split spreads a hundred requests of each service.
func split(t semper.Table, serve func(pool semper.PoolKey, rollout string, arm semper.Arm, r semper.ReleaseName, n float64)) {
	releases := make(map[semper.PoolKey]semper.ReleaseName)
	for _, p := range t.Pools {
		releases[p.Key] = p.Release
	}
	for _, p := range t.Pools {
		if p.Arm != "" {
			continue
		}
		left, rollout := 100.0, ""
		if p.Split != nil {
			rollout = p.Split.Rollout
			for _, a := range p.Split.Arms {
				n := math.Round(100 * a.Share)
				left -= n
				serve(p.Key, rollout, a.Arm, releases[p.Key.PoolOf(a.Arm)], n)
			}
		}
		serve(p.Key, rollout, semper.ArmStable, p.Release, left)
	}
}

// copy copies as many of a hundred requests of each service as the table says. copied is how many there were, by rollout.
func (m *machine) copy(t semper.Table, copied map[string]uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range t.Pools {
		if p.Shadow == nil {
			continue
		}
		n := copied[p.Shadow.Rollout] + uint64(100*p.Shadow.Share)
		copied[p.Shadow.Rollout] = n
		c := told.Counts{Edge: "edge-1@1", Pool: p.Key, Rollout: p.Shadow.Rollout, Release: "r2", Sampled: n, Pairs: n, Copies: n}
		if m.differs {
			place := fmt.Sprintf(`{"candidate": %d, "places": [{"endpoint": "GET /", "path": ["body", "price"], "kind": "changed", "seen": %d, "candidate": %d}]}`, n, n, n)
			if err := json.Unmarshal([]byte(place), &c); err != nil {
				panic(err)
			}
		}
		m.shadows = append(slices.DeleteFunc(m.shadows, func(o told.Counts) bool { return o.Rollout == c.Rollout }), c)
	}
}

// latencies are n of the same, as package sketch encodes them: version 1, after 1,000 empty buckets.
func latencies(n uint64) []byte {
	if n == 0 {
		return nil
	}
	b := []byte{1, 0xe8, 0x07}
	for ; n >= 0x80; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n))
}

// stepped is a deploy with two steps.
func stepped(version string) api.DeployRequest {
	r := request(version)
	r.Spec.Deploy = &semper.Deploy{Steps: []semper.Step{
		{Kind: semper.StepTraffic, Share: .05, For: semper.Duration(20 * time.Second), Requests: 500},
		{Kind: semper.StepTraffic, Share: .5, For: semper.Duration(20 * time.Second), Requests: 500},
	}}
	return r
}

// tried deploys r1 and begins the trial of r2.
func tried(t *testing.T, c *control.Control) semper.Rollout {
	t.Helper()
	deploy(t, c, "one")
	r, err := c.Deploy(t.Context(), stepped("two"))
	if err != nil || r.ID != "d-2" {
		t.Fatal(r.ID, err)
	}
	return r
}

func TestTheJudgeReturnsAndPromotes(t *testing.T) {
	for name, tc := range map[string]struct {
		fails   float64
		state   semper.RolloutState
		release semper.ReleaseName
	}{"worse": {.02, semper.RolloutFailed, "r1"}, "alike": {.001, semper.RolloutWatch, "r2"}} {
		t.Run(name, func(t *testing.T) {
			in(t, func(t *testing.T, m *machine, c *control.Control) {
				defer m.carry(map[semper.ReleaseName]float64{"r1": .001, "r2": tc.fails})()
				tried(t, c)
				time.Sleep(90 * time.Second)
				s := current(t, c)
				if s.Rollout.State != tc.state || s.Release != tc.release {
					t.Fatalf("%s on %s: %s; it waits for %q", s.Rollout.State, s.Release, s.Rollout.Reason, s.Rollout.Step)
				}
				if tc.state == semper.RolloutFailed && !strings.Contains(s.Rollout.Reason, "errors") {
					t.Errorf("the reason is %q", s.Rollout.Reason)
				}
				it, err := m.store.Get(t.Context(), record)
				if err != nil {
					t.Fatal(err)
				}
				var r judging.Record
				if err := json.Unmarshal(it.Value, &r); err != nil {
					t.Fatal(err)
				}
				if got := r.Verdict.Outcome == semper.Worse; got != (tc.state == semper.RolloutFailed) {
					t.Errorf("the stored verdict is %+v", r.Verdict)
				}
			})
		})
	}
}

// Without traffic nothing is said, and nothing moves, for as long as one likes.
func TestWithoutTrafficNothingMoves(t *testing.T) {
	in(t, func(t *testing.T, _ *machine, c *control.Control) {
		tried(t, c)
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		s := current(t, c)
		if s.Rollout.State != semper.RolloutTrial || !strings.Contains(s.Rollout.Step, "no request of r2") {
			t.Errorf("%s, waiting for %q", s.Rollout.State, s.Rollout.Step)
		}
	})
}

// TestKillingTheJudge kills control every few seconds. No request is lost for the judge or counted twice.
func TestKillingTheJudge(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		defer m.follow()()
		stop := m.carry(map[semper.ReleaseName]float64{"r1": .001, "r2": .001})
		c, kill := m.run(m.store)
		tried(t, c)
		for range 10 {
			time.Sleep(3300 * time.Millisecond)
			kill()
			c, kill = m.run(m.store)
		}
		defer func() { kill() }()
		time.Sleep(40 * time.Second)
		stop()
		time.Sleep(10 * time.Second)
		if s := current(t, c); s.Release != "r2" {
			t.Fatalf("%s: %s; it waits for %q", s.Rollout.State, s.Rollout.Reason, s.Rollout.Step)
		}
		it, err := m.store.Get(t.Context(), record)
		if err != nil {
			t.Fatal(err)
		}
		var r judging.Record
		if err := json.Unmarshal(it.Value, &r); err != nil {
			t.Fatal(err)
		}
		var counted, served int64
		for _, s := range r.Steps {
			counted += s.Candidate.Requests
		}
		m.mu.Lock()
		for _, a := range m.arms {
			if a.Release == "r2" {
				served += int64(a.Requests)
			}
		}
		m.mu.Unlock()
		if counted != served {
			t.Errorf("%d requests of the candidate are counted, of %d", counted, served)
		}
	})
}

// A record that cannot be read is no reason to let the candidate pass, and none to return it.
func TestARecordThatIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		m := newMachine(t)
		defer m.follow()()
		defer m.carry(map[semper.ReleaseName]float64{"r1": .001, "r2": .5})()
		c, kill := m.run(m.store)
		deploy(t, c, "one")
		m.mu.Lock()
		m.armsErr = context.DeadlineExceeded // so that it is not convicted before
		m.arms = nil
		m.mu.Unlock()
		if _, err := m.store.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: record, Value: []byte("what?")}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Deploy(t.Context(), stepped("two")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		s := current(t, c)
		if s.Rollout.State != semper.RolloutTrial || !strings.Contains(s.Rollout.Step, "not readable") {
			t.Errorf("%s, waiting for %q", s.Rollout.State, s.Rollout.Step)
		}
		events, err := c.Events(t.Context(), "bar", 0, false)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for e := range events {
			if e.Kind == "verdict.refused" {
				n++
			}
		}
		if n < 1 || n > 4 {
			t.Errorf("it is told by %d events", n)
		}
		kill()
	})
}

// An edge that does not answer may have seen what the others have not.
func TestASilentEdgeHolds(t *testing.T) {
	in(t, func(t *testing.T, m *machine, c *control.Control) {
		defer m.carry(map[semper.ReleaseName]float64{"r1": .001, "r2": .001})()
		m.mu.Lock()
		m.armsErr = context.DeadlineExceeded
		m.mu.Unlock()
		tried(t, c)
		time.Sleep(2 * time.Minute)
		if s := current(t, c); s.Rollout.State != semper.RolloutTrial || !strings.Contains(s.Rollout.Step, "an edge does not answer") {
			t.Errorf("%s, waiting for %q", s.Rollout.State, s.Rollout.Step)
		}
		m.mu.Lock()
		m.armsErr = nil
		m.mu.Unlock()
		time.Sleep(2 * time.Minute)
		if s := current(t, c); s.Release != "r2" {
			t.Errorf("%s: %s, waiting for %q", s.Rollout.State, s.Rollout.Reason, s.Rollout.Step)
		}
	})
}
