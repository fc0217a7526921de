package supervise

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// dynamic starts a Dynamic that is stopped at the end of the test.
func (l *lab) dynamic(f DynamicFlags) *Dynamic {
	l.t.Helper()
	d, err := StartDynamic(bg, f, Options{Observe: l.observe, Rand: func() float64 { return 0.5 }})
	if err != nil {
		l.t.Fatalf("start: %v", err)
	}
	l.t.Cleanup(d.Kill)
	return d
}

// adds starts children of a Dynamic.
func (l *lab) adds(d *Dynamic, ids string, options ...func(*ChildSpec)) (all []Child) {
	l.t.Helper()
	for _, s := range l.specs(ids, options...) {
		child, err := d.StartChild(bg, s)
		l.ok(err)
		all = append(all, child)
	}
	return all
}

// sorted is take, for what happens at once.
func (l *lab) sorted() string {
	all := strings.Split(l.take(), ", ")
	slices.Sort(all)
	return strings.Join(all, ", ")
}

func TestScenario06And07IgnoringChildIsNotKept(t *testing.T) {
	for _, restart := range []RestartType{Permanent, Transient, Temporary} {
		t.Run(restart.String(), func(t *testing.T) {
			bubble(t, func(l *lab) {
				d := l.dynamic(DynamicFlags{})
				child, err := d.StartChild(bg, l.spec("a", ignoring, func(s *ChildSpec) { s.Restart = restart }))
				if child != nil || err != ErrIgnore {
					t.Errorf("%v, %v", child, err)
				}
				l.wantDynamic(d, "")
				l.ok(d.Stop(bg))
				l.wantReason(d, Shutdown, nil)
			})
		})
	}
}

func (l *lab) wantDynamic(d *Dynamic, want string) {
	l.t.Helper()
	synctest.Wait()
	if got := states(d.Children()); got != want {
		l.t.Errorf("children\n got %s\nwant %s", got, want)
	}
	if n := d.Count(); n.Specs != len(d.Children()) {
		l.t.Errorf("counted %+v, listed %d", n, len(d.Children()))
	}
}

func TestScenario12StartChildErrorIsBare(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{})
		l.fails["a"] = 1
		child, err := d.StartChild(bg, l.spec("a"))
		if child != nil || err != errNope {
			t.Errorf("%v, %v", child, err)
		}
		l.wantDynamic(d, "")
	})
}

func TestScenario14DynamicDefaults(t *testing.T) {
	t.Parallel()
	flags, err := (&DynamicFlags{}).flags()
	if err != nil || flags.Period != 5*time.Second || flags.Strategy != OneForOne {
		t.Errorf("%+v, %v", flags, err)
	}
	c := newDynamicCore(flags, 0, time.Time{}, nil)
	if k := c.add(ChildSpec{}); k.restart != Permanent || k.shutdown != DefaultShutdown {
		t.Errorf("%+v", k)
	}
	if k := c.add(ChildSpec{Supervisor: true}); k.shutdown != Infinity {
		t.Errorf("%+v", k)
	}
}

func TestScenario21And57DynamicStopTimeout(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{})
		l.adds(d, "a b c", stopIn(3*time.Second))
		l.adds(d, "d", stopIn(time.Minute))
		l.set(func() { l.grace["b"], l.grace["c"], l.grace["d"] = never, time.Second, 2*time.Second })
		l.take()
		began := time.Now()
		d.Shutdown()
		if got := l.sorted(); got != "stop a, stop b, stop c, stop d" {
			t.Errorf("asked at once: %s", got)
		}
		if who := d.Blocking(); len(who) != 3 {
			t.Errorf("blocking %v", who)
		}
		<-d.Done()
		l.want("kill b")
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %v", took)
		}
		l.wantReason(d, Shutdown, nil)
	})
}

func (l *lab) wantReason(c Child, kind ReasonKind, err error) {
	l.t.Helper()
	select {
	case <-c.Done():
	default:
		l.t.Error("it lives")
		return
	}
	if r := c.Reason(); r.Kind != kind || r.Err != err {
		l.t.Errorf("ended for %v, want %v: %v", r, kind, err)
	}
}

func TestScenario23DynamicStopBrutally(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{})
		l.adds(d, "0 1 2 3 4 5 6 7 8 9", stopIn(Brutal))
		l.take()
		l.ok(d.Stop(bg))
		if got := l.sorted(); strings.Count(got, "kill") != 10 || strings.Contains(got, "stop") {
			t.Error(got)
		}
	})
}

// While a dynamic supervisor stops, its children end for all reasons.
func TestScenario25DynamicOddReasons(t *testing.T) {
	bubble(t, func(l *lab) {
		l.reason["a"], l.reason["b"] = Reason{Kind: Crash, Err: errBoom}, Reason{Kind: Killed}
		l.reason["c"] = Reason{Kind: Normal, Err: errBoom}
		d := l.dynamic(DynamicFlags{})
		l.adds(d, "a b c")
		l.ok(d.Stop(bg))
		l.wantReason(d, Shutdown, nil)
	})
}

