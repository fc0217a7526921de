package rollout_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/autoscale"
	"semper/autoscale/waking"
	"semper/rollout"
)

// scaled is a world in which r1 runs with three ready instances of web, 0 to 10 by themselves.
func scaled(t *testing.T) (semper.Environment, rollout.World, semper.Release) {
	t.Helper()
	spec := semper.Spec{App: "app", Services: map[string]semper.Service{"web": {Type: semper.Web, Health: semper.Health{Kind: semper.HealthHTTP, Path: "/up"}}}}.WithDefaults()
	web := spec.Services["web"]
	web.Instances, web.Autoscale = 3, autoscale.Policy{Min: 0, Max: 10}.WithDefaults(true, false).Encode()
	spec.Services["web"] = web
	spec.Routes = []semper.RouteRule{{Path: "/", To: "web"}}
	rel := semper.Release{App: "app", Number: 1, Spec: spec, Artifact: semper.DigestOf([]byte("a"))}
	w := rollout.World{
		Now: time.Unix(1_700_000_000, 0), Instances: map[semper.InstanceID]rollout.Instance{}, Staged: map[semper.Digest]error{rel.Artifact: nil},
		InFlight: map[semper.InstanceID]semper.InFlight{}, NextEpoch: 1, Releases: map[semper.ReleaseName]semper.Release{"r1": rel},
	}
	env, _, err := rollout.Deploy(semper.Environment{App: "app", Name: semper.DefaultEnvironment}, rel, rollout.Request{ID: "d-1", Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	return toEnd(t, env, &w), w, rel
}

// toEnd makes everything ready, acknowledged and in time until the rollout has ended.
func toEnd(t *testing.T, env semper.Environment, w *rollout.World) semper.Environment {
	t.Helper()
	for range 100 {
		d := rollout.Step(env, *w)
		env = d.Env
		for _, c := range d.Commands {
			switch c := c.(type) {
			case rollout.Start:
				w.Instances[c.Spec.ID] = rollout.Instance{State: semper.Ready}
			case rollout.Stop:
				delete(w.Instances, c.ID)
			}
		}
		w.Acked, w.NextEpoch, w.Now = w.NextEpoch, w.NextEpoch+1, w.Now.Add(time.Minute)
		if env.Rollout.State.Ended() && len(env.Retiring) == 0 && len(d.Commands) == 0 {
			return env
		}
	}
	t.Fatalf("it does not end: %s", env.Rollout.State)
	return env
}

func resized(t *testing.T, env semper.Environment, w rollout.World, from, to int) rollout.Decision {
	t.Helper()
	d := rollout.Resize(env, w, map[string]rollout.Resizing{"web": {From: from, To: to, Why: "because"}})
	if d.Changed && (len(d.Events) != 1 || !strings.Contains(d.Events[0].Message, "because")) {
		t.Errorf("events %+v", d.Events)
	}
	return d
}

// TestTheIdleGoFirst: and they go as all do, when the edges have let go of them.
func TestTheIdleGoFirst(t *testing.T) {
	t.Parallel()
	env, w, _ := scaled(t)
	of := env.Current.Instances
	w.InFlight[of[0].ID] = semper.InFlight{semper.ClassRequest: 2}
	w.InFlight[of[2].ID] = semper.InFlight{semper.ClassStream: 1}
	d := resized(t, env, w, 3, 2)
	if want := []semper.PlacedUnit{of[0], of[2]}; !slices.Equal(d.Env.Current.Instances, want) || d.Env.Current.Scale["web"] != 2 {
		t.Fatalf("left are %v, want %v", d.Env.Current.Instances, want)
	}
	if d = rollout.Step(d.Env, w); len(d.Commands) != 0 {
		t.Errorf("before an edge knows: %v", d.Commands)
	}
	d2 := resized(t, d.Env, w, 2, 1)
	if got := d2.Env.Current.Instances; !slices.Equal(got, of[:1]) {
		t.Errorf("left is %v, though it had least in hand", got)
	}
	w.Acked = w.NextEpoch
	d = rollout.Step(d2.Env, w)
	if want := []rollout.Command{rollout.Stop{ID: of[1].ID}}; len(d.Commands) != 1 || d.Commands[0].(rollout.Stop).ID != of[1].ID {
		t.Errorf("%v; want %v, and the one with a stream to wait", d.Commands, want)
	}
	w.Instances[of[0].ID] = rollout.Instance{State: semper.NotReady}
	w.Instances[of[1].ID] = rollout.Instance{State: semper.Ready}
	if d = resized(t, env, w, 3, 1); !slices.Equal(d.Env.Current.Instances, of[2:]) {
		t.Errorf("left is %v; want the one that is ready and at work", d.Env.Current.Instances)
	}
}

// TestASleepingServiceWakes: its pool says so while nothing is ready, and says when a start has failed.
func TestASleepingServiceWakes(t *testing.T) {
	t.Parallel()
	env, w, rel := scaled(t)
	said := func(env semper.Environment) *waking.Service {
		return waking.Read(rollout.Routes([]rollout.Site{{Env: env, Releases: w.Releases}}, w.Instances).Pools[0].Wakes)
	}
	if s := said(env); s == nil || s.Failed {
		t.Errorf("with three that are ready the pool says %+v", s)
	}
	d := resized(t, env, w, 3, 0)
	if d.Events[0].Kind != "scale.asleep" || said(d.Env) == nil || *said(d.Env) != (waking.Service{Health: "/up"}) {
		t.Errorf("%s: the pool says %+v", d.Events[0].Kind, said(d.Env))
	}
	env = toEnd(t, d.Env, &w)
	if len(w.Instances) != 0 {
		t.Errorf("it sleeps with %v", w.Instances)
	}
	same, _, err := rollout.Deploy(env, rel, rollout.Request{ID: "d-2", Now: w.Now})
	if err != nil || same.Current.Scale["web"] != 0 || !same.Rollout.State.Ended() {
		t.Errorf("the same release again: %+v, %v", same.Rollout, err)
	}
	d = resized(t, env, w, 0, 1)
	id := d.Env.Current.Instances[0].ID
	w.Instances[id] = rollout.Instance{State: semper.Starting}
	if s := said(d.Env); d.Events[0].Kind != "scale.awake" || s == nil || s.Failed {
		t.Errorf("%s: while it starts the pool says %+v", d.Events[0].Kind, s)
	}
	w.Instances[id] = rollout.Instance{State: semper.Waiting, LastEnd: &semper.End{}}
	if s := said(d.Env); s == nil || !s.Failed {
		t.Errorf("when its start has failed the pool says %+v", s)
	}
	w.Instances[id] = rollout.Instance{State: semper.Ready, LastEnd: &semper.End{}}
	if s := said(d.Env); s == nil || s.Failed {
		t.Errorf("it is awake, and the pool says %+v", s)
	}
}

// TestADeployShowsThatItStarts: a release begins with what there is, in its bounds, and never with nothing.
func TestADeployShowsThatItStarts(t *testing.T) {
	t.Parallel()
	env, w, rel := scaled(t)
	next := rel
	next.Number = 2
	for from, want := range map[int]int{0: 1, 3: 3, 9: 9, 10: 10} {
		at := resized(t, env, w, 3, from).Env
		if from == 3 {
			at = env
		}
		got, _, err := rollout.Deploy(at, next, rollout.Request{ID: "d-2", Now: w.Now})
		if err != nil || got.Rollout.Target.Scale["web"] != want {
			t.Errorf("from %d: %v, %v", from, got.Rollout.Target.Scale, err)
		}
	}
}

// TestScalingBesideARollout: it only adds, to what serves and to what will.
func TestScalingBesideARollout(t *testing.T) {
	t.Parallel()
	env, w, rel := scaled(t)
	rel.Number = 2
	w.Releases["r2"] = rel
	env, _, err := rollout.Deploy(env, rel, rollout.Request{ID: "d-2", Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	if d := resized(t, env, w, 3, 1); d.Changed {
		t.Error("instances are taken away during a rollout")
	}
	d := resized(t, env, w, 3, 5)
	if d.Env.Current.Scale["web"] != 5 || d.Env.Rollout.Target.Scale["web"] != 5 || len(d.Env.Rollout.Target.Instances) != 5 {
		t.Errorf("%v now, %v then", d.Env.Current.Scale, d.Env.Rollout.Target.Scale)
	}
	env = toEnd(t, d.Env, &w)
	if env.Current.Release != "r2" || len(w.Instances) != 5 {
		t.Errorf("%s serves with %d", env.Current.Release, len(w.Instances))
	}
	env, _, err = rollout.Restart(env, rel, nil, rollout.Request{ID: "d-3", Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	if d = resized(t, env, w, 5, 6); len(d.Env.Rollout.Target.Instances) != 6 || !slices.Contains(d.Env.Rollout.Target.Instances, d.Env.Current.Instances[5]) {
		t.Errorf("the target of a restart has %v", d.Env.Rollout.Target.Instances)
	}
}

// TestTheHandWins until the next deploy, or until it lets go. Nothing that is aborted takes anything away.
func TestTheHandWins(t *testing.T) {
	t.Parallel()
	env, w, rel := scaled(t)
	q := rollout.Request{ID: "d-2", By: "ops", Now: w.Now}
	if _, err := rollout.Abort(env, w, "ops"); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("nothing to abort: %v", err)
	}
	hand, _, err := rollout.Scale(env, rel, map[string]int{"web": 0}, q)
	if err != nil {
		t.Fatal(err)
	}
	hand = toEnd(t, hand, &w)
	if d := resized(t, hand, w, 0, 2); d.Changed || len(hand.Current.Instances) != 0 {
		t.Error("what somebody set is changed by the load")
	}
	if p := rollout.Routes([]rollout.Site{{Env: hand, Releases: w.Releases}}, w.Instances).Pools[0]; p.Wakes != nil {
		t.Error("what somebody stopped is woken by a request")
	}
	auto, events, err := rollout.Scale(hand, rel, map[string]int{"web": rollout.Auto}, q)
	if err != nil || len(events) != 1 || len(auto.Current.ByHand) != 0 || !resized(t, auto, w, 0, 2).Changed {
		t.Errorf("by itself again: %v, %v", events, err)
	}
	next := rel
	next.Number = 2
	after, _, err := rollout.Deploy(hand, next, rollout.Request{ID: "d-3", Now: w.Now})
	if err != nil || len(after.Rollout.Target.ByHand) != 0 || after.Rollout.Target.Scale["web"] != 1 {
		t.Errorf("the next deploy: %+v, %v", after.Rollout.Target, err)
	}
	same, _, err := rollout.Scale(env, rel, map[string]int{"web": 3}, q)
	if err != nil || !slices.Equal(same.Current.ByHand, []string{"web"}) || len(same.Retiring) > 0 {
		t.Errorf("the number that there is, by hand: %+v, %v", same.Current, err)
	}
	web := rel.Spec.Services["web"]
	web.Autoscale = nil
	rel.Spec.Services = map[string]semper.Service{"web": web}
	if _, _, err := rollout.Scale(env, rel, map[string]int{"web": rollout.Auto}, q); semper.CodeOf(err) != semper.Invalid {
		t.Errorf("a release that does not say how: %v", err)
	}
}
