package supervise

import (
	"errors"
	"fmt"
)

// What the calls of a Supervisor answer; steer by errors.Is.
var (
	ErrIgnore         = errors.New("start ignored")                       // a StartFunc's word: no child this time, and that is fine
	ErrAlreadyStarted = errors.New("a child of this id is running")       // StartChild
	ErrAlreadyPresent = errors.New("a child of this id is present")       // StartChild; it is not running: RestartChild or DeleteChild it
	ErrNotFound       = errors.New("no child of this id")                 // any call with an id
	ErrRunning        = errors.New("the child is running")                // RestartChild, DeleteChild; terminate it first
	ErrRestarting     = errors.New("the child is restarting")             // RestartChild, DeleteChild; terminate it first
	ErrStopping       = errors.New("the supervisor is stopping or ended") // any call
	ErrTerminated     = errors.New("terminated while starting")           // StartChild, RestartChild
	ErrReleased       = errors.New("the supervisor has let go of its children")
	ErrIntensity      = errors.New("restart limit passed")          // in the Reason of a supervisor that escalated
	ErrAutoShutdown   = errors.New("a significant child has ended") // in the Reason of a supervisor that shut itself down
	ErrMaxChildren    = errors.New("no room for another child")     // Dynamic.StartChild
	ErrInvalid        = errors.New("invalid")                       // Start, StartChild: wrapped with what is
)

// A StartError tells which child's start failed, and why. Start and StartChild forget its spec; RestartChild keeps it.
type StartError struct {
	Child string
	Err   error
}

func (e *StartError) Error() string { return fmt.Sprintf("start %s: %v", e.Child, e.Err) }

// Unwrap returns what the StartFunc returned.
func (e *StartError) Unwrap() error { return e.Err }
