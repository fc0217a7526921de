package supervise

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// labelled is a child that its start gives something to say, as {ok, Pid, Info} does.
type labelled struct {
	*unit
	info string
}

func TestScenario18ExtraReturn(t *testing.T) {
	bubble(t, func(l *lab) {
		n := 0
		s := l.sup(Flags{Intensity: 1}, l.spec("a", func(s *ChildSpec) {
			start := s.Start
			s.Start = func(ctx context.Context) (Child, error) {
				c, err := start(ctx)
				if err != nil {
					return nil, err
				}
				n++
				return labelled{c.(*unit), fmt.Sprint("info ", n)}, nil
			}
		}))
		for _, want := range []string{"info 1", "info 2"} {
			if got := s.Children()[0].Child.(labelled).info; got != want {
				t.Errorf("%q, want %q", got, want)
			}
			l.crash("a")
		}
	})
}

// What OTP's get_callback_module is asked for is asked of the supervisor itself.
func TestScenario36Introspection(t *testing.T) {
	bubble(t, func(l *lab) {
		f := Flags{
			Name: "s", Strategy: RestForOne, Intensity: 3, Period: time.Minute,
			AutoShutdown: AllSignificant, GiveUp: Persist,
		}
		s := l.sup(f, l.spec("a", transient, significant), l.nested("n", Flags{}))
		if got := s.Flags(); got != f {
			t.Errorf("flags %+v", got)
		}
		all := s.Children()
		if a := all[0]; a.ID != "a" || a.Restart != Transient || !a.Significant || a.Supervisor || a.Child != l.unit("a") {
			t.Errorf("%+v", a)
		}
		if n := all[1]; !n.Supervisor || n.Significant || n.Child.(*Supervisor).Flags().Name != "n" || n.Since.IsZero() {
			t.Errorf("%+v", n)
		}
	})
}

// A supervisor that somebody starts outside of any tree reports its children, never itself.
func TestScenario47ExternalStart(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Name: "outside"})
		l.wantStory()
		l.ok(s.StartChild(bg, l.nested("n", Flags{})))
		l.wantStory("started n")
		l.ok(s.Stop(bg))
		l.wantStory("stopped n")
	})
}

func TestScenario87ReportText(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Name: "web", Intensity: 2, Period: time.Minute}, l.spec("a", backoff(doubling)), l.spec("b", ignoring),
			l.spec("c", transient))
		l.crash("a")
		l.set(func() { l.fails["a"] = 1 })
		l.ends(Reason{Kind: Killed, External: true}, "a")
		l.ends(Reason{Kind: Normal}, "c")
		l.ok(s.RestartChild(bg, "c"))
		l.ok(s.TerminateChild(bg, "c"))
		time.Sleep(time.Second)
		l.crash("a")
		var got []string
		for _, e := range l.events {
			got = append(got, e.String())
		}
		want := []string{
			"web/a started",
			"web/b started: ignored, it does not run",
			"web/c started",
			"web/a ended: crash: boom; restart at once (restart 1 within the window)",
			"web/a restarting",
			"web/a started",
			"web/a ended: killed (from outside); restart at once (restart 1 within the window)",
			"web/a restarting",
			"web/a start-failed: nope; restart in 100ms (restart 2 within the window)",
			"web/c ended: normal",
			"web/c started",
			"web/c terminated: shutdown",
			"web/a restarting",
			"web/a started",
			"web/a ended: crash: boom; give up: 3 restarts in 1m0s (restart 3 within the window)",
			"web/a gave-up: boom; give up: 3 restarts in 1m0s",
		}
		if !slices.Equal(got, want) {
			t.Errorf("got\n%q\nwant\n%q", got, want)
		}
		l.wantEnded(s, Shutdown, ErrIntensity)
		if got, want := s.Reason().String(), "shutdown: a: restart limit passed: 3 restarts in 1m0s"; got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if got := (Event{Child: "x", Kind: Stopped}).String(); got != "x stopped: normal" {
			t.Errorf("%q", got)
		}
	})
}

// A supervisor with a name is killed, and its successor finds the name free.
func TestScenario88NamedSupervisorIsKilled(t *testing.T) {
	bubble(t, func(l *lab) {
		names := map[string]Child{}
		claim := func(ctx context.Context) (Child, error) {
			var taken bool
			l.set(func() { taken = names["n"] != nil })
			if taken {
				return nil, fmt.Errorf("name n: %w", ErrAlreadyStarted)
			}
			d, err := StartDynamic(ctx, DynamicFlags{Name: "n"}, Options{})
			if err != nil {
				return nil, err
			}
			l.set(func() { names["n"] = d })
			d.Notify(func() { l.set(func() { delete(names, "n") }) })
			return d, nil
		}
		s := l.sup(Flags{Intensity: 1}, ChildSpec{ID: "n", Supervisor: true, Start: claim})
		before := names["n"].(*Dynamic)
		l.adds(before, "x")
		before.Kill()
		synctest.Wait()
		after := names["n"].(*Dynamic)
		if after == before || s.Window() != 1 || len(after.Children()) != 0 {
			t.Errorf("window %d, children %v", s.Window(), after.Children())
		}
		l.want("start x, kill x")
	})
}

func TestInvalidErrorNamesChildAndField(t *testing.T) {
	t.Parallel()
	_, err := Start(bg, Flags{}, []ChildSpec{{ID: "a", Start: newQuick, Backoff: Backoff{Jitter: 2}}}, Options{})
	var invalid *InvalidError
	if !errors.As(err, &invalid) || invalid.Child != "a" || invalid.Field != "Backoff.Jitter" {
		t.Errorf("%+v", err)
	}
	if want := "invalid child a: Backoff.Jitter is 2, want 0 to 1"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
	_, err = Start(bg, Flags{Intensity: -1}, nil, Options{})
	if want := "invalid supervisor: Intensity is -1, want 0 or more"; err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}
