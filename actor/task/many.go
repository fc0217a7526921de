package task

import (
	"context"
	"errors"
	"fmt"

	"semper/actor"
)

// AwaitMany waits for the results of all, which come in the order of the tasks, until ctx ends: one deadline for all.
// The first failure is the answer for all, wherever in the order it is; it says which task's it is, and wraps its error.
//
// After a failure, or the end of ctx, the results of all are given up, and those that still run are asked to end,
// unlinked: as by an Await that ctx ends.
func AwaitMany[R any](ctx context.Context, tasks ...*Task[R]) ([]R, error) {
	for i, t := range tasks {
		if t == nil {
			return nil, fmt.Errorf("%w: task %d of %d is nil", actor.ErrInvalid, i+1, len(tasks))
		}
		if err := t.mine(ctx); err != nil {
			return nil, fmt.Errorf("task %d of %d: %w", i+1, len(tasks), err)
		}
	}
	values := make([]R, len(tasks))
	err := many[R]{tasks, make([]bool, len(tasks))}.await(ctx, func(i int) (err error) {
		if values[i], err = tasks[i].take(); err != nil {
			err = fmt.Errorf("task %d of %d: %w", i+1, len(tasks), err)
		}
		return err
	})
	if err == nil {
		return values, nil
	}
	for _, t := range tasks {
		if t.state.Swap(taken) == pending {
			t.ask(actor.Reason{Kind: actor.Shutdown})
		}
	}
	return nil, err
}

// many are tasks that are waited for together.
type many[R any] struct {
	tasks []*Task[R]
	seen  []bool // those that have ended
}

// await calls got with the number of each task that has ended, until all have, or ctx ends, or got returns an error.
func (m many[R]) await(ctx context.Context, got func(int) error) error {
	if ctx == nil {
		return fmt.Errorf("%w: tasks want a context to be waited for with, such as context.Background()", actor.ErrInvalid)
	}
	ended := make(chan int, len(m.tasks))
	for i, t := range m.tasks {
		t.notify(func() { ended <- i })
	}
	for range m.tasks {
		select {
		case i := <-ended:
			m.seen[i] = true
			if err := got(i); err != nil {
				return err
			}
		case <-ctx.Done():
			return m.last(ctx, got)
		}
	}
	return nil
}

// last is the last look, when ctx has ended: those that have ended meanwhile, or in the same moment, are in time.
func (m many[R]) last(ctx context.Context, got func(int) error) error {
	late := 0
	for i, t := range m.tasks {
		switch {
		case m.seen[i]:
		case !t.wait(ctx):
			late++
		default:
			m.seen[i] = true
			if err := got(i); err != nil {
				return err
			}
		}
	}
	if late == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d tasks have no result yet and were asked to end; YieldMany waits without giving up: %w",
		late, len(m.tasks), context.Cause(ctx))
}

// OnTimeout says what happens to a task that has no result in time.
type OnTimeout int

const (
	// Exit of a Stream ends it with an error. YieldMany leaves the task alone.
	Exit OnTimeout = iota
	// KillTask kills it, as Task.Kill does.
	KillTask
	// IgnoreTask lets it go on and its result vanish, as Task.Ignore does. Not for a Stream.
	IgnoreTask
)

func (o OnTimeout) String() string {
	if names := [...]string{"exit", "kill_task", "ignore"}; o >= 0 && int(o) < len(names) {
		return names[o]
	}
	return fmt.Sprintf("on_timeout(%d)", int(o))
}

// YieldOptions are the settings of YieldMany.
type YieldOptions struct {
	// Limit is the number of tasks to wait for: with so many results it returns, and OnTimeout does not matter. Zero: all.
	Limit     int
	OnTimeout OnTimeout // what happens to those without a result when ctx ends
}

// YieldMany waits until all tasks have ended, or as many as the limit says, or ctx ends. It answers with an Outcome for
// each, in the order of the tasks: Err is ErrRunning for those without a result, of which the options say whether they
// go on; of those that were killed it is ErrShutdown.
func YieldMany[R any](ctx context.Context, o YieldOptions, tasks ...*Task[R]) ([]Outcome[R], error) {
	if ctx == nil || o.Limit < 0 || o.OnTimeout < Exit || o.OnTimeout > IgnoreTask {
		return nil, fmt.Errorf("%w: limit %d and %v, want a context, a limit of 0 (none) or more and one of Exit, KillTask, IgnoreTask",
			actor.ErrInvalid, o.Limit, o.OnTimeout)
	}
	all := make([]Outcome[R], len(tasks))
	mine := many[R]{tasks: make([]*Task[R], 0, len(tasks))}
	place := make([]int, 0, len(tasks)) // in all, of those in mine
	for i, t := range tasks {
		if t == nil {
			return nil, fmt.Errorf("%w: task %d of %d is nil", actor.ErrInvalid, i+1, len(tasks))
		}
		all[i] = Outcome[R]{Task: t, Err: ErrRunning}
		if err := t.mine(ctx); err != nil {
			all[i].Err = err
			continue
		}
		mine.tasks, place = append(mine.tasks, t), append(place, i)
	}
	mine.seen = make([]bool, len(mine.tasks))
	wanted := o.Limit
	if wanted == 0 {
		wanted = len(tasks)
	}
	_ = mine.await(ctx, func(i int) error { // that some are late is told by their outcomes
		out := &all[place[i]]
		out.Value, out.Err = out.Task.take()
		if wanted--; wanted == 0 {
			return errEnough
		}
		return nil
	})
	if wanted == 0 {
		return all, nil
	}
	for i, seen := range mine.seen {
		if out := &all[place[i]]; !seen {
			out.timeout(ctx, o.OnTimeout)
		}
	}
	return all, nil
}

var errEnough = errors.New("as many results as were wanted")

// timeout does to a task without a result what the option says.
func (o *Outcome[R]) timeout(ctx context.Context, what OnTimeout) {
	switch what {
	case KillTask:
		o.Value, o.Err = o.Task.Kill(ctx)
	case IgnoreTask:
		o.Value, o.Err = o.Task.Ignore(ctx)
	}
}
