package rollout_test

import (
	"strings"
	"testing"
	"time"

	"semper"
	"semper/rollout"
)

// warmWorld is an environment on r2 with r1 warm, and a rollback to r1 on its way.
func warmWorld(t *testing.T, life rollout.Instance) (semper.Environment, rollout.World) {
	t.Helper()
	spec := semper.Spec{App: "app", Services: map[string]semper.Service{"web": {Type: semper.Web, Instances: 1}}}.WithDefaults()
	w := rollout.World{
		Now: time.Unix(1_700_000_000, 0), NextEpoch: 9, Acked: 8, Staged: make(map[semper.Digest]error),
		Instances: map[semper.InstanceID]rollout.Instance{"app/web.r1.1": life, "app/web.r2.1": {State: semper.Ready}},
		Releases:  make(map[semper.ReleaseName]semper.Release),
	}
	for n := 1; n <= 2; n++ {
		rel := semper.Release{App: "app", Number: n, Spec: spec, Artifact: semper.DigestOf([]byte{byte(n)})}
		w.Releases[rel.Name()] = rel
		w.Staged[rel.Artifact] = nil
	}
	place := func(rel semper.ReleaseName, gen int64) *semper.Placement {
		return &semper.Placement{Release: rel, Generation: gen, Scale: map[string]int{"web": 1}, Drain: spec.Drain,
			Instances: []semper.PlacedUnit{{ID: semper.NameInstance("app", "web", rel, 1), Service: "web"}}}
	}
	previous := place("r1", 1)
	previous.CutAt, previous.CutEpoch = w.Now.Add(-10*time.Second), 8
	env := semper.Environment{App: "app", Name: semper.DefaultEnvironment, Current: place("r2", 2), Previous: previous, Generation: 2}
	env, _, err := rollout.Rollback(env, w.Releases["r1"], rollout.Request{ID: "d-3", Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	return env, w
}

func TestOldDeathsDoNotFailARollback(t *testing.T) {
	t.Parallel()
	before := time.Unix(1_699_999_000, 0)
	after := time.Unix(1_700_000_001, 0)
	kill := semper.Reason{Kind: semper.ReasonSignal, Signal: "SIGKILL"}
	exit := semper.Reason{Kind: semper.ReasonExit, Code: 1}
	for name, tc := range map[string]struct {
		life rollout.Instance
		want semper.RolloutState
	}{
		"it died often before":      {rollout.Instance{State: semper.Starting, Restarts: 7, LastEnd: &semper.End{At: before, Reason: exit}}, semper.RolloutReady},
		"an operator killed it now": {rollout.Instance{State: semper.Waiting, Restarts: 7, LastEnd: &semper.End{At: after, Reason: kill}}, semper.RolloutReady},
		"it crashed once just now":  {rollout.Instance{State: semper.Waiting, Restarts: 7, LastEnd: &semper.End{At: after, Reason: exit}}, semper.RolloutReady},
		"it is in a crash loop now": {rollout.Instance{State: semper.Waiting, Restarts: 7, LastEnd: &semper.End{At: after, Reason: exit, GaveUp: true}}, semper.RolloutFailed},
		"it is ready":               {rollout.Instance{State: semper.Ready, Restarts: 7, LastEnd: &semper.End{At: before, Reason: exit}}, semper.RolloutConnect},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, w := warmWorld(t, tc.life)
			d := rollout.Step(env, w)
			if got := d.Env.Rollout; got.State != tc.want {
				t.Errorf("%s (%s), want %s", got.State, got.Reason, tc.want)
			}
			if tc.want == semper.RolloutFailed && (len(d.Env.Previous.Instances) != 1 || !strings.Contains(d.Env.Rollout.Reason, "crash loop")) {
				t.Errorf("the warm release was given up, or no reason was given: %+v %q", d.Env.Previous, d.Env.Rollout.Reason)
			}
		})
	}
}

func TestConnectIsOneEpochForAllServices(t *testing.T) {
	t.Parallel()
	env, w := warmWorld(t, rollout.Instance{State: semper.Ready})
	d := rollout.Step(env, w)
	if d.Env.Rollout.Epoch != w.NextEpoch || d.Env.Current.Release != "r1" || d.Env.Previous.CutEpoch != w.NextEpoch {
		t.Fatalf("epoch %d, current %s, previous cut at %d", d.Env.Rollout.Epoch, d.Env.Current.Release, d.Env.Previous.CutEpoch)
	}
	table := rollout.Routes([]rollout.Site{{Env: d.Env, Releases: w.Releases}}, w.Instances)
	if len(table.Pools) != 1 || table.Pools[0].Release != "r1" || len(table.Draining) != 1 || table.Draining[0].Release != "r2" {
		t.Fatalf("table %+v", table)
	}
	again := rollout.Step(d.Env, w)
	if again.Changed || again.Env.Rollout.State != semper.RolloutConnect {
		t.Errorf("without an acknowledgement it went on to %s", again.Env.Rollout.State)
	}
}

// A third release while the first is still warm: the first loses its place, but not what it holds.
func TestASupersededWarmReleaseIsStillDrained(t *testing.T) {
	t.Parallel()
	env, w := warmWorld(t, rollout.Instance{State: semper.Ready})
	rel := w.Releases["r2"]
	rel.Number, rel.Artifact = 3, semper.DigestOf([]byte{3})
	w.Releases["r3"], w.Staged[rel.Artifact] = rel, nil
	w.Instances["app/web.r3.1"] = rollout.Instance{State: semper.Ready}
	w.InFlight = map[semper.InstanceID]semper.InFlight{"app/web.r1.1": {semper.ClassRequest: 1}}
	env.Rollout = nil
	env, _, err := rollout.Deploy(env, rel, rollout.Request{ID: "d-4", Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	d := rollout.Step(env, w)
	if d.Env.Current.Release != "r3" || d.Env.Previous.Release != "r2" {
		t.Fatalf("current %s, previous %s", d.Env.Current.Release, d.Env.Previous.Release)
	}
	if len(d.Env.Retiring) != 1 || d.Env.Retiring[0].Release != "r1" {
		t.Errorf("r1 is not retiring: %+v", d.Env.Retiring)
	}
	for _, c := range d.Commands {
		if stop, ok := c.(rollout.Stop); ok {
			t.Errorf("%s is stopped with a request in flight: %s", stop.ID, stop.Why)
		}
	}
}
