package application

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/supervise"
)

// Every type with every reason.
func TestTypes(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		typ  Type
		kind supervise.ReasonKind
		all  bool
	}{
		{Permanent, supervise.Normal, true}, {Permanent, supervise.Shutdown, true}, {Permanent, supervise.Crash, true}, {Permanent, supervise.Killed, true},
		{Transient, supervise.Normal, false}, {Transient, supervise.Shutdown, true}, {Transient, supervise.Crash, true}, {Transient, supervise.Killed, true},
		{Temporary, supervise.Normal, false}, {Temporary, supervise.Shutdown, false}, {Temporary, supervise.Crash, false}, {Temporary, supervise.Killed, false},
	} {
		t.Run(x.typ.String()+"/"+x.kind.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				c := l.controller(l.app("log"), with(l.app("it", "log"), func(a *Application) { a.Type = x.typ }), l.app("web", "it"))
				l.up(c, "web")
				l.saw("start log", "start it", "start web")
				r := supervise.Reason{Kind: x.kind, Err: errBoom}
				l.tree("it").end(r)
				synctest.Wait()
				if !x.all {
					l.saw("stop it")
					if got := names(c.Which()); got != "log web" {
						t.Errorf("%s run", got)
					}
					l.told("log started", "it started", "web started", "it ended ("+r.String()+"): none")
					l.up(c, "it") // it can be started again
					l.down(c)
					return
				}
				<-c.Done()
				var end *TerminatedError
				if !errors.As(c.Reason().Err, &end) || end.Name != "it" || end.Reason != r || c.Reason().Kind != supervise.Crash {
					t.Errorf("ended for %v", c.Reason())
				}
				l.told("log started", "it started", "web started", "it ended ("+r.String()+"): stop all", "web stopped", "log stopped")
			})
		})
	}
}

// A supervision tree that gives up ends with shutdown: that is no normal end for a transient application.
func TestTransientTreeThatGivesUp(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		die := make(chan struct{})
		c := l.controller(l.app("log"), with(l.app("it"), func(a *Application) {
			a.Type = Transient
			a.Start = func(ctx context.Context) (supervise.Child, error) {
				return supervise.Start(ctx, supervise.Flags{Name: "top"}, []supervise.ChildSpec{{ID: "child", Start: func(context.Context) (supervise.Child, error) {
					t := &tree{lab: l, name: "child", done: make(chan struct{})}
					go func() { <-die; t.end(supervise.Reason{Kind: supervise.Crash, Err: errBoom}) }()
					return t, nil
				}}}, supervise.Options{})
			}
		}))
		l.up(c, "it", "log")
		close(die)
		<-c.Done()
		if r := c.Reason(); !errors.Is(r.Err, supervise.ErrIntensity) {
			t.Errorf("ended for %v", r)
		}
	})
}

func TestExplicitStopNeverAffectsOthers(t *testing.T) {
	for _, typ := range []Type{Permanent, Transient, Temporary} {
		t.Run(typ.String(), func(t *testing.T) {
			bubble(t, func(t *testing.T, l *lab) {
				c := l.controller(with(l.app("db"), func(a *Application) { a.Type = typ }), l.app("web", "db"))
				l.up(c, "web")
				l.saw("start db", "start web")
				if err := c.Stop(t.Context(), "db"); err != nil {
					t.Fatal(err)
				}
				if err := c.Stop(t.Context(), "db"); !errors.Is(err, ErrNotStarted) {
					t.Errorf("again: %v", err)
				}
				l.saw("prep-stop db", "shutdown db", "stop db")
				if got := names(c.Which()); got != "web" {
					t.Errorf("%s run", got)
				}
				l.up(c, "web", "db") // comes back behind web, and so is stopped before it
				l.saw("start db")
				l.down(c)
				l.saw("prep-stop db", "shutdown db", "stop db", "prep-stop web", "shutdown web", "stop web")
			})
		})
	}
}

// shutdown_timeout: the end of the waiting is not the end of the stop, and the error says who is blocking it.
func TestShutdownTimeout(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(l.app("db"), with(l.app("web", "db"), func(a *Application) {
			a.Stop = func(context.Context) error { time.Sleep(time.Hour); return nil }
		}))
		l.up(c, "web")
		l.tree("db").hangs = true
		for after, want := range []string{"web: Stop", "db/worker"} {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(after+1)*45*time.Minute)
			var stop *StopError
			if err := c.StopAll(ctx); !errors.As(err, &stop) || !slices.Equal(stop.Blocking, []string{want}) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v, want %s", err, want)
			}
			cancel()
		}
		if who := c.Blocking(); !slices.Equal(who, []string{"db/worker"}) {
			t.Errorf("blocking: %v", who)
		}
		c.Kill()
		<-c.Done()
		if c.Reason().Kind != supervise.Killed {
			t.Errorf("ended for %v", c.Reason())
		}
	})
}

