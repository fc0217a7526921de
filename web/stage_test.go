package web

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"semper"
	"semper/api"
	"semper/api/apitest"
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
	s.Count("shop", "", "r1", semper.Ledger{Accepted: 100, Served: 90, AppErrors: 5, Gone: 5})
	s.Count("shop", "", "r2", semper.Ledger{Accepted: 1_200_000, Served: 1_199_000, Cut: 1, Shed: 2, EdgeErrors: 3})
	return s
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
