package autoscaling

import (
	"testing"

	"go.uber.org/goleak"

	"semper"
	"semper/autoscale"
	"semper/autoscale/waking"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is an app whose service web has two instances, of which one is ready, with a policy.
func world(svc semper.Service, change func(*semper.Environment)) World {
	env := semper.Environment{App: "shop", Name: "production", Current: &semper.Placement{
		Release: "r1", Generation: 1, Scale: map[string]int{"web": 2},
		Instances: []semper.PlacedUnit{{ID: "a", Service: "web"}, {ID: "b", Service: "web"}, {ID: "c", Service: "other"}},
	}}
	if change != nil {
		change(&env)
	}
	rel := semper.Release{App: "shop", Number: 1, Spec: semper.Spec{App: "shop", Services: map[string]semper.Service{"web": svc, "other": {}}}}
	return World{
		Environments: map[semper.EnvironmentKey]semper.Environment{env.Key(): env},
		Releases:     map[string]map[semper.ReleaseName]semper.Release{"shop": {"r1": rel}},
		Ready:        func(id semper.InstanceID) bool { return id == "a" },
	}
}

func scaled(min int, jobs bool) semper.Service {
	s := semper.Service{Type: semper.Web, Autoscale: autoscale.Policy{Min: min, Max: 9}.WithDefaults(true, jobs).Encode()}
	if jobs {
		s.Type, s.Jobs = semper.Worker, []byte("{}")
	}
	return s
}

// TestWhatIsNotToldIsMissing, and no load of zero.
func TestWhatIsNotToldIsMissing(t *testing.T) {
	t.Parallel()
	states := []semper.EdgeState{
		{InFlight: map[semper.InstanceID]semper.InFlight{"a": {semper.ClassRequest: 3}, "c": {semper.ClassRequest: 50}, "gone": {semper.ClassStream: 7}}},
		{InFlight: map[semper.InstanceID]semper.InFlight{"a": {semper.ClassWrite: 1}, "b": {semper.ClassStream: 2}}, Held: map[semper.PoolKey]int{
			"shop/production/web": 4, "shop/production/web@candidate": 1, "shop/production/webby": 9,
		}},
	}
	of := func(w World) *target {
		t.Helper()
		list := targets(w)
		if len(list) != 1 || list[0].pool != "shop/production/web" || list[0].placed != 2 || list[0].ready != 1 {
			t.Fatalf("targets %+v", list)
		}
		return &list[0]
	}
	web := of(world(scaled(1, false), nil))
	if s := (&seen{}).signals(web, &known{}); s.Requests != nil {
		t.Errorf("without edges: %+v", s.Requests)
	}
	s := (&seen{states: states}).signals(web, &known{})
	if s.Requests == nil || s.Requests.InFlight != 6 || s.Requests.Waiting != 5 || s.Busy != 2 || s.Placed != 2 || s.Ready != 1 || s.Held || s.Rollout {
		t.Errorf("%+v %+v", s, s.Requests)
	}
	worker := of(world(scaled(1, true), nil))
	if s := (&seen{states: states}).signals(worker, &known{}); s.Requests != nil || s.Queue != nil {
		t.Errorf("a worker that asks for jobs, without a word of those who give them: %+v", s)
	}
	desks := []semper.EdgeState{{InFlight: map[semper.InstanceID]semper.InFlight{"b": {semper.ClassRequest: 1}}}}
	if s := (&seen{states: states, desks: desks}).signals(worker, &known{}); s.Requests == nil || s.Requests.InFlight != 7 {
		t.Errorf("with them: %+v", s.Requests)
	}
}

// TestARequestBetweenTwoLooksIsSeen by the count of those who asked; a count that nobody had before says nothing.
func TestARequestBetweenTwoLooksIsSeen(t *testing.T) {
	t.Parallel()
	sleeper := &targets(world(scaled(0, false), nil))[0]
	k := &known{}
	for i, c := range []struct {
		told   map[semper.PoolKey]waking.Told
		recent bool
	}{
		{map[semper.PoolKey]waking.Told{sleeper.pool: {Asked: 7}}, true},
		{map[semper.PoolKey]waking.Told{sleeper.pool: {Asked: 7}}, false},
		{map[semper.PoolKey]waking.Told{sleeper.pool: {Asked: 8}}, true},
		{nil, true},
		{map[semper.PoolKey]waking.Told{sleeper.pool: {Asked: 8}}, true},
		{map[semper.PoolKey]waking.Told{sleeper.pool: {Asked: 8, Waiting: 2}}, false},
		{map[semper.PoolKey]waking.Told{sleeper.pool: {Asked: 1}}, true}, // another edge
	} {
		s := (&seen{states: []semper.EdgeState{{}}, sleepers: c.told}).signals(sleeper, k)
		if s.Requests.Recent != c.recent || s.Requests.Waiting != c.told[sleeper.pool].Waiting {
			t.Errorf("%d: %+v, want %t", i, s.Requests, c.recent)
		}
	}
}

// TestWhatElseIsUnderWay: rollouts, holds and somebody's number.
func TestWhatElseIsUnderWay(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		change                func(*semper.Environment)
		rollout, held, byHand bool
	}{
		"nothing":            {},
		"a rollout":          {func(e *semper.Environment) { e.Rollout = &semper.Rollout{State: semper.RolloutWatch} }, true, false, false},
		"its end":            {func(e *semper.Environment) { e.Rollout = &semper.Rollout{State: semper.RolloutDone} }, false, false, false},
		"a migration":        {func(e *semper.Environment) { e.Rollout = &semper.Rollout{State: semper.RolloutMigrate} }, true, true, false},
		"a hold":             {func(e *semper.Environment) { e.Hold = semper.Holds{{Writes: true}} }, false, true, false},
		"one of another":     {func(e *semper.Environment) { e.Hold = semper.Holds{{Service: "other"}, {Route: "/x"}} }, false, false, false},
		"somebody's number":  {func(e *semper.Environment) { e.Current.ByHand = []string{"web"} }, false, false, true},
		"somebody's another": {func(e *semper.Environment) { e.Current.ByHand = []string{"other"} }, false, false, false},
	} {
		web := &targets(world(scaled(1, false), c.change))[0]
		s := (&seen{}).signals(web, &known{})
		if i := web.info(); s.Rollout != c.rollout || s.Held != c.held || web.byHand != c.byHand || i.ByHand != c.byHand || c.byHand != (i.Why != "") {
			t.Errorf("%s: %+v, %+v", what, s, i)
		}
	}
}