func TestScenario29DynamicAdministration(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{})
		all := l.adds(d, "a a2 b", transient, func(s *ChildSpec) { s.ID = s.ID[:1] }) // labels repeat
		all = append(all, l.adds(d, "c", func(s *ChildSpec) { s.ID = "" })...)        // or are missing
		l.wantDynamic(d, "a:running a:running b:running #3:running")
		l.ok(d.TerminateChild(bg, all[3]))
		l.ok(d.TerminateChild(bg, all[1]))
		l.ok(d.TerminateChild(bg, all[1])) // has ended
		l.wantDynamic(d, "a:running b:running")
		other := l.dynamic(DynamicFlags{})
		l.wantErr(other.TerminateChild(bg, all[0]), ErrNotFound) // runs, elsewhere
		l.wantErr(d.TerminateChild(bg, nil), ErrNotFound)
		l.wantErr(d.TerminateChild(bg, uncomparable{}), ErrInvalid)
		_, err := d.StartChild(bg, ChildSpec{})
		l.wantErr(err, ErrInvalid)
		l.ok(d.Stop(bg))
		l.wantErr(d.TerminateChild(bg, all[0]), ErrStopping)
		_, err = d.StartChild(bg, l.spec("c"))
		l.wantErr(err, ErrStopping)
	})
}

// uncomparable is a child that cannot be told from another.
type uncomparable struct {
	Child
	_ []int
}

func TestUncomparableChildIsOnlyListed(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{})
		spec := l.spec("a", func(s *ChildSpec) {
			start := s.Start
			s.Start = func(ctx context.Context) (Child, error) {
				c, err := start(ctx)
				return uncomparable{Child: c}, err
			}
		})
		child, err := d.StartChild(bg, spec)
		l.ok(err)
		l.wantErr(d.TerminateChild(bg, child), ErrInvalid)
		l.crash("a")
		l.wantReason(d, Shutdown, d.Reason().Err)
		l.wantErr(d.Reason().Err, ErrIntensity)
	})
}

func TestScenario56And58And117DynamicRestarts(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{Intensity: 9})
		starts := map[string]int{}
		for i := range 3 { // what OTP gives as extra arguments is the closure's own, also after a restart
			extra := fmt.Sprint("x", i)
			_, err := d.StartChild(bg, l.spec(extra, func(s *ChildSpec) {
				start := s.Start
				s.Start = func(ctx context.Context) (Child, error) { starts[extra]++; return start(ctx) }
			}))
			l.ok(err)
		}
		l.take()
		l.crash("x1")
		l.want("start x1")
		l.wantDynamic(d, "x0:running x1:running x2:running")
		if starts["x1"] != 2 || starts["x0"] != 1 {
			t.Errorf("%v", starts)
		}
		l.adds(d, "t", transient)
		l.adds(d, "u", temporary)
		l.ends(Reason{Kind: Normal}, "t")
		l.crash("u")
		l.wantDynamic(d, "x0:running x1:running x2:running")
	})
}

func TestScenario59And119DynamicEscalation(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{Name: "d", Intensity: 1})
		l.adds(d, "a b c")
		l.crash("a")
		l.take()
		l.crash("b")
		if got := l.sorted(); got != "stop a, stop c" {
			t.Error(got)
		}
		<-d.Done()
		l.wantErr(d.Reason().Err, ErrIntensity)

		d = l.dynamic(DynamicFlags{Intensity: 3})
		l.adds(d, "x y")
		l.set(func() { l.fails["x"] = 1 << 30 })
		l.take()
		l.crash("x") // each attempt counts
		l.want("startfail x, startfail x, startfail x, stop y")
		l.wantErr(d.Reason().Err, ErrIntensity)
	})
}

func TestScenario61IgnoreOnRestartDrops(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{Intensity: 5})
		first := true
		_, err := d.StartChild(bg, l.spec("a", func(s *ChildSpec) {
			start := s.Start
			s.Start = func(ctx context.Context) (Child, error) {
				if !first {
					return nil, ErrIgnore
				}
				first = false
				return start(ctx)
			}
		}))
		l.ok(err)
		l.crash("a")
		l.wantDynamic(d, "")
		l.wantErr(l.last(Started).Err, ErrIgnore)
	})
}

// While a child fails to restart, everything else is served; terminating it is final.
func TestScenario66And121HangingRestartLoop(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{Intensity: 1 << 30})
		a := l.adds(d, "a b")[0]
		l.set(func() { l.fails["a"] = 1 << 30 })
		l.unit("a").end(Reason{Kind: Crash})
		<-l.failed
		l.adds(d, "c")
		if got := states(d.Children()); got != "a:restarting b:running c:running" {
			t.Error(got)
		}
		l.ok(d.TerminateChild(bg, a))
		l.wantDynamic(d, "b:running c:running")
		l.take()
		time.Sleep(time.Hour)
		l.want("")
	})
	bubbleAgain(t, "stop", func(l *lab) {
		d := l.dynamic(DynamicFlags{Intensity: 1 << 30})
		l.adds(d, "a b")
		l.set(func() { l.fails["a"] = 1 << 30 })
		l.unit("a").end(Reason{Kind: Crash})
		<-l.failed
		l.ok(d.Stop(bg))
	})
}

