package application

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/supervise"
)

// The names say which case of OTP's application_SUITE a test takes its idea from.

func TestScenario16FaultyApplicationShutdown(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		fault := errBoom
		inner := func(ctx context.Context) (supervise.Child, error) {
			return supervise.Start(ctx, supervise.Flags{Name: "inner"}, []supervise.ChildSpec{
				actor.Child("first", func() actor.Server[actor.From[string]] { return &echo{} }, actor.Options{}),
				{ID: "faulty", Start: func(context.Context) (supervise.Child, error) { return nil, fault }},
			}, supervise.Options{})
		}
		c := l.controller(l.app("kernel"), with(l.app("faulty", "kernel"), func(a *Application) {
			a.Start = func(ctx context.Context) (supervise.Child, error) {
				return supervise.Start(ctx, supervise.Flags{Name: "top"}, []supervise.ChildSpec{
					{ID: "inner", Supervisor: true, Start: inner},
				}, supervise.Options{})
			}
		}))
		_, err := c.EnsureAllStarted(t.Context(), "faulty")
		var start *StartError
		var child *supervise.StartError
		if !errors.As(err, &start) || start.Name != "faulty" || !errors.As(err, &child) || child.Child != "inner" || !errors.Is(err, errBoom) {
			t.Errorf("the error does not lead from the application to the fault: %v", err)
		}
		if want := "start application faulty: start inner: start faulty: boom"; err.Error() != want {
			t.Errorf("error %q, want %q", err, want)
		}
		l.saw("start kernel", "prep-stop kernel", "shutdown kernel", "stop kernel")
		l.told("kernel started", "faulty start-failed", "kernel stopped")

		fault = supervise.ErrIgnore
		l.up(c, "faulty")
		l.down(c)
	})
}

func TestEnsureStarted(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(l.app("db"), l.app("web", "db"))
		err := c.Start(t.Context(), "web")
		var not *NotStartedError
		if !errors.As(err, &not) || not.Dependency != "db" || !errors.Is(err, ErrNotStarted) {
			t.Errorf("without its dependency: %v", err)
		}
		for _, n := range []string{"db", "web"} {
			if err := c.Start(t.Context(), n); err != nil {
				t.Error(err)
			}
			if err := c.Start(t.Context(), n); !errors.Is(err, ErrAlreadyStarted) {
				t.Errorf("twice: %v", err)
			}
		}
		if started, err := c.EnsureAllStarted(t.Context(), "web", "db"); len(started) != 0 || err != nil {
			t.Errorf("of what runs: %v, %v", started, err)
		}
		l.saw("start db", "start web")
		l.down(c)
	})
}

func TestEnsureAllStarted(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		faulty := true
		c := l.controller(l.app("log"), l.app("db", "log"), l.app("cache", "log"),
			with(l.app("web", "db", "cache"), func(a *Application) {
				a.Start = func(context.Context) (supervise.Child, error) {
					if faulty {
						return nil, errBoom
					}
					return nil, supervise.ErrIgnore
				}
			}))
		l.up(c, "log")
		l.saw("start log")
		_, err := c.EnsureAllStarted(t.Context(), "web")
		if !errors.Is(err, errBoom) {
			t.Error(err)
		}
		l.saw("start db", "start cache", "prep-stop cache", "shutdown cache", "stop cache", "prep-stop db", "shutdown db", "stop db")
		if got := names(c.Which()); got != "log" {
			t.Errorf("what ran before is gone: %q runs", got)
		}
		faulty = false
		started, err := c.EnsureAllStarted(t.Context(), "cache", "web")
		if got := strings.Join(started, " "); got != "cache db web" || err != nil {
			t.Errorf("started %s, %v", got, err)
		}
		l.saw("start cache", "start db")
		l.down(c)
	})
}

func TestStopInReverseOrder(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(l.app("web", "db"), l.app("db", "log"), l.app("log"))
		l.up(c, "web")
		l.saw("start log", "start db", "start web")
		l.down(c)
		l.saw("prep-stop web", "shutdown web", "stop web", "prep-stop db", "shutdown db", "stop db", "prep-stop log", "shutdown log", "stop log")
		l.told("log started", "db started", "web started", "web stopped", "db stopped", "log stopped")
		if r := c.Reason(); r.Kind != supervise.Shutdown || r.Err != nil {
			t.Errorf("ended for %v", r)
		}
		if err := c.Start(t.Context(), "log"); !errors.Is(err, ErrStopping) {
			t.Errorf("start after the end: %v", err)
		}
	})
}

