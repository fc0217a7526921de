package task

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"semper/actor"
	"semper/supervise"
)

// A Task is one function that runs in a process of its own, and its result. R is the type of the result.
//
// The result belongs to the owner: the process that called Async, which the contexts given to the methods are checked
// for, or, when that was no process, whoever has the Task. It is given once. All methods are safe for concurrent use.
type Task[R any] struct {
	owner actor.PID // zero: a plain goroutine
	state atomic.Int32
	told  atomic.Bool // the result goes to the owner as an Info
	shut  atomic.Bool // Shutdown or Kill was called

	// Written by the process before state is answered.
	value R
	err   error

	// Written by the process before its start is acknowledged.
	pid  actor.PID // zero: it did not start
	self *actor.Self[nothing]

	work work[R]
}

// The states of a result:
//
//	pending ──▶ answered ──▶ taken
//	   └────────────────────────▲
const (
	pending  int32 = iota
	answered       // the function has returned, and value and err are its results
	taken          // given, or given up: what the function returns then vanishes
)

// Async starts fn in a process of its own and returns at once. What fn returns, an error too, is its result, for Await
// or Yield to give. Starting cannot fail: what is wrong (a nil fn, a ctx that is over, a full supervisor) is the result.
//
// When ctx is of a process, a Self or a context made from it, that process owns the task and is linked to it: a crash
// of the task ends the owner, unless that traps exits, and the end of the owner, of whatever kind, ends the task. Else
// a crash is an error of Await and nothing more. The end of ctx asks the task to end in either case.
//
// The context of fn is the Self of its process. It has the values of ctx and ends when the task is asked to end; fn
// should return soon then. Who asked gets on with a fn that does not, which is abandoned: see [Task.Kill].
func Async[R any](ctx context.Context, fn func(ctx context.Context) (R, error), o ...Option) *Task[R] {
	t := &Task[R]{owner: actor.Caller(ctx)}
	s := gather(o)
	if err := errors.Join(check(ctx, fn == nil, s), once(s)); err != nil {
		return t.fail(err)
	}
	t.work = work[R]{ctx: ctx, fn: fn}
	if s.label == "" {
		s.label = nameOf(fn)
	}
	if err := t.start(ctx, s); err != nil {
		return t.fail(err)
	}
	return t
}

func (t *Task[R]) start(ctx context.Context, s settings) error {
	linked := !s.nolink && t.owner != actor.PID{}
	if s.under == nil {
		_, err := spawn(ctx, (*server[R])(t), actor.Options{Label: s.label, Link: linked})
		return err
	}
	t.work.link = linked
	_, err := s.under.start(ctx, s, supervise.Temporary, func(inner context.Context) (actor.PID, error) {
		return spawn(inner, (*server[R])(t), actor.Options{Label: s.label})
	})
	return err
}

// fail makes an error the result of a task that did not start.
func (t *Task[R]) fail(err error) *Task[R] {
	failed := &Task[R]{owner: t.owner, err: err} // t itself may yet be started by a supervisor that was not waited for
	failed.state.Store(answered)
	return failed
}

// PID is the process of the task: it can be monitored, linked, looked at and killed as any other. It is nobody when the
// task did not start.
func (t *Task[R]) PID() actor.PID { return t.pid }

func (t *Task[R]) String() string { return "task " + t.pid.String() }

// Await waits for the result, until ctx ends. By then the process of the task has ended, and whoever is linked to it or
// watches it has been told.
//
// When ctx ends first, the result is given up and the task, unlinked, is asked to end: nobody would wait for it. The
// error says so and wraps the cause of ctx. Yield waits without giving up, and Shutdown until a task has ended.
func (t *Task[R]) Await(ctx context.Context) (R, error) {
	var zero R
	if err := t.mine(ctx); err != nil {
		return zero, err
	}
	if t.wait(ctx) || !t.giveUp() {
		return t.take()
	}
	t.ask(actor.Reason{Kind: actor.Shutdown})
	return zero, t.late(ctx)
}

func (t *Task[R]) late(ctx context.Context) error {
	return fmt.Errorf("%v has no result yet and was asked to end; Yield instead of Await waits without giving up, Shutdown until it has ended: %w",
		t, context.Cause(ctx))
}

// Yield is Await that does not give up: when ctx ends first, the error is ErrRunning, the task goes on, and any of the
// methods may be called again.
func (t *Task[R]) Yield(ctx context.Context) (R, error) {
	var zero R
	if err := t.mine(ctx); err != nil {
		return zero, err
	}
	if !t.wait(ctx) {
		return zero, ErrRunning
	}
	return t.take()
}

// mine checks that the result is there to be given, and to whoever ctx belongs to.
func (t *Task[R]) mine(ctx context.Context) error {
	if err := t.owned(ctx); err != nil {
		return err
	}
	if t.told.Load() || t.state.Load() == taken {
		return ErrTaken
	}
	return nil
}

func (t *Task[R]) owned(ctx context.Context) error {
	if ctx == nil {
		return fmt.Errorf("%w: a task wants a context to wait with, such as context.Background()", actor.ErrInvalid)
	}
	who := actor.Caller(ctx)
	switch {
	case t.owner != actor.PID{} && who != t.owner:
		return fmt.Errorf("%v belongs to %v: %w", t, t.owner, ErrNotOwner)
	case who == t.pid && t.pid != actor.PID{}:
		return fmt.Errorf("%v waits for itself: %w", t, actor.ErrCallingSelf)
	}
	return nil
}

// wait waits until the task has ended, or ctx. It reports whether the task has; one that ends in the same moment has.
func (t *Task[R]) wait(ctx context.Context) bool {
	ended := t.pid.Done()
	select {
	case <-ended:
		return true
	default:
	}
	select {
	case <-ended:
		return true
	case <-ctx.Done():
	}
	if t.state.Load() == answered || !t.pid.Alive() {
		<-ended
		return true
	}
	return false
}

// take gives the result of a task that has ended.
func (t *Task[R]) take() (R, error) {
	var zero R
	if t.state.CompareAndSwap(answered, taken) {
		v, err := t.value, t.err
		t.value = zero // it is not the Task that keeps it in memory
		return v, err
	}
	if !t.giveUp() {
		return zero, ErrTaken
	}
	switch r := t.pid.Reason(); {
	case t.shut.Load() && r.Kind == actor.Shutdown:
		return zero, fmt.Errorf("%v: %w", t, ErrShutdown)
	case t.shut.Load() && r.Kind == actor.Killed:
		return zero, fmt.Errorf("%v: %w; it was killed, and is abandoned until its function returns (PID().Gone)", t, ErrShutdown)
	default:
		return zero, &actor.ExitError{PID: t.pid, Reason: r}
	}
}

// giveUp makes what the function is going to return vanish; false means that it has returned, or was given up before.
func (t *Task[R]) giveUp() bool { return t.state.CompareAndSwap(pending, taken) }

// ask asks the task to end, and keeps the reason from its owner: the end was wanted.
func (t *Task[R]) ask(r actor.Reason) {
	if t.self != nil {
		t.self.Unlink(t.owner)
		t.pid.Exit(r)
	}
}

// ended reports whether err, which take gave, says that the task ended without an answer.
func (t *Task[R]) ended(err error) bool {
	end, ok := err.(*actor.ExitError) //nolint:errorlint // one that the function returned is an answer
	return ok && end.PID == t.pid
}
