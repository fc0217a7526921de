package task_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/actor/task"
)

func TestScenario137AwaitMany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var none []*task.Task[int]
		if got, err := task.AwaitMany(quiet, none...); len(got) != 0 || err != nil {
			t.Errorf("of none: %v, %v", got, err)
		}
		began := time.Now()
		got, err := task.AwaitMany(within(t, quiet, time.Minute),
			task.Async(quiet, after(3*time.Second, 1)), task.Async(quiet, after(time.Second, 2)), task.Async(quiet, answer(3)))
		if err != nil || len(got) != 3 || got[0] != 1 || got[1] != 2 || got[2] != 3 {
			t.Errorf("%v, %v", got, err)
		}
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("took %v: they wait for each other", took)
		}
	})
}

func TestScenario137AwaitManyFirstFailureWins(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a, b := task.Async(quiet, untilAsked), task.Async(quiet, after(time.Hour, 1))
		c := task.Async(quiet, func(ctx context.Context) (int, error) {
			_, _ = after(time.Second, 0)(ctx)
			return 0, errBoom
		})
		done := task.Async(quiet, answer(1))
		began := time.Now()
		_, err := task.AwaitMany(quiet, a, b, c, done)
		if !errors.Is(err, errBoom) || !strings.Contains(err.Error(), "task 3 of 4") {
			t.Errorf("%v", err)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("the failure was seen after %v", took)
		}
		synctest.Wait()
		for _, one := range []*task.Task[int]{a, b, done} {
			if _, err := one.Yield(quiet); one.PID().Alive() || !errors.Is(err, task.ErrTaken) {
				t.Errorf("%v goes on, or has a result: %v", one, err)
			}
		}
	})
}

func TestScenario137AwaitManyHasOneDeadline(t *testing.T) {
	bubble(t, func(t *testing.T) {
		began := time.Now()
		all := []*task.Task[int]{task.Async(quiet, after(900*time.Millisecond, 1)), task.Async(quiet, untilAsked), task.Async(quiet, untilAsked)}
		_, err := task.AwaitMany(within(t, quiet, time.Second), all...)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "2 of 3") || time.Since(began) != time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		synctest.Wait()
		for _, a := range all {
			if a.PID().Alive() {
				t.Errorf("%v goes on", a)
			}
		}
		if _, err := task.AwaitMany(quiet, all...); !errors.Is(err, task.ErrTaken) {
			t.Errorf("again: %v", err)
		}
		if _, err := task.AwaitMany(quiet, all[0], nil); !errors.Is(err, actor.ErrInvalid) && !errors.Is(err, task.ErrTaken) {
			t.Errorf("nil: %v", err)
		}
	})
}

// TestAwaitManyOfALinkedCrash tells the owner which task it was, although its own context ends with it.
func TestAwaitManyOfALinkedCrash(t *testing.T) {
	bubble(t, func(t *testing.T) {
		o := newOwner(t, quiet, actor.Options{})
		_ = o.do(func(self *actor.Self[job]) error {
			_, err := task.AwaitMany(self, task.Async(self, untilAsked), task.Async(self, panicking))
			if !strings.Contains(err.Error(), "task 2 of 2") || kindOf(t, err).Kind != actor.Crash {
				t.Errorf("%v", err)
			}
			return nil
		})
		<-o.ref.PID().Done()
	})
}

func TestScenario138Yield(t *testing.T) {
	bubble(t, func(t *testing.T) {
		a := task.Async(quiet, after(10*time.Second, 42))
		for range 3 {
			_, err := a.Yield(within(t, quiet, time.Second))
			expect(t, "too early", 0, err, 0, task.ErrRunning)
		}
		v, err := a.Yield(quiet)
		expect(t, "in time", v, err, 42, nil)
		_, err = a.Yield(quiet)
		expect(t, "again", 0, err, 0, task.ErrTaken)
		_, err = task.Async(quiet, panicking).Yield(quiet)
		if kindOf(t, err).Kind != actor.Crash {
			t.Errorf("of a panic: %v", err)
		}
	})
}