func TestUnknownDependencyAndCycle(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(l.app("database"), l.app("web", "databse"), l.app("a", "b"), l.app("b", "c"), l.app("c", "a"))
		_, err := c.EnsureAllStarted(t.Context(), "web")
		if want := "application web depends on databse, which is not loaded: did you mean database?"; err == nil || err.Error() != want || !errors.Is(err, ErrNotLoaded) {
			t.Errorf("%v, want %s", err, want)
		}
		if err := c.Start(t.Context(), "web"); !errors.Is(err, ErrNotLoaded) {
			t.Errorf("%v", err)
		}
		_, err = c.EnsureAllStarted(t.Context(), "database", "b")
		var cycle *CycleError
		if !errors.As(err, &cycle) || strings.Join(cycle.Path, " ") != "b c a b" || !errors.Is(err, ErrCycle) {
			t.Errorf("%v", err)
		}
		l.saw() // nothing is started before the order is known
		for _, err := range []error{c.Stop(t.Context(), "dtabase"), c.Unload("Database"), c.SetEnv("databas", NewKey("x", 1).To(1))} {
			if !errors.Is(err, ErrNotLoaded) || !strings.Contains(err.Error(), "did you mean database?") {
				t.Error(err)
			}
		}
	})
}

func TestOptionalApplications(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(with(l.app("web", "db"), func(a *Application) { a.Optional = []string{"metrics", "traces"} }),
			l.app("db"), l.app("metrics", "db"))
		l.up(c, "web")
		l.saw("start db", "start metrics", "start web")
		l.down(c)
	})
}

func TestStartPhases(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(l.phased(l.app("log"), "init", "go"), l.phased(l.app("db", "log"), "init", "warm", "go"),
			l.app("plain"), l.phased(l.app("web", "db", "plain"), "warm", "go"))
		l.up(c, "web")
		l.saw("start log", "start db", "start plain", "start web",
			"init log", "init db", "warm db", "warm web", "go log", "go db", "go web")
		l.told("plain started", "log started", "db started", "web started")
		l.down(c)
	})
}

func TestStartPhaseFails(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		db := l.phased(l.app("db"), "init", "go")
		db.Phases[1].Run = func(context.Context) error { panic(errBoom) }
		c := l.controller(db, l.phased(l.app("web", "db"), "init"))
		_, err := c.EnsureAllStarted(t.Context(), "web")
		var start *StartError
		var broken *actor.PanicError
		if !errors.As(err, &start) || start.Name != "db" || start.Phase != "go" || !errors.As(err, &broken) || len(broken.Stack) == 0 {
			t.Errorf("%v", err)
		}
		l.saw("start db", "start web", "init db", "init web",
			"prep-stop web", "shutdown web", "stop web", "prep-stop db", "shutdown db", "stop db")
		if len(c.Which()) != 0 {
			t.Errorf("%v run", c.Which())
		}
	})
}

func TestPhasesInContradictingOrders(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(l.phased(l.app("db"), "init", "go"), l.phased(l.app("web", "db"), "go", "init"))
		_, err := c.EnsureAllStarted(t.Context(), "web")
		var cycle *CycleError
		if !errors.As(err, &cycle) || cycle.What != "phases" {
			t.Errorf("%v", err)
		}
		l.saw()
	})
}

// otp_2973: who wants what is being started gets the outcome of that start.
func TestTwoStartsOfTheSame(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		fault := errBoom
		slow := func(context.Context) (supervise.Child, error) {
			l.write("start")
			time.Sleep(time.Minute)
			return nil, fault
		}
		c := l.controller(with(l.app("a"), func(a *Application) { a.Start = slow }), Application{Name: "first"})
		for _, want := range []error{errBoom, supervise.ErrIgnore} {
			fault = want
			var all sync.WaitGroup
			results := make(chan error, 3)
			for i := range 3 {
				all.Go(func() {
					time.Sleep(time.Duration(i) * time.Second)
					results <- c.Start(t.Context(), "a")
				})
			}
			all.Wait()
			close(results)
			for err := range results {
				if !errors.Is(err, errBoom) && want == errBoom || err != nil && want != errBoom {
					t.Errorf("%v", err)
				}
			}
			l.saw("start") // once
		}
		if err := c.Start(t.Context(), "a"); !errors.Is(err, ErrAlreadyStarted) {
			t.Error(err)
		}
		l.down(c)
	})
}

