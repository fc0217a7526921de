package lab_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper"
	"semper/api"
	"semper/control/lab"
	"semper/edge/route"
	"semper/experiment"
	"semper/experiment/design"
	"semper/store/mem"
)

// cut is a store that performs some commits and loses their answers, and refuses others.
type cut struct {
	semper.Store
	n int
}

var errCut = errors.New("cut off")

func (c *cut) Commit(ctx context.Context, t semper.Txn) (int64, error) {
	c.n++
	switch c.n % 5 {
	case 3:
		_, err := c.Store.Commit(ctx, t)
		return 0, errors.Join(errCut, err)
	case 4:
		return 0, errCut
	}
	return c.Store.Commit(ctx, t)
}

func fence(t *testing.T, s semper.Store) semper.Condition {
	t.Helper()
	l, err := s.Lead(t.Context(), "control", "me")
	if err != nil {
		t.Fatal(err)
	}
	return l.Fence()
}

// begun is an environment with an experiment that runs.
func begun(t *testing.T, change func(*design.Plan)) semper.Environment {
	t.Helper()
	p := design.Plan{
		Name: "checkout", By: "header:X-User", AtLeast: semper.Duration(time.Minute), Segments: []string{"plan"},
		Variants: []design.Variant{{Name: "control", Share: .5}, {Name: "green", Share: .5}},
		Metrics:  []design.Metric{{Name: "revenue", Role: design.RolePrimary}},
	}
	if change != nil {
		change(&p)
	}
	env, events, err := lab.Start(semper.Environment{App: "bar", Name: "production"}, p, false, lab.Releases{}, time.Now(), "ann")
	if err != nil || len(events) != 1 || only(t, env).State != design.Running {
		t.Fatal(events, err)
	}
	return env
}

// none has no release.
func none(string, semper.ReleaseName) *semper.Deploy { return nil }

func of(env semper.Environment) map[semper.EnvironmentKey]semper.Environment {
	return map[semper.EnvironmentKey]semper.Environment{env.Key(): env}
}

// exposures are of n users, as an edge tells them.
func exposures(t *testing.T, env semper.Environment, n int) []design.Exposures {
	v, _ := only(t, env).Variation()
	out := design.Exposures{Edge: "e"}
	for u := range n {
		number, at := v.Place(route.Hash(fmt.Append(nil, "user-", u), design.UserSalt))
		out.List = append(out.List, design.Exposure{Run: v.Run, User: number, Variant: at, At: time.Now()})
	}
	return []design.Exposures{out}
}

func value(id, user, metric string, x float64) api.MetricValue {
	return api.MetricValue{ID: id, TargetingKey: user, Metric: metric, Value: &x}
}

