package registry

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"semper/actor"
)

// holding takes a lock in a goroutine of its own, and returns when it is queued. The lock is held until free is closed.
func holding(r *Registry[string, string], ctx context.Context, key string, f func()) (free chan struct{}, result chan error) {
	free, result = make(chan struct{}), make(chan error, 1)
	go func() {
		result <- r.Lock(ctx, key, func() error { f(); <-free; return nil })
	}()
	synctest.Wait()
	return free, result
}

func TestScenario135LockOfOneKeyIsForOne(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		var order []int
		note := func(i int) func() { return func() { order = append(order, i) } }
		var free []chan struct{}
		var results []chan error
		for i := range 4 {
			f, result := holding(r, quiet, "hello", note(i))
			free, results = append(free, f), append(results, result)
		}
		other := errors.New("of another key")
		if err := r.Lock(quiet, "world", func() error { return other }); err != other {
			t.Errorf("another key: %v", err)
		}
		for i := range free {
			if want := []int{0, 1, 2, 3}[:i+1]; !slices.Equal(order, want) {
				t.Errorf("in: %v, want %v", order, want)
			}
			close(free[i])
			if err := <-results[i]; err != nil {
				t.Error(err)
			}
			synctest.Wait()
		}
		empty(t, r)
	})
}

func TestScenario135LockIsFreeAfterPanicAndGoexit(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		for _, how := range []func(){func() { panic("boom") }, runtime.Goexit} {
			a := start(t, actor.Options{})
			_ = a.Cast(job{do: func(self *actor.Self[job]) error {
				return r.Lock(self, "hello", func() error { how(); return nil })
			}})
			<-a.PID().Done()
			if err := r.Lock(quiet, "hello", func() error { return nil }); err != nil {
				t.Error(err)
			}
		}
		empty(t, r)
	})
}

func TestScenario135LockIsFreeWhenItsProcessIsKilled(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		a := start(t, actor.Options{})
		hang := make(chan struct{})
		_ = a.Cast(job{do: func(self *actor.Self[job]) error {
			derived, cancel := context.WithTimeout(self, time.Hour)
			defer cancel()
			return r.Lock(derived, "hello", func() error { <-hang; return nil })
		}})
		synctest.Wait()
		in := false
		free, result := holding(r, quiet, "hello", func() { in = true })
		if in {
			t.Fatal("two are in")
		}
		a.PID().Kill()
		synctest.Wait()
		if !in {
			t.Error("the dead holds its lock")
		}
		third := false
		free3, result3 := holding(r, quiet, "hello", func() { third = true })
		close(hang) // what was left behind comes to its end, and must not free the lock of another
		<-a.PID().Gone()
		if synctest.Wait(); third {
			t.Error("two are in")
		}
		close(free)
		close(free3)
		if err := errors.Join(<-result, <-result3); err != nil {
			t.Error(err)
		}
		empty(t, r)
	})
}

func TestScenario135WaiterThatDiesLosesItsPlace(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		free, result := holding(r, quiet, "hello", func() {})
		entered := false
		var got error
		a := start(t, actor.Options{})
		_ = a.Cast(job{do: func(self *actor.Self[job]) error {
			got = r.Lock(self, "hello", func() error { entered = true; return nil })
			return got
		}})
		ctx, cancel := context.WithTimeoutCause(quiet, time.Second, errors.New("late"))
		defer cancel()
		if err := r.Lock(ctx, "hello", func() error { entered = true; return nil }); err == nil || !errors.Is(err, context.Cause(ctx)) {
			t.Errorf("a waiter whose context ended: %v", err)
		}
		a.PID().Kill()
		<-a.PID().Gone()
		if !errors.Is(got, context.Canceled) {
			t.Errorf("a waiter that was killed: %v", got)
		}
		close(free)
		if err := <-result; err != nil || entered {
			t.Errorf("%v, one that had left got in: %v", err, entered)
		}
		empty(t, r)
	})
}

func TestLockKnowsWhoHasIt(t *testing.T) {
	scenario(t, func(t *testing.T, partitions int) {
		r := New[string, string](Options{Partitions: partitions})
		a := start(t, actor.Options{})
		err := do(t, a, func(self *actor.Self[job]) error {
			return r.Lock(self, "hello", func() error {
				if err := r.Register(self, "hello", "held"); err != nil { // keys and locks are two things
					return err
				}
				if err := r.Lock(self, "world", func() error { return nil }); err != nil {
					return err
				}
				return r.Lock(self, "hello", func() error { return nil })
			})
		})
		if !errors.Is(err, ErrLocked) {
			t.Errorf("taken twice: %v", err)
		}
		unregister(t, r, a, "hello")
		empty(t, r) // locks given back are forgotten
		var late *actor.Self[job]
		_ = do(t, a, func(self *actor.Self[job]) error { late = self; return nil })
		kill(a)
		never := func() error { t.Error("called"); return nil }
		over, cancel := context.WithCancel(quiet)
		cancel()
		for _, c := range []struct {
			err, want error
		}{
			{r.Lock(late, "hello", never), context.Canceled},
			{r.Lock(context.WithoutCancel(late), "hello", never), actor.ErrNoProc},
			{r.Lock(over, "hello", never), context.Canceled},
			{r.Lock(quiet, "hello", nil), actor.ErrInvalid},
			{r.Lock(nil, "hello", never), actor.ErrInvalid}, //nolint:staticcheck // nil is what is tested
		} {
			if !errors.Is(c.err, c.want) {
				t.Errorf("%v, want %v", c.err, c.want)
			}
		}
		empty(t, r)
	})
}
