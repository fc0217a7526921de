package registry

import (
	"errors"
	"math"
	"slices"
	"testing"
	"testing/synctest"

	"semper/actor"
	"semper/supervise"
)

type server = actor.Server[job]

func TestScenario130AsTheNameOfAStart(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		seen := false
		a, err := actor.Start(quiet, server(&worker{init: func(self *actor.Self[job]) error {
			id, err := r.Whereis("hello")
			seen = id == self.PID()
			return err
		}}), actor.Options{Name: r.As("hello", "value")})
		if err != nil || !seen {
			t.Fatalf("%v: in Init the name was there: %v", err, seen)
		}
		if got := r.Lookup("hello"); !slices.Equal(got, []Entry[string, string]{{"hello", a.PID(), "value"}}) {
			t.Errorf("found %v", got)
		}
		ref := Ref[job](r, "hello")
		if _, err := actor.Call(quiet, ref, func(from actor.From[error]) job {
			return job{func(*actor.Self[job]) error { return nil }, from}
		}); err != nil {
			t.Errorf("call by key: %v", err)
		}
		var taken *actor.AlreadyStartedError
		_, err = actor.Start(quiet, server(&worker{}), actor.Options{Name: r.As("hello", "other")})
		if !errors.Is(err, actor.ErrAlreadyStarted) || !errors.As(err, &taken) || taken.PID != a.PID() {
			t.Errorf("a second start: %v", err)
		}
		boom := errors.New("boom")
		_, err = actor.Start(quiet, server(&worker{init: func(*actor.Self[job]) error { return boom }}), actor.Options{Name: r.As("new", "")})
		if !errors.Is(err, boom) || len(r.Lookup("new")) > 0 {
			t.Errorf("a failing start: %v, left %v", err, r.Lookup("new"))
		}
		a.PID().Unregister(r.As("hello", "value"))
		if err := ref.Cast(job{}); !errors.Is(err, actor.ErrNoProc) {
			t.Errorf("given back: %v", err)
		}
		kill(a)
		empty(t, r)
	})
}

func TestScenario130ARestartFindsItsNameFree(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		s, err := supervise.Start(quiet, supervise.Flags{Intensity: 10}, []supervise.ChildSpec{
			actor.Child("it", func() server { return &worker{} }, actor.Options{Name: r.As("it", "value")}),
		}, supervise.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ref := Ref[job](r, "it")
		var last actor.PID
		for range 5 {
			to, err := ref.Resolve()
			if err != nil || to.PID() == last {
				t.Fatalf("%v, %v", to, err)
			}
			last = to.PID()
			_ = ref.Cast(job{do: func(*actor.Self[job]) error { panic("boom") }})
			synctest.Wait()
		}
		if err := s.Stop(quiet); err != nil {
			t.Error(err)
		}
		empty(t, r)
	})
}

func TestScenario131DuplicateIsNoNameAndHasNoUpdate(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Keys: Duplicate, Partitions: partitions})
		if _, err := actor.Start(quiet, server(&worker{}), actor.Options{Name: r.As("hello", "")}); !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("as a name: %v", err)
		}
		a := start(t, actor.Options{})
		defer kill(a)
		err := do(t, a, func(self *actor.Self[job]) error {
			_, _, err := r.UpdateValue(self, "hello", func(s string) string { return s })
			return err
		})
		if !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("update: %v", err)
		}
		if _, err := r.Whereis("hello"); !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("whereis: %v", err)
		}
		if _, err := Ref[job](r, "hello").Resolve(); !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("resolve: %v", err)
		}
	})
}

func TestScenario132DoesNotGrowOnAlreadyRegistered(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		a, b := start(t, actor.Options{}), start(t, actor.Options{})
		if err := register(t, r, a, "hello", ""); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if register(t, r, a, "hello", "") == nil || register(t, r, b, "hello", "") == nil {
				t.Fatal("registered twice")
			}
		}
		if keys := r.Keys(a.PID()); len(keys) != 1 || r.Count() != 1 || len(r.owned.Owners()) != 1 {
			t.Errorf("a has %v, %d entries, %v are known", keys, r.Count(), r.owned.Owners())
		}
		kill(a, b)
		empty(t, r)
	})
}

func TestScenario133KeysAreComparedAsGoCompares(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[any, int](Options{Partitions: partitions})
		a := start(t, actor.Options{})
		defer kill(a)
		keys := []any{1, 1.0, int64(1), "1", [1]int{1}, nil, struct{}{}}
		for i, key := range keys {
			if err := register(t, r, a, key, i); err != nil {
				t.Errorf("%T: %v", key, err)
			}
		}
		for i, key := range keys {
			if e, ok := r.Find(key); !ok || e.Value != i {
				t.Errorf("%T: %v, %v", key, e, ok)
			}
		}
		for _, key := range []any{math.NaN(), []int{1}, [1]any{func() {}}, struct{ x any }{math.NaN()}} {
			if err := register(t, r, a, key, 0); !errors.Is(err, actor.ErrInvalid) {
				t.Errorf("%T: %v", key, err)
			}
			if _, ok := r.Find(key); ok || len(r.Lookup(key)) > 0 || len(r.Values(key, a.PID())) > 0 {
				t.Errorf("%T is found", key)
			}
			unregister(t, r, a, key)
			if err := r.Lock(quiet, key, func() error { return nil }); !errors.Is(err, actor.ErrInvalid) {
				t.Errorf("lock %T: %v", key, err)
			}
		}
	})
}

func TestScenario134NoKeyIsReserved(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[int, int](Options{Partitions: partitions})
		a := start(t, actor.Options{})
		defer kill(a)
		r.PutMeta("", "meta")
		for _, key := range []int{0, -1, -2, math.MinInt, math.MaxInt} {
			if err := register(t, r, a, key, key); err != nil {
				t.Errorf("%d: %v", key, err)
			}
			if e, ok := r.Find(key); !ok || e.Value != key {
				t.Errorf("%d: %v, %v", key, e, ok)
			}
		}
		if r.Count() != 5 {
			t.Errorf("%d entries", r.Count())
		}
		if v, ok := r.Meta(""); v != "meta" || !ok {
			t.Errorf("meta %v, %v", v, ok)
		}
		r.DeleteMeta("")
		if v, ok := r.Meta(""); ok {
			t.Errorf("meta %v", v)
		}
	})
}
