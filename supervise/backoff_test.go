package supervise

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func backoff(b Backoff) func(*ChildSpec) { return func(s *ChildSpec) { s.Backoff = b } }

var doubling = Backoff{Min: 100 * time.Millisecond, Max: 500 * time.Millisecond, Reset: 10 * time.Second}

func TestBackoffDelays(t *testing.T) {
	t.Parallel()
	ms := func(list ...int) (d []time.Duration) {
		for _, n := range list {
			d = append(d, time.Duration(n)*time.Millisecond)
		}
		return d
	}
	for name, c := range map[string]struct {
		b    Backoff
		rand float64
		want []time.Duration // of the first restarts
	}{
		"none":            {Backoff{}, 0, ms(0, 0, 0)},
		"doubling":        {doubling, 0, ms(0, 100, 200, 400, 500, 500)},
		"constant":        {Backoff{Min: time.Second}, 0, ms(0, 1000, 1000)},
		"linear factor 1": {Backoff{Min: time.Second, Max: time.Hour, Factor: 1}, 0, ms(0, 1000, 1000)},
		"factor 10":       {Backoff{Min: time.Millisecond, Max: time.Minute, Factor: 10}, 0, ms(0, 1, 10, 100, 1000, 10000, 60000)},
		"jitter down":     {Backoff{Min: time.Second, Max: time.Hour, Jitter: 0.2}, 0, ms(0, 800, 1600)},
		"jitter middle":   {Backoff{Min: time.Second, Max: time.Hour, Jitter: 0.2}, 0.5, ms(0, 1000, 2000)},
		"jitter up":       {Backoff{Min: time.Second, Max: 2100 * time.Millisecond, Jitter: 1}, 0.75, ms(0, 1500, 2100)},
	} {
		cr := newCore(Flags{Period: time.Hour, Intensity: 100}, []ChildSpec{{ID: "a", Backoff: c.b}}, time.Time{}, func() float64 { return c.rand })
		var got []time.Duration
		for range c.want {
			got = append(got, cr.judge(cr.byID["a"], false).delay)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	if d := (Backoff{Min: time.Hour, Max: 1 << 62, Factor: 1e9}).delay(1<<40, nil); d != 1<<62 {
		t.Errorf("overflow: %v", d)
	}
}

func TestBackoffInTime(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 100, Period: time.Minute}, l.spec("a", backoff(doubling)), l.spec("b"))
		var delays []time.Duration
		for range 4 {
			died := time.Now()
			l.crash("a")
			if e := l.last(Ended); e.Delay > 0 {
				l.wantChildren(s, "a:backoff b:running")
				if want := "restart in " + e.Delay.String(); e.Decision != want {
					t.Errorf("decision %q, want %q", e.Decision, want)
				}
				if next := s.Children()[0].Next; !next.Equal(died.Add(e.Delay)) {
					t.Errorf("next %v", next)
				}
			}
			time.Sleep(time.Until(died.Add(600 * time.Millisecond)))
			delays = append(delays, l.last(Started).At.Sub(died))
		}
		if want := []time.Duration{0, 100e6, 200e6, 400e6}; !slices.Equal(delays, want) {
			t.Errorf("delays %v, want %v", delays, want)
		}
		time.Sleep(doubling.Reset)
		l.crash("a")
		if e := l.last(Ended); e.Delay != 0 || e.Decision != "restart at once" {
			t.Errorf("after a healthy time: %+v", e)
		}
	})
}

func TestFailedStartsBackOff(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 100, Period: time.Minute}, l.spec("a", backoff(doubling)))
		l.set(func() { l.fails["a"] = 3 })
		began := time.Now()
		l.crash("a")
		time.Sleep(time.Second)
		l.wantChildren(s, "a:running")
		if d := l.last(Started).At.Sub(began); d != 700*time.Millisecond {
			t.Errorf("up after %v, want 0+100+200+400 ms", d)
		}
		if n := s.Children()[0].Restarts; n != 4 || s.Window() != 4 {
			t.Errorf("%d restarts, window %d", n, s.Window())
		}
	})
}

func TestNudge(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 100}, l.spec("a", backoff(Backoff{Min: time.Hour})))
		l.crash("a")
		l.crash("a")
		l.wantChildren(s, "a:backoff")
		s.Nudge("nobody")
		s.Nudge("a")
		l.wantChildren(s, "a:running")
		s.Nudge("a")
		l.wantChildren(s, "a:running")
		l.want("start a, start a, start a")
	})
}

