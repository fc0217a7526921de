package task_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"semper/actor"
	"semper/actor/task"
)

// A manner is how a task behaves. Its times end in 5 ms, those of the owner in 0, so that nothing happens at once.
type manner struct {
	work  time.Duration // until it is done by itself
	tidy  time.Duration // until it is done when it was asked to end; negative: it does not look
	keeps bool          // has its result also when it was asked to end
	how   int           // 0: a value, 1: an error, 2: a panic
}

func (m manner) fn(ctx context.Context) (int, error) {
	asked := ctx.Done()
	if m.tidy < 0 {
		asked = nil
	}
	select {
	case <-time.After(m.work):
	case <-asked:
		time.Sleep(m.tidy)
		if !m.keeps {
			return 0, ctx.Err()
		}
	}
	switch m.how {
	case 1:
		return 0, errBoom
	case 2:
		panic("boom")
	}
	return 42, nil
}

// model is what is known of a task without looking at it.
type model struct {
	manner
	now, end time.Duration // end: when its process ends
	result   int           // of how, or:
	taken    bool
	asked    bool
}

const (
	shut   = 3 // ended without a result, as it was asked to
	killed = 4
)

func (m *model) ended() bool { return m.end <= m.now }

// wait lets time pass until the end, for at most d.
func (m *model) wait(d time.Duration) { m.now = max(m.now, min(m.end, m.now+d)) }

func (m *model) ask() {
	if m.ended() || m.asked {
		return
	}
	m.asked = true
	if m.tidy < 0 || m.work < m.now {
		return
	}
	m.end = m.now + m.tidy
	if !m.keeps {
		m.result = shut
	}
}

func (m *model) kill() {
	if !m.ended() {
		m.end, m.result = m.now, killed
	}
}

// take is the result as the task gives it. ended says that Shutdown or Kill was called.
func (m *model) take() (int, error) {
	if m.taken {
		return 0, task.ErrTaken
	}
	m.taken = true
	switch m.result {
	case 0:
		return 42, nil
	case 1:
		return 0, errBoom
	case 2:
		return 0, errCrash
	}
	return 0, task.ErrShutdown
}

var errCrash = errors.New("an ExitError with a crash")

// A step is one call of the owner, or a sleep.
type step struct {
	what string
	d    time.Duration
}

var steps = rapid.Custom(func(t *rapid.T) step {
	s := step{
		rapid.SampledFrom([]string{"yield", "yield", "await", "shutdown", "kill", "ignore", "sleep", "sleep"}).Draw(t, "what"),
		time.Duration(rapid.IntRange(0, 20).Draw(t, "d")) * 10 * time.Millisecond,
	}
	if s.what == "shutdown" {
		s.d += 10 * time.Millisecond // with no time at all it is a matter of luck who is faster
	}
	return s
})

// predict is what the model says of a step.
func (m *model) predict(s step) (int, error) {
	switch s.what {
	case "sleep":
		m.now += s.d
		return 0, nil
	case "shutdown":
		m.ask()
		m.wait(s.d)
		m.kill()
		return m.take()
	case "kill":
		m.kill()
		return m.take()
	case "yield", "await":
		if !m.taken {
			m.wait(s.d)
		}
	}
	switch {
	case m.taken || m.ended():
		return m.take()
	case s.what == "await":
		m.taken = true
		m.ask()
		return 0, context.DeadlineExceeded
	case s.what == "ignore":
		m.taken = true
	}
	return 0, task.ErrRunning
}

// do makes a step.
func (s step) do(a *task.Task[int]) (int, error) {
	ctx, cancel := context.WithTimeout(quiet, s.d)
	defer cancel()
	switch s.what {
	case "yield":
		return a.Yield(ctx)
	case "await":
		return a.Await(ctx)
	case "shutdown":
		return a.Shutdown(ctx)
	case "kill":
		return a.Kill(ctx)
	case "ignore":
		return a.Ignore(ctx)
	}
	time.Sleep(s.d)
	return 0, nil
}

// run compares a task with its model, and says where they differ.
func (m manner) run(script []step) (problem error) {
	a := task.Async(quiet, m.fn)
	defer func() {
		a.PID().Kill()
		<-a.PID().Gone() // none is stubborn for ever
	}()
	synctest.Wait()
	is := &model{manner: m, end: m.work, result: m.how}
	for i, s := range script {
		want, wantErr := is.predict(s)
		got, err := s.do(a)
		var end *actor.ExitError
		if errors.As(err, &end) && end.Reason.Kind == actor.Crash {
			err = errCrash
		}
		synctest.Wait()
		if got != want || !errors.Is(err, wantErr) || a.PID().Alive() == is.ended() {
			return fmt.Errorf("%+v, step %d of %v: %d, %v, alive %v; the model says %d, %v, %v",
				m, i, script, got, err, a.PID().Alive(), want, wantErr, !is.ended())
		}
	}
	return nil
}

// TestModel compares a task with its model over random steps and times.
func TestModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := manner{
			work:  time.Duration(rapid.IntRange(0, 30).Draw(rt, "work"))*10*time.Millisecond + 5*time.Millisecond,
			tidy:  rapid.SampledFrom([]time.Duration{-1, 0, 5 * time.Millisecond, 45 * time.Millisecond, 95 * time.Millisecond}).Draw(rt, "tidy"),
			keeps: rapid.Bool().Draw(rt, "keeps"),
			how:   rapid.IntRange(0, 2).Draw(rt, "how"),
		}
		script := rapid.SliceOfN(steps, 1, 8).Draw(rt, "script")
		var problem error
		synctest.Test(t, func(*testing.T) { problem = m.run(script) })
		if problem != nil {
			rt.Fatal(problem)
		}
	})
}

// TestAResultIsGivenOnce asks from many goroutines at once, while the task ends in one way or another.
func TestAResultIsGivenOnce(t *testing.T) {
	t.Parallel()
	for i := range 2000 {
		begin := make(chan struct{})
		a := task.Async(quiet, func(context.Context) (int, error) { <-begin; return 1, nil })
		var given, taken, ended atomic.Int32
		var all sync.WaitGroup
		for j := range 6 {
			all.Go(func() {
				<-begin
				ask := a.Await
				switch {
				case j == 5 && i%2 == 0:
					ask = a.Shutdown
				case j == 5 && i%3 == 0:
					ask = a.Kill
				}
				v, err := ask(quiet)
				var end *actor.ExitError
				switch {
				case err == nil && v == 1:
					given.Add(1)
				case errors.Is(err, task.ErrTaken):
					taken.Add(1)
				case errors.As(err, &end) || errors.Is(err, task.ErrShutdown):
					ended.Add(1)
				default:
					t.Errorf("%v, %v", v, err)
				}
			})
		}
		close(begin)
		all.Wait()
		if given.Load()+ended.Load() != 1 || taken.Load() != 5 {
			t.Fatalf("given %d times, said to have none %d times, taken %d times", given.Load(), ended.Load(), taken.Load())
		}
		<-a.PID().Gone()
	}
}
