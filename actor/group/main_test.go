package group

import (
	"context"
	"errors"
	"testing"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"semper/actor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// order is what a test makes a process do; without a function it is a plain message.
type order struct {
	do   func(self *actor.Self[order])
	n    int
	from actor.From[int]
}

// soldier does its orders, and keeps what it is told.
type soldier struct {
	got  []int
	news []any
}

func (s *soldier) Handle(self *actor.Self[order], o order) error {
	if o.do != nil {
		o.do(self)
	} else {
		s.got = append(s.got, o.n)
	}
	o.from.Reply(len(s.got))
	return nil
}

func (s *soldier) Info(_ *actor.Self[order], info any) error {
	s.news = append(s.news, info)
	return nil
}

var quiet = actor.WithReporter(context.Background(), func(actor.CrashReport) {})

type ref = actor.Ref[order]

func start(t rapid.TB, o actor.Options) (ref, *soldier) {
	t.Helper()
	s := &soldier{}
	r, err := actor.Start(quiet, actor.Server[order](s), o)
	if err != nil {
		t.Fatal(err)
	}
	return r, s
}

// do has a process do something, and returns when it is done.
func do(t rapid.TB, to ref, f func(self *actor.Self[order])) {
	t.Helper()
	if _, err := actor.Call(context.Background(), to, func(from actor.From[int]) order { return order{do: f, from: from} }); err != nil {
		t.Fatal(err)
	}
}

// crash ends a process by a panic.
func crash(t rapid.TB, of ref) {
	t.Helper()
	if err := of.Cast(order{do: func(*actor.Self[order]) { panic("boom") }}); err != nil && !errors.Is(err, actor.ErrNoProc) {
		t.Fatal(err)
	}
	<-of.PID().Done()
}

func kill(all ...ref) {
	for _, of := range all {
		of.PID().Kill()
	}
}

// empty checks that a scope remembers nothing.
func empty(t rapid.TB, s *Scope[order]) {
	t.Helper()
	for i := range s.parts {
		if p := &s.parts[i]; len(p.groups) > 0 || len(p.watchers) > 0 {
			t.Errorf("%d groups, %d watchers are left", len(p.groups), len(p.watchers))
		}
	}
	if owners := s.owned.Owners(); len(owners) > 0 {
		t.Errorf("%v are known", owners)
	}
}

// count is how often each is in a list.
func count(all []ref) map[ref]int {
	n := map[ref]int{}
	for _, of := range all {
		n[of]++
	}
	return n
}
