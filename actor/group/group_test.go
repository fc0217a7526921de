package group

import (
	"context"
	"errors"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/supervise"
)

func TestSingle(t *testing.T) {
	t.Parallel()
	s := New[order]()
	a, _ := start(t, actor.Options{})
	b, _ := start(t, actor.Options{})
	if err := errors.Join(s.Join("g", a), s.Join("g", a, a)); err != nil {
		t.Fatal(err)
	}
	if got := s.Members("g"); !slices.Equal(got, []ref{a, a, a}) || s.Count("g") != 3 {
		t.Errorf("joined three times: %v", got)
	}
	if err := s.Leave("missing", a); !errors.Is(err, ErrNotJoined) {
		t.Errorf("leave a group that is not there: %v", err)
	}
	if err := s.Leave("g", b); !errors.Is(err, ErrNotJoined) {
		t.Errorf("leave without having joined: %v", err)
	}
	if err := s.Leave("g", b, a, a); err != nil || s.Count("g") != 1 {
		t.Errorf("one of them had joined: %v, %d are left", err, s.Count("g"))
	}
	if err := s.Leave("g", a, a, a); err != nil { // more than there are
		t.Error(err)
	}
	if got := s.Groups(); len(got) != 0 || s.Members("g") != nil {
		t.Errorf("groups %v", got)
	}
	if err := s.Join("g", a, b); err != nil {
		t.Fatal(err)
	}
	crash(t, b)
	if got := s.Members("g"); !slices.Equal(got, []ref{a}) {
		t.Errorf("after the end of one: %v", got)
	}
	kill(a)
	empty(t, s)
}

func TestScopesAndGroupsAreApart(t *testing.T) {
	t.Parallel()
	one, two := New[order](), &Scope[order]{}
	a, _ := start(t, actor.Options{})
	if err := errors.Join(one.Join("x", a), one.Join("y", a, a), two.Join("z", a)); err != nil {
		t.Fatal(err)
	}
	if got := one.Groups(); !slices.Equal(got, []string{"x", "y"}) {
		t.Errorf("one has %v", got)
	}
	if got := two.Groups(); !slices.Equal(got, []string{"z"}) {
		t.Errorf("two has %v", got)
	}
	kill(a)
	empty(t, one)
	empty(t, two)
}

func TestErrors(t *testing.T) {
	t.Parallel()
	s := New[order]()
	a, _ := start(t, actor.Options{})
	dead, _ := start(t, actor.Options{})
	var late *actor.Self[order]
	do(t, dead, func(self *actor.Self[order]) { late = self })
	kill(dead)
	if err := s.Join("g", ref{}, a, dead); !errors.Is(err, actor.ErrNoProc) || s.Count("g") != 1 {
		t.Errorf("nobody and the dead: %v, %d joined", err, s.Count("g"))
	}
	if err := s.Leave("g", dead, ref{}); !errors.Is(err, ErrNotJoined) {
		t.Errorf("%v", err)
	}
	if _, _, err := s.Monitor(nil, "g"); !errors.Is(err, actor.ErrInvalid) {
		t.Errorf("monitor of nobody: %v", err)
	}
	if _, _, err := s.MonitorScope(nil); !errors.Is(err, actor.ErrInvalid) {
		t.Errorf("monitor of nobody: %v", err)
	}
	if m, _, err := s.Monitor(late, "g"); !errors.Is(err, actor.ErrNoProc) || m.Stop() {
		t.Errorf("monitor of the dead: %v", err)
	}
	if _, err := s.Broadcast(nil, "g", order{}); !errors.Is(err, actor.ErrInvalid) { //nolint:staticcheck // nil is what is tested
		t.Errorf("broadcast without a context: %v", err)
	}
	for _, c := range []*Choice[order]{s.RoundRobin("none"), s.Random("none")} {
		if err := c.Cast(order{}); !errors.Is(err, actor.ErrNoProc) {
			t.Errorf("nobody is there: %v", err)
		}
	}
	if _, err := actor.Start(quiet, actor.Server[int](other{}), actor.Options{Name: s.As("g")}); !errors.Is(err, actor.ErrInvalid) {
		t.Errorf("one of other messages: %v", err)
	}
	kill(a)
	empty(t, s)
}

type other struct{}

func (other) Handle(*actor.Self[int], int) error { return nil }

// TestLeaveAndExitAtOnce: the leaving and the end meet in any order, and nothing is left.
func TestLeaveAndExitAtOnce(t *testing.T) {
	t.Parallel()
	s := New[order]()
	for range 100 {
		a, _ := start(t, actor.Options{})
		if err := s.Join("g", a); err != nil {
			t.Fatal(err)
		}
		go a.PID().Kill()
		if err := s.Leave("g", a); err != nil && !errors.Is(err, ErrNotJoined) {
			t.Error(err)
		}
		<-a.PID().Done()
	}
	empty(t, s)
}

