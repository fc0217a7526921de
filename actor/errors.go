package actor

import (
	"errors"
	"fmt"

	"semper/supervise"
)

// What sends, calls and starts answer; steer by errors.Is.
var (
	// ErrNoProc says that the process has ended, or that no process has the name. Look the name up again, or watch for
	// the next incarnation.
	ErrNoProc = errors.New("no process: it has ended or was never started; resolve its name again")
	// ErrCallingSelf says that a process called itself, which would wait for ever. Do the work in place, or Cast.
	ErrCallingSelf = errors.New("a process cannot call itself: its handler would wait for its own reply; use Cast or Continue")
	// ErrMailboxFull says that a bounded mailbox whose policy is Reject has no room. Try again later, or shed the work.
	ErrMailboxFull = errors.New("mailbox full: try again later or shed the work")
	// ErrDropped is the answer to a call whose message a bounded mailbox dropped.
	ErrDropped = errors.New("message dropped: the mailbox was full; try again later or shed the work")
	// ErrAlreadyStarted says that the name belongs to a living process.
	ErrAlreadyStarted = supervise.ErrAlreadyStarted
	// ErrIgnore is what Init returns to say: no process this time, and that is fine.
	ErrIgnore = supervise.ErrIgnore
	// ErrGoexit is the Err of the Reason of a process whose callback ended its goroutine, as t.FailNow does.
	ErrGoexit = supervise.ErrGoexit
	// ErrInvalid says that an argument has no meaning; the text says which and what is wanted.
	ErrInvalid = errors.New("invalid argument")
	// ErrNotRunning says that the state was asked for from a process that has not finished its Init.
	ErrNotRunning = errors.New("the process has not finished its start: ask again after it has")
)

// An ExitError says that a process ended before it answered. Its Reason may say why; errors.Is and errors.As see the
// error inside it.
type ExitError struct {
	PID    PID
	Reason Reason
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("process %v ended before it answered: %v", e.PID, e.Reason)
}

// Unwrap is the evidence in the reason; nil when there is none.
func (e *ExitError) Unwrap() error { return e.Reason.Err }

// A PanicError is the Err of the Reason of a process whose callback panicked. Its stack is that of the panic.
type PanicError = supervise.PanicError

// stopError is how a callback ends its process on purpose.
type stopError struct {
	reason  Reason
	foreign bool // it was asked to, by its parent or its supervisor
}

func (e *stopError) Error() string { return "stop: " + e.reason.String() }

// Stop is what a callback returns to end its process for the reason given: Stop(Reason{}) ends it normally. Any other
// error ends it as a Crash with that error.
func Stop(r Reason) error {
	if r == (Reason{}) {
		return errNormal
	}
	return &stopError{reason: r}
}

var errNormal = &stopError{}

// reasonOf is what the error of a callback makes of its process.
func reasonOf(err error) Reason {
	var stop *stopError
	if errors.As(err, &stop) {
		return stop.reason
	}
	return Reason{Kind: Crash, Err: err}
}
