package task_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/actor/task"
)

func TestScenario136Await(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := task.Async(quiet, after(time.Hour, 42))
		v, err := a.Await(quiet)
		expect(t, "the result", v, err, 42, nil)
		_, err = a.Await(quiet)
		expect(t, "the second time", 0, err, 0, task.ErrTaken)
		if r := a.PID().Reason(); a.PID().Alive() || r.Kind != actor.Normal {
			t.Errorf("ended for %v", r)
		}
	})
}

// TestScenario136AwaitTimeout gives up on a task: what it returns later vanishes, and nothing of it is left.
func TestScenario136AwaitTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOwner(t, quiet, actor.Options{})
		var a *task.Task[int]
		err := o.do(func(self *actor.Self[job]) error {
			a = task.Async(self, func(ctx context.Context) (int, error) {
				<-ctx.Done()
				return 1, nil // a late result
			})
			_, err := a.Await(within(t, self, time.Second))
			return err
		})
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "Shutdown") || !strings.Contains(err.Error(), "Yield") {
			t.Errorf("%v, want a deadline and what to do", err)
		}
		synctest.Wait()
		if a.PID().Alive() || !o.ref.PID().Alive() {
			t.Error("the task lives, or its end ended the owner, which had wanted it")
		}
		err = o.do(func(self *actor.Self[job]) error { _, err := a.Await(self); return err })
		expect(t, "afterwards", 0, err, 0, task.ErrTaken)
		if got := o.got(); len(got) != 0 {
			t.Errorf("the late result came as %v", got)
		}
	})
}

func TestScenario136AwaitByAnother(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o, other := newOwner(t, quiet, actor.Options{}), newOwner(t, quiet, actor.Options{})
		var a *task.Task[int]
		_ = o.do(func(self *actor.Self[job]) error { a = task.Async(self, answer(1)); return nil })
		for what, f := range map[string]func(context.Context) error{
			"Await":     func(ctx context.Context) error { _, err := a.Await(ctx); return err },
			"Yield":     func(ctx context.Context) error { _, err := a.Yield(ctx); return err },
			"Shutdown":  func(ctx context.Context) error { _, err := a.Shutdown(ctx); return err },
			"Kill":      func(ctx context.Context) error { _, err := a.Kill(ctx); return err },
			"Ignore":    func(ctx context.Context) error { _, err := a.Ignore(ctx); return err },
			"Tell":      func(ctx context.Context) error { return a.Tell(ctx) },
			"AwaitMany": func(ctx context.Context) error { _, err := task.AwaitMany(ctx, a); return err },
			"YieldMany": func(ctx context.Context) error {
				out, err := task.YieldMany(ctx, task.YieldOptions{}, a)
				return errors.Join(err, out[0].Err)
			},
		} {
			if err := f(context.Background()); !errors.Is(err, task.ErrNotOwner) {
				t.Errorf("%s by nobody: %v", what, err)
			}
			if err := other.do(func(self *actor.Self[job]) error { return f(self) }); !errors.Is(err, task.ErrNotOwner) {
				t.Errorf("%s by another: %v", what, err)
			}
		}
		_ = o.do(func(self *actor.Self[job]) error {
			v, err := a.Await(within(t, self, time.Second))
			expect(t, "by the owner", v, err, 1, nil)
			return nil
		})
	})
}

// TestScenario136AwaitOfOneThatFails is the table of ends without a result, for an owner that is no process.
func TestScenario136AwaitOfOneThatFails(t *testing.T) {
	bubble(t, func(t *testing.T) {
		_, err := task.Async(quiet, failing).Await(quiet)
		if err != errBoom {
			t.Errorf("an error is a result, and comes as it is: %v", err)
		}
		_, err = task.Async(quiet, panicking).Await(quiet)
		var broken *actor.PanicError
		if kindOf(t, err).Kind != actor.Crash || !errors.As(err, &broken) || broken.Value != "boom" || !strings.Contains(string(broken.Stack), "panicking") {
			t.Errorf("of a panic: %v, with %+v", err, broken)
		}
		_, err = task.Async(quiet, func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }).Await(quiet)
		if r := kindOf(t, err); r.Kind != actor.Crash || r.Err == nil {
			t.Errorf("of a Goexit: %v", err)
		}
		_, err = task.Async(quiet, func(context.Context) (int, error) {
			return 0, actor.Stop(actor.Reason{Kind: actor.Crash, Err: errBoom})
		}).Await(quiet)
		if r := kindOf(t, err); r.Kind != actor.Crash || r.Err != errBoom {
			t.Errorf("of one that stopped itself: %v", err)
		}
		a := task.Async(quiet, untilAsked)
		a.PID().Kill()
		_, err = a.Await(quiet)
		if kindOf(t, err).Kind != actor.Killed {
			t.Errorf("of one that was killed: %v", err)
		}
	})
}

