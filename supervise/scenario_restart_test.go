package supervise

import (
	"fmt"
	"testing"
	"time"
)

func TestScenario37To45RestartTypes(t *testing.T) {
	ends := []Reason{{Kind: Normal}, {Kind: Shutdown}, {Kind: Shutdown, Err: errBoom}, {Kind: Killed}, {Kind: Crash, Err: errBoom}}
	for _, c := range []struct {
		restart   RestartType
		restarted string // per reason
		after     string
	}{
		{Permanent, "yyyyy", "a:running z:running"},
		{Transient, "nnnyy", "a:undefined z:running"},
		{Temporary, "nnnnn", "z:running"},
	} {
		for i, r := range ends {
			t.Run(fmt.Sprint(c.restart, i), func(t *testing.T) {
				bubble(t, func(l *lab) {
					s := l.sup(Flags{Intensity: 1}, l.spec("a", func(s *ChildSpec) { s.Restart = c.restart }), l.spec("z"))
					l.ends(r, "a")
					if c.restarted[i] == 'y' {
						l.want("start a, start z, start a")
						l.wantChildren(s, "a:running z:running")
						if s.Window() != 1 {
							t.Errorf("window %d", s.Window())
						}
					} else {
						l.want("start a, start z")
						l.wantChildren(s, c.after)
						if e := l.last(Ended); e.Decision != "none" {
							t.Errorf("decision %q", e.Decision)
						}
					}
				})
			})
		}
	}
}

func TestScenario46TemporaryBystander(t *testing.T) {
	for _, strategy := range []Strategy{RestForOne, OneForAll} {
		t.Run(strategy.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				s := l.sup(Flags{Strategy: strategy, Intensity: 1}, l.spec("a"), l.spec("t", temporary))
				l.crash("a")
				l.want("start a, start t, stop t, start a")
				l.wantChildren(s, "a:running")
			})
		})
	}
}

func TestScenario48And49OneForOne(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Name: "s", Intensity: 1, Period: time.Minute}, l.specs("a b")...)
		l.take()
		l.story()
		l.crash("a")
		l.want("start a")
		l.wantStory("ended a", "restarting a", "started a")
		l.wantChildren(s, "a:running b:running")
		l.crash("b")
		l.want("stop a")
		if e := l.last(GaveUp); e.Window != 2 || e.Child != "b" || e.Decision != "give up: 2 restarts in 1m0s" {
			t.Errorf("%+v", e)
		}
		l.wantStory("ended b", "gave-up b", "stopped a")
		l.wantEnded(s, Shutdown, ErrIntensity)
	})
}

func TestScenario50To52OneForAll(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Strategy: OneForAll, Intensity: 3}, l.specs("a b c d")...)
		l.take()
		l.crash("b")
		l.want("stop d, stop c, stop a, start a, start b, start c, start d")
		l.set(func() { l.fails["c"] = 1 })
		l.crash("b")
		l.want("stop d, stop c, stop a, start a, start b, startfail c, stop b, stop a, start a, start b, start c, start d")
		if s.Window() != 3 {
			t.Errorf("window %d, want one per round", s.Window())
		}
		l.crash("d")
		l.want("stop c, stop b, stop a")
		l.wantEnded(s, Shutdown, ErrIntensity)
	})
}

func TestScenario53To55RestForOne(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Strategy: RestForOne, Intensity: 3}, l.specs("a b c d")...)
		l.take()
		l.crash("b")
		l.want("stop d, stop c, start b, start c, start d")
		l.set(func() { l.fails["c"] = 1 })
		l.crash("b")
		l.want("stop d, stop c, start b, startfail c, start c, start d")
		l.wantChildren(s, "a:running b:running c:running d:running")
		l.crash("d")
		l.want("stop c, stop b, stop a")
		l.wantEnded(s, Shutdown, ErrIntensity)
	})
}

