package statem_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/actor/statem"
)

type turn = statem.Turn[string, any]

// script is a Machine whose callbacks are what a test puts there. It notes what is handled, as "state kind message".
type script struct {
	on    map[string]func(*turn) error // by message, "state message" before "message"
	init  func(*turn) error
	enter func(*turn, string) error
	info  func(*turn, any) error
	last  func(*turn, actor.Reason)

	mu   sync.Mutex // between the test and the goroutines of the process
	seen []string
}

func (s *script) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, what)
}

func (s *script) Init(t *turn) error {
	if s.init == nil {
		return nil
	}
	return s.init(t)
}

func (s *script) Enter(t *turn, from string) error {
	if s.enter == nil {
		return nil
	}
	return s.enter(t, from)
}

func (s *script) Handle(t *turn, m any) error {
	var name string
	switch m := m.(type) {
	case actor.From[string]:
		name = "call"
		if s.on["call"] == nil {
			m.Reply(t.State())
		}
	case func(*turn) error:
		return m(t)
	case string:
		name = m
	}
	s.note(t.State() + " " + t.Kind().String() + " " + name)
	for _, key := range []string{t.State() + " " + name, name} {
		if do := s.on[key]; do != nil {
			return do(t)
		}
	}
	return nil
}

func (s *script) Info(t *turn, info any) error {
	if s.info == nil {
		s.note(t.State() + " info")
		return nil
	}
	return s.info(t, info)
}

func (s *script) Terminate(_ context.Context, t *turn, r actor.Reason) {
	if s.last != nil {
		s.last(t, r)
	}
}

var quiet = actor.WithReporter(context.Background(), func(actor.CrashReport) {})

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// begin starts a script in state "a" and ends it with the test.
func begin(t *testing.T, s *script) actor.Ref[any] {
	t.Helper()
	ref, err := statem.Start[string, any](quiet, "a", s, actor.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ref.PID().Kill()
		<-ref.PID().Gone()
	})
	return ref
}

// send sends messages that are all in the mailbox before the first is handled, and waits until nothing moves.
func send(t *testing.T, ref actor.Ref[any], all ...any) {
	t.Helper()
	if err := ref.PID().Suspend(quiet); err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		_ = ref.Cast(m)
	}
	if err := ref.PID().Resume(quiet); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
}

// after lets time pass, and what it brings.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (s *script) want(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.seen, want) {
		t.Errorf("handled\n\t%s\nwant\n\t%s", strings.Join(s.seen, "\n\t"), strings.Join(want, "\n\t"))
	}
	s.seen = nil
}

func where(from actor.From[string]) any { return from }

// does makes a callback of what it asks for.
func does(all ...func(*turn)) func(*turn) error {
	return func(t *turn) error {
		for _, f := range all {
			f(t)
		}
		return nil
	}
}

func to(state string) func(*turn) { return func(t *turn) { t.Goto(state) } }
func next(m string) func(*turn)   { return func(t *turn) { t.NextEvent(m) } }
func postpone(t *turn)            { t.Postpone() }

var errBoom = errors.New("boom")