// TestLinkedTask is who dies with whom.
func TestLinkedTask(t *testing.T) {
	for _, c := range []struct {
		what  string
		trap  bool
		opts  []task.Option
		fn    func(context.Context) (int, error)
		lives bool
		infos int
	}{
		{"a crash ends the owner", false, nil, panicking, false, 0},
		{"a crash is a message to one that traps", true, nil, panicking, true, 1},
		{"an unlinked crash is nothing", false, []task.Option{task.Nolink()}, panicking, true, 0},
		{"an unlinked crash is nothing to one that traps", true, []task.Option{task.Nolink()}, panicking, true, 0},
		{"an error is a result", false, nil, failing, true, 0},
		{"a result too", true, nil, answer(1), true, 1}, // the Exit of a normal end
	} {
		t.Run(c.what, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				o := newOwner(t, quiet, actor.Options{TrapExit: c.trap})
				_ = o.do(func(self *actor.Self[job]) error {
					_, err := task.Async(self, c.fn, c.opts...).Await(self)
					return err
				})
				synctest.Wait()
				if got := o.got(); o.ref.PID().Alive() != c.lives || len(got) != c.infos {
					t.Errorf("owner %v, got %v", o.ref.PID().Info().Status, got)
				}
			})
		})
	}
}

// TestTheAwaitOfALinkedCrash tells the owner what happened before it ends for it.
func TestTheAwaitOfALinkedCrash(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for range 100 {
			o := newOwner(t, quiet, actor.Options{})
			_ = o.do(func(self *actor.Self[job]) error {
				_, err := task.Async(self, panicking).Await(self)
				if kindOf(t, err).Kind != actor.Crash {
					t.Errorf("%v", err)
				}
				return nil
			})
			<-o.ref.PID().Done()
			if r := o.ref.PID().Reason(); r.Kind != actor.Crash {
				t.Errorf("the owner ended for %v", r)
			}
		}
	})
}

// TestTheEndOfAnOwner ends the tasks that are linked to it, also when it is normal.
func TestTheEndOfAnOwner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, how := range []func(actor.PID){
			actor.PID.Kill,
			func(id actor.PID) { id.Exit(actor.Reason{Kind: actor.Shutdown}) },
			func(id actor.PID) { id.Exit(actor.Reason{Kind: actor.Crash, Err: errBoom}) },
		} {
			o := newOwner(t, quiet, actor.Options{})
			var linked, free *task.Task[int]
			_ = o.do(func(self *actor.Self[job]) error {
				linked = task.Async(self, untilAsked)
				free = task.Async(self, untilAsked, task.Nolink())
				return nil
			})
			how(o.ref.PID())
			synctest.Wait()
			if linked.PID().Alive() || !free.PID().Alive() {
				t.Errorf("linked %v, free %v", linked.PID().Info().Status, free.PID().Info().Status)
			}
			free.PID().Kill()
		}
	})
}

// TestTheNormalEndOfAnOwner ends what would be an orphan, and leaves alone what has a supervisor.
func TestTheNormalEndOfAnOwner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := jobs(t, quiet, flags, silent)
		o := newOwner(t, quiet, actor.Options{})
		var linked, free, supervised *task.Task[int]
		_ = o.do(func(self *actor.Self[job]) error {
			linked = task.Async(self, untilAsked)
			free = task.Async(self, untilAsked, task.Nolink())
			supervised = task.Async(self, untilAsked, task.Under(s))
			return actor.Stop(actor.Reason{})
		})
		synctest.Wait()
		if o.ref.PID().Alive() || linked.PID().Alive() || !free.PID().Alive() || !supervised.PID().Alive() {
			t.Errorf("owner %v, linked %v, free %v, supervised %v", o.ref.PID().Info().Status, linked.PID().Info().Status,
				free.PID().Info().Status, supervised.PID().Info().Status)
		}
		free.PID().Kill()
	})
}

