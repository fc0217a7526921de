package supervise

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The numbers are those of the list of scenarios taken from OTP's and Elixir's own suites. Missing is 2, an init that
// says ignore: there is no init, and whoever calls Start decides before. 89 to 113 and 122 to 143 concern processes.

var bg = context.Background()

func TestScenario01StartNormal(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Name: "empty"})
		l.wantChildren(s, "")
		l.ok(s.Stop(bg))
		l.wantEnded(s, Shutdown, nil)
		l.ok(s.Stop(bg))
		l.wantErr(s.StartChild(bg, l.spec("a")), ErrStopping)
	})
}

func TestScenario03IgnoringChildIsKept(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{}, l.spec("a"), l.spec("b", ignoring))
		l.wantChildren(s, "a:running b:undefined")
		if got, want := s.Count(), (Counts{Specs: 2, Active: 1, Workers: 2}); got != want {
			t.Errorf("counts %+v, want %+v", got, want)
		}
		l.wantErr(l.last(Started).Err, ErrIgnore)
	})
}

func TestScenario04And05IgnoringTemporaryIsNotKept(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{}, l.spec("a", ignoring, temporary))
		l.ok(s.StartChild(bg, l.spec("b", ignoring, temporary)))
		l.ok(s.StartChild(bg, l.spec("c", ignoring)))
		l.wantChildren(s, "c:undefined")
	})
}

func TestScenario09StartPanics(t *testing.T) {
	bubble(t, func(l *lab) {
		for name, start := range map[string]StartFunc{
			"panic":   func(context.Context) (Child, error) { panic("oh") },
			"nothing": func(context.Context) (Child, error) { return nil, nil },
			"typed nil": func(context.Context) (Child, error) {
				var s *Supervisor
				return s, errNope
			},
		} {
			_, err := Start(bg, Flags{}, []ChildSpec{l.spec("a"), {ID: "b", Start: start}}, Options{})
			var failure *StartError
			if !errors.As(err, &failure) || failure.Child != "b" {
				t.Errorf("%s: error %v, want a StartError of b", name, err)
			}
			l.want("start a, stop a")
		}
	})
}

func TestScenario10StartChildError(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{}, l.spec("a"))
		l.fails["b"] = 1
		err := s.StartChild(bg, l.spec("b"))
		l.wantErr(err, errNope)
		if want := "start b: nope"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		l.wantChildren(s, "a:running")
		l.ok(s.StartChild(bg, l.spec("b")))
	})
}

func TestScenario11RestartChildError(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{}, l.spec("a"))
		l.ok(s.TerminateChild(bg, "a"))
		l.fails["a"] = 1
		l.wantErr(s.RestartChild(bg, "a"), errNope)
		l.wantChildren(s, "a:undefined")
		l.wantErr(s.Children()[0].Err, errNope)
		l.ok(s.RestartChild(bg, "a"))
		l.wantChildren(s, "a:running")
	})
}

func TestScenario13Defaults(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context) (Child, error) { return nil, ErrIgnore }
	f := Flags{}
	specs := []ChildSpec{{ID: "worker", Start: nothing}, {ID: "sup", Start: nothing, Supervisor: true}}
	if err := validate(&f, specs); err != nil {
		t.Fatal(err)
	}
	c := newCore(f, specs, time.Time{}, nil)
	if f.Period != 5*time.Second || f.Strategy != OneForOne || f.GiveUp != Escalate {
		t.Errorf("flags %+v", f)
	}
	w, s := c.byID["worker"], c.byID["sup"]
	if w.restart != Permanent || w.shutdown != 5*time.Second || s.shutdown != Infinity {
		t.Errorf("specs %+v, %+v", w, s)
	}
}

func TestScenario08And15And30To32Invalid(t *testing.T) {
	t.Parallel()
	ok := ChildSpec{ID: "a", Start: func(context.Context) (Child, error) { return nil, ErrIgnore }}
	with := func(change func(*ChildSpec)) []ChildSpec { s := ok; change(&s); return []ChildSpec{s} }
	for name, c := range map[string]struct {
		f     Flags
		specs []ChildSpec
	}{
		"strategy":  {f: Flags{Strategy: 3}},
		"intensity": {f: Flags{Intensity: -1}},
		"period":    {f: Flags{Period: -1}},
		"give up":   {f: Flags{GiveUp: 2}},
		"no id":     {specs: with(func(s *ChildSpec) { s.ID = "" })},
		"no start":  {specs: with(func(s *ChildSpec) { s.Start = nil })},
		"restart":   {specs: with(func(s *ChildSpec) { s.Restart = 7 })},
		"shutdown":  {specs: with(func(s *ChildSpec) { s.Shutdown = -3 })},
		"min":       {specs: with(func(s *ChildSpec) { s.Backoff.Min = -1 })},
		"factor":    {specs: with(func(s *ChildSpec) { s.Backoff.Factor = -1 })},
		"jitter":    {specs: with(func(s *ChildSpec) { s.Backoff.Jitter = 1.1 })},
		"duplicate": {specs: []ChildSpec{ok, ok}},
	} {
		if _, err := Start(bg, c.f, c.specs, Options{}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: error %v, want ErrInvalid", name, err)
		}
	}
}

