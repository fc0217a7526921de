package task_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/actor/task"
)

func TestScenario140ShutdownGivesAResultThatRacedIn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		ready := task.Async(quiet, answer(1))
		synctest.Wait()
		v, err := ready.Shutdown(quiet)
		expect(t, "it was there", v, err, 1, nil)
		late := task.Async(quiet, func(ctx context.Context) (int, error) { <-ctx.Done(); return 2, nil })
		v, err = late.Shutdown(quiet)
		expect(t, "it came with the end", v, err, 2, nil)
		failed := task.Async(quiet, func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, errBoom })
		v, err = failed.Shutdown(quiet)
		expect(t, "an error did", v, err, 0, errBoom)
		ready = task.Async(quiet, answer(3))
		synctest.Wait()
		v, err = ready.Kill(quiet)
		expect(t, "it was there before the kill", v, err, 3, nil)
		for _, a := range []*task.Task[int]{ready, late, failed} {
			_, err := a.Shutdown(quiet)
			expect(t, "again", 0, err, 0, task.ErrTaken)
		}
	})
}

func TestScenario140ShutdownOfOneThatHasNone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := task.Async(quiet, untilAsked)
		_, err := a.Shutdown(quiet)
		if !errors.Is(err, task.ErrShutdown) || a.PID().Reason().Kind != actor.Shutdown {
			t.Errorf("%v; ended for %v", err, a.PID().Reason())
		}
		_, err = a.Await(quiet)
		expect(t, "await after it", 0, err, 0, task.ErrTaken)
		b := task.Async(quiet, untilAsked)
		b.PID().Kill()
		_, err = b.Shutdown(quiet)
		if !errors.Is(err, task.ErrShutdown) { // as in Elixir: nobody can tell whose kill it was
			t.Errorf("killed by another: %v", err)
		}
		c := task.Async(quiet, panicking)
		synctest.Wait()
		_, err = c.Shutdown(quiet)
		if kindOf(t, err).Kind != actor.Crash {
			t.Errorf("an end of another kind: %v", err)
		}
	})
}

// TestScenario140BrutalShutdown is a task that does not heed its context: nobody waits for it, and it is listed.
func TestScenario140BrutalShutdown(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, end := range []func(*task.Task[int]) (int, error){
			func(a *task.Task[int]) (int, error) { return a.Kill(quiet) },
			func(a *task.Task[int]) (int, error) { return a.Shutdown(within(t, quiet, time.Second)) },
		} {
			release := make(chan struct{})
			a := task.Async(quiet, stubborn(release))
			synctest.Wait()
			_, err := end(a)
			expect(t, "no result", 0, err, 0, task.ErrShutdown)
			select {
			case <-a.PID().Gone():
				t.Error("it is gone, although its function has not returned")
			default:
			}
			if i := a.PID().Info(); i.Status != actor.StatusAbandoned {
				t.Errorf("%v, want abandoned", i.Status)
			}
			close(release)
			<-a.PID().Gone()
			_, err = a.Await(quiet)
			expect(t, "what it returned", 0, err, 0, task.ErrTaken)
		}
	})
}

// TestShutdownIsNoNewsToTheOwner ends linked tasks in every way that their owner wants, and it lives on.
func TestShutdownIsNoNewsToTheOwner(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, trap := range []bool{false, true} {
			o := newOwner(t, quiet, actor.Options{TrapExit: trap})
			release := make(chan struct{})
			_ = o.do(func(self *actor.Self[job]) error {
				_, _ = task.Async(self, untilAsked).Shutdown(self)
				_, _ = task.Async(self, untilAsked).Kill(self)
				_, _ = task.Async(self, stubborn(release)).Shutdown(within(t, self, time.Second))
				return nil
			})
			close(release)
			synctest.Wait()
			if got := o.got(); !o.ref.PID().Alive() || len(got) != 0 {
				t.Errorf("owner %v, got %v", o.ref.PID().Info().Status, got)
			}
		}
	})
}

