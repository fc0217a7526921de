package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
	"semper/api/apitest"
	"semper/experiment"
	"semper/experiment/design"
	"semper/verify"
)

// hostile is what a program may print and a page must not run.
const hostile = `</pre><script>alert("x")</script><img src=x onerror=alert(1)>`

// stage is a semper with something of everything: apps that serve, one just moved, one turned back,
// one that failed, crashes, traffic.
func stage(t *testing.T) *apitest.Semper {
	t.Helper()
	s := apitest.New()
	t.Cleanup(s.Close)
	s.Stall("")
	deploy(t, s, "shop", "1", semper.RolloutDone)
	deploy(t, s, "shop", "2", semper.RolloutDone)
	s.CrashInstance("shop", "", "shop/web.r2.1", semper.Reason{Kind: semper.ReasonSignal, Signal: "SIGSEGV"}, "panic: nil", hostile)
	s.Break(apitest.Fault{Service: "web", Reason: semper.Reason{Kind: semper.ReasonExit, Code: 3}, Tail: []string{hostile}})
	deploy(t, s, "shop", "3", semper.RolloutFailed)
	deploy(t, s, "blog", "1", semper.RolloutDone)
	s.Break(apitest.Fault{Service: "web", Reason: semper.Reason{Kind: semper.ReasonOOM}, Tail: []string{"out"}, After: true})
	deploy(t, s, "blog", "2", semper.RolloutRolledBack)
	s.Stall(semper.RolloutWatch)
	deploy(t, s, "wiki", "1", semper.RolloutWatch)
	s.Experiment(tried("shop"))
	s.Count("shop", "", "r1", semper.Ledger{Accepted: 100, Served: 90, AppErrors: 5, Gone: 5})
	s.Count("shop", "", "r2", semper.Ledger{Accepted: 1_200_000, Served: 1_199_000, Cut: 1, Shed: 2, EdgeErrors: 3})
	return s
}

// tried is an experiment that has seen users, of whose variants one wins by one metric, and nothing is known of another.
func tried(app string) api.ExperimentInfo {
	low, best, high, far := .01, .04, .07, -9.0
	control, treated := verify.Level{N: 6180, Mean: 10}, verify.Level{N: 6201, Mean: 10.4}
	return api.ExperimentInfo{
		App: app, Environment: semper.DefaultEnvironment, State: design.Decided, Winner: "green", StartedAt: time.Date(2026, 11, 10, 12, 0, 0, 0, time.UTC),
		Why:  "green has 4.0 % more revenue per user than control (+1.0 % to +7.0 %, by 12381 users)",
		Plan: design.Plan{Name: "checkout", By: "cookie:uid", Variants: []design.Variant{{Name: "control", Share: .5}, {Name: "green", Share: .5}}},
		Report: &experiment.Report{
			Outcome: experiment.Won, Why: "green has more", Alpha: .05, E: 1234, Mismatch: .4, Silent: []string{"refund"},
			Variants: []experiment.VariantReport{{Name: "control", Share: .5, Users: 6180}, {Name: "green", Share: .5, Users: 6201}},
			Findings: []experiment.Finding{
				{Metric: "revenue", Role: design.RolePrimary, Variant: "green", Control: control, Treated: treated, Lift: &verify.Bounded{Low: &low, Best: &best, High: &high}, E: 1234, Named: true, Better: true},
				{Metric: "latency", Role: design.RoleSecondary, Less: true, Variant: "green", Control: control, Treated: treated, Lift: &verify.Bounded{Low: &far, Best: &best, High: &high}, E: 1},
				{Metric: "refund", Role: design.RoleGuardrail, Less: true, Variant: "green", E: 1},
			},
			Segments: []experiment.Segment{{Name: "device", Value: hostile, Findings: []experiment.Finding{{Metric: "revenue", Variant: "green", E: 1}}}},
		},
	}
}

func deploy(t *testing.T, s *apitest.Semper, app, artifact string, until semper.RolloutState) {
	t.Helper()
	d := semper.DigestOf([]byte(app + artifact))
	if err := s.PutArtifact(t.Context(), d, strings.NewReader(app+artifact)); err != nil {
		t.Fatal(err)
	}
	spec := semper.Spec{
		App: app, Routes: []semper.RouteRule{{Host: app + ".example.com", Path: "/", To: "web"}},
		Services: map[string]semper.Service{"web": {
			Command: []string{"./serve", hostile}, Instances: 2,
			Env: map[string]semper.EnvVar{"LEVEL": {Value: "value-of-level"}, "KEY": {Secret: "key"}},
		}},
	}
	if _, err := s.Deploy(t.Context(), api.DeployRequest{Spec: spec, Artifact: d, By: "mira " + hostile}); err != nil {
		t.Fatal(err)
	}
	if err := s.Until(t.Context(), func(o api.Overview) bool {
		for _, e := range o.Environments {
			if e.App == app {
				return e.Rollout.State == until
			}
		}
		return false
	}); err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, h http.Handler, target string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
