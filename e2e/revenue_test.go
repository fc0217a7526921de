package e2e_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
)

// earning begins a rollout that is judged by what instances push of revenue.
func (s *server) earning() string {
	s.t.Helper()
	all := asked(s, func(ctx context.Context, c *api.Client) ([]api.ReleaseInfo, error) { return c.Releases(ctx, "bar") })
	q := api.DeployRequest{By: "judge", Artifact: all[0].Artifact, Spec: all[len(all)-1].Spec}
	q.Spec.Deploy = &semper.Deploy{
		Steps: []semper.Step{traffic(.5, time.Second)},
		Judge: semper.Judge{Interval: semper.Duration(200 * time.Millisecond), Metrics: []semper.MeanMetric{{Name: "revenue"}}},
	}
	return asked(s, func(ctx context.Context, c *api.Client) (semper.Rollout, error) { return c.Deploy(ctx, q) }).ID
}

// inRole are the instances in a role.
func (s *server) inRole(role string) (ids []string) {
	s.t.Helper()
	for _, in := range s.status().Instances {
		if in.Role == role {
			ids = append(ids, string(in.ID))
		}
	}
	return ids
}

// waits is whether the rollout is on trial, without a verdict for want of data.
func (s *server) waits(id string) bool {
	s.t.Helper()
	r := s.status().Rollout
	if r.ID != id || r.State.Ended() || r.State.Live() {
		s.t.Fatalf("%s is %s: %s", r.ID, r.State, r.Reason)
	}
	t := r.Trial
	return r.State == semper.RolloutTrial && t != nil && t.Verdict != nil && t.Verdict.Outcome == semper.Undecided && strings.Contains(t.Verdict.Why, "revenue")
}

// TestAReleaseIsJudgedByWhatUsersBuy: while no instance pushes what is asked for the rollout is held, over a stop of the whole server
// too; a candidate that sells less is returned.
func TestAReleaseIsJudgedByWhatUsersBuy(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	s := start(t, "--api", addr)
	s.must("deploy", "-f", app(t, "v1", "", ""), "--until=live")
	id := s.earning()
	stop := s.load(4)
	eventually(t, "a metric that never comes holds the rollout", func() bool { return s.waits(id) })
	none(t, "the trial", stop)
	s.stopAll()
	s.run()
	stop = s.load(4)
	eventually(t, "the trial goes on where it was", func() bool { return s.waits(id) })

	token := strings.TrimSpace(s.must("experiment", "token", "-a", "bar"))
	var b api.MetricBatch
	for side, values := range map[string][2]float64{"candidate": {0, 2}, "baseline": {0, 20}} {
		of := s.inRole(side)
		if len(of) == 0 {
			t.Fatalf("no instance is %s", side)
		}
		for i := range 400 {
			b.Values = append(b.Values, api.MetricValue{ID: fmt.Sprint(side, i), Metric: "revenue", Instance: of[i%len(of)], Value: &values[i%2]})
		}
	}
	var answer api.MetricAnswer
	if code := s.asApp(addr, token, "/v1/experiments/metrics", b, &answer); code != http.StatusOK || answer.Taken != len(b.Values) {
		t.Fatalf("%d: %+v", code, answer)
	}
	r := s.ends(id)
	none(t, "the return", stop)
	j := s.judgement(id)
	if r.State != semper.RolloutFailed || j.Verdict.Outcome != semper.Worse || j.Verdict.Metric != "revenue" {
		t.Errorf("%s: %s; %+v", r.State, r.Reason, j.Verdict)
	}
	s.serves("r1", "v1")
}
