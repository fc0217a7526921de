package task_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/actor/task"
	"semper/supervise"
)

var (
	flags  = supervise.DynamicFlags{Name: "jobs"}
	silent supervise.Options
)

// jobs is a supervisor of tasks that runs for the length of a test.
func jobs(t *testing.T, ctx context.Context, f supervise.DynamicFlags, o supervise.Options) *task.Supervisor {
	t.Helper()
	s := task.NewSupervisor(f, o)
	d, err := s.Start(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestScenario143SupervisedTask(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := jobs(t, quiet, flags, silent)
		a := task.Async(quiet, after(time.Second, 42), task.Under(s))
		if n := s.Dynamic().Count(); n.Active != 1 || s.Dynamic().Children()[0].ID != "task_test.TestScenario143SupervisedTask.func1.after.1" {
			t.Errorf("%+v, %+v", n, s.Dynamic().Children())
		}
		v, err := a.Await(quiet)
		expect(t, "its result", v, err, 42, nil)
		for what, fn := range map[string]func(context.Context) (int, error){"a panic": panicking, "an error": failing} {
			if _, err := task.Async(quiet, fn, task.Under(s)).Await(quiet); err == nil {
				t.Errorf("%s gave nothing", what)
			}
		}
		synctest.Wait()
		if n := s.Dynamic().Count(); n.Specs != 0 || s.Dynamic().Window() != 0 {
			t.Errorf("it keeps %+v, and %d restarts", n, s.Dynamic().Window())
		}
	})
}

// TestScenario143AsyncNolink does not end the caller, however the task ends; without Nolink it does.
func TestScenario143AsyncNolink(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := jobs(t, quiet, flags, silent)
		for _, c := range []struct {
			opts  []task.Option
			fn    func(context.Context) (int, error)
			lives bool
		}{
			{[]task.Option{task.Under(s), task.Nolink()}, panicking, true},
			{[]task.Option{task.Under(s), task.Nolink()}, func(context.Context) (int, error) {
				return 0, actor.Stop(actor.Reason{Kind: actor.Crash})
			}, true},
			{[]task.Option{task.Under(s)}, panicking, false},
			{[]task.Option{task.Under(s)}, failing, true},
		} {
			o := newOwner(t, quiet, actor.Options{})
			err := o.do(func(self *actor.Self[job]) error {
				_, err := task.Async(self, c.fn, c.opts...).Await(self)
				return err
			})
			synctest.Wait()
			if err == nil || o.ref.PID().Alive() != c.lives {
				t.Errorf("owner %v: %v", o.ref.PID().Info().Status, err)
			}
		}
	})
}

// TestScenario143NolinkTells gives the result, or how it ended, to the owner as an Info.
func TestScenario143NolinkTells(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := jobs(t, quiet, flags, silent)
		o := newOwner(t, quiet, actor.Options{})
		_ = o.do(func(self *actor.Self[job]) error {
			for _, fn := range []func(context.Context) (int, error){answer(1), panicking} {
				if err := task.Async(self, fn, task.Under(s), task.Nolink()).Tell(self); err != nil {
					t.Error(err)
				}
				synctest.Wait()
			}
			return nil
		})
		synctest.Wait()
		got := o.got()
		if len(got) != 2 {
			t.Fatalf("%v", got)
		}
		first, second := got[0].(task.Outcome[int]), got[1].(task.Outcome[int])
		expect(t, "a result", first.Value, first.Err, 1, nil)
		if kindOf(t, second.Err).Kind != actor.Crash {
			t.Errorf("%v", second.Err)
		}
	})
}

func TestScenario143MaxChildren(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := jobs(t, quiet, supervise.DynamicFlags{MaxChildren: 1}, silent)
		a := task.Async(quiet, untilAsked, task.Under(s))
		_, err := task.Async(quiet, answer(1), task.Under(s)).Await(quiet)
		expect(t, "async", 0, err, 0, supervise.ErrMaxChildren)
		_, err = task.Start(quiet, func(context.Context) error { return nil }, task.Under(s))
		expect(t, "start", 0, err, 0, supervise.ErrMaxChildren)
		_, errs := collect(task.Stream(quiet, upTo(2), sleepy, task.StreamOptions{}, task.Under(s)))
		if len(errs) != 2 || !errors.Is(errs[0], supervise.ErrMaxChildren) || !errors.Is(errs[1], supervise.ErrMaxChildren) {
			t.Errorf("stream: %v", errs)
		}
		_, err = a.Shutdown(quiet)
		expect(t, "shutdown", 0, err, 0, task.ErrShutdown)
		synctest.Wait()
		v, err := task.Async(quiet, answer(1), task.Under(s)).Await(quiet)
		expect(t, "with room again", v, err, 1, nil)
	})
}

// TestScenario143CustomShutdown stops the supervisor over tasks that do not heed their context: each has its own time,
// and is then listed as abandoned.
func TestScenario143CustomShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := task.NewSupervisor(flags, silent)
		d, err := s.Start(quiet)
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		_ = task.Async(quiet, untilAsked, task.Under(s))
		slow := task.Async(quiet, stubborn(release), task.Under(s), task.Shutdown(time.Minute), task.Label("slow"))
		_ = task.Async(quiet, stubborn(release), task.Under(s), task.Shutdown(supervise.Brutal), task.Label("brutal"))
		began := time.Now()
		if err := d.Stop(quiet); err != nil || time.Since(began) != time.Minute {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		var left []string
		for _, a := range d.Abandoned() {
			left = append(left, a.Path)
		}
		slices.Sort(left)
		if !slices.Equal(left, []string{"brutal", "slow"}) {
			t.Errorf("abandoned %v", left)
		}
		_, err = slow.Await(quiet)
		if kindOf(t, err).Kind != actor.Killed {
			t.Errorf("%v", err)
		}
		close(release)
		synctest.Wait()
		if left := d.Abandoned(); len(left) != 0 {
			t.Errorf("abandoned %v, when all have returned", left)
		}
		_, err = task.Async(quiet, answer(1), task.Under(s)).Await(quiet)
		expect(t, "under one that has ended", 0, err, 0, task.ErrNotRunning)
	})
}

// TestSupervisorInATree finds the incarnation of the moment.
func TestSupervisorInATree(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := task.NewSupervisor(flags, silent)
		top, err := supervise.Start(quiet, supervise.Flags{Intensity: 1}, []supervise.ChildSpec{s.Child("jobs")}, silent)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Start(quiet); !errors.Is(err, supervise.ErrAlreadyStarted) {
			t.Errorf("a second one: %v", err)
		}
		before := s.Dynamic()
		a := task.Async(quiet, untilAsked, task.Under(s))
		before.Kill()
		synctest.Wait()
		if a.PID().Alive() || s.Dynamic() == before || s.Dynamic() == nil {
			t.Errorf("%v; %v after %v", a.PID().Info().Status, s.Dynamic(), before)
		}
		v, err := task.Async(quiet, answer(1), task.Under(s)).Await(quiet)
		expect(t, "under its successor", v, err, 1, nil)
		if err := top.Stop(quiet); err != nil || s.Dynamic() != nil {
			t.Errorf("%v, %v", err, s.Dynamic())
		}
		var none context.Context
		if _, err := s.Start(none); !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("without a context: %v", err)
		}
		bad := task.NewSupervisor(supervise.DynamicFlags{Intensity: -1}, silent)
		if _, err := bad.Start(quiet); !errors.Is(err, supervise.ErrInvalid) {
			t.Errorf("%v", err)
		}
	})
}
