package supervise

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// changed starts a supervisor over a significant-to-be child a and a bystander z, changes flags and child while both
// run, and lets a end well.
func (l *lab) changed(from, to AutoShutdown, before, after func(*ChildSpec)) *Supervisor {
	l.t.Helper()
	s := l.sup(Flags{AutoShutdown: from, Intensity: 5}, l.spec("z"), l.spec("a", temporary, before))
	a, z := l.unit("a"), l.unit("z")
	l.take()
	l.ok(s.Change(bg, Flags{AutoShutdown: to, Intensity: 5}, []ChildSpec{l.spec("z"), l.spec("a", temporary, after)}))
	l.want("") // nothing is started or stopped
	if l.unit("a") != a || l.unit("z") != z {
		l.t.Error("a child did not live on")
	}
	l.ends(Reason{Kind: Normal}, "a")
	return s
}

func insignificant(*ChildSpec) {}

func TestScenario74To79ChangeOfAutoShutdown(t *testing.T) {
	n := 74
	for _, from := range []AutoShutdown{Never, AnySignificant, AllSignificant} {
		for _, to := range []AutoShutdown{Never, AnySignificant, AllSignificant} {
			if from == to {
				continue
			}
			of := func(mode AutoShutdown) func(*ChildSpec) {
				if mode == Never {
					return insignificant
				}
				return significant
			}
			t.Run(fmt.Sprintf("%d %v to %v", n, from, to), func(t *testing.T) {
				bubble(t, func(l *lab) {
					s := l.changed(from, to, of(from), of(to))
					if to == Never {
						l.wantAlive(s)
						l.wantChildren(s, "z:running")
						return
					}
					l.wantEnded(s, Shutdown, ErrAutoShutdown)
				})
			})
			n++
		}
	}
}

func TestScenario80ChangeOfSignificance(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				l.wantEnded(l.changed(mode, mode, insignificant, significant), Shutdown, ErrAutoShutdown)
				l.wantAlive(l.changed(mode, mode, significant, insignificant))
			})
		})
	}
}

// Running children are kept, the new list comes first and in its order, then the ids it does not have, and new ids
// are not started.
func TestScenario81Change(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Name: "old", Intensity: 1}, l.specs("a b c d")...)
		l.take()
		to := Flags{Name: "new", Strategy: RestForOne, Intensity: 7, Period: time.Minute}
		l.ok(s.Change(bg, to, l.specs("n c a", stopIn(Infinity))))
		l.want("")
		l.wantChildren(s, "n:undefined c:running a:running b:running d:running")
		if f := s.Flags(); f != to {
			t.Errorf("flags %+v", f)
		}
		l.ok(s.RestartChild(bg, "n"))
		l.want("start n")
		l.crash("a") // by the new strategy, in the new order
		l.want("stop d, stop b, start a, start b, start d")
		l.set(func() { l.grace["c"] = time.Hour }) // by the new shutdown
		began := time.Now()
		l.ok(s.Stop(bg))
		l.want("stop d, stop b, stop a, stop c, stop n")
		if d := time.Since(began); d != time.Hour {
			t.Errorf("stopped after %v", d)
		}
		l.wantErr(s.Change(bg, to, nil), ErrStopping)
	})
}

func TestScenario81ChangeIsAllOrNothing(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 1}, l.spec("a"))
		was := s.Flags()
		for _, specs := range [][]ChildSpec{l.specs("x x"), {{ID: "x"}}, {l.spec("x", transient, significant)}} {
			l.wantErr(s.Change(bg, Flags{Strategy: OneForAll}, specs), ErrInvalid)
		}
		l.wantErr(s.Change(bg, Flags{Intensity: -1}, nil), ErrInvalid)
		l.wantChildren(s, "a:running")
		if s.Flags() != was {
			t.Errorf("flags %+v", s.Flags())
		}
	})
}

func TestScenario82ChangeOfDynamic(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{Intensity: 0})
		l.adds(d, "a b c")
		l.take()
		l.ok(d.Change(bg, DynamicFlags{Name: "d", Intensity: 1, MaxChildren: 2}))
		l.wantErr(d.Change(bg, DynamicFlags{MaxChildren: -1}), ErrInvalid)
		l.wantErr(d.Change(bg, DynamicFlags{Period: -1}), ErrInvalid)
		l.crash("a")
		l.want("start a")
		l.wantDynamic(d, "a:running b:running c:running")
		_, err := d.StartChild(bg, l.spec("e"))
		l.wantErr(err, ErrMaxChildren)
		l.crash("b")
		<-d.Done()
		l.wantErr(d.Reason().Err, ErrIntensity)
	})
}

// A restart that is counted before a change still counts after it.
func TestChangeKeepsTheWindow(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 5}, l.spec("a"))
		l.crash("a")
		l.crash("a")
		l.ok(s.Change(bg, Flags{Intensity: 2}, l.specs("a")))
		if n := s.Window(); n != 2 {
			t.Errorf("window %d", n)
		}
		l.crash("a")
		l.wantEnded(s, Shutdown, ErrIntensity)
	})
}

// An ordered strategy does one thing at a time: what one_for_one had under way comes to its end first, and what comes
// meanwhile waits.
func TestChangeToOrderedWaits(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 9}, l.specs("a b c")...)
		l.set(func() { l.slow["a"], l.grace["b"] = time.Minute, time.Second/2 })
		l.crash("a")
		go func() { _ = s.TerminateChild(bg, "b") }()
		synctest.Wait()
		l.take()
		changed := make(chan error, 1)
		go func() { changed <- s.Change(bg, Flags{Strategy: RestForOne, Intensity: 9}, l.specs("a b c")) }()
		synctest.Wait()
		l.crash("c")
		time.Sleep(time.Second)
		l.want("") // not even c, which has ended
		l.ok(<-changed)
		l.want("start a, start c")
		l.wantChildren(s, "a:running b:undefined c:running")

		l.set(func() { l.slow["a"], l.hangs["a"] = 0, true })
		l.ok(s.Change(bg, Flags{Intensity: 9}, l.specs("a b c")))
		l.crash("a")
		go func() { changed <- s.Change(bg, Flags{Strategy: OneForAll}, nil) }()
		l.wantChildren(s, "a:restarting b:undefined c:running")
		l.ok(s.Stop(bg)) // is served all the same
		l.wantErr(<-changed, ErrStopping)
	})
}

// A child that becomes Temporary while it is restarted is not.
func TestChangeToTemporaryWhileRestarting(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 9}, l.spec("a", backoff(doubling)), l.spec("b"))
		l.crash("a")
		l.crash("a")
		l.set(func() { l.slow["b"], l.fails["b"] = time.Second, 1 })
		l.crash("b")
		l.wantChildren(s, "a:backoff b:restarting")
		l.take()
		l.ok(s.Change(bg, Flags{Intensity: 9}, l.specs("a b", temporary)))
		time.Sleep(time.Hour)
		l.want("startfail b")
		l.wantChildren(s, "")
	})
}

// Timers keep their order when the children's order changes.
func TestChangeKeepsTimers(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 99}, l.specs("a b c", backoff(doubling))...)
		l.crash("a", "b", "c")
		l.crash("a", "b", "c")
		l.take()
		l.ok(s.Change(bg, Flags{Intensity: 99}, l.specs("c b a", backoff(doubling))))
		l.wantChildren(s, "c:backoff b:backoff a:backoff")
		time.Sleep(doubling.Min)
		if got := l.sorted(); got != "start a, start b, start c" {
			t.Error(got)
		}
		l.wantChildren(s, "c:running b:running a:running")
	})
}
