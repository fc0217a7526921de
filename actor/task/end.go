package task

import (
	"context"

	"semper/actor"
	"semper/supervise"
)

// Shutdown asks the task to end, unlinked from its owner, and waits until it has. A result that it still had is given;
// else the error is ErrShutdown, or an *actor.ExitError when it ended for another reason than that it was asked to.
//
// When ctx ends first, the task is killed: see Kill. So ctx should have a deadline, and one of its own:
//
//	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
//
// A task whose result was taken is ended too, so that a deferred Shutdown after an Await makes sure of the end; the
// error, for nobody to look at, is then ErrTaken.
func (t *Task[R]) Shutdown(ctx context.Context) (R, error) {
	if err := t.owned(ctx); err != nil {
		var zero R
		return zero, err
	}
	t.shut.Store(true)
	t.ask(actor.Reason{Kind: actor.Shutdown})
	if !t.wait(ctx) {
		t.kill()
	}
	return t.rest()
}

// Kill ends the task at once, without asking and without waiting. A result that it had is given; else the error is
// ErrShutdown. What its function returns later vanishes.
//
// A goroutine cannot be killed from outside. The context of the function has ended; until it returns, the task is
// abandoned: the Status of its process says so, its supervisor lists it, and the Gone of its PID is open.
func (t *Task[R]) Kill(ctx context.Context) (R, error) {
	if err := t.owned(ctx); err != nil {
		var zero R
		return zero, err
	}
	t.shut.Store(true)
	t.kill()
	return t.rest()
}

// kill kills the process and keeps it from its owner.
func (t *Task[R]) kill() {
	if t.self != nil {
		t.self.Unlink(t.owner)
		t.pid.Kill()
		<-t.pid.Done() // it may be another's kill, or its own end, that is telling everyone
	}
}

// rest is what a task that was ended leaves to whoever ended it.
func (t *Task[R]) rest() (R, error) {
	if t.told.Load() {
		var zero R
		return zero, ErrTaken
	}
	return t.take()
}

// Ignore gives the task up but lets it go on, unlinked from its owner: what it returns vanishes. A result that it had
// already is given; else the error is ErrRunning.
func (t *Task[R]) Ignore(ctx context.Context) (R, error) {
	var zero R
	if err := t.mine(ctx); err != nil {
		return zero, err
	}
	if t.self != nil {
		t.self.Unlink(t.owner)
	}
	if t.pid.Alive() && t.giveUp() {
		return zero, ErrRunning
	}
	if t.state.Load() != taken {
		<-t.pid.Done()
	}
	return t.take()
}

// An Outcome is how a task ended: what Await would have given. It is the Info that Tell asks for, and an element of
// the answer of YieldMany.
type Outcome[R any] struct {
	Task  *Task[R]
	Value R
	Err   error
}

// Tell makes the result come to the owner as an Info, an Outcome[R], when the task has ended, however it does; at once
// when it has. It is then not for the other methods to give. So a process need not wait for a task in a callback:
//
//	s.fetch = task.Async(self, fetch, task.Nolink())
//	err := s.fetch.Tell(self)
//	...
//	func (s *server) Info(self *actor.Self[message], info any) error {
//		switch info := info.(type) {
//		case task.Outcome[page]:
//
// A task can still be shut down, and then that is what the Outcome says.
func (t *Task[R]) Tell(ctx context.Context) error {
	if err := t.mine(ctx); err != nil {
		return err
	}
	if t.owner == (actor.PID{}) {
		return ErrNoOwner
	}
	if !t.told.CompareAndSwap(false, true) {
		return ErrTaken
	}
	t.notify(func() {
		v, err := t.take()
		_ = t.owner.Inform(Outcome[R]{Task: t, Value: v, Err: err}) // an owner that has ended wants no news
	})
	return nil
}

// notify calls f once when the task has ended.
func (t *Task[R]) notify(f func()) {
	n, ok := t.pid.Child().(supervise.Notifier)
	if !ok { // it did not start
		f()
		return
	}
	n.Notify(f)
}
