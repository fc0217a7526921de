package rollout_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/rollout"
)

var holdNow = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// heldApp is an environment with two services, routes to both, and one that the edge answers.
func heldApp() (semper.Environment, semper.Release) {
	rel := semper.Release{App: "shop", Number: 1, Spec: semper.Spec{
		App:      "shop",
		Services: map[string]semper.Service{"web": {Type: semper.Web}, "api": {Type: semper.Web}, "mail": {Type: semper.Worker}},
		Routes: []semper.RouteRule{
			{Path: "/", To: "web"},
			{Host: "shop.example", Path: "/api/", To: "api"},
			{Host: "shop.example", Path: "/", To: "api", RouteWords: semper.RouteWords{Match: json.RawMessage(`{"exact":"/pay"}`)}},
			{Host: "shop.example", Path: "/old", RouteWords: semper.RouteWords{Answer: json.RawMessage(`{"respond":{"status":410}}`)}},
		},
	}}
	return semper.Environment{App: "shop", Name: "production", Current: &semper.Placement{Release: rel.Name(), Scale: map[string]int{"web": 1, "api": 1, "mail": 1}}}, rel
}

func TestHoldsAreByTarget(t *testing.T) {
	t.Parallel()
	env, rel := heldApp()
	for i, h := range []semper.Hold{
		{By: "ann"}, {Service: "web", Writes: true}, {Route: "SHOP.example/api"}, {Route: "shop.example/pay"}, {Service: "web"}, // the last in place of the second
	} {
		var ev []semper.Event
		var err error
		if env, ev, err = rollout.BeginHold(env, rel, h, time.Duration(i)*time.Minute, holdNow); err != nil || len(ev) != 1 || ev[0].Kind != "hold.begun" {
			t.Fatalf("%+v: %v, events %+v", h, err, ev)
		}
	}
	if got := strings.Join(rollout.Targets(env.Hold), ", "); got != "all, service web, route shop.example/api, route shop.example/pay" {
		t.Errorf("held: %s", got)
	}
	table := rollout.Routes([]rollout.Site{{Env: env, Releases: map[semper.ReleaseName]semper.Release{rel.Name(): rel}}}, nil)
	holds := map[string]int{}
	for _, p := range table.Pools {
		holds[string(p.Key)] = len(p.Hold)
	}
	for _, r := range append(slices.Clone(table.Routes), table.Rules...) {
		holds[r.Host+r.Path+string(r.Match)] = len(r.Hold)
	}
	for k, n := range map[string]int{"shop/production/web": 2, "shop/production/api": 1, "/": 0, "shop.example/api/": 1, `shop.example/{"exact":"/pay"}`: 1} {
		if holds[k] != n {
			t.Errorf("%s is held by %d, want %d", k, holds[k], n)
		}
	}
	env, ev, err := rollout.EndHold(env, rel, semper.Hold{Route: "shop.example/api/", By: "bob"}, holdNow)
	if err != nil || len(env.Hold) != 3 || len(ev) != 1 || ev[0].Message != "requests of route shop.example/api go on" || ev[0].By != "bob" {
		t.Fatalf("%v %+v %+v", err, env.Hold, ev)
	}
	if env, ev, err = rollout.EndHold(env, semper.Release{}, semper.Hold{Service: "web"}, holdNow); err != nil || len(ev) != 1 {
		t.Errorf("of a service that the release has no more: %v %+v", err, ev)
	}
	if env, ev, err = rollout.EndHold(env, rel, semper.Hold{}, holdNow); err != nil || len(env.Hold) != 0 || len(ev) != 2 {
		t.Errorf("all: %v %+v %+v", err, env.Hold, ev)
	}
	if _, ev, err = rollout.EndHold(env, rel, semper.Hold{}, holdNow); err != nil || len(ev) != 0 {
		t.Errorf("nothing: %v %+v", err, ev)
	}
}

func TestWhatCannotBeHeldIsRefused(t *testing.T) {
	t.Parallel()
	env, rel := heldApp()
	for name, c := range map[string]struct {
		hold semper.Hold
		last time.Duration
		want string
		code semper.Code
	}{
		"a service that is not": {semper.Hold{Service: "wbe"}, 0, "did you mean web?", semper.NotFound},
		"a worker":              {semper.Hold{Service: "mail"}, 0, "takes no requests", semper.Invalid},
		"a route that is not":   {semper.Hold{Route: "shop.example/apy"}, 0, "did you mean shop.example/api?", semper.NotFound},
		"the edge's own":        {semper.Hold{Route: "shop.example/old"}, 0, "answered by the edge itself", semper.Invalid},
		"both":                  {semper.Hold{Service: "web", Route: "/"}, 0, "not of both", semper.Invalid},
		"back in time":          {semper.Hold{}, -time.Second, "longer than nothing", semper.Invalid},
		"for ever":              {semper.Hold{}, 25 * time.Hour, "at most 24h", semper.Invalid},
	} {
		_, ev, err := rollout.BeginHold(env, rel, c.hold, c.last, holdNow)
		if semper.CodeOf(err) != c.code || !strings.Contains(err.Error()+semper.HintOf(err), c.want) || ev != nil {
			t.Errorf("%s: %v (%s)", name, err, semper.HintOf(err))
		}
	}
	if _, _, err := rollout.BeginHold(semper.Environment{App: "shop", Name: "production"}, rel, semper.Hold{}, 0, holdNow); semper.CodeOf(err) != semper.NotFound {
		t.Errorf("nothing is deployed: %v", err)
	}
	if _, _, err := rollout.EndHold(env, rel, semper.Hold{Service: "web"}, holdNow); semper.CodeOf(err) != semper.NotFound {
		t.Errorf("what is not held: %v", err)
	}
}

// TestAHoldEndsByItself, and what has no end does not.
func TestAHoldEndsByItself(t *testing.T) {
	t.Parallel()
	env, rel := heldApp()
	env, _, _ = rollout.BeginHold(env, rel, semper.Hold{Service: "web"}, time.Minute, holdNow)
	env, _, _ = rollout.BeginHold(env, rel, semper.Hold{Service: "api"}, 0, holdNow)
	w := rollout.World{Now: holdNow.Add(time.Minute - 1), Releases: map[semper.ReleaseName]semper.Release{rel.Name(): rel}}
	d := rollout.Step(env, w)
	if d.Changed || len(d.Env.Hold) != 2 || !d.Wake.Equal(holdNow.Add(time.Minute)) {
		t.Errorf("a moment before: %+v, wakes at %v", d.Env.Hold, d.Wake)
	}
	w.Now = w.Now.Add(1)
	if d = rollout.Step(env, w); !d.Changed || len(d.Env.Hold) != 1 || d.Env.Hold[0].Service != "api" || len(d.Events) != 1 || d.Events[0].Message != "requests to service web go on: its time is over" {
		t.Errorf("at its end: %+v %+v", d.Env.Hold, d.Events)
	}
	if len(env.Hold) != 2 {
		t.Error("the environment that was given has changed")
	}
}

// TestOldHoldsAreRead: there was one hold, of everything.
func TestOldHoldsAreRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{
		`{"hold":{"writes":true,"since":"2026-01-01T00:00:00Z"}}`: 1, `{"hold":[{"service":"a"},{"route":"b/c"}]}`: 2, `{"hold":null}`: 0, `{}`: 0,
	} {
		var env semper.Environment
		if err := json.Unmarshal([]byte(text), &env); err != nil || len(env.Hold) != want {
			t.Errorf("%s: %+v %v", text, env.Hold, err)
		}
	}
}