func TestScenario16NestedStartError(t *testing.T) {
	bubble(t, func(l *lab) {
		l.fails["leaf"] = 1
		inner := l.nested("inner", Flags{}, l.specs("x leaf")...)
		_, err := Start(bg, Flags{}, []ChildSpec{l.spec("a"), inner}, Options{})
		if want := "start inner: start leaf: nope"; err == nil || err.Error() != want {
			t.Errorf("error %v, want %s", err, want)
		}
		l.want("start a, start x, startfail leaf, stop x, stop a")
	})
}

// nested is the spec of a supervisor below another.
func (l *lab) nested(id string, f Flags, specs ...ChildSpec) ChildSpec {
	f.Name = id
	return ChildSpec{ID: id, Supervisor: true, Start: func(ctx context.Context) (Child, error) {
		return Start(ctx, f, specs, Options{Observe: l.observe})
	}}
}

func TestScenario17AlreadyStartedElsewhere(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{})
		elsewhere := fmt.Errorf("pid 7: %w", ErrAlreadyStarted)
		err := s.StartChild(bg, ChildSpec{ID: "a", Start: func(context.Context) (Child, error) { return nil, elsewhere }})
		if err != elsewhere {
			t.Errorf("error %v, want it unwrapped", err)
		}
		err = s.StartChild(bg, ChildSpec{ID: "b", Supervisor: true, Start: func(ctx context.Context) (Child, error) {
			return Start(ctx, Flags{}, []ChildSpec{{ID: "a", Start: func(context.Context) (Child, error) { return nil, elsewhere }}}, Options{})
		}})
		if failed := (*StartError)(nil); !errors.As(err, &failed) || failed.Child != "b" {
			t.Errorf("error %v, want a *StartError of b: that a child of it lives elsewhere is its own matter", err)
		}
		l.wantChildren(s, "")
	})
}

func TestScenario19StopInfinity(t *testing.T) {
	bubble(t, func(l *lab) {
		l.grace["a"] = 24 * time.Hour
		s := l.sup(Flags{}, l.spec("a", stopIn(Infinity)))
		began := time.Now()
		l.ok(s.Stop(bg))
		if d := time.Since(began); d != 24*time.Hour {
			t.Errorf("stopped after %v", d)
		}
		l.want("start a, stop a")
	})
}

func TestScenario20StopTimeout(t *testing.T) {
	bubble(t, func(l *lab) {
		l.grace["b"] = never
		s := l.sup(Flags{}, l.spec("a"), l.spec("b", stopIn(3*time.Second)), l.spec("c"))
		began := time.Now()
		l.ok(s.Stop(bg))
		if d := time.Since(began); d != 3*time.Second {
			t.Errorf("stopped after %v", d)
		}
		l.want("start a, start b, start c, stop c, stop b, kill b, stop a")
		if r := l.last(Stopped).Reason; r.Kind != Shutdown {
			t.Errorf("the last stopped for %v", r)
		}
	})
}

func TestScenario22And23StopBrutally(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{})
		var want []string
		for i := range 10 {
			l.ok(s.StartChild(bg, l.spec(fmt.Sprint(i), stopIn(Brutal))))
			want = append([]string{fmt.Sprint("kill ", i)}, want...)
		}
		l.take()
		l.ok(s.Stop(bg))
		l.want(strings.Join(want, ", "))
	})
}