// TestShutdownAfterAwait is the deferred Shutdown: it makes sure of the end whatever Await said.
func TestShutdownAfterAwait(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := task.Async(quiet, func(ctx context.Context) (int, error) {
			<-ctx.Done()
			time.Sleep(time.Minute) // cleans up
			return 1, nil
		})
		_, err := a.Await(within(t, quiet, time.Second))
		expect(t, "await", 0, err, 0, context.DeadlineExceeded)
		if !a.PID().Alive() {
			t.Error("it did not get the time to clean up")
		}
		_, err = a.Shutdown(quiet)
		expect(t, "shutdown", 0, err, 0, task.ErrTaken)
		if a.PID().Alive() {
			t.Error("shutdown did not wait for the end")
		}
	})
}

func TestScenario141Ignore(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOwner(t, quiet, actor.Options{TrapExit: true})
		_ = o.do(func(self *actor.Self[job]) error {
			a := task.Async(self, func(ctx context.Context) (int, error) {
				_, _ = after(time.Second, 0)(ctx)
				panic("boom")
			})
			_, err := a.Ignore(self)
			expect(t, "it goes on", 0, err, 0, task.ErrRunning)
			if !a.PID().Alive() {
				t.Error("it does not go on")
			}
			_, err = a.Await(self)
			expect(t, "await", 0, err, 0, task.ErrTaken)
			<-a.PID().Done()
			b := task.Async(self, answer(1), task.Nolink())
			<-b.PID().Done()
			v, err := b.Ignore(self)
			expect(t, "it had a result", v, err, 1, nil)
			_, err = b.Ignore(self)
			expect(t, "again", 0, err, 0, task.ErrTaken)
			return nil
		})
		synctest.Wait()
		if got := o.got(); !o.ref.PID().Alive() || len(got) != 0 {
			t.Errorf("owner %v, got %v", o.ref.PID().Info().Status, got)
		}
	})
}

// TestTell is every end of a task as an Info: exactly one.
func TestTell(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOwner(t, quiet, actor.Options{})
		var all []*task.Task[int]
		_ = o.do(func(self *actor.Self[job]) error {
			begin := func(fn func(context.Context) (int, error)) *task.Task[int] {
				a := task.Async(self, fn, task.Nolink())
				all = append(all, a)
				return a
			}
			begin(after(time.Second, 1))
			begin(failing)
			begin(panicking)
			begin(untilAsked)
			done := begin(answer(2))
			<-done.PID().Done()
			all = append(all, task.Async[int](self, nil))
			for _, a := range all {
				if err := a.Tell(self); err != nil {
					t.Error(err)
				}
				expect(t, "tell again", 0, a.Tell(self), 0, task.ErrTaken)
				_, err := a.Await(self)
				expect(t, "await", 0, err, 0, task.ErrTaken)
			}
			return nil
		})
		_ = o.do(func(self *actor.Self[job]) error {
			_, err := all[3].Shutdown(self)
			expect(t, "shutdown", 0, err, 0, task.ErrTaken)
			return nil
		})
		time.Sleep(2 * time.Second)
		got := map[*task.Task[int]]task.Outcome[int]{}
		for _, info := range o.got() {
			out := info.(task.Outcome[int])
			if _, twice := got[out.Task]; twice {
				t.Errorf("%v came twice", out.Task)
			}
			got[out.Task] = out
		}
		if len(got) != 6 {
			t.Fatalf("got %v", got)
		}
		for i, want := range []error{nil, errBoom, nil, task.ErrShutdown, nil, actor.ErrInvalid} {
			if out := got[all[i]]; i != 2 {
				expect(t, all[i].String(), out.Value, out.Err, []int{1, 0, 0, 0, 2, 0}[i], want)
			}
		}
		if kindOf(t, got[all[2]].Err).Kind != actor.Crash {
			t.Errorf("of a panic: %v", got[all[2]].Err)
		}
		if err := task.Async(quiet, answer(1)).Tell(quiet); !errors.Is(err, task.ErrNoOwner) {
			t.Errorf("to nobody: %v", err)
		}
	})
}
