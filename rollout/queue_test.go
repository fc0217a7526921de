package rollout_test

import (
	"encoding/json"
	"testing"

	"semper"
	"semper/rollout"
)

func TestAsyncRoutesLeadToTheQueue(t *testing.T) {
	t.Parallel()
	site := func(app string) rollout.Site {
		spec := semper.Spec{App: app, Services: map[string]semper.Service{"web": {Type: semper.Web, Jobs: json.RawMessage(`{}`)}}, Routes: []semper.RouteRule{
			{Host: "a.example", Path: "/" + app, To: "web"},
			{Host: "a.example", Path: "/" + app + "/jobs", To: "web", Async: true, RouteWords: semper.RouteWords{Policy: json.RawMessage(`{"headers":{"request":{"set":{"X-A":"b","Semper-Queue":"forged"}}},"limits":{"body":9}}`)}},
		}}
		return rollout.Site{
			Env:      semper.Environment{App: app, Name: "production", Current: &semper.Placement{Release: "r1"}},
			Releases: map[semper.ReleaseName]semper.Release{"r1": {Spec: spec}},
		}
	}
	got := rollout.Routes([]rollout.Site{site("shop"), site("blog")}, nil)
	type lead struct{ pool, policy string }
	leads := map[string]lead{}
	for _, r := range got.Routes {
		leads[r.Path] = lead{string(r.Pool), string(r.Policy)}
	}
	for path, want := range map[string]lead{
		"/shop":                        {"shop/production/web", ""},
		"/shop/jobs":                   {"semper/queue", `{"headers":{"request":{"set":{"Semper-Queue":"shop/production/web","X-A":"b"}}},"limits":{"body":9}}`},
		"/.well-known/semper/requests": {"semper/queue", `{"headers":{"request":{"set":{"Semper-Queue":"blog/production/web,shop/production/web"}}}}`},
	} {
		if leads[path] != want {
			t.Errorf("%s leads to %s, want %s", path, leads[path], want)
		}
	}
	for _, p := range got.Pools {
		if p.Jobs == nil {
			t.Errorf("pool %s has no queue", p.Key)
		}
	}
}

// A request to a host may have been accepted by a route of any host, and by one of all hosts below a name.
func TestALocationKnowsWhoMayHaveAccepted(t *testing.T) {
	t.Parallel()
	site := func(app, host string) rollout.Site {
		spec := semper.Spec{App: app, Services: map[string]semper.Service{"web": {Type: semper.Web}}, Routes: []semper.RouteRule{{Host: host, Path: "/" + app, To: "web", Async: true}}}
		return rollout.Site{
			Env:      semper.Environment{App: app, Name: "production", Current: &semper.Placement{Release: "r1"}},
			Releases: map[semper.ReleaseName]semper.Release{"r1": {Spec: spec}},
		}
	}
	got := rollout.Routes([]rollout.Site{site("any", ""), site("wild", "*.example"), site("a", "a.example"), site("b", "b.test")}, nil)
	names := map[string]string{}
	for _, r := range got.Routes {
		if r.Path != "/.well-known/semper/requests" {
			continue
		}
		var p struct {
			Headers struct {
				Request struct{ Set map[string]string }
			}
		}
		if err := json.Unmarshal(r.Policy, &p); err != nil {
			t.Fatal(err)
		}
		names[r.Host] = p.Headers.Request.Set["Semper-Queue"]
	}
	for host, want := range map[string]string{
		"": "any/production/web", "*.example": "any/production/web,wild/production/web", "b.test": "any/production/web,b/production/web",
		"a.example": "any/production/web,wild/production/web,a/production/web",
	} {
		if names[host] != want {
			t.Errorf("%q tells of %s, want %s", host, names[host], want)
		}
	}
}
