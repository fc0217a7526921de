package registry

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"

	"semper/actor"
)

func TestScenario122UniqueAcrossProcesses(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		a, b := start(t, actor.Options{}), start(t, actor.Options{})
		defer kill(a, b)
		if err := errors.Join(register(t, r, a, "hello", "a"), register(t, r, a, "world", "a")); err != nil {
			t.Fatal(err)
		}
		for _, again := range []actor.Ref[job]{a, b} {
			err := register(t, r, again, "hello", "again")
			var taken *AlreadyRegisteredError
			if !errors.Is(err, ErrAlreadyRegistered) || !errors.As(err, &taken) || taken.PID != a.PID() || taken.Key != "hello" {
				t.Errorf("%v", err)
			}
		}
		if keys := r.Keys(a.PID()); !slices.Equal(keys, []string{"hello", "world"}) {
			t.Errorf("a has %v", keys)
		}
		if keys := r.Keys(b.PID()); len(keys) != 0 {
			t.Errorf("b has %v", keys)
		}
		if got := r.Lookup("hello"); !slices.Equal(got, []Entry[string, string]{{"hello", a.PID(), "a"}}) {
			t.Errorf("found %v", got)
		}
	})
}

// slow is a name whose release takes as long as the test wants.
type slow struct{ asked, go_ chan struct{} }

func (s *slow) Register(actor.PID) error { return nil }
func (s *slow) Unregister(actor.PID)     { close(s.asked); <-s.go_ }

func TestScenario123UniqueThoughTheCleaningIsDelayed(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		a, b := start(t, actor.Options{}), start(t, actor.Options{})
		defer kill(b)
		s := &slow{make(chan struct{}), make(chan struct{})}
		if err := errors.Join(a.PID().Register(s), register(t, r, a, "hello", "a")); err != nil {
			t.Fatal(err)
		}
		go a.PID().Kill()
		<-s.asked // a is dead, and still in the table
		if got := r.Lookup("hello"); len(got) != 1 || got[0].PID != a.PID() {
			t.Fatalf("found %v: the cleaning was not delayed", got)
		}
		if id, err := r.Whereis("hello"); !errors.Is(err, actor.ErrNoProc) {
			t.Errorf("whereis %v, %v", id, err)
		}
		if err := register(t, r, b, "hello", "b"); err != nil {
			t.Errorf("the dead kept its key: %v", err)
		}
		close(s.go_)
		<-a.PID().Done()
		if got := r.Lookup("hello"); !slices.Equal(got, []Entry[string, string]{{"hello", b.PID(), "b"}}) {
			t.Errorf("after the cleaning: %v", got)
		}
	})
}

func TestScenario124CleanUpOnCrash(t *testing.T) {
	for _, keys := range []Keys{Unique, Duplicate, DuplicateByKey} {
		t.Run(keys.String(), func(t *testing.T) {
			scenario(t, func(t *testing.T, partitions int) {
				r := New[string, string](Options{Keys: keys, Partitions: partitions})
				var all []actor.Ref[job]
				for i, key := range []string{"hello", "world", "!"} {
					all = append(all, start(t, actor.Options{}))
					if err := errors.Join(register(t, r, all[i], key, "1"), register(t, r, all[i], key+"s", "2")); err != nil {
						t.Fatal(err)
					}
				}
				all[0].PID().Kill()
				all[1].PID().Exit(actor.Reason{Kind: actor.Crash, Err: errors.New("boom")})
				_ = all[2].Cast(job{do: func(*actor.Self[job]) error { panic("boom") }})
				for _, p := range all {
					<-p.PID().Done() // it is the end that cleans up, and nobody has to wait longer than for it
				}
				empty(t, r)
			})
		})
	}
}

func TestScenario125DuplicateAcrossProcesses(t *testing.T) {
	for _, keys := range []Keys{Duplicate, DuplicateByKey} {
		t.Run(keys.String(), func(t *testing.T) {
			scenario(t, func(t *testing.T, partitions int) {
				r := New[string, string](Options{Keys: keys, Partitions: partitions})
				a, b := start(t, actor.Options{}), start(t, actor.Options{})
				defer kill(a, b)
				err := errors.Join(register(t, r, a, "hello", "1"), register(t, r, b, "hello", "2"),
					register(t, r, a, "hello", "1"), register(t, r, a, "world", "3"))
				if err != nil {
					t.Fatal(err)
				}
				if got := r.Keys(a.PID()); !slices.Equal(got, []string{"hello", "hello", "world"}) {
					t.Errorf("a has %v", got)
				}
				if got := r.Values("hello", a.PID()); !slices.Equal(got, []string{"1", "1"}) {
					t.Errorf("a has the values %v", got)
				}
				if got := r.Lookup("hello"); len(got) != 3 || r.Count() != 4 {
					t.Errorf("found %v of %d", got, r.Count())
				}
				if keys == DuplicateByKey || partitions == 1 {
					want := []Entry[string, string]{{"hello", a.PID(), "1"}, {"hello", b.PID(), "2"}, {"hello", a.PID(), "1"}}
					if got := r.Lookup("hello"); !slices.Equal(got, want) {
						t.Errorf("found %v, want the order of registration", got)
					}
				}
			})
		})
	}
}

