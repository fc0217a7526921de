package registry

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"semper/actor"
)

// model is what a registry should say, kept as one list of entries in the order of registration.
type model struct {
	t       *rapid.T
	r       *Registry[int, int]
	entries []Entry[int, int]
	heard   []Event[int, int]
	want    []Event[int, int]
	procs   []*proc
}

type proc struct {
	ref   actor.Ref[job]
	self  *actor.Self[job]
	alive bool
}

const modelKeys = 4

func (m *model) key() int   { return rapid.IntRange(0, modelKeys-1).Draw(m.t, "key") }
func (m *model) value() int { return rapid.IntRange(0, 3).Draw(m.t, "value") }

// proc is any process, also one that has ended.
func (m *model) proc() *proc {
	if len(m.procs) == 0 {
		m.t.Skip("no process")
	}
	return m.procs[rapid.IntRange(0, len(m.procs)-1).Draw(m.t, "process")]
}

func (m *model) add(o actor.Options) error {
	var self *actor.Self[job]
	ref, err := actor.Start(quiet, actor.Server[job](&worker{init: func(s *actor.Self[job]) error { self = s; return nil }}), o)
	if err == nil {
		m.procs = append(m.procs, &proc{ref, self, true})
	}
	return err
}

func (m *model) holder(key int) (actor.PID, bool) {
	for _, e := range m.entries {
		if e.Key == key {
			return e.PID, true
		}
	}
	return actor.PID{}, false
}

func (m *model) registered(e Entry[int, int]) {
	m.entries = append(m.entries, e)
	m.want = append(m.want, Event[int, int]{Registered, e})
}

func (m *model) start(*rapid.T) {
	if err := m.add(actor.Options{}); err != nil {
		m.t.Fatal(err)
	}
}

func (m *model) startAs(*rapid.T) {
	key, value := m.key(), m.value()
	holder, taken := m.holder(key)
	err := m.add(actor.Options{Name: m.r.As(key, value)})
	switch {
	case m.r.keys != Unique:
		m.wants(err, actor.ErrInvalid)
	case taken:
		m.taken(err, holder)
	case err != nil:
		m.t.Fatal(err)
	default:
		m.registered(Entry[int, int]{key, m.procs[len(m.procs)-1].ref.PID(), value})
	}
}

func (m *model) wants(err, want error) {
	if !errors.Is(err, want) {
		m.t.Fatalf("%v, want %v", err, want)
	}
}

func (m *model) taken(err error, by actor.PID) {
	var taken *AlreadyRegisteredError
	if !errors.As(err, &taken) || taken.PID != by {
		m.t.Fatalf("%v, want that %v has it", err, by)
	}
}

func (m *model) register(*rapid.T) {
	p, key, value := m.proc(), m.key(), m.value()
	holder, taken := m.holder(key)
	err := m.r.Register(p.self, key, value)
	switch {
	case !p.alive:
		m.wants(err, actor.ErrNoProc)
	case taken && m.r.keys == Unique:
		m.taken(err, holder)
	case err != nil:
		m.t.Fatal(err)
	default:
		m.registered(Entry[int, int]{key, p.ref.PID(), value})
	}
}

func (m *model) drop(p *proc, key int, match func(int) bool) {
	m.entries = slices.DeleteFunc(m.entries, func(e Entry[int, int]) bool {
		gone := e.PID == p.ref.PID() && e.Key == key && match(e.Value)
		if gone {
			m.want = append(m.want, Event[int, int]{Unregistered, e})
		}
		return gone
	})
}

func (m *model) unregister(*rapid.T) {
	p, key := m.proc(), m.key()
	m.r.Unregister(p.self, key)
	m.drop(p, key, func(int) bool { return true })
}

func (m *model) unregisterMatch(*rapid.T) {
	p, key, value := m.proc(), m.key(), m.value()
	match := func(v int) bool { return v <= value }
	m.r.UnregisterMatch(p.self, key, match)
	m.drop(p, key, match)
}

func (m *model) update(*rapid.T) {
	p, key := m.proc(), m.key()
	now, before, err := m.r.UpdateValue(p.self, key, func(v int) int { return v + 1 })
	if m.r.keys != Unique {
		m.wants(err, actor.ErrInvalid)
		return
	}
	for i, e := range m.entries {
		if e.Key == key && e.PID == p.ref.PID() {
			if err != nil || before != e.Value || now != e.Value+1 {
				m.t.Fatalf("%d → %d, %v, want from %d", before, now, err, e.Value)
			}
			m.entries[i].Value = now
			return
		}
	}
	m.wants(err, ErrNotRegistered)
}