func TestScenario139YieldMany(t *testing.T) {
	bubble(t, func(t *testing.T) {
		start := func() (slow, quick, broken *task.Task[int]) {
			return task.Async(quiet, after(10*time.Second, 1)), task.Async(quiet, after(time.Second, 2)), task.Async(quiet, panicking)
		}
		slow, quick, broken := start()
		began := time.Now()
		out, err := task.YieldMany(within(t, quiet, 5*time.Second), task.YieldOptions{}, slow, quick, broken)
		if err != nil || time.Since(began) != 5*time.Second {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		expect(t, "slow", out[0].Value, out[0].Err, 0, task.ErrRunning)
		expect(t, "quick", out[1].Value, out[1].Err, 2, nil)
		if out[0].Task != slow || out[1].Task != quick || out[2].Task != broken || kindOf(t, out[2].Err).Kind != actor.Crash {
			t.Errorf("%v", out)
		}
		out, _ = task.YieldMany(quiet, task.YieldOptions{}, slow, quick)
		expect(t, "slow, again", out[0].Value, out[0].Err, 1, nil)
		expect(t, "quick, again", out[1].Value, out[1].Err, 0, task.ErrTaken)
	})
}

// TestScenario139YieldManyWithLimit returns with so many, early, and the option for the timeout does nothing.
func TestScenario139YieldManyWithLimit(t *testing.T) {
	bubble(t, func(t *testing.T) {
		slow, quick := task.Async(quiet, after(10*time.Second, 1)), task.Async(quiet, after(time.Second, 2))
		began := time.Now()
		out, err := task.YieldMany(within(t, quiet, time.Minute), task.YieldOptions{Limit: 1, OnTimeout: task.KillTask}, slow, quick)
		if err != nil || time.Since(began) != time.Second {
			t.Fatalf("after %v: %v", time.Since(began), err)
		}
		expect(t, "quick", out[1].Value, out[1].Err, 2, nil)
		expect(t, "slow", out[0].Value, out[0].Err, 0, task.ErrRunning)
		v, err := slow.Await(quiet)
		expect(t, "slow, later", v, err, 1, nil)
	})
}

func TestScenario139YieldManyOnTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		for _, c := range []struct {
			what  task.OnTimeout
			err   error // of the one that is late
			again error // when it is asked for again
			lives bool
		}{
			{task.Exit, task.ErrRunning, task.ErrRunning, true},
			{task.KillTask, task.ErrShutdown, task.ErrTaken, false},
			{task.IgnoreTask, task.ErrRunning, task.ErrTaken, true},
		} {
			slow, quick := task.Async(quiet, untilAsked), task.Async(quiet, answer(2))
			out, _ := task.YieldMany(within(t, quiet, time.Second), task.YieldOptions{OnTimeout: c.what}, slow, quick)
			expect(t, c.what.String()+", slow", out[0].Value, out[0].Err, 0, c.err)
			expect(t, c.what.String()+", quick", out[1].Value, out[1].Err, 2, nil)
			if slow.PID().Alive() != c.lives {
				t.Errorf("%v: %v", c.what, slow.PID().Info().Status)
			}
			_, err := slow.Yield(within(t, quiet, time.Second))
			expect(t, c.what.String()+", again", 0, err, 0, c.again)
			slow.PID().Kill()
		}
		for _, o := range []task.YieldOptions{{Limit: -1}, {OnTimeout: 7}, {OnTimeout: -1}} {
			if _, err := task.YieldMany[int](quiet, o); !errors.Is(err, actor.ErrInvalid) {
				t.Errorf("%+v: %v", o, err)
			}
		}
		if _, err := task.YieldMany[int](quiet, task.YieldOptions{}, nil); !errors.Is(err, actor.ErrInvalid) {
			t.Errorf("nil: %v", err)
		}
	})
}