// TestTheEndOfAContext asks the tasks that were started with it to end, and no process dies of that.
func TestTheEndOfAContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := within(t, quiet, time.Second)
		a := task.Async(ctx, untilAsked)
		_, err := a.Await(quiet)
		if r := kindOf(t, err); r.Kind != actor.Shutdown || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		o := newOwner(t, quiet, actor.Options{})
		err = o.do(func(self *actor.Self[job]) error {
			_, err := task.Async(within(t, self, time.Second), untilAsked).Await(self)
			return err
		})
		if !errors.Is(err, context.DeadlineExceeded) || !o.ref.PID().Alive() {
			t.Errorf("%v; owner %v", err, o.ref.PID().Info().Status)
		}
		_, err = task.Async(ctx, answer(1)).Await(quiet)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("started too late: %v", err)
		}
	})
}

// watched is a context that counts those who want to know of its end.
type watched struct {
	context.Context
	end  chan struct{}
	want atomic.Int32
}

func (w *watched) Done() <-chan struct{} { return w.end }

func (w *watched) AfterFunc(func()) (stop func() bool) {
	w.want.Add(1)
	return func() bool { w.want.Add(-1); return true }
}

// TestNothingIsLeftInAContext starts tasks with a context that lives on.
func TestNothingIsLeftInAContext(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ctx := &watched{Context: quiet, end: make(chan struct{})}
		a, b := task.Async(ctx, untilAsked), task.Async(ctx, untilAsked)
		synctest.Wait()
		if n := ctx.want.Load(); n != 2 {
			t.Errorf("%d tasks end with it, want 2", n)
		}
		_, _ = a.Shutdown(quiet)
		_, _ = b.Kill(quiet)
		_, _ = task.Async(ctx, answer(1)).Await(quiet)
		_, _ = task.Async(ctx, panicking).Await(quiet)
		for range task.Stream(ctx, upTo(10), sleepy, task.StreamOptions{}) {
			break
		}
		id, _ := task.Start(ctx, waits)
		id.Exit(actor.Reason{Kind: actor.Shutdown})
		synctest.Wait()
		if n := ctx.want.Load(); n != 0 {
			t.Errorf("%d that have ended still wait for it", n)
		}
	})
}

func TestTheContextOfATask(t *testing.T) {
	bubble(t, func(t *testing.T) {
		type key struct{}
		name := actor.NewName[int]("not of this type")
		a := task.Async(context.WithValue(quiet, key{}, 7), func(ctx context.Context) (int, error) {
			self, ok := ctx.(actor.Process)
			if !ok {
				return 0, errors.New("the context is not the process")
			}
			if err := self.Register(name); !errors.Is(err, actor.ErrInvalid) {
				return 0, err
			}
			return ctx.Value(key{}).(int), nil
		})
		v, err := a.Await(quiet)
		expect(t, "a value", v, err, 7, nil)
	})
}

func TestBadInput(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var none context.Context
		var nobody func(context.Context) (int, error)
		for what, a := range map[string]*task.Task[int]{
			"no context":       task.Async(none, answer(1)),
			"no function":      task.Async(quiet, nobody),
			"no supervisor":    task.Async(quiet, answer(1), task.Under(nil)),
			"restart":          task.Async(quiet, answer(1), task.Under(task.NewSupervisor(flags, silent)), task.Restart(0)),
			"shutdown of whom": task.Async(quiet, answer(1), task.Shutdown(time.Second)),
		} {
			if a.PID().Alive() {
				t.Errorf("%s: it runs", what)
			}
			if _, err := a.Yield(none); !errors.Is(err, actor.ErrInvalid) {
				t.Errorf("%s: waited without a context: %v", what, err)
			}
			if _, err := a.Await(quiet); !errors.Is(err, actor.ErrInvalid) {
				t.Errorf("%s: %v", what, err)
			}
			if _, err := a.Await(quiet); !errors.Is(err, task.ErrTaken) {
				t.Errorf("%s, again: %v", what, err)
			}
			if _, err := a.Shutdown(quiet); !errors.Is(err, task.ErrTaken) {
				t.Errorf("%s, shut down: %v", what, err)
			}
		}
		if _, err := task.Start(quiet, nil); !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("start of nothing: %v", err)
		}
		var itself *task.Task[int]
		set := make(chan struct{})
		itself = task.Async(quiet, func(ctx context.Context) (int, error) {
			<-set
			return itself.Await(ctx)
		})
		close(set)
		if _, err := itself.Await(quiet); !errors.Is(err, actor.ErrCallingSelf) {
			t.Errorf("of itself: %v", err)
		}
	})
}