// TestNoValueIsLostOrCountedTwice: every fifth commit is lost, every fifth has no answer, control is killed after each batch, and batches are
// pushed until they are acknowledged, and then once more.
func TestNoValueIsLostOrCountedTwice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inner := mem.New()
		f, env := fence(t, inner), begun(t, nil)
		store := &cut{Store: inner}
		var l *lab.Lab
		restart := func() {
			for l = lab.New(store, f, none); l.Sync(t.Context(), of(env)) != nil; {
			}
		}
		restart()
		const users, batches = 600, 30
		for l.Expose(t.Context(), exposures(t, env, users)) != nil {
			restart()
		}
		for b := range batches {
			batch := api.MetricBatch{App: "bar"}
			for u := range users / 2 {
				batch.Values = append(batch.Values, value(fmt.Sprint(b, "-", u), fmt.Sprint("user-", u), "revenue", 1))
			}
			for again := range 2 {
				var a api.MetricAnswer
				var err error
				for a, err = l.Push(t.Context(), batch); err != nil; a, err = l.Push(t.Context(), batch) {
					if !errors.Is(err, errCut) || semper.CodeOf(err) != semper.Unavailable {
						t.Fatal(err)
					}
				}
				if again == 1 && (a.Taken != 0 || a.Known != users/2) {
					t.Fatalf("batch %d again: %+v", b, a)
				}
				time.Sleep(time.Minute)       // so that parts are stored
				_, _, _ = l.Tend(t.Context()) //nolint:errcheck // cut off
				restart()
			}
		}
		var got experiment.Report
		for {
			all, _, err := l.Tend(t.Context())
			if err == nil {
				got = all[env.Key()]["checkout"]
				break
			}
		}
		f0 := got.Findings[0]
		sum := f0.Control.Mean*float64(f0.Control.N) + f0.Treated.Mean*float64(f0.Treated.N)
		if n := got.Variants[0].Users + got.Variants[1].Users; n != users || math.Abs(sum-batches*users/2) > 1e-6 {
			t.Errorf("%d users with %g, not %d with %d", n, sum, users, batches*users/2)
		}
		env, _, err := lab.Start(semper.Environment{App: "bar", Name: "production"}, only(t, env).Plan, false, lab.Releases{}, time.Now(), "ann")
		if err != nil {
			t.Fatal(err)
		}
		for l.Sync(t.Context(), of(env)) != nil {
		}
		items, _, err := inner.List(t.Context(), lab.Prefix)
		if err != nil || len(items) != 0 {
			t.Errorf("%d items of the run before are kept, %v", len(items), err)
		}
	})
}

// TestWhatIsWrongIsToldByItem, and the rest is taken.
func TestWhatIsWrongIsToldByItem(t *testing.T) {
	t.Parallel()
	store, env := mem.New(), begun(t, nil)
	l := lab.New(store, fence(t, store), none)
	if err := l.Sync(t.Context(), of(env)); err != nil {
		t.Fatal(err)
	}
	late, keyed, badKey := value("f", "u", "revenue", 1), value("g", "", "revenue", 1), value("h", "", "revenue", 1)
	late.At = time.Now().Add(time.Hour)
	keyed.Key, keyed.Experiment = "0123456789abcdef", "checkout"
	badKey.Key, badKey.Experiment = "xyz", "checkout"
	b := api.MetricBatch{App: "bar", Values: []api.MetricValue{
		value("a", "u", "revenue", 1), value("b", "u", "revenue", math.NaN()), value("c", "u", "revenue", -1), value("d", "u", "revenu", 1),
		value("", "u", "revenue", 1), late, keyed, badKey, value("i", "", "revenue", 1), value("a", "u", "revenue", 1),
	}}
	a, err := l.Push(t.Context(), b)
	if err != nil || a.Taken != 2 || a.Known != 1 {
		t.Fatalf("%+v %v", a, err)
	}
	want := map[int]string{1: "not a number", 2: "negative", 3: "did you mean revenue", 4: "id", 5: "future", 7: "16 hexadecimal", 8: "targeting_key"}
	for _, e := range a.Errors {
		if !strings.Contains(e.Message, want[e.Index]) || want[e.Index] == "" {
			t.Errorf("%d: %s", e.Index, e.Message)
		}
		delete(want, e.Index)
	}
	if len(want) > 0 {
		t.Errorf("nothing is said of %v", want)
	}
	if _, err := l.Push(t.Context(), api.MetricBatch{App: "foo", Values: b.Values}); semper.CodeOf(err) != semper.NotFound {
		t.Errorf("of an app without an experiment: %v", err)
	}
}

// TestTooManyValuesAreRefusedWhole and let in again when time has passed.
func TestTooManyValuesAreRefusedWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, env := mem.New(), begun(t, nil)
		l := lab.New(store, fence(t, store), none)
		if err := l.Sync(t.Context(), of(env)); err != nil {
			t.Fatal(err)
		}
		b, refused := api.MetricBatch{App: "bar"}, 0
		for i := range api.MaxValues {
			b.Values = append(b.Values, value(fmt.Sprint(i), "u", "revenue", 1))
		}
		for range 25 {
			if _, err := l.Push(t.Context(), b); err != nil {
				if refused++; semper.CodeOf(err) != semper.Unavailable {
					t.Fatal(err)
				}
			}
		}
		if refused != 5 {
			t.Errorf("%d of 25 were refused, not 5", refused)
		}
		time.Sleep(time.Second)
		if _, err := l.Push(t.Context(), b); err != nil {
			t.Error(err)
		}
	})
}