func TestManyGroupsOfOneProcess(t *testing.T) {
	t.Parallel()
	s := New[order]()
	a, _ := start(t, actor.Options{})
	names := make([]string, 10_000)
	for i := range names {
		names[i] = time.Duration(i).String()
		if err := s.Join(names[i], a); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(names)
	if got := s.Groups(); !slices.Equal(got, names) {
		t.Errorf("%d groups", len(got))
	}
	kill(a)
	empty(t, s)
}

// TestGroupIsLeftWhenTheEndIsHeardOf: a monitor of a process, of its group and a link agree on what comes first.
func TestGroupIsLeftWhenTheEndIsHeardOf(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New[order]()
		watcher, seen := start(t, actor.Options{TrapExit: true})
		a, _ := start(t, actor.Options{})
		do(t, watcher, func(self *actor.Self[order]) {
			self.Link(a.PID())
			self.Monitor(a.PID())
			if _, members, err := s.Monitor(self, "g"); err != nil || len(members) != 0 {
				t.Errorf("%v, %v", members, err)
			}
		})
		if err := s.Join("g", a, a); err != nil {
			t.Fatal(err)
		}
		crash(t, a)
		synctest.Wait()
		if len(seen.news) != 4 {
			t.Fatalf("heard %v", seen.news)
		}
		for i, times := range []int{2, -2} {
			if c, ok := seen.news[i].(Change[order]); !ok || c.Member != a || c.Times != times || c.Group != "g" {
				t.Errorf("%d: heard %v", i, seen.news[i])
			}
		}
		kill(watcher)
		empty(t, s)
	})
}

func TestMonitor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New[order]()
		a, _ := start(t, actor.Options{})
		watcher, seen := start(t, actor.Options{})
		if err := s.Join("g", a, a); err != nil {
			t.Fatal(err)
		}
		var one, two, all Monitor[order]
		do(t, watcher, func(self *actor.Self[order]) {
			var members []ref
			var groups map[string][]ref
			var errs [3]error
			one, members, errs[0] = s.Monitor(self, "g")
			two, _, errs[1] = s.Monitor(self, "g")
			all, groups, errs[2] = s.MonitorScope(self)
			if err := errors.Join(errs[:]...); err != nil || !slices.Equal(members, []ref{a, a}) ||
				!maps.EqualFunc(groups, map[string][]ref{"g": {a, a}}, slices.Equal[[]ref]) {
				t.Errorf("%v: begins with %v, %v", err, members, groups)
			}
		})
		told := func(what string, want ...Change[order]) {
			t.Helper()
			synctest.Wait()
			got := map[Change[order]]int{}
			for _, n := range seen.news {
				got[n.(Change[order])]++
			}
			for _, c := range want {
				got[c]--
			}
			for c, n := range got {
				if n != 0 {
					t.Errorf("%s: %+v heard %d times too often", what, c, n)
				}
			}
			seen.news = nil
		}
		_ = s.Join("g", a)
		told("join", Change[order]{one, "g", a, 1}, Change[order]{two, "g", a, 1}, Change[order]{all, "g", a, 1})
		_ = s.Join("h", a)
		told("another group", Change[order]{all, "h", a, 1})
		if !two.Stop() || two.Stop() || (Monitor[order]{}).Stop() {
			t.Error("a monitor stops once")
		}
		_ = s.Leave("g", a, a)
		told("leave", Change[order]{one, "g", a, -2}, Change[order]{all, "g", a, -2})
		_ = s.Leave("g", watcher)
		told("nothing")
		kill(a)
		told("end", Change[order]{one, "g", a, -1}, Change[order]{all, "g", a, -1}, Change[order]{all, "h", a, -1})
		if !all.Stop() || s.Groups() != nil {
			t.Errorf("%v", s.Groups())
		}
		b, _ := start(t, actor.Options{})
		_ = s.Join("g", b)
		told("after the stop", Change[order]{one, "g", b, 1})
		kill(watcher, b)
		empty(t, s)
	})
}

