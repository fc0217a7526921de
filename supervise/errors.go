package supervise

import (
	"errors"
	"fmt"
)

// What the calls of a Supervisor answer; steer by errors.Is.
var (
	// ErrIgnore is a StartFunc's word: no child this time, and that is fine.
	ErrIgnore = errors.New("start ignored")
	// ErrAlreadyStarted and ErrAlreadyPresent answer StartChild of an id that is taken.
	ErrAlreadyStarted = errors.New("a child of this id is running")
	ErrAlreadyPresent = errors.New("a child of this id is present and does not run: restart or delete it")
	// ErrNotFound answers any call about a child that the supervisor does not have.
	ErrNotFound = errors.New("no such child")
	// ErrRunning and ErrRestarting answer RestartChild and DeleteChild.
	ErrRunning    = errors.New("the child is running: terminate it first")
	ErrRestarting = errors.New("the child is restarting: terminate it first")
	// ErrTerminated answers a StartChild or RestartChild that a TerminateChild has cancelled.
	ErrTerminated = errors.New("terminated while starting")
	// ErrStopping and ErrReleased answer any call to a supervisor that is ending, has ended or was released.
	ErrStopping = errors.New("the supervisor is stopping or ended")
	ErrReleased = errors.New("the supervisor has let go of its children")
	// ErrMaxChildren answers Dynamic.StartChild.
	ErrMaxChildren = errors.New("no room for another child: terminate one or raise MaxChildren")
	// ErrIntensity and ErrAutoShutdown are in the Reason of a supervisor that ended by itself.
	ErrIntensity    = errors.New("restart limit passed")
	ErrAutoShutdown = errors.New("a significant child has ended")
	// ErrInvalid is what every InvalidError wraps.
	ErrInvalid = errors.New("invalid")
)

// A StartError tells which child's start failed, and why. Start and StartChild forget its spec; RestartChild keeps it.
type StartError struct {
	Child string
	Err   error
}

func (e *StartError) Error() string { return fmt.Sprintf("start %s: %v", e.Child, e.Err) }

// Unwrap returns what the StartFunc returned.
func (e *StartError) Unwrap() error { return e.Err }
