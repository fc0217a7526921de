package lab_test

import (
	"strings"
	"testing"

	"semper"
	"semper/api"
	"semper/control/lab"
	"semper/store/mem"
	"semper/verify"
)

// onTrial is an environment where r2 is tried beside r1, and what r2's deploy asks for.
func onTrial() (semper.Environment, func(string, semper.ReleaseName) *semper.Deploy) {
	unit := func(id semper.InstanceID) []semper.PlacedUnit { return []semper.PlacedUnit{{ID: id, Service: "web"}} }
	env := semper.Environment{
		App: "bar", Name: "production", Current: &semper.Placement{Release: "r1", Instances: unit("bar/web.r1.1")},
		Rollout: &semper.Rollout{
			ID: "d-2", State: semper.RolloutTrial, From: "r1", To: "r2", Epoch: 7, Target: semper.Placement{Release: "r2", Instances: unit("bar/web.r2.1")},
			Trial: &semper.Trial{Share: .5, Scale: map[string]int{"web": 1}, Baseline: &semper.Placement{Release: "r1", Instances: unit("bar/web.r1.2")}},
		},
	}
	return env, func(app string, r semper.ReleaseName) *semper.Deploy {
		if app != "bar" || r != "r2" {
			return nil
		}
		return &semper.Deploy{Judge: semper.Judge{Metrics: []semper.MeanMetric{{Name: "revenue"}, {Name: "basket"}}}}
	}
}

func pushed(id, instance, metric string, x float64) api.MetricValue {
	return api.MetricValue{ID: id, Instance: instance, Metric: metric, Value: &x}
}

// TestATrialsValues belong to the side of the instance that pushes them, count once, outlive control, and go when the trial is over.
func TestATrialsValues(t *testing.T) {
	t.Parallel()
	env, deploy := onTrial()
	store := mem.New()
	f := fence(t, store)
	l := lab.New(store, f, deploy)
	if err := l.Sync(t.Context(), of(env)); err != nil {
		t.Fatal(err)
	}
	b := api.MetricBatch{App: "bar", Values: []api.MetricValue{
		pushed("a", "bar/web.r2.1", "revenue", 3), pushed("b", "bar/web.r2.1", "revenue", 5), pushed("c", "bar/web.r1.2", "revenue", 7),
		pushed("b", "bar/web.r2.1", "revenue", 5), pushed("d", "bar/web.r1.1", "revenue", 9), pushed("e", "", "revenue", 1), pushed("f", "bar/web.r2.1", "revenu", 1),
		pushed("a", "bar/web.r2.1", "basket", 0),
	}}
	a, err := l.Push(t.Context(), b)
	if err != nil || a.Taken != 4 || a.Known != 1 || a.Unused != 1 || len(a.Errors) != 2 {
		t.Fatalf("%+v, %v", a, err)
	}
	if !strings.Contains(a.Errors[0].Message, "SEMPER_INSTANCE") || !strings.Contains(a.Errors[1].Message, "did you mean revenue") {
		t.Errorf("%+v", a.Errors)
	}
	l = lab.New(store, f, deploy)
	if err := l.Sync(t.Context(), of(env)); err != nil {
		t.Fatal(err)
	}
	if a, err = l.Push(t.Context(), b); err != nil || a.Taken != 0 || a.Known != 5 {
		t.Errorf("again, to another control: %+v, %v", a, err)
	}
	reports, means, err := l.Tend(t.Context())
	if err != nil || len(reports) != 0 {
		t.Errorf("%v, %v", reports, err)
	}
	if got, want := means[env.Key()]["revenue"], [2]verify.Moments{{N: 2, Sum: 8, Squares: 34}, {N: 1, Sum: 7, Squares: 49}}; got != want {
		t.Errorf("%+v, not %+v", got, want)
	}
	if got := means[env.Key()]["basket"]; got[0] != (verify.Moments{N: 1}) || got[1] != (verify.Moments{}) {
		t.Errorf("%+v", got)
	}

	env.Rollout.State, env.Current.Release = semper.RolloutDone, "r2"
	if err := l.Sync(t.Context(), of(env)); err != nil {
		t.Fatal(err)
	}
	if a, err = l.Push(t.Context(), api.MetricBatch{App: "bar", Values: b.Values[:1]}); err != nil || a.Unused != 1 || a.Taken != 0 {
		t.Errorf("when nobody is on trial: %+v, %v", a, err)
	}
	if items, _, err := store.List(t.Context(), lab.Prefix); err != nil || len(items) != 0 {
		t.Errorf("%d items are kept, %v", len(items), err)
	}
}
