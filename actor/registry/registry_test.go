package registry

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"semper/actor"
)

// heir takes the key of whoever it watches as soon as it hears of the end.
type heir struct {
	r     *Registry[string, int]
	errs  []error
	heard int
}

func (h *heir) Handle(self *actor.Self[actor.PID], of actor.PID) error {
	self.Monitor(of)
	self.Link(of)
	return nil
}

func (h *heir) Info(self *actor.Self[actor.PID], _ any) error {
	h.heard++
	h.r.Unregister(self, "throne")
	if err := h.r.Register(self, "throne", h.heard); err != nil {
		h.errs = append(h.errs, err)
	}
	h.r.Unregister(self, "throne")
	return nil
}

func TestKeyIsFreeWhenTheEndIsHeardOf(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, int](Options{Partitions: partitions})
		h := &heir{r: r}
		next, err := actor.Start(quiet, actor.Server[actor.PID](h), actor.Options{TrapExit: true})
		if err != nil {
			t.Fatal(err)
		}
		const rounds = 20
		for i := range rounds {
			a := start(t, actor.Options{Name: r.As("throne", 0)})
			_ = next.Cast(a.PID())
			synctest.Wait()
			if i%2 == 0 {
				a.PID().Kill()
			} else {
				_ = a.Cast(job{do: func(*actor.Self[job]) error { panic("boom") }})
			}
			synctest.Wait()
		}
		if len(h.errs) > 0 || h.heard != 2*rounds {
			t.Errorf("heard %d, %v", h.heard, h.errs)
		}
		next.PID().Kill()
		empty(t, r)
	})
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	a := start(t, actor.Options{})
	defer kill(a)
	for _, o := range []Options{{Keys: -1}, {Keys: 3}, {Partitions: -1}} {
		r := New[string, string](o)
		_, err := actor.Start(quiet, server(&worker{}), actor.Options{Name: r.As("a", "")})
		_, where := r.Whereis("a")
		for _, err := range []error{
			register(t, r, a, "a", ""), r.Lock(quiet, "a", func() error { return nil }), err, where,
		} {
			if !errors.Is(err, actor.ErrInvalid) {
				t.Errorf("%+v: %v", o, err)
			}
		}
		if r.Count() != 0 || len(r.Lookup("a")) != 0 {
			t.Errorf("%+v: it has entries", o)
		}
	}
	r := New[string, string](Options{})
	if err := r.Register(nil, "a", ""); !errors.Is(err, actor.ErrInvalid) {
		t.Errorf("nobody: %v", err)
	}
	if _, _, err := r.UpdateValue(nil, "a", nil); !errors.Is(err, actor.ErrInvalid) {
		t.Errorf("nobody: %v", err)
	}
	if err := r.As("a", "").Register(actor.PID{}); !errors.Is(err, actor.ErrNoProc) {
		t.Errorf("nobody: %v", err)
	}
	if err := errors.Join(Ref[job](r, "a").Cast(job{}), (Address[job, string, string]{}).Cast(job{})); !errors.Is(err, actor.ErrNoProc) {
		t.Errorf("no such key: %v", err)
	}
	if err := register(t, r, a, "a", ""); err != nil {
		t.Error(err)
	}
	if err := Ref[int](r, "a").Cast(1); !errors.Is(err, actor.ErrInvalid) {
		t.Errorf("another type of message: %v", err)
	}
	r.Unregister(nil, "a")
	r.Dispatch("a", nil)
	r.DispatchParallel("a", nil)
	r.Listen(nil)()
	_ = do(t, a, func(self *actor.Self[job]) error { r.UnregisterMatch(self, "a", nil); return nil })
	if n := len(r.Match("a", nil)) + len(r.Select(nil)) + r.CountSelect(nil); n != 0 || r.Count() != 1 {
		t.Errorf("%d matched by nothing, %d entries", n, r.Count())
	}
}

func TestTheDeadRegistersNothing(t *testing.T) {
	t.Parallel()
	r := New[string, string](Options{Partitions: 8})
	a := start(t, actor.Options{})
	var self *actor.Self[job]
	_ = do(t, a, func(s *actor.Self[job]) error { self = s; return r.Register(s, "a", "") })
	kill(a)
	if err := r.Register(self, "b", ""); !errors.Is(err, actor.ErrNoProc) {
		t.Errorf("%v", err)
	}
	if _, _, err := r.UpdateValue(self, "a", func(s string) string { return s }); !errors.Is(err, ErrNotRegistered) {
		t.Errorf("%v", err)
	}
	r.Unregister(self, "a")
	empty(t, r)
}

func TestZeroRegistryIsReady(t *testing.T) {
	t.Parallel()
	var r Registry[int, int]
	a := start(t, actor.Options{Name: r.As(7, 7)})
	if id, err := r.Whereis(7); err != nil || id != a.PID() {
		t.Errorf("%v, %v", id, err)
	}
	kill(a)
	empty(t, &r)
}