// Children of all restart types end for all reasons while the supervisor stops: it must complete, in order.
func TestScenario24StopRace(t *testing.T) {
	bubble(t, func(l *lab) {
		reasons := []Reason{{Kind: Normal}, {Kind: Shutdown}, {Kind: Killed}, {Kind: Crash, Err: errBoom}}
		var specs []ChildSpec
		for _, r := range []RestartType{Permanent, Transient, Temporary} {
			for _, why := range reasons {
				specs = append(specs, l.spec(fmt.Sprint(r, why.Kind), func(s *ChildSpec) { s.Restart = r }))
			}
		}
		specs = append(specs, l.spec("slow"))
		for _, f := range []Flags{{Strategy: OneForOne}, {Strategy: RestForOne}, {Strategy: OneForAll}} {
			l.set(func() { l.grace["slow"] = time.Millisecond })
			s := l.sup(f, specs...)
			s.Shutdown()
			synctest.Wait()
			for i := range len(specs) - 1 {
				l.unit(specs[i].ID).end(reasons[i%len(reasons)])
			}
			<-s.Done()
			if n := len(l.story()); n != 2*len(specs) {
				t.Errorf("%v: %d events, want one start and one end each", f.Strategy, n)
			}
			if got := l.take(); !strings.HasSuffix(got, "start slow, stop slow") {
				t.Errorf("%v: %s", f.Strategy, got)
			}
		}
	})
}

func TestScenario25OddReasonsWhileStopping(t *testing.T) {
	bubble(t, func(l *lab) {
		l.reason["a"], l.reason["b"] = Reason{Kind: Crash, Err: errBoom}, Reason{Kind: Killed}
		s := l.sup(Flags{}, l.specs("a b c")...)
		l.ok(s.Stop(bg))
		l.wantEnded(s, Shutdown, nil)
		l.want("start a, start b, start c, stop c, stop b, stop a")
	})
}

// A child that ends without heeding anything, and that nobody heard of, must not hang the stop.
func TestScenario26ChildGoneBeforeStop(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Strategy: RestForOne, Intensity: 1}, l.specs("a b")...)
		l.take()
		l.unit("b").end(Reason{Kind: Crash})
		l.unit("a").end(Reason{Kind: Crash})
		l.ok(s.Stop(bg))
		l.wantEnded(s, Shutdown, nil)
	})
}

func TestScenario27OrderOfChildren(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Strategy: RestForOne, Intensity: 1}, l.specs("a b c d e")...)
		l.want("start a, start b, start c, start d, start e")
		l.crash("c")
		l.want("stop e, stop d, start c, start d, start e")
		l.ok(s.Stop(bg))
		l.want("stop e, stop d, stop c, stop b, stop a")
	})
}

func TestScenario28Administration(t *testing.T) {
	for _, f := range []Flags{{Strategy: OneForOne}, {Strategy: RestForOne}, {Strategy: OneForAll}} {
		t.Run(f.Strategy.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				s := l.sup(f, l.spec("a"))
				l.wantErr(s.StartChild(bg, l.spec("a")), ErrAlreadyStarted)
				l.wantErr(s.RestartChild(bg, "a"), ErrRunning)
				l.wantErr(s.DeleteChild(bg, "a"), ErrRunning)
				l.wantErr(s.TerminateChild(bg, "x"), ErrNotFound)
				l.wantErr(s.RestartChild(bg, "x"), ErrNotFound)
				l.wantErr(s.DeleteChild(bg, "x"), ErrNotFound)
				l.ok(s.TerminateChild(bg, "a"))
				l.ok(s.TerminateChild(bg, "a"))
				l.wantChildren(s, "a:undefined")
				l.wantErr(s.StartChild(bg, l.spec("a")), ErrAlreadyPresent)
				l.ok(s.RestartChild(bg, "a"))
				l.wantChildren(s, "a:running")
				l.ok(s.TerminateChild(bg, "a"))
				l.ok(s.DeleteChild(bg, "a"))
				l.wantErr(s.DeleteChild(bg, "a"), ErrNotFound)
				l.wantChildren(s, "")
				l.ok(s.StartChild(bg, l.spec("t", temporary)))
				l.ok(s.TerminateChild(bg, "t"))
				l.wantChildren(s, "")
				l.wantErr(s.StartChild(bg, ChildSpec{}), ErrInvalid)
			})
		})
	}
}

func TestScenario33To35Count(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 5}, l.spec("a"), l.nested("n", Flags{}), l.spec("b", func(s *ChildSpec) {
			s.Backoff.Min = time.Hour
		}))
		if got, want := s.Count(), (Counts{Specs: 3, Active: 3, Supervisors: 1, Workers: 2}); got != want {
			t.Errorf("counts %+v, want %+v", got, want)
		}
		l.crash("b")
		l.crash("b")
		l.wantChildren(s, "a:running n:running b:backoff")
		if got, want := s.Count(), (Counts{Specs: 3, Active: 2, Supervisors: 1, Workers: 2}); got != want {
			t.Errorf("counts %+v, want %+v", got, want)
		}
	})
}