func TestScenario62SpacedCrashesNeverExceed(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 1, Period: time.Second}, l.spec("a"))
		for range 50 {
			l.crash("a")
			time.Sleep(time.Second + 1)
		}
		l.wantAlive(s)
		if n := s.Children()[0].Restarts; n != 50 {
			t.Errorf("%d restarts", n)
		}
		l.crash("a")
		time.Sleep(time.Second)
		l.crash("a")
		l.wantEnded(s, Shutdown, ErrIntensity)
	})
}

// Escalation climbs only through permanent supervisors, because a supervisor that gives up ends with shutdown.
func TestScenario63Tree(t *testing.T) {
	for restart, want := range map[RestartType]string{
		Permanent: "inner:running z:running", Transient: "inner:undefined z:running", Temporary: "z:running",
	} {
		t.Run(restart.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				inner := l.nested("inner", Flags{}, l.specs("x y")...)
				inner.Restart = restart
				s := l.sup(Flags{Intensity: 1, Period: time.Hour}, inner, l.spec("z"))
				l.take()
				l.crash("x")
				l.wantChildren(s, want)
				if restart != Permanent {
					l.want("stop y")
					return
				}
				l.want("stop y, start x, start y")
				l.crash("y")
				l.wantEnded(s, Shutdown, ErrIntensity)
				l.want("stop x, stop z")
			})
		})
	}
}

// While a child fails to restart, everything else is served.
func TestScenario64HangingRestartLoop(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 1 << 30}, l.spec("a"), l.spec("b"))
		l.set(func() { l.fails["a"] = 1 << 30 })
		l.unit("a").end(Reason{Kind: Crash})
		<-l.failed
		l.ok(s.TerminateChild(bg, "b"))
		l.wantErr(s.StartChild(bg, l.spec("a")), ErrAlreadyPresent)
		l.wantErr(s.RestartChild(bg, "a"), ErrRestarting)
		l.wantErr(s.DeleteChild(bg, "a"), ErrRestarting)
		if got := children(s); got != "a:restarting b:undefined" {
			t.Errorf("children %s", got)
		}
		l.ok(s.StartChild(bg, l.spec("c")))
		l.ok(s.TerminateChild(bg, "a"))
		l.wantChildren(s, "a:undefined b:undefined c:running")
		l.set(func() { l.fails["a"] = 0 })
		l.ok(s.RestartChild(bg, "a"))
		l.wantChildren(s, "a:running b:undefined c:running")
	})
}

func TestScenario65HangingRestartLoopOrdered(t *testing.T) {
	for _, strategy := range []Strategy{RestForOne, OneForAll} {
		t.Run(strategy.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				s := l.sup(Flags{Strategy: strategy, Intensity: 1 << 30}, l.specs("a b c")...)
				l.set(func() { l.fails["b"] = 1 << 30 })
				l.unit("b").end(Reason{Kind: Crash})
				<-l.failed
				l.wantErr(s.StartChild(bg, l.spec("c")), ErrAlreadyPresent)
				l.wantErr(s.RestartChild(bg, "b"), ErrRestarting)
				l.wantErr(s.DeleteChild(bg, "b"), ErrRestarting)
				l.ok(s.TerminateChild(bg, "b"))
				l.wantChildren(s, "a:running b:undefined c:undefined")
				l.ok(s.RestartChild(bg, "c"))
				l.ok(s.Stop(bg))
			})
		})
	}
}

// A stop is served between the attempts of a restart that never succeeds.
func TestScenario64StopWhileRestartLooping(t *testing.T) {
	for _, strategy := range []Strategy{OneForOne, RestForOne, OneForAll} {
		t.Run(strategy.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				s := l.sup(Flags{Strategy: strategy, Intensity: 1 << 30}, l.specs("a b")...)
				l.set(func() { l.fails["b"] = 1 << 30 })
				l.unit("b").end(Reason{Kind: Crash})
				<-l.failed
				l.ok(s.Stop(bg))
				l.wantEnded(s, Shutdown, nil)
			})
		})
	}
}