func TestTerminateDuringBackoffIsFinal(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 100}, l.spec("a", backoff(doubling)))
		l.crash("a")
		l.crash("a")
		l.take()
		l.story()
		l.ok(s.TerminateChild(bg, "a"))
		l.wantStory("terminated a")
		time.Sleep(time.Hour)
		l.want("")
		l.wantChildren(s, "a:undefined")
	})
}

// A delayed restart of an ordered strategy takes down at once what depends on the child, and starts it after the delay.
func TestDelayedRound(t *testing.T) {
	for strategy, want := range map[Strategy]string{RestForOne: "stop c", OneForAll: "stop c, stop a"} {
		t.Run(strategy.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				s := l.sup(Flags{Strategy: strategy, Intensity: 100}, l.spec("a"), l.spec("b", backoff(doubling)), l.spec("c"))
				l.crash("b")
				l.take()
				l.crash("b")
				l.want(want)
				l.ok(s.TerminateChild(bg, "c")) // served during the wait
				time.Sleep(doubling.Min)
				synctest.Wait()
				l.wantChildren(s, "a:running b:running c:running")
			})
		})
	}
}

func TestPersist(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{GiveUp: Persist, Intensity: 2, Period: time.Minute}, l.spec("a", backoff(doubling)), l.spec("b"))
		l.take()
		for range 3 {
			l.crash("a")
			time.Sleep(time.Second)
		}
		e := l.last(GaveUp)
		if e.Child != "a" || e.Window != 3 || e.Decision != "give up: 3 restarts in 1m0s, still restart in 200ms" {
			t.Errorf("%+v", e)
		}
		l.want("start a, start a, start a")
		if !s.Children()[0].GivenUp || s.Children()[1].GivenUp {
			t.Errorf("given up: %+v", s.Children())
		}
		l.story()
		time.Sleep(doubling.Reset) // healthy, but the window is not empty
		l.crash("a")
		if e := l.last(Ended); e.Delay != 400*time.Millisecond {
			t.Errorf("delay %v while given up", e.Delay)
		}
		l.wantStory("ended a") // told once
		l.wantAlive(s)
		time.Sleep(time.Minute + time.Second)
		if s.Window() != 0 || s.Children()[0].GivenUp {
			t.Errorf("window %d, %+v", s.Window(), s.Children()[0])
		}
		l.crash("a")
		if e := l.last(Ended); e.Delay != 0 || e.Window != 1 {
			t.Errorf("after an empty window: %+v", e)
		}
		l.wantChildren(s, "a:running b:running")
	})
}

// Without a back-off, Persist waits for a period: it must not become a busy loop.
func TestPersistWithoutBackoff(t *testing.T) {
	bubble(t, func(l *lab) {
		l.sup(Flags{GiveUp: Persist, Intensity: 3, Period: time.Minute}, l.spec("a"))
		l.set(func() { l.fails["a"] = 1 << 30 })
		l.crash("a")
		time.Sleep(time.Hour)
		l.set(func() {
			if n := len(l.trace); n < 30 || n > 64 {
				t.Errorf("%d attempts in an hour", n)
			}
		})
	})
}

func TestPersistWindowIsBounded(t *testing.T) {
	t.Parallel()
	c := newCore(Flags{GiveUp: Persist, Period: time.Hour}, []ChildSpec{{ID: "a"}}, time.Time{}, nil)
	for range 3 * windowMax {
		c.judge(c.byID["a"], false)
	}
	if n := len(c.window.at); n != windowMax {
		t.Errorf("%d entries", n)
	}
}

func TestExternalEndIsNotCounted(t *testing.T) {
	bubble(t, func(l *lab) {
		s := l.sup(Flags{Intensity: 0}, l.spec("a", backoff(Backoff{Min: time.Hour})), l.spec("t", transient))
		for range 20 {
			l.ends(Reason{Kind: Killed, External: true}, "a", "t")
			l.wantChildren(s, "a:running t:running")
		}
		if s.Window() != 0 || s.Children()[0].Restarts != 20 {
			t.Errorf("window %d, %+v", s.Window(), s.Children()[0])
		}
		l.crash("a")
		l.wantEnded(s, Shutdown, ErrIntensity)
	})
}
