package supervise

import (
	"fmt"
	"testing"
	"testing/synctest"
)

func significant(s *ChildSpec) { s.Significant = true }

var every = []Strategy{OneForOne, RestForOne, OneForAll}
var modes = []AutoShutdown{AnySignificant, AllSignificant}

// each runs f for every strategy and mode.
func each(t *testing.T, f func(l *lab, flags Flags)) {
	t.Helper()
	for _, strategy := range every {
		for _, mode := range modes {
			t.Run(fmt.Sprint(strategy, mode), func(t *testing.T) {
				bubble(t, func(l *lab) { f(l, Flags{Strategy: strategy, AutoShutdown: mode, Intensity: 5}) })
			})
		}
	}
}

func TestScenario67NonsignificantTemporary(t *testing.T) {
	each(t, func(l *lab, f Flags) {
		s := l.sup(f, l.specs("a b c", temporary)...)
		l.ends(Reason{Kind: Normal}, "a")
		l.crash("b")
		l.ok(s.TerminateChild(bg, "c"))
		l.wantAlive(s)
		l.wantChildren(s, "")
	})
}

func TestScenario68NonsignificantTransient(t *testing.T) {
	each(t, func(l *lab, f Flags) {
		s := l.sup(f, l.specs("a b c", transient)...)
		l.ends(Reason{Kind: Normal}, "a")
		l.ends(Reason{Kind: Shutdown}, "b")
		l.ok(s.TerminateChild(bg, "c"))
		l.wantAlive(s)
		l.wantChildren(s, "a:undefined b:undefined c:undefined")
	})
}

func TestScenario69SignificantTemporary(t *testing.T) {
	for _, r := range []Reason{{Kind: Normal}, {Kind: Shutdown}, {Kind: Killed}, {Kind: Crash, Err: errBoom}} {
		each(t, func(l *lab, f Flags) {
			s := l.sup(f, l.spec("z"), l.spec("a", temporary, significant), l.spec("b", temporary, significant))
			l.ok(s.TerminateChild(bg, "a")) // by call is no cause
			l.wantAlive(s)
			l.take()
			l.ends(r, "b")
			l.want("stop z")
			l.wantEnded(s, Shutdown, ErrAutoShutdown)
			if e := l.last(Ended); e.Decision != "shut down" {
				t.Errorf("decision %q", e.Decision)
			}
		})
	}
}

func TestScenario70SignificantTransient(t *testing.T) {
	each(t, func(l *lab, f Flags) {
		s := l.sup(f, l.spec("z"), l.spec("a", transient, significant))
		l.crash("a")
		l.ends(Reason{Kind: Killed}, "a")
		l.wantChildren(s, "z:running a:running")
		l.ends(Reason{Kind: Normal}, "a")
		l.wantEnded(s, Shutdown, ErrAutoShutdown)
	})
}

// Of several, any one or only the last is enough; one that is being restarted is not gone.
func TestScenario70AnyAndAll(t *testing.T) {
	each(t, func(l *lab, f Flags) {
		s := l.sup(f, l.spec("z"), l.spec("a", transient, significant), l.spec("b", transient, significant))
		l.ends(Reason{Kind: Normal}, "a")
		if f.AutoShutdown == AnySignificant {
			l.wantEnded(s, Shutdown, ErrAutoShutdown)
			return
		}
		l.wantAlive(s)
		l.ends(Reason{Kind: Shutdown}, "b")
		l.wantEnded(s, Shutdown, ErrAutoShutdown)
	})
	bubble(t, func(l *lab) {
		s := l.sup(Flags{AutoShutdown: AllSignificant, Intensity: 9}, l.spec("a", temporary, significant),
			l.spec("b", transient, significant, backoff(doubling)))
		l.crash("b")
		l.crash("b")
		l.wantChildren(s, "a:running b:backoff")
		l.crash("a")
		l.wantChildren(s, "b:backoff")
		l.ok(s.TerminateChild(bg, "b"))
		l.wantAlive(s) // nobody ends a supervisor for what a call did
	})
}

func TestScenario71SignificantIsRefusedByDynamic(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{})
		_, err := d.StartChild(bg, l.spec("a", temporary, significant))
		l.wantErr(err, ErrInvalid)
	})
}

// A significant child that ends for its sibling's sake ends nothing else.
func TestScenario72SignificantBystander(t *testing.T) {
	each(t, func(l *lab, f Flags) {
		for _, restart := range []RestartType{Transient, Temporary} {
			s := l.sup(f, l.spec("a"), l.spec("b", significant, func(s *ChildSpec) { s.Restart = restart }))
			l.crash("a")
			l.wantAlive(s)
			want := "a:running b:running"
			if restart == Temporary && f.Strategy != OneForOne {
				want = "a:running"
			}
			l.wantChildren(s, want)
			l.ok(s.Stop(bg))
		}
	})
}

// An automatic shutdown climbs as far as supervisors are significant.
func TestScenario73SignificantEscalation(t *testing.T) {
	for _, climbs := range []bool{true, false} {
		t.Run(fmt.Sprint(climbs), func(t *testing.T) {
			bubble(t, func(l *lab) {
				f := Flags{AutoShutdown: AnySignificant}
				low := l.nested("low", f, l.spec("x", temporary, significant), l.spec("y"))
				low.Restart, low.Significant = Transient, true
				middle := l.nested("middle", f, low, l.spec("m"))
				middle.Restart, middle.Significant = Temporary, climbs
				s := l.sup(f, middle, l.spec("z"))
				l.take()
				l.ends(Reason{Kind: Normal}, "x")
				if climbs {
					l.want("stop y, stop m, stop z")
					l.wantEnded(s, Shutdown, ErrAutoShutdown)
					return
				}
				l.want("stop y, stop m")
				l.wantChildren(s, "z:running")
			})
		})
	}
}

// OTP would not look at the end of b before the terminating of c is over.
func TestTerminatingCountsAsGone(t *testing.T) {
	bubble(t, func(l *lab) {
		l.grace["c"] = never
		s := l.sup(Flags{AutoShutdown: AllSignificant}, l.spec("b", temporary, significant), l.spec("c", temporary, significant))
		go func() { _ = s.TerminateChild(bg, "c") }()
		synctest.Wait()
		l.crash("b")
		<-s.Done()
		l.wantEnded(s, Shutdown, ErrAutoShutdown)
	})
}
