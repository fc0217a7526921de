package group

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"semper/actor"
)

var names = []string{"a", "b", "c"}

// model is what a scope should say: how often each process is in each group.
type model struct {
	t     *rapid.T
	s     *Scope[order]
	procs []ref
	alive map[ref]bool
	in    map[string]map[ref]int
	mirror
}

// mirror is a membership made of what a monitor began with and its changes.
type mirror struct {
	watcher ref
	seen    *soldier
	held    map[string]map[ref]int
}

func (m *mirror) begin(t rapid.TB, s *Scope[order]) {
	m.watcher, m.seen = start(t, actor.Options{})
	m.held = map[string]map[ref]int{}
	do(t, m.watcher, func(self *actor.Self[order]) {
		_, groups, err := s.MonitorScope(self)
		if err != nil {
			t.Errorf("%v", err)
		}
		for name, members := range groups {
			m.held[name] = count(members)
		}
	})
}

// follow applies the changes that have come so far.
func (m *mirror) follow(t rapid.TB) {
	do(t, m.watcher, func(*actor.Self[order]) {
		for _, n := range m.seen.news {
			c := n.(Change[order])
			if m.held[c.Group] == nil {
				m.held[c.Group] = map[ref]int{}
			}
			of := m.held[c.Group]
			if of[c.Member] += c.Times; of[c.Member] < 0 {
				t.Errorf("%v left %s more often than it joined", c.Member, c.Group)
			}
			if c.Times == 0 || c.Joined() && c.Times < 0 {
				t.Errorf("%+v", c)
			}
			if of[c.Member] == 0 {
				delete(of, c.Member)
			}
			if len(of) == 0 {
				delete(m.held, c.Group)
			}
		}
		m.seen.news = nil
	})
}

func (m *model) some() []ref {
	if len(m.procs) == 0 {
		m.t.Skip("no process")
	}
	return rapid.SliceOfN(rapid.SampledFrom(m.procs), 1, 4).Draw(m.t, "processes")
}

func (m *model) name() string { return rapid.SampledFrom(names).Draw(m.t, "group") }

func (m *model) start(*rapid.T) {
	a, _ := start(m.t, actor.Options{})
	m.procs = append(m.procs, a)
	m.alive[a] = true
}

func (m *model) startAs(*rapid.T) {
	name := m.name()
	a, _ := start(m.t, actor.Options{Name: m.s.As(name)})
	m.procs = append(m.procs, a)
	m.alive[a] = true
	m.in[name][a]++
}

func (m *model) join(*rapid.T) {
	name, some := m.name(), m.some()
	err := m.s.Join(name, some...)
	dead := false
	for _, a := range some {
		if m.alive[a] {
			m.in[name][a]++
		} else {
			dead = true
		}
	}
	if dead != errors.Is(err, actor.ErrNoProc) || !dead && err != nil {
		m.t.Fatalf("%v, some have ended: %v", err, dead)
	}
}

func (m *model) leave(*rapid.T) {
	name, some := m.name(), m.some()
	err := m.s.Leave(name, some...)
	any := false
	for _, a := range some {
		if m.in[name][a] > 0 {
			any = true
			m.in[name][a]--
		}
		if m.in[name][a] == 0 {
			delete(m.in[name], a)
		}
	}
	if any != (err == nil) || !any && !errors.Is(err, ErrNotJoined) {
		m.t.Fatalf("%v, some had joined: %v", err, any)
	}
}

func (m *model) end(*rapid.T) {
	for _, a := range m.some()[:1] {
		if rapid.Bool().Draw(m.t, "by a crash") {
			crash(m.t, a)
		} else {
			kill(a)
		}
		m.alive[a] = false
		for _, in := range m.in {
			delete(in, a)
		}
	}
}

// again takes a new monitor in the place of the one there was.
func (m *model) again(*rapid.T) {
	kill(m.watcher)
	m.begin(m.t, m.s)
}

func (m *model) check(*rapid.T) {
	want := map[string]map[ref]int{}
	for name, in := range m.in {
		if got := count(m.s.Members(name)); !maps.Equal(got, in) {
			m.t.Fatalf("%s: %v, want %v", name, got, in)
		}
		if n := len(m.s.Members(name)); m.s.Count(name) != n {
			m.t.Fatalf("%s: %d members, count %d", name, n, m.s.Count(name))
		}
		of, err := m.s.Random(name).Resolve()
		if (err == nil) != (len(in) > 0) || err == nil && in[of] == 0 {
			m.t.Fatalf("%s: chose %v, %v of %v", name, of, err, in)
		}
		if len(in) > 0 {
			want[name] = in
		}
	}
	if got := m.s.Groups(); !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		m.t.Fatalf("groups %v, want %v", got, want)
	}
	m.follow(m.t)
	if !maps.EqualFunc(m.held, want, maps.Equal[map[ref]int, map[ref]int]) {
		m.t.Fatalf("the monitor has %v, want %v", m.held, want)
	}
}

func TestScopeFollowsItsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := &model{t: t, s: New[order](), alive: map[ref]bool{}, in: map[string]map[ref]int{}}
		for _, name := range names {
			m.in[name] = map[ref]int{}
		}
		m.begin(t, m.s)
		t.Repeat(map[string]func(*rapid.T){
			"": m.check, "start": m.start, "start as": m.startAs, "join": m.join, "join more": m.join,
			"leave": m.leave, "end": m.end, "monitor again": m.again,
		})
		kill(m.procs...)
		kill(m.watcher)
		empty(t, m.s)
	})
}

// TestManyAtOnce: processes join and leave from many goroutines while others are killed and monitors come and go. What a
// monitor was told is in the end what is so.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	s := New[order]()
	var all sync.WaitGroup
	var mu sync.Mutex
	var left []ref
	monitors := make([]mirror, 5)
	monitors[0].begin(t, s)
	for seed := range 8 {
		rnd := rand.New(rand.NewPCG(uint64(seed), 3))
		all.Go(func() {
			for i := range 40 {
				a, _ := start(t, actor.Options{Name: s.As(names[rnd.IntN(len(names))])})
				b, _ := start(t, actor.Options{})
				for range 10 {
					name := names[rnd.IntN(len(names))]
					switch rnd.IntN(4) {
					case 0, 1:
						if err := s.Join(name, a, b, a); err != nil && !errors.Is(err, actor.ErrNoProc) {
							t.Error(err)
						}
					case 2:
						_ = s.Leave(name, a, b)
					case 3:
						if _, err := s.Broadcast(quiet, name, order{}); err != nil {
							t.Error(err)
						}
					}
					if rnd.IntN(10) == 0 {
						kill(a)
					}
				}
				if seed > 0 && seed < len(monitors) && i == 20 {
					monitors[seed].begin(t, s)
				}
				kill(a)
				mu.Lock()
				left = append(left, b)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	want := map[string]map[ref]int{}
	for _, name := range s.Groups() {
		want[name] = count(s.Members(name))
	}
	for i := range monitors {
		m := &monitors[i]
		m.follow(t)
		if !maps.EqualFunc(m.held, want, maps.Equal[map[ref]int, map[ref]int]) {
			t.Errorf("monitor %d has another membership than there is", i)
		}
		kill(m.watcher)
	}
	kill(left...)
	empty(t, s)
}

func filled(t testing.TB, n int) (*Scope[order], []ref) {
	t.Helper()
	s := New[order]()
	all := make([]ref, n)
	for i := range all {
		all[i], _ = start(t, actor.Options{Name: s.As("g")})
	}
	t.Cleanup(func() { kill(all...) })
	return s, all
}

func benchmark(b *testing.B, f func(s *Scope[order], all []ref, choice *Choice[order])) {
	for _, n := range []int{2, 100_000} {
		b.Run(fmt.Sprintf("members=%d", n), func(b *testing.B) {
			s, all := filled(b, n)
			choice := s.RoundRobin("g")
			b.ReportAllocs()
			for b.Loop() {
				f(s, all, choice)
			}
		})
	}
}

func BenchmarkJoinLeave(b *testing.B) {
	benchmark(b, func(s *Scope[order], all []ref, _ *Choice[order]) {
		_ = s.Join("g", all[0])
		_ = s.Leave("g", all[0])
	})
}

func BenchmarkRoundRobin(b *testing.B) {
	benchmark(b, func(_ *Scope[order], _ []ref, choice *Choice[order]) { _, _ = choice.Resolve() })
}

// TestCostDoesNotGrow compares a group of few with one of many. A leaving that went through the members would cost
// thousands of times as much in the larger; cache misses make it a few times.
func TestCostDoesNotGrow(t *testing.T) {
	t.Parallel()
	cost := func(n int) time.Duration {
		s, all := filled(t, n)
		choice := s.RoundRobin("g")
		best := time.Duration(1 << 62)
		for range 5 {
			begin := time.Now()
			for range 1000 {
				if err := errors.Join(s.Leave("g", all[0]), s.Join("g", all[0])); err != nil {
					t.Fatal(err)
				}
				if _, err := choice.Resolve(); err != nil {
					t.Fatal(err)
				}
			}
			best = min(best, time.Since(begin))
		}
		return best
	}
	if small, large := cost(2), cost(20_000); large > 100*small {
		t.Errorf("2 members %v, 20,000 members %v", small, large)
	}
}