func TestUpdateValueOfSeveralGoroutinesLosesNothing(t *testing.T) {
	t.Parallel()
	r := New[string, int](Options{})
	a := start(t, actor.Options{})
	defer kill(a)
	err := do(t, a, func(self *actor.Self[job]) error {
		if err := r.Register(self, "n", 0); err != nil {
			return err
		}
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 500 {
					if _, _, err := r.UpdateValue(self, "n", func(n int) int { return n + 1 }); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		return nil
	})
	if e, _ := r.Find("n"); err != nil || e.Value != 2000 {
		t.Errorf("%d, %v", e.Value, err)
	}
}

func TestUpdateValueLooksAgain(t *testing.T) {
	t.Parallel()
	r := New[string, int](Options{})
	a := start(t, actor.Options{Name: r.As("n", 1)})
	defer kill(a)
	_ = do(t, a, func(self *actor.Self[job]) error {
		var seen []int
		now, before, err := r.UpdateValue(self, "n", func(n int) int {
			if seen = append(seen, n); len(seen) == 1 { // somebody comes in between
				_, _, _ = r.UpdateValue(self, "n", func(n int) int { return n * 10 })
			}
			return n + 1
		})
		if now != 11 || before != 10 || err != nil || !slices.Equal(seen, []int{1, 10}) {
			t.Errorf("%d → %d, %v, saw %v", before, now, err, seen)
		}
		return nil
	})
}

// TestManyEntriesOfOneProcess goes beyond what an owner walks through.
func TestManyEntriesOfOneProcess(t *testing.T) {
	t.Parallel()
	for _, keys := range []Keys{Duplicate, DuplicateByKey} {
		r := New[int, int](Options{Keys: keys, Partitions: 8})
		a := start(t, actor.Options{})
		const n = 5 * walk
		err := do(t, a, func(self *actor.Self[job]) error {
			for i := range n {
				if err := r.Register(self, i%10, i); err != nil {
					return err
				}
			}
			r.UnregisterMatch(self, 3, func(v int) bool { return v%20 == 3 })
			r.Unregister(self, 4)
			return r.Register(self, 3, -1)
		})
		if err != nil {
			t.Fatal(err)
		}
		var want []int
		for i := 13; i < n; i += 20 {
			want = append(want, i)
		}
		want = append(want, -1)
		if got := r.Values(3, a.PID()); !slices.Equal(got, want) {
			t.Errorf("%v: %v, want %v", keys, got, want)
		}
		r.owned.Known(a.PID(), func(h *holdings[int, int]) {
			if _, kept := h.index[4]; kept || len(h.index[3]) != len(want) {
				t.Errorf("%v: the index keeps what is gone: %v", keys, h.index)
			}
		})
		if got := r.Values(4, a.PID()); len(got) != 0 || r.Count() != len(r.Keys(a.PID())) {
			t.Errorf("%v: %v are left, %d entries, %d keys", keys, got, r.Count(), len(r.Keys(a.PID())))
		}
		_ = do(t, a, func(self *actor.Self[job]) error {
			for key := range 10 {
				r.Unregister(self, key)
			}
			return nil
		})
		empty(t, r)
		kill(a)
	}
}

func TestDispatchParallelHandsOnAPanic(t *testing.T) {
	t.Parallel()
	for _, partitions := range []int{1, 64} {
		r := New[string, int](Options{Keys: Duplicate, Partitions: partitions})
		for range 16 {
			a := start(t, actor.Options{})
			defer kill(a)
			if err := register(t, r, a, "hello", 0); err != nil {
				t.Fatal(err)
			}
		}
		func() {
			defer func() {
				v := recover()
				if broken, ok := v.(*actor.PanicError); partitions > 1 && (!ok || broken.Value != "boom") || v == nil {
					t.Errorf("%d partitions: %v", partitions, v)
				}
			}()
			r.DispatchParallel("hello", func([]Entry[string, int]) { panic("boom") })
		}()
	}
}

func TestUserFunctionsMayUseTheRegistry(t *testing.T) {
	t.Parallel()
	r := New[string, int](Options{})
	a := start(t, actor.Options{})
	defer kill(a)
	r.Listen(func(e Event[string, int]) { r.Lookup(e.Key) })
	err := do(t, a, func(self *actor.Self[job]) error {
		again := func(key string) error { r.Unregister(self, key); return r.Register(self, key, 1) }
		err := errors.Join(r.Register(self, "a", 1), r.Register(self, "b", 1))
		r.Select(func(e Entry[string, int]) bool { err = errors.Join(err, again(e.Key)); return true })
		r.Match("a", func(int) bool { err = errors.Join(err, again("a")); return true })
		r.UnregisterMatch(self, "a", func(int) bool { err = errors.Join(err, again("b")); return false })
		r.Dispatch("a", func([]Entry[string, int]) { err = errors.Join(err, again("b")) })
		_, _, wrong := r.UpdateValue(self, "a", func(n int) int { r.Lookup("a"); return n + 1 })
		return errors.Join(err, wrong)
	})
	if e, _ := r.Find("a"); err != nil || e.Value != 2 || r.Count() != 2 {
		t.Errorf("%v, %v of %d", err, e, r.Count())
	}
}

// Not parallel: AllocsPerRun counts what others allocate too.
func TestFindAllocatesNothing(t *testing.T) {
	r := New[string, int](Options{Partitions: 8})
	a := start(t, actor.Options{Name: r.As("hello", 1)})
	defer kill(a)
	if n := testing.AllocsPerRun(100, func() { r.Find("hello") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