// TestEvaluationsAreExposures, and say what the edge says.
func TestEvaluationsAreExposures(t *testing.T) {
	t.Parallel()
	store, env := mem.New(), begun(t, nil)
	l := lab.New(store, fence(t, store), none)
	if err := l.Sync(t.Context(), of(env)); err != nil {
		t.Fatal(err)
	}
	v, _ := only(t, env).Variation()
	for u := range 50 {
		key := fmt.Sprint("user-", u)
		e, err := l.Evaluate(t.Context(), "bar", "production", "checkout", key)
		if _, at := v.Place(route.Hash([]byte(key), design.UserSalt)); err != nil || e.Value != v.Variants[at].Name || e.Reason != "SPLIT" {
			t.Fatalf("%+v %v", e, err)
		}
	}
	r := l.Report(env.Key(), "checkout")
	if n := r.Variants[0].Users + r.Variants[1].Users; n != 50 {
		t.Errorf("%d are exposed", n)
	}
	if _, err := l.Evaluate(t.Context(), "bar", "production", "none", "u"); semper.CodeOf(err) != semper.NotFound {
		t.Error(err)
	}
}

// TestTheWayOfAnExperiment from start to stop.
func TestTheWayOfAnExperiment(t *testing.T) {
	t.Parallel()
	env, now := begun(t, nil), time.Now()
	x := only(t, env)
	if _, _, err := lab.Start(env, x.Plan, false, lab.Releases{}, now, ""); semper.CodeOf(err) != semper.Conflict {
		t.Errorf("started twice: %v", err)
	}
	if _, _, err := lab.End(env, "checkout", "blue", lab.Releases{}, now, ""); semper.CodeOf(err) != semper.Invalid || !strings.Contains(err.Error(), "blue") {
		t.Errorf("a variant that is none: %v", err)
	}
	if _, _, err := lab.End(env, "none", "", lab.Releases{}, now, ""); semper.CodeOf(err) != semper.NotFound {
		t.Errorf("of nothing: %v", err)
	}
	report := experiment.Report{Outcome: experiment.Won, Winner: "green", Why: "so it is"}
	if _, news := lab.Decide(env, "checkout", "another run", report, now); len(news) != 0 {
		t.Error("decided by another run's report")
	}
	decided, news := lab.Decide(env, "checkout", x.Run, report, now)
	if len(news) != 1 || only(t, decided).State != design.Decided || only(t, env).State != design.Running {
		t.Fatal(news)
	}
	if _, news := lab.Decide(decided, "checkout", x.Run, report, now); len(news) != 0 {
		t.Error("decided twice")
	}
	promoted, news, err := lab.End(decided, "checkout", "green", lab.Releases{}, now, "ann")
	v, on := only(t, promoted).Variation()
	if err != nil || len(news) != 1 || !on || !v.Quiet || len(v.Variants) != 1 || v.Variants[0].Name != "green" {
		t.Fatal(news, v, err)
	}
	stopped, news, err := lab.End(promoted, "checkout", "", lab.Releases{}, now, "ann")
	if _, on := only(t, stopped).Variation(); err != nil || len(news) != 1 || on {
		t.Fatal(news, on, err)
	}
	again, _, err := lab.Start(stopped, x.Plan, true, lab.Releases{}, now, "ann")
	if y := only(t, again); err != nil || y.Run == x.Run || y.State != design.Draft {
		t.Fatal(y, err)
	}
}

// only is the one experiment of an environment.
func only(t testing.TB, env semper.Environment) *design.Experiment {
	t.Helper()
	list, err := design.Read(env.Experiments)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	return &list[0]
}