func TestScenario126Dispatch(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Keys: Duplicate, Partitions: partitions})
		r.Dispatch("hello", func([]Entry[string, string]) { t.Error("called without entries") })
		r.DispatchParallel("hello", func([]Entry[string, string]) { t.Error("called without entries") })
		const n = 32
		var all []actor.Ref[job]
		homes := map[*part[string, string]]bool{}
		for range n {
			p := start(t, actor.Options{})
			defer kill(p)
			all = append(all, p)
			homes[r.home("", p.PID())] = true
			if err := errors.Join(register(t, r, p, "hello", "1"), register(t, r, p, "world", "2")); err != nil {
				t.Fatal(err)
			}
		}
		calls, entries := 0, 0
		r.Dispatch("hello", func(es []Entry[string, string]) {
			calls++
			entries += len(es)
			for _, e := range es {
				if e.Key != "hello" || r.home("", e.PID) != r.home("", es[0].PID) {
					t.Errorf("%v is not of this call", e)
				}
			}
		})
		if calls != len(homes) || entries != n {
			t.Errorf("serial: %d calls with %d entries, want %d with %d", calls, entries, len(homes), n)
		}
		got := make(chan int, n)
		together := make(chan struct{})
		go func() {
			synctest.Wait() // every call has begun, and none has ended
			close(together)
		}()
		r.DispatchParallel("hello", func(es []Entry[string, string]) {
			<-together
			got <- len(es)
		})
		if len(got) != len(homes) {
			t.Errorf("parallel: %d calls, want %d", len(got), len(homes))
		}
		kill(all...)
	})
}

func TestScenario127Unregister(t *testing.T) {
	for _, keys := range []Keys{Unique, Duplicate, DuplicateByKey} {
		t.Run(keys.String(), func(t *testing.T) {
			scenario(t, func(t *testing.T, partitions int) {
				r := New[string, string](Options{Keys: keys, Partitions: partitions})
				a, b := start(t, actor.Options{}), start(t, actor.Options{})
				defer kill(a, b)
				unregister(t, r, a, "hello") // has no entries
				err := errors.Join(register(t, r, a, "hello", "1"), register(t, r, a, "world", "2"))
				if keys != Unique {
					err = errors.Join(err, register(t, r, a, "hello", "3"), register(t, r, b, "hello", "4"))
				}
				if err != nil {
					t.Fatal(err)
				}
				unregister(t, r, b, "world") // is a's
				unregister(t, r, a, "hello")
				if got := r.Keys(a.PID()); !slices.Equal(got, []string{"world"}) {
					t.Errorf("a has %v", got)
				}
				if got := r.Lookup("hello"); keys != Unique && (len(got) != 1 || got[0].PID != b.PID()) {
					t.Errorf("left: %v", got)
				}
				unregister(t, r, a, "world")
				unregister(t, r, b, "hello")
				empty(t, r)
			})
		})
	}
}

func TestScenario128Listeners(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		var got []Event[string, string]
		bad := 0
		r.Listen(func(Event[string, string]) { bad++; panic("a bad listener") })
		stop := r.Listen(func(e Event[string, string]) { got = append(got, e) })
		a, b := start(t, actor.Options{}), start(t, actor.Options{Name: r.As("named", "n")})
		err := errors.Join(register(t, r, a, "hello", "1"), register(t, r, a, "world", "2"))
		_ = register(t, r, b, "hello", "taken")
		unregister(t, r, a, "hello")
		unregister(t, r, a, "hello") // is not there any more
		kill(a, b)                   // a crash is no event
		<-a.PID().Done()
		want := []Event[string, string]{
			{Registered, Entry[string, string]{"named", b.PID(), "n"}},
			{Registered, Entry[string, string]{"hello", a.PID(), "1"}},
			{Registered, Entry[string, string]{"world", a.PID(), "2"}},
			{Unregistered, Entry[string, string]{"hello", a.PID(), "1"}},
		}
		if err != nil || !slices.Equal(got, want) || bad != 1 {
			t.Errorf("%v, the bad one heard %d\ngot  %v\nwant %v", err, bad, got, want)
		}
		stop()
		stop()
		c := start(t, actor.Options{Name: r.As("c", "")})
		kill(c)
		if len(got) != len(want) {
			t.Errorf("heard after the stop: %v", got[len(want):])
		}
	})
}

func TestScenario129KnownWhileRegistered(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		a := start(t, actor.Options{})
		defer kill(a)
		known := func() bool { return slices.Contains(r.owned.Owners(), a.PID()) }
		err := errors.Join(register(t, r, a, "hello", ""), register(t, r, a, "world", ""))
		if err != nil || !known() {
			t.Errorf("%v: registered, known: %v", err, known())
		}
		unregister(t, r, a, "hello")
		if !known() {
			t.Error("forgotten with a key left")
		}
		unregister(t, r, a, "world")
		if known() {
			t.Error("not forgotten after the last key")
		}
		for range 100 { // neither side grows by it
			if err := register(t, r, a, "hello", ""); err != nil {
				t.Fatal(err)
			}
			unregister(t, r, a, "hello")
		}
		empty(t, r)
	})
}
