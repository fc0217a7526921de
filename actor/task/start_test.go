package task_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/actor/task"
	"semper/supervise"
)

// TestScenario143StartChild is a task that nobody awaits, restarted as it says and with a life of its own.
func TestScenario143StartChild(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := jobs(t, quiet, supervise.DynamicFlags{Intensity: 5}, silent)
		for _, c := range []struct {
			opts   []task.Option
			starts int
		}{
			{nil, 1},
			{[]task.Option{task.Restart(supervise.Temporary)}, 1},
			{[]task.Option{task.Restart(supervise.Transient)}, 3},
		} {
			starts := 0
			_, err := task.Start(quiet, func(context.Context) error {
				if starts++; starts == 3 {
					return nil
				}
				return errBoom
			}, append(c.opts, task.Under(s))...)
			synctest.Wait()
			if err != nil || starts != c.starts {
				t.Errorf("%v, %d starts; want %d", err, starts, c.starts)
			}
		}
		o := newOwner(t, quiet, actor.Options{})
		var id actor.PID
		_ = o.do(func(self *actor.Self[job]) (err error) {
			id, err = task.Start(within(t, self, time.Second), waits, task.Under(s))
			return err
		})
		o.ref.PID().Kill()
		time.Sleep(time.Minute)
		if !id.Alive() {
			t.Error("it ended with who started it")
		}
	})
}

func waits(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
func fails(context.Context) error     { return errBoom }

func TestStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []actor.CrashReport
		ctx := actor.WithReporter(context.Background(), func(c actor.CrashReport) { got = append(got, c) })
		id, err := task.Start(ctx, fails)
		if <-id.Done(); err != nil || id.Reason().Err != errBoom || len(got) != 1 || got[0].Label != "task_test.fails" {
			t.Errorf("%v; ended for %v; reports %+v", err, id.Reason(), got)
		}
		id, _ = task.Start(within(t, ctx, time.Second), waits)
		if <-id.Done(); id.Reason().Kind != actor.Shutdown {
			t.Errorf("ended with its context for %v", id.Reason())
		}
		id, _ = task.Start(ctx, func(context.Context) error { return nil })
		if <-id.Done(); id.Reason().Kind != actor.Normal {
			t.Errorf("ended for %v", id.Reason())
		}
		_, err = task.Start(within(t, ctx, 0), waits)
		expect(t, "started too late", 0, err, 0, context.DeadlineExceeded)
	})
}

func TestStartIsLinked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, linked := range []bool{true, false} {
			var opts []task.Option
			if !linked {
				opts = []task.Option{task.Nolink()}
			}
			var id actor.PID
			o := newOwner(t, quiet, actor.Options{})
			_ = o.do(func(self *actor.Self[job]) (err error) { id, err = task.Start(self, waits, opts...); return err })
			o.ref.PID().Kill()
			synctest.Wait()
			if id.Alive() == linked {
				t.Errorf("linked %v: its owner has ended, it is %v", linked, id.Info().Status)
			}
			id.Kill()
			o = newOwner(t, quiet, actor.Options{})
			_ = o.do(func(self *actor.Self[job]) (err error) { id, err = task.Start(self, fails, opts...); return err })
			synctest.Wait()
			if o.ref.PID().Alive() == linked {
				t.Errorf("linked %v: it crashed, its owner is %v", linked, o.ref.PID().Info().Status)
			}
		}
		// The end of a context is an end that was wanted: the process that it was made from lives.
		o := newOwner(t, quiet, actor.Options{})
		var id actor.PID
		_ = o.do(func(self *actor.Self[job]) (err error) {
			id, err = task.Start(within(t, self, time.Second), waits)
			return err
		})
		time.Sleep(2 * time.Second)
		if id.Alive() || !o.ref.PID().Alive() {
			t.Errorf("task %v, owner %v", id.Info().Status, o.ref.PID().Info().Status)
		}
	})
}

func TestChild(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ends := make(chan error, 2)
		s, err := supervise.Start(quiet, supervise.Flags{}, []supervise.ChildSpec{
			task.Child("once", fails),
			task.Child("long", func(ctx context.Context) error { ends <- waits(ctx); return ctx.Err() }),
		}, silent)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if all := s.Children(); len(all) != 1 || all[0].ID != "long" {
			t.Errorf("%+v", all)
		}
		if err := s.Stop(quiet); err != nil || len(ends) != 1 {
			t.Errorf("%v, %d ends", err, len(ends))
		}
		_, err = supervise.Start(quiet, supervise.Flags{}, []supervise.ChildSpec{task.Child("none", nil)}, silent)
		if !errors.Is(err, supervise.ErrInvalid) {
			t.Errorf("%v", err)
		}
	})
}

// TestCrashReport tells who started a task and on whose behalf, and nothing of its result.
func TestCrashReport(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var got []actor.CrashReport
		ctx := actor.WithReporter(context.Background(), func(c actor.CrashReport) { got = append(got, c) })
		var s *task.Supervisor
		boss := newOwner(t, ctx, actor.Options{Label: "boss"})
		_ = boss.do(func(self *actor.Self[job]) error { s = jobs(t, self, flags, silent); return nil })
		o := newOwner(t, ctx, actor.Options{Label: "owner", TrapExit: true})
		var path string
		_ = o.do(func(self *actor.Self[job]) error {
			_, _ = task.Async(self, panicking, task.Label("plain")).Await(self)
			outer := task.Async(self, func(ctx context.Context) (int, error) {
				_, _ = task.Async(ctx, panicking, task.Nolink()).Await(ctx)
				return 0, nil
			}, task.Under(s), task.Label("outer"))
			path = outer.PID().Path()
			_, err := outer.Await(self)
			return err
		})
		if len(got) != 2 {
			t.Fatalf("%+v", got)
		}
		plain, nested := got[0], got[1]
		if !slices.Equal(plain.Ancestors, []string{o.ref.PID().String()}) || plain.Callers != nil {
			t.Errorf("ancestors %v, callers %v", plain.Ancestors, plain.Callers)
		}
		if !strings.Contains(plain.Stack, "panicking") || plain.State != "task of "+o.ref.PID().String() {
			t.Errorf("state %q, stack %q", plain.State, plain.Stack)
		}
		if len(nested.Ancestors) != 2 || !strings.Contains(nested.Ancestors[0], "outer") || nested.Ancestors[1] != boss.ref.PID().String() ||
			!slices.Equal(nested.Callers, []string{o.ref.PID().String()}) {
			t.Errorf("ancestors %v, callers %v", nested.Ancestors, nested.Callers)
		}
		if path != "jobs/outer" {
			t.Errorf("the path of a supervised task is %q", path)
		}
	})
}