// The start of another that was broken off says nothing about this one.
func TestStartBehindOneThatWasBrokenOff(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(with(l.app("a"), func(a *Application) {
			start := a.Start
			a.Start = func(ctx context.Context) (supervise.Child, error) {
				select {
				case <-ctx.Done():
					return nil, ctx.Err()
				case <-time.After(time.Minute):
					return start(ctx)
				}
			}
		}))
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := c.Start(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the first: %v", err)
			}
		}()
		time.Sleep(time.Second)
		if err := c.Start(t.Context(), "a"); err != nil {
			t.Errorf("the second: %v", err)
		}
		l.down(c)
	})
}

// otp_4227: a dependency that has ended is as good as one that was never started.
func TestStartAfterADependencyHasEnded(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(with(l.app("db"), func(a *Application) { a.Type = Temporary }), l.app("web", "db"))
		l.up(c, "db")
		l.tree("db").end(supervise.Reason{Kind: supervise.Killed})
		synctest.Wait()
		if err := c.Start(t.Context(), "web"); !errors.Is(err, ErrNotStarted) {
			t.Errorf("%v", err)
		}
		l.up(c, "web")
		l.saw("start db", "stop db", "start db", "start web")
		l.down(c)
	})
}

// otp_2718: an application that ends while its start is under way did not start.
func TestEndDuringThePhases(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		db := l.phased(with(l.app("db"), func(a *Application) { a.Type = Temporary }), "init")
		db.Phases[0].Run = func(ctx context.Context) error {
			l.tree("db").end(supervise.Reason{Kind: supervise.Crash, Err: errBoom})
			<-ctx.Done() // it does not hang for ever in a phase of what has ended
			return nil
		}
		c := l.controller(db, l.phased(l.app("web", "db"), "init"))
		_, err := c.EnsureAllStarted(t.Context(), "web")
		var start *StartError
		if !errors.As(err, &start) || start.Name != "db" || !errors.Is(err, errBoom) {
			t.Errorf("%v", err)
		}
		l.sort()
		l.saw("prep-stop web", "shutdown web", "start db", "start web", "stop db", "stop web")
		l.down(c)
	})
}

func TestStartThatIsNone(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		for what, start := range map[string]supervise.StartFunc{
			"no child":            func(context.Context) (supervise.Child, error) { return nil, nil },
			"boom":                func(context.Context) (supervise.Child, error) { panic("boom") },
			"ended its goroutine": func(context.Context) (supervise.Child, error) { runtime.Goexit(); return nil, nil },
		} {
			c := l.controller(with(l.app("a"), func(a *Application) { a.Start = start }))
			if err := c.Start(t.Context(), "a"); !errors.As(err, new(*StartError)) || !strings.Contains(err.Error(), what) {
				t.Errorf("%s: %v", what, err)
			}
			if c.Loaded()[0].State != StateLoaded {
				t.Errorf("%s: %v", what, c.Loaded())
			}
		}
	})
}

func TestLibraryApplication(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(Application{Name: "lib", Version: "1.2", Description: "no tree"}, l.app("web", "lib"))
		l.up(c, "web")
		which := c.Which()
		if names(which) != "lib web" || which[0].Child != nil || which[0].Version != "1.2" || which[1].State != StateRunning {
			t.Errorf("%+v", which)
		}
		l.down(c)
	})
}

func TestStartIsBrokenOffByItsContext(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		cause := errors.New("too slow")
		c := l.controller(l.app("db"), with(l.app("web", "db"), func(a *Application) {
			a.Start = func(ctx context.Context) (supervise.Child, error) { <-ctx.Done(); return nil, ctx.Err() }
		}))
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Minute, cause)
		defer cancel()
		other := make(chan error, 1)
		go func() { // waits for its turn
			time.Sleep(time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			other <- c.Start(ctx, "db")
		}()
		if _, err := c.EnsureAllStarted(ctx, "web"); !errors.Is(err, cause) {
			t.Errorf("%v", err)
		}
		if err := <-other; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the other: %v", err)
		}
		l.saw("start db", "prep-stop db", "shutdown db", "stop db")
		synctest.Wait()
	})
}
