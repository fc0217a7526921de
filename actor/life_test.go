package actor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"semper/supervise"
)

// script is a Server whose callbacks are what a test puts there.
type script struct {
	init      func(*Self[any]) error
	handle    func(*Self[any], any) error
	info      func(*Self[any], any) error
	cont      func(*Self[any], any) error
	terminate func(Reason)
}

func (s *script) Init(self *Self[any]) error {
	if s.init == nil {
		return nil
	}
	return s.init(self)
}

func (s *script) Handle(self *Self[any], m any) error {
	switch m := m.(type) {
	case From[int]:
		m.Reply(42)
		return nil
	case error:
		return m
	case func():
		m()
		return nil
	}
	if s.handle == nil {
		return nil
	}
	return s.handle(self, m)
}

func (s *script) Info(self *Self[any], info any) error {
	if s.info == nil {
		return nil
	}
	return s.info(self, info)
}

func (s *script) Continue(self *Self[any], with any) error { return s.cont(self, with) }

func (s *script) Terminate(_ context.Context, _ *Self[any], r Reason) {
	if s.terminate != nil {
		s.terminate(r)
	}
}

var quiet = WithReporter(context.Background(), func(CrashReport) {})

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

func ask(f From[int]) any { return f }

func TestPanicEndsOneProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []CrashReport
		ctx := WithReporter(context.Background(), func(c CrashReport) { got = append(got, c) })
		a, err := Start[any](ctx, &script{}, Options{Label: "a"})
		if err != nil {
			t.Fatal(err)
		}
		b, _ := Start[any](ctx, &script{}, Options{})
		_ = a.Cast(func() { panic("boom") })
		<-a.PID().Done()
		var broken *PanicError
		if r := a.PID().Reason(); r.Kind != Crash || !errors.As(r.Err, &broken) {
			t.Errorf("ended for %v", r)
		}
		if _, err := Call(ctx, a, ask); !errors.Is(err, ErrNoProc) {
			t.Errorf("call of the dead: %v", err)
		}
		if n, err := Call(ctx, b, ask); n != 42 || err != nil {
			t.Errorf("the other: %d, %v", n, err)
		}
		if len(got) != 1 || got[0].Label != "a" || got[0].Stack == "" {
			t.Errorf("reports %+v", got)
		}
	})
}

func TestCallerOfOneThatEndsIsTold(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, _ := Start[any](quiet, &script{}, Options{})
		boom := errors.New("boom")
		for _, how := range []func(From[int]) any{
			func(From[int]) any { return boom },
			func(From[int]) any { time.AfterFunc(time.Second, a.PID().Kill); return nil }, // never answered
		} {
			_, err := Call(quiet, a, how)
			var end *ExitError
			if !errors.As(err, &end) && !errors.Is(err, ErrNoProc) {
				t.Errorf("%v", err)
			}
			a, _ = Start[any](quiet, &script{}, Options{})
		}
		a.PID().Kill()
	})
}

func TestLinksAndMonitors(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []any
		watcher, _ := Start[any](quiet, &script{info: func(_ *Self[any], i any) error { got = append(got, i); return nil }}, Options{TrapExit: true})
		a, _ := Start[any](quiet, &script{}, Options{})
		b, _ := Start[any](quiet, &script{}, Options{})
		_ = watcher.Cast(func() {
			watcher.s.Monitor(a.PID())
			watcher.s.Link(b.PID())
			b.s.Link(a.PID())
		})
		synctest.Wait()
		_ = a.Cast(errors.New("boom"))
		synctest.Wait()
		if len(got) != 2 || b.PID().Alive() || !watcher.PID().Alive() {
			t.Errorf("got %v", got)
		}
		watcher.PID().Kill()
	})
}

func TestSupervisedProcessKeepsItsName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		name := NewName[any]("it")
		s, err := supervise.Start(quiet, supervise.Flags{Intensity: 10}, []supervise.ChildSpec{
			Child("it", func() Server[any] { return &script{} }, Options{Name: name}),
		}, supervise.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if n, err := Call(quiet, name, ask); n != 42 || err != nil {
				t.Errorf("%d, %v", n, err)
			}
			_ = name.Cast(errors.New("boom"))
			synctest.Wait()
		}
		if err := s.Stop(quiet); err != nil {
			t.Error(err)
		}
		if _, err := name.Resolve(); !errors.Is(err, ErrNoProc) {
			t.Errorf("after the stop: %v", err)
		}
	})
}

func TestSuspend(t *testing.T) {
	bubble(t, func(t *testing.T) {
		n := 0
		a, _ := Start[any](quiet, &script{handle: func(*Self[any], any) error { n++; return nil }}, Options{})
		if err := a.PID().Suspend(quiet); err != nil {
			t.Fatal(err)
		}
		for range 300 {
			_ = a.Cast(1)
		}
		synctest.Wait()
		if i := a.PID().Info(); n != 0 || i.Mailbox != 300 || i.Status != StatusSuspended {
			t.Errorf("%d handled, %+v", n, i)
		}
		if err := a.PID().Resume(quiet); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n != 300 {
			t.Errorf("%d handled", n)
		}
		a.PID().Kill()
	})
}
