package supervise

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// One slow start and one slow stop must not delay a sibling under OneForOne.
func TestSlowSiblingsDoNotDelay(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 100}, l.specs("a b c")...)
		l.set(func() { l.slow["a"] = time.Hour; l.grace["b"] = never })
		l.crash("a")
		go func() { _ = s.TerminateChild(bg, "b") }()
		synctest.Wait()
		began := time.Now()
		l.crash("c")
		l.wantChildren(s, "a:restarting b:stopping c:running")
		l.ok(s.StartChild(bg, l.spec("d")))
		l.ok(s.TerminateChild(bg, "d"))
		if d := time.Since(began); d != 0 {
			t.Errorf("waited %v for a sibling", d)
		}
		if who := s.Blocking(); !slices.Equal(who, []string{"b"}) {
			t.Errorf("blocking: %v", who)
		}
		time.Sleep(2 * time.Hour)
		l.wantChildren(s, "a:running b:undefined c:running d:undefined")
	})
}

// Calls about a child that is starting or stopping wait for it, in order.
func TestCallsWaitForTheirChild(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 100})
		l.slow["a"], l.grace["a"] = time.Second, time.Second/2
		l.fails["a"] = 1
		results := make(chan error, 8)
		async := func(f func() error) {
			go func() { results <- f() }()
			synctest.Wait()
		}
		began := time.Now()
		async(func() error { return s.StartChild(bg, l.spec("a")) }) // fails after 1 s
		async(func() error { return s.StartChild(bg, l.spec("a")) }) // then starts, 1 s
		l.wantErr(<-results, errNope)
		l.ok(<-results)
		async(func() error { return s.TerminateChild(bg, "a") })
		async(func() error { return s.TerminateChild(bg, "a") })
		async(func() error { return s.RestartChild(bg, "a") })
		l.ok(<-results)
		l.ok(<-results)
		l.ok(<-results)
		if d := time.Since(began); d != 3500*time.Millisecond {
			t.Errorf("took %v", d)
		}
		l.want("startfail a, start a, stop a, start a")
	})
}

func TestTerminateCancelsAStart(t *testing.T) {
	for strategy, after := range map[Strategy]string{
		OneForOne: "a:undefined z:running",
		OneForAll: "a:undefined z:undefined", // what a round has stopped stays down when the round is called off
	} {
		t.Run(strategy.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				s := l.sup(Flags{Strategy: strategy, Intensity: 1}, l.spec("a"), l.spec("z"))
				l.hangs["b"] = true
				result := make(chan error, 1)
				go func() { result <- s.StartChild(bg, l.spec("b")) }()
				l.wantChildren(s, "a:running z:running b:starting")
				l.ok(s.TerminateChild(bg, "b"))
				l.wantErr(<-result, ErrTerminated)
				l.wantChildren(s, "a:running z:running")

				l.set(func() { l.hangs["a"] = true })
				l.crash("a")
				l.take()
				l.ok(s.TerminateChild(bg, "a"))
				l.wantChildren(s, after)
				if n := s.Window(); n != 1 {
					t.Errorf("window %d: a cancelled start was counted", n)
				}
			})
		})
	}
}

// A child that comes out of a cancelled start all the same is stopped.
func TestTerminateStopsWhatComesOutOfAStart(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{})
		l.slow["a"] = time.Minute
		result := make(chan error, 1)
		go func() { result <- s.StartChild(bg, l.spec("a")) }()
		synctest.Wait()
		l.ok(s.TerminateChild(bg, "a"))
		l.wantErr(<-result, ErrTerminated)
		l.want("start a, stop a")
		l.wantChildren(s, "")
		l.wantStory("started a", "terminated a")
	})
}

func TestEndedBeforeItsTurn(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Strategy: OneForAll, Intensity: 1}, l.specs("a b c")...)
		l.set(func() { l.grace["c"] = time.Second / 2 })
		l.crash("b") // the round waits for c
		l.crash("a") // was to be stopped anyway: not counted
		time.Sleep(time.Second)
		l.wantChildren(s, "a:running b:running c:running")
		if n := s.Window(); n != 1 {
			t.Errorf("window %d", n)
		}
		l.wantStory("started a", "started b", "started c", "ended b", "stopped c", "ended a",
			"restarting a", "started a", "restarting b", "started b", "restarting c", "started c")
	})
}

// An end during the supervisor's own start is served after it, whatever the strategy. (Found by the live oracle.)
func TestEndedDuringBoot(t *testing.T) {
	for _, strategy := range []Strategy{OneForOne, RestForOne} {
		t.Run(strategy.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				l.slow["b"] = time.Minute
				go func() { time.Sleep(time.Second); l.unit("a").end(Reason{Kind: Crash, Err: errBoom}) }()
				s := l.sup(Flags{Strategy: strategy, Intensity: 1}, l.specs("a b")...)
				time.Sleep(time.Minute)
				l.wantChildren(s, "a:running b:running")
				want := "start a, start b, start a"
				if strategy == RestForOne {
					want = "start a, start b, stop b, start a, start b"
				}
				l.want(want)
			})
		})
	}
}

// An end in the middle of a round, of a child that the round has started already, is served after it.
func TestEndedDuringRound(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Strategy: RestForOne, Intensity: 5}, l.specs("a b c")...)
		l.take()
		l.set(func() { l.slow["c"] = time.Second })
		l.crash("b")
		l.crash("b")
		l.want("stop c, start b")
		time.Sleep(time.Second)
		l.want("start c, stop c, start b")
		time.Sleep(time.Second)
		l.want("start c")
		l.wantChildren(s, "a:running b:running c:running")
	})
}

// What belongs to an earlier start than the last one is ignored.
func TestStaleInputs(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	spec := ChildSpec{ID: "a", Backoff: Backoff{Min: time.Hour}}
	c := newCore(Flags{Intensity: 9, Period: time.Minute}, []ChildSpec{spec}, now, nil)
	a := c.byID["a"]
	c.step(now, &call{op: opBoot})
	c.step(now, answered{kid: a, n: 1})
	c.step(now, &ended{kid: a, n: 1, reason: Reason{Kind: Crash}})
	c.step(now, answered{kid: a, n: 1})
	if a.phase != starting || a.n != 2 {
		t.Errorf("an old answer: phase %d, start %d", a.phase, a.n)
	}
	c.step(now, answered{kid: a, n: 2})
	c.step(now, &ended{kid: a, n: 1})
	if a.phase != running {
		t.Errorf("an old end: phase %d", a.phase)
	}
	c.step(now, &ended{kid: a, n: 2, reason: Reason{Kind: Crash}})
	c.step(now, retry{kid: a, n: 1})
	if a.phase != waiting {
		t.Errorf("an old retry: phase %d", a.phase)
	}
}

// An end that nobody has served yet, because a call was first in line, is settled by that call.
func TestTerminateOfOneThatEnded(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Strategy: RestForOne, Intensity: 5}, l.specs("a b c")...)
		l.set(func() { l.grace["c"] = time.Second / 2 })
		l.crash("b") // the round waits for c
		l.take()
		result := make(chan error, 1)
		go func() { result <- s.TerminateChild(bg, "a") }()
		synctest.Wait()
		l.crash("a")
		l.ok(<-result)
		l.want("start b, start c")
		l.wantChildren(s, "a:undefined b:running c:running")
		if n := s.Window(); n != 1 {
			t.Errorf("window %d", n)
		}
	})
}