func TestKill(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		started := make(chan struct{})
		c := l.controller(l.app("db"), Application{Name: "lib"}, with(l.app("late", "db", "lib"), func(a *Application) {
			start := a.Start
			a.Start = func(ctx context.Context) (supervise.Child, error) {
				close(started)
				<-ctx.Done()
				return start(ctx) // came up all the same
			}
		}))
		failed := make(chan error, 1)
		go func() { _, err := c.EnsureAllStarted(t.Context(), "late"); failed <- err }()
		<-started
		l.tree("db").hangs = true
		c.Kill()
		<-c.Done()
		if err := <-failed; !errors.Is(err, ErrStopping) {
			t.Errorf("the start: %v", err)
		}
		l.sort()
		l.saw("kill db", "kill late", "start db", "start late") // neither PrepStop nor Stop
	})
}

func TestCallbacksThatFail(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(with(l.app("a"), func(a *Application) {
			a.PrepStop = func(context.Context) error { panic("prep") }
			a.Stop = func(context.Context) error { return errBoom }
		}))
		l.up(c, "a")
		if err := c.Stop(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		l.told("a started", "a callback-failed", "a callback-failed", "a stopped")
	})
}

// The classic one, a start that waits for a start, and its like.
func TestDeadlocksAreRefused(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		var c *Controller
		var late context.Context
		var errs []error
		c = l.controller(l.app("a"), with(l.app("b"), func(a *Application) {
			start := a.Start
			a.Start = func(ctx context.Context) (supervise.Child, error) {
				late = context.WithoutCancel(ctx)
				errs = append(errs, c.Start(ctx, "a"))
				return start(ctx)
			}
			a.PrepStop = func(ctx context.Context) error {
				errs = append(errs, c.Stop(ctx, "b"), c.StopAll(ctx))
				return nil
			}
		}))
		l.up(c, "b")
		if err := c.Start(late, "a"); err != nil {
			t.Errorf("what was started in Start is kept from starting others after it: %v", err)
		}
		l.down(c)
		if len(errs) != 3 {
			t.Fatal(errs)
		}
		for _, err := range errs {
			if !errors.Is(err, ErrDeadlock) {
				t.Error(err)
			}
		}
	})
}

// An end that stops all breaks off a start that is under way.
func TestEndDuringAnotherStart(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(l.app("db"), with(l.app("web"), func(a *Application) {
			a.Start = func(ctx context.Context) (supervise.Child, error) { <-ctx.Done(); return nil, ctx.Err() }
		}))
		l.up(c, "db")
		l.saw("start db")
		failed := make(chan error, 1)
		go func() { failed <- c.Start(t.Context(), "web") }()
		synctest.Wait()
		if err := c.Stop(t.Context(), "web"); !errors.Is(err, ErrNotStarted) {
			t.Errorf("stop of one that starts: %v", err)
		}
		l.tree("db").end(supervise.Reason{Kind: supervise.Crash, Err: errBoom})
		<-c.Done()
		if err := <-failed; !errors.Is(err, ErrStopping) {
			t.Error(err)
		}
	})
}

// load: what is loaded, twice, unloaded, and faulty.
func TestLoad(t *testing.T) {
	bubble(t, func(t *testing.T, l *lab) {
		c := l.controller(l.app("a"))
		if err := c.Load(l.app("a")); !errors.Is(err, ErrAlreadyLoaded) {
			t.Error(err)
		}
		l.up(c, "a")
		if err := c.Unload("a"); !errors.Is(err, ErrStarted) {
			t.Error(err)
		}
		if err := c.Stop(t.Context(), "a"); err != nil {
			t.Error(err)
		}
		if err := c.Unload("a"); err != nil || len(c.Loaded()) != 0 {
			t.Errorf("%v, %v", err, c.Loaded())
		}
		if err := c.Load(l.app("a")); err != nil {
			t.Error(err)
		}
		noop := func(context.Context) error { return nil }
		for want, a := range map[string]Application{
			"no name":                      {},
			"type(7)":                      {Name: "b", Type: 7},
			`dependency ""`:                {Name: "b", Dependencies: []string{""}},
			`dependency "x" is empty or`:   {Name: "b", Dependencies: []string{"x"}, Optional: []string{"x"}},
			`phase "go" wants`:             {Name: "b", Phases: []Phase{{Name: "go"}}},
			`phase "init" wants`:           {Name: "b", Phases: []Phase{{"init", noop}, {"init", noop}}},
			"application b: an empty sett": {Name: "b", Env: []Setting{{}}},
		} {
			if err := c.Load(a); !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		}
		_, err := c.EnsureAllStarted(nil)                                                                  //nolint:staticcheck // what is asked
		for _, err := range []error{err, c.Start(nil, "a"), c.Stop(nil, "a"), c.StopAll(nil), Main(nil)} { //nolint:staticcheck // the same
			if !errors.Is(err, ErrInvalid) {
				t.Error(err)
			}
		}
		l.down(c)
	})
}