func bubbleAgain(t *testing.T, name string, f func(l *lab)) {
	t.Helper()
	t.Run(name, func(t *testing.T) { bubble(t, f) })
}

func TestScenario114And115MaxChildren(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{MaxChildren: 2, Intensity: 9})
		full := func() {
			t.Helper()
			_, err := d.StartChild(bg, l.spec("more"))
			l.wantErr(err, ErrMaxChildren)
		}
		l.adds(d, "a", transient)
		l.adds(d, "b", backoff(Backoff{Min: time.Hour}))
		full()
		l.crash("b")
		l.crash("b")
		l.wantDynamic(d, "a:running b:backoff") // restarting counts
		full()
		l.ends(Reason{Kind: Normal}, "a")
		l.set(func() { l.hangs["s"] = true })
		go func() { _, _ = d.StartChild(bg, l.spec("s")) }()
		synctest.Wait()
		full() // starting counts
		l.ok(d.Change(bg, DynamicFlags{MaxChildren: 3}))
		l.adds(d, "more")
		if f := d.Flags(); f.MaxChildren != 3 || f.Period != 5*time.Second {
			t.Errorf("%+v", f)
		}
	})
}

// A restart may come to anything that a start may.
func TestScenario116RestartValues(t *testing.T) {
	for name, c := range map[string]struct {
		again func() (Child, error)
		want  string
	}{
		"error":   {func() (Child, error) { return nil, errNope }, "a:backoff"},
		"ignore":  {func() (Child, error) { return nil, ErrIgnore }, ""},
		"nothing": {func() (Child, error) { return nil, nil }, "a:backoff"},
		"panic":   {func() (Child, error) { panic("oh") }, "a:backoff"},
		"goexit":  {func() (Child, error) { runtime.Goexit(); return nil, nil }, "a:backoff"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(l *lab) {
				d := l.dynamic(DynamicFlags{Intensity: 9})
				first := true
				child, err := d.StartChild(bg, l.spec("a", backoff(Backoff{Min: time.Hour}), func(s *ChildSpec) {
					start := s.Start
					s.Start = func(ctx context.Context) (Child, error) {
						if first {
							first = false
							return start(ctx)
						}
						return c.again()
					}
				}))
				l.ok(err)
				l.crash("a")
				l.wantDynamic(d, c.want)
				l.ok(d.TerminateChild(bg, child))
				l.wantDynamic(d, "")
			})
		})
	}
}

func TestScenario118RestartedWhenTryingAgain(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{Intensity: 3})
		old := l.adds(d, "a")[0]
		l.set(func() { l.fails["a"] = 2 })
		l.crash("a")
		l.want("start a, startfail a, startfail a, start a")
		now := d.Children()[0].Child
		if now == old || now == nil {
			t.Error("not a new incarnation")
		}
		l.ok(d.TerminateChild(bg, old)) // has ended; its successor is another
		l.wantDynamic(d, "a:running")
		l.ok(d.TerminateChild(bg, now))
		l.wantDynamic(d, "")
	})
}

func TestScenario120MixedChildren(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{})
		l.adds(d, "brutal", stopIn(Brutal))
		l.adds(d, "patient", stopIn(Infinity))
		l.adds(d, "late", stopIn(time.Second))
		l.adds(d, "normal")
		l.set(func() {
			l.grace["patient"], l.grace["late"] = time.Hour, never
			l.reason["normal"] = Reason{Kind: Normal, Err: errBoom}
		})
		l.take()
		l.ok(d.Stop(bg))
		if got := l.sorted(); got != "kill brutal, kill late, stop late, stop normal, stop patient" {
			t.Error(got)
		}
	})
}

func TestDynamicStopDuringStart(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{})
		l.hangs["a"], l.slow["b"] = true, time.Minute
		results := make(chan error, 2)
		for _, id := range []string{"a", "b"} {
			go func() { _, err := d.StartChild(bg, l.spec(id)); results <- err }()
		}
		synctest.Wait()
		l.ok(d.Stop(bg))
		l.wantErr(<-results, ErrStopping)
		l.wantErr(<-results, ErrStopping)
		l.want("cancel a, start b, stop b")
	})
}

func TestDynamicKill(t *testing.T) {
	bubble(t, func(l *lab) {
		d := l.dynamic(DynamicFlags{})
		l.adds(d, "a b", stopIn(Infinity))
		l.set(func() { l.grace["b"] = never })
		l.take()
		d.Kill()
		<-d.Done()
		if got := l.sorted(); got != "kill a, kill b" {
			t.Error(got)
		}
		l.wantReason(d, Killed, nil)
	})
}