func (m *model) end(*rapid.T) {
	p := m.proc()
	how := rapid.SampledFrom([]func(){
		p.ref.PID().Kill,
		func() { p.ref.PID().Exit(actor.Reason{Kind: actor.Shutdown}) },
		func() { _ = p.ref.Cast(job{do: func(*actor.Self[job]) error { panic("boom") }}) },
	}).Draw(m.t, "how")
	how()
	<-p.ref.PID().Done()
	p.alive = false
	m.entries = slices.DeleteFunc(m.entries, func(e Entry[int, int]) bool { return e.PID == p.ref.PID() })
}

// check compares everything that can be asked, after each step.
func (m *model) check(*rapid.T) {
	if got := m.r.Select(func(Entry[int, int]) bool { return true }); !alike(got, m.entries) || m.r.Count() != len(m.entries) {
		m.t.Fatalf("all: %v of %d, want %v", got, m.r.Count(), m.entries)
	}
	for key := range modelKeys {
		m.checkKey(key)
	}
	owners := map[actor.PID]bool{}
	for _, p := range m.procs {
		var keys []int
		values := map[int][]int{}
		for _, e := range m.entries {
			if e.PID == p.ref.PID() {
				keys = append(keys, e.Key)
				values[e.Key] = append(values[e.Key], e.Value)
				owners[e.PID] = true
			}
		}
		if got := m.r.Keys(p.ref.PID()); !slices.Equal(got, keys) {
			m.t.Fatalf("%v has %v, want %v", p.ref, got, keys)
		}
		for key := range modelKeys {
			if got := m.r.Values(key, p.ref.PID()); !slices.Equal(got, values[key]) {
				m.t.Fatalf("%v has the values %v of %d, want %v", p.ref, got, key, values[key])
			}
		}
	}
	known := map[actor.PID]bool{}
	for _, id := range m.r.owned.Owners() {
		known[id] = true
	}
	if !maps.Equal(known, owners) {
		m.t.Fatalf("knows %v, want %v", known, owners)
	}
	if !slices.Equal(m.heard, m.want) {
		m.t.Fatalf("heard %v, want %v", m.heard, m.want)
	}
}

func (m *model) checkKey(key int) {
	var want []Entry[int, int]
	for _, e := range m.entries {
		if e.Key == key {
			want = append(want, e)
		}
	}
	got := m.r.Lookup(key)
	if m.r.keys == Duplicate && m.r.parts != nil {
		if !alike(got, want) {
			m.t.Fatalf("key %d: %v, want %v in any order", key, got, want)
		}
	} else if !slices.Equal(got, want) {
		m.t.Fatalf("key %d: %v, want %v", key, got, want)
	}
	var dispatched []Entry[int, int]
	m.r.Dispatch(key, func(es []Entry[int, int]) { dispatched = append(dispatched, es...) })
	if !slices.Equal(dispatched, got) {
		m.t.Fatalf("key %d: dispatched %v, want %v", key, dispatched, got)
	}
	odd := func(v int) bool { return v%2 == 1 }
	if n := len(slices.DeleteFunc(want, func(e Entry[int, int]) bool { return !odd(e.Value) })); m.r.CountMatch(key, odd) != n {
		m.t.Fatalf("key %d: %d odd, want %d", key, m.r.CountMatch(key, odd), n)
	}
	if m.r.keys == Unique {
		holder, ok := m.holder(key)
		if id, err := m.r.Whereis(key); (err == nil) != ok || id != holder {
			m.t.Fatalf("key %d: %v, %v, want %v", key, id, err, holder)
		}
	}
}

// alike reports whether two lists have the same entries.
func alike(a, b []Entry[int, int]) bool {
	count := map[Entry[int, int]]int{}
	for _, e := range a {
		count[e]++
	}
	for _, e := range b {
		count[e]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestRegistryFollowsItsModel(t *testing.T) {
	t.Parallel()
	for _, keys := range []Keys{Unique, Duplicate, DuplicateByKey} {
		for _, partitions := range []int{1, 8} {
			t.Run(fmt.Sprintf("%v/%d", keys, partitions), func(t *testing.T) {
				t.Parallel()
				rapid.Check(t, func(t *rapid.T) {
					m := &model{t: t, r: New[int, int](Options{Keys: keys, Partitions: partitions})}
					m.r.Listen(func(e Event[int, int]) { m.heard = append(m.heard, e) })
					t.Repeat(map[string]func(*rapid.T){
						"": m.check, "start": m.start, "start as": m.startAs, "register": m.register, "register more": m.register,
						"unregister": m.unregister, "unregister match": m.unregisterMatch, "update": m.update, "end": m.end,
					})
					for _, p := range m.procs {
						p.ref.PID().Kill()
					}
					empty(t, m.r)
				})
			})
		}
	}
}
