package task_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
	"semper/actor/task"
)

// upTo is 0, 1, ..., n-1.
func upTo(n int) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}

// sleepy takes as many seconds as its input says and answers with it.
func sleepy(ctx context.Context, n int) (int, error) {
	return after(time.Duration(n)*time.Second, n)(ctx)
}

func collect[R any](seq iter.Seq2[R, error]) (values []R, errs []error) {
	for v, err := range seq {
		if err != nil {
			errs = append(errs, err)
			continue
		}
		values = append(values, v)
	}
	return values, errs
}

func TestScenario142StreamSlowestFirst(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := slices.Values([]int{5, 4, 2, 3, 1})
		for _, c := range []struct {
			o    task.StreamOptions
			want []int
			took time.Duration
		}{
			{task.StreamOptions{MaxConcurrency: 5}, []int{5, 4, 2, 3, 1}, 5 * time.Second},
			{task.StreamOptions{MaxConcurrency: 5, Unordered: true}, []int{1, 2, 3, 4, 5}, 5 * time.Second},
			{task.StreamOptions{MaxConcurrency: 1}, []int{5, 4, 2, 3, 1}, 15 * time.Second},
			{task.StreamOptions{MaxConcurrency: 2, Unordered: true}, []int{4, 5, 2, 1, 3}, 8 * time.Second},
		} {
			began := time.Now()
			got, errs := collect(task.Stream(quiet, in, sleepy, c.o))
			if !slices.Equal(got, c.want) || errs != nil || time.Since(began) != c.took {
				t.Errorf("%+v: %v, %v in %v", c.o, got, errs, time.Since(began))
			}
		}
	})
}

// TestScenario142StreamIsBoundedAndLazy counts the tasks at each moment, and looks at what has been read of the input.
func TestScenario142StreamIsBoundedAndLazy(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var read, now, most atomic.Int32
		endless := func(yield func(int) bool) {
			for i := 0; yield(i); i++ {
				read.Add(1)
			}
		}
		s := task.Stream(quiet, endless, func(ctx context.Context, n int) (int, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			return sleepy(ctx, 1)
		}, task.StreamOptions{MaxConcurrency: 3, Unordered: true})
		if synctest.Wait(); read.Load() != 0 {
			t.Error("it runs before the loop does")
		}
		n := 0
		for range s {
			if n++; n == 100 {
				break
			}
		}
		if most.Load() != 3 || now.Load() != 0 || read.Load() > 103 {
			t.Errorf("%d at a time, %d left, %d read for %d", most.Load(), now.Load(), read.Load(), n)
		}
		if got, errs := collect(task.Stream(quiet, upTo(0), sleepy, task.StreamOptions{Timeout: time.Second})); got != nil || errs != nil {
			t.Errorf("of nothing: %v, %v", got, errs)
		}
	})
}

// TestScenario142StreamExits gives the error of each item with its input, and goes on.
func TestScenario142StreamExits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		fn := func(_ context.Context, n int) (int, error) {
			switch n {
			case 1:
				return 0, errBoom
			case 2:
				panic("boom")
			}
			return n, nil
		}
		got, errs := collect(task.Stream(quiet, upTo(5), fn, task.StreamOptions{}))
		if !slices.Equal(got, []int{0, 3, 4}) || len(errs) != 2 {
			t.Fatalf("%v, %v", got, errs)
		}
		for i, err := range errs {
			var item *task.ItemError[int]
			if !errors.As(err, &item) || item.Input != i+1 || item.Index != i+1 {
				t.Errorf("%v", err)
			}
		}
		if !errors.Is(errs[0], errBoom) || kindOf(t, errs[1]).Kind != actor.Crash {
			t.Errorf("%v", errs)
		}
	})
}

func TestScenario142StreamOfAProcess(t *testing.T) {
	bubble(t, func(t *testing.T) {
		fn := func(_ context.Context, n int) (int, error) {
			if n == 2 {
				panic("boom")
			}
			return n, nil
		}
		for _, c := range []struct {
			opts  []task.Option
			trap  bool
			lives bool
		}{{nil, false, false}, {nil, true, true}, {[]task.Option{task.Nolink()}, false, true}} {
			for range 300 { // of two things that happen at once, the crash is told
				o := newOwner(t, quiet, actor.Options{TrapExit: c.trap})
				var got []int
				var errs []error
				_ = o.do(func(self *actor.Self[job]) error {
					got, errs = collect(task.Stream(self, upTo(5), fn, task.StreamOptions{MaxConcurrency: 1}, c.opts...))
					return nil
				})
				synctest.Wait()
				if o.ref.PID().Alive() != c.lives || len(errs) == 0 || kindOf(t, errs[0]).Kind != actor.Crash {
					t.Fatalf("%+v: owner %v, %v", c, o.ref.PID().Info().Status, errs)
				}
				if want := []int{0, 1, 3, 4}; c.lives && !slices.Equal(got, want) {
					t.Errorf("%v", got)
				}
			}
		}
	})
}

