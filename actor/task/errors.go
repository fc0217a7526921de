package task

import "errors"

// What the functions of this package answer besides the errors of the tasks themselves; steer by errors.Is. A task that
// ended without an answer, by a panic above all, gives an *actor.ExitError; ErrInvalid and ErrCallingSelf are those of
// package actor.
var (
	// ErrRunning says that the task has no result yet. It goes on; Yield or Await it again, or Shutdown it.
	ErrRunning = errors.New("the task still runs: Yield or Await it again, or Shutdown it")
	// ErrShutdown says that the task ended without a result because Shutdown or Kill had asked it to.
	ErrShutdown = errors.New("the task was shut down before it had a result")
	// ErrTaken says that the result was given or given up before, or that it comes as an Info. A result is given once:
	// keep it.
	ErrTaken = errors.New("the result of the task was given or given up before: a result is given once, keep it")
	// ErrNotOwner says that another process than the one that started the task asked for its result.
	ErrNotOwner = errors.New("only the process that started a task may ask for its result: pass its Self, or a context made from it")
	// ErrNoOwner says that there is no process that an Info could be sent to.
	ErrNoOwner = errors.New("the task was not started by a process, so nobody has a mailbox for its result: Await it")
	// ErrNotRunning says that the supervisor of tasks that was asked for does not run. Start it, or wait for its restart.
	ErrNotRunning = errors.New("the supervisor of tasks does not run: start it, or try again when it was restarted")
)