func TestBroadcast(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New[order]()
		a, gotA := start(t, actor.Options{})
		b, gotB := start(t, actor.Options{Mailbox: actor.Mailbox{Limit: 1}})
		c, gotC := start(t, actor.Options{Mailbox: actor.Mailbox{Limit: 1, Overflow: actor.Wait}})
		if err := s.Join("g", a, b, a, c); err != nil {
			t.Fatal(err)
		}
		if n, err := s.Broadcast(quiet, "g", order{n: 1}); n != 4 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		synctest.Wait()
		free := make(chan struct{})
		for _, of := range []ref{b, c} {
			_ = of.Cast(order{do: func(*actor.Self[order]) { <-free }})
			synctest.Wait()
			_ = of.Cast(order{n: 2})
		}
		ctx, cancel := context.WithTimeout(quiet, time.Second)
		defer cancel()
		n, err := s.Broadcast(ctx, "g", order{n: 3})
		if n != 2 || !errors.Is(err, actor.ErrMailboxFull) {
			t.Errorf("two are full: %d, %v", n, err)
		}
		close(free)
		synctest.Wait()
		for i, got := range [][]int{gotA.got, gotB.got, gotC.got} {
			if want := [][]int{{1, 1, 3, 3}, {1, 2}, {1, 2}}[i]; !slices.Equal(got, want) {
				t.Errorf("%d got %v, want %v", i, got, want)
			}
		}
		if n, err := s.Broadcast(quiet, "nobody", order{}); n != 0 || err != nil {
			t.Errorf("to nobody: %d, %v", n, err)
		}
		kill(a, b, c)
		empty(t, s)
	})
}

// slow is a name whose release takes as long as the test wants.
type slow struct{ asked, free chan struct{} }

func (s *slow) Register(actor.PID) error { return nil }
func (s *slow) Unregister(actor.PID)     { close(s.asked); <-s.free }

func TestChoice(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New[order]()
		a, gotA := start(t, actor.Options{})
		b, gotB := start(t, actor.Options{})
		if err := s.Join("g", a, b, b); err != nil {
			t.Fatal(err)
		}
		const rounds = 1000
		robin, random := s.RoundRobin("g"), s.Random("g")
		for range rounds * 3 {
			if _, err := actor.Call(quiet, robin, func(from actor.From[int]) order { return order{from: from} }); err != nil {
				t.Fatal(err)
			}
		}
		if len(gotA.got) != rounds || len(gotB.got) != 2*rounds {
			t.Errorf("in turn: %d, %d", len(gotA.got), len(gotB.got))
		}
		gotA.got, gotB.got = nil, nil
		for range rounds * 3 {
			_ = random.Cast(order{})
		}
		synctest.Wait()
		if n := len(gotA.got); n+len(gotB.got) != 3*rounds || n < rounds/2 || n > 2*rounds { // a third, within 19 deviations
			t.Errorf("at random: %d, %d", n, len(gotB.got))
		}
		dying := &slow{make(chan struct{}), make(chan struct{})}
		c, _ := start(t, actor.Options{Name: dying})
		_ = s.Leave("g", b, b)
		_ = s.Join("g", c)
		go c.PID().Kill()
		<-dying.asked // it is dead, and has not left yet
		for range 10 {
			for _, choice := range []*Choice[order]{robin, random} {
				if of, err := choice.Resolve(); err != nil || of != a {
					t.Errorf("%v, %v", of, err)
				}
			}
		}
		_ = s.Leave("g", a)
		if _, err := robin.Resolve(); !errors.Is(err, actor.ErrNoProc) {
			t.Errorf("none lives: %v", err)
		}
		close(dying.free)
		<-c.PID().Done()
		kill(a, b)
		empty(t, s)
	})
}

func TestSupervisedMembers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := New[order]()
		var specs []supervise.ChildSpec
		for _, id := range []string{"1", "2", "3"} {
			specs = append(specs, actor.Child(id, func() actor.Server[order] { return &soldier{} }, actor.Options{Name: s.As("g")}))
		}
		sup, err := supervise.Start(quiet, supervise.Flags{Intensity: 10}, specs, supervise.Options{})
		if err != nil {
			t.Fatal(err)
		}
		before := count(s.Members("g"))
		for range 5 {
			of, err := s.Random("g").Resolve()
			if err != nil {
				t.Fatal(err)
			}
			crash(t, of)
			synctest.Wait()
		}
		if now := count(s.Members("g")); len(before) != 3 || len(now) != 3 || maps.Equal(before, now) {
			t.Errorf("before %v, now %v", before, now)
		}
		if err := sup.Stop(quiet); err != nil {
			t.Error(err)
		}
		empty(t, s)
	})
}

func TestMembershipIsGivenBack(t *testing.T) {
	t.Parallel()
	s := New[order]()
	a, _ := start(t, actor.Options{Name: s.As("g")})
	defer kill(a)
	if s.Count("g") != 1 {
		t.Errorf("%d members", s.Count("g"))
	}
	a.PID().Unregister(s.As("g"))
	empty(t, s)
}