// TestScenario142StreamHalts leaves the loop in every way: nothing of it runs afterwards.
func TestScenario142StreamHalts(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var running atomic.Int32
		fn := func(ctx context.Context, n int) (int, error) {
			running.Add(1)
			defer running.Add(-1)
			if n == 0 {
				return 0, nil
			}
			return untilAsked(ctx)
		}
		o := task.StreamOptions{MaxConcurrency: 10}
		loops := map[string]func(){
			"break": func() {
				for range task.Stream(quiet, upTo(100), fn, o) {
					break
				}
			},
			"panic": func() {
				defer func() { _ = recover() }()
				for range task.Stream(quiet, upTo(100), fn, o) {
					panic("boom")
				}
			},
			"panic of the input": func() {
				defer func() { _ = recover() }()
				in := func(yield func(int) bool) { yield(1); yield(2); panic("boom") }
				for range task.Stream(quiet, in, fn, o) {
					t.Error("a result")
				}
			},
			"end of the context": func() {
				got, errs := collect(task.Stream(within(t, quiet, time.Second), upTo(100), fn, o))
				if len(got) != 1 || len(errs) != 1 || !errors.Is(errs[0], context.DeadlineExceeded) {
					t.Errorf("%v, %v", got, errs)
				}
			},
			"pull": func() {
				next, stop := iter.Pull2(task.Stream(quiet, upTo(100), fn, o))
				if v, err, ok := next(); v != 0 || err != nil || !ok {
					t.Errorf("%v, %v, %v", v, err, ok)
				}
				stop()
			},
		}
		for what, loop := range loops {
			loop()
			if n := running.Load(); n != 0 {
				t.Errorf("%s: %d run on", what, n)
			}
		}
	})
}

// TestStreamHaltAbandons does not wait for ever for tasks that do not heed their context.
func TestStreamHaltAbandons(t *testing.T) {
	bubble(t, func(t *testing.T) {
		release := make(chan struct{})
		fn := func(ctx context.Context, n int) (int, error) {
			if n == 3 {
				return 3, nil
			}
			return stubborn(release)(ctx)
		}
		began := time.Now()
		s := jobs(t, quiet, flags, silent)
		for v := range task.Stream(quiet, upTo(4), fn, task.StreamOptions{MaxConcurrency: 4, Grace: time.Second, Unordered: true}, task.Under(s)) {
			expect(t, "the one that is ready", v, nil, 3, nil)
			break
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("left after %v", took)
		}
		synctest.Wait()
		if left := s.Dynamic().Abandoned(); len(left) != 3 {
			t.Errorf("abandoned %v, want 3", left)
		}
		close(release)
	})
}

func TestScenario142StreamTimeout(t *testing.T) {
	bubble(t, func(t *testing.T) {
		in := slices.Values([]int{1, 9, 2, 9, 1})
		o := task.StreamOptions{MaxConcurrency: 2, Timeout: 3 * time.Second, OnTimeout: task.KillTask}
		got, errs := collect(task.Stream(quiet, in, sleepy, o))
		if !slices.Equal(got, []int{1, 2, 1}) || len(errs) != 2 {
			t.Errorf("kill: %v, %v", got, errs)
		}
		for _, err := range errs {
			var item *task.ItemError[int]
			if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &item) || item.Input != 9 {
				t.Errorf("%v", err)
			}
		}
		began := time.Now()
		_, errs = collect(task.Stream(quiet, slices.Values([]int{9, 9, 9, 9}), sleepy, o)) // two at once, twice
		if took := time.Since(began); len(errs) != 4 || took != 6*time.Second {
			t.Errorf("all too slow: %v after %v", errs, took)
		}
		o.OnTimeout = task.Exit
		got, errs = collect(task.Stream(quiet, in, sleepy, o))
		if !slices.Equal(got, []int{1}) || len(errs) != 1 || !errors.Is(errs[0], context.DeadlineExceeded) {
			t.Errorf("exit: %v, %v", got, errs)
		}
		p := newOwner(t, quiet, actor.Options{})
		_ = p.do(func(self *actor.Self[job]) error {
			_, errs = collect(task.Stream(self, in, sleepy, o))
			return nil
		})
		synctest.Wait()
		if len(errs) != 1 || !p.ref.PID().Alive() {
			t.Errorf("linked: %v, owner %v", errs, p.ref.PID().Info().Status)
		}
	})
}

func TestStreamBadInput(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var none iter.Seq[int]
		for _, s := range []iter.Seq2[int, error]{
			task.Stream(quiet, none, sleepy, task.StreamOptions{}),
			task.Stream[int, int](quiet, upTo(1), nil, task.StreamOptions{}),
			task.Stream(quiet, upTo(1), sleepy, task.StreamOptions{MaxConcurrency: -1}),
			task.Stream(quiet, upTo(1), sleepy, task.StreamOptions{Timeout: -1}),
			task.Stream(quiet, upTo(1), sleepy, task.StreamOptions{Grace: -1}),
			task.Stream(quiet, upTo(1), sleepy, task.StreamOptions{OnTimeout: task.IgnoreTask}),
			task.Stream(quiet, upTo(1), sleepy, task.StreamOptions{}, task.Under(nil)),
			task.Stream(quiet, upTo(1), sleepy, task.StreamOptions{}, task.Restart(0)),
		} {
			if got, errs := collect(s); got != nil || len(errs) != 1 || !errors.Is(errs[0], actor.ErrInvalid) {
				t.Errorf("%v, %v", got, errs)
			}
		}
	})
}
