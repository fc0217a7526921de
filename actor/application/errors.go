package application

import (
	"errors"
	"fmt"
	"strings"

	"semper/supervise"
)

// What the calls of a Controller answer; steer by errors.Is.
var (
	// ErrInvalid says that an argument has no meaning; the text says which and what is wanted.
	ErrInvalid = errors.New("invalid")
	// ErrNotLoaded says that the controller knows no application of the name. See UnknownError.
	ErrNotLoaded = errors.New("application not loaded")
	// ErrAlreadyLoaded says that the name is taken.
	ErrAlreadyLoaded = errors.New("application already loaded: unload it first, or give it another name")
	// ErrAlreadyStarted is the answer of Start for an application that runs; EnsureAllStarted takes it for success.
	ErrAlreadyStarted = errors.New("application already started")
	// ErrNotStarted says that an application does not run: the one to be stopped, or a dependency.
	ErrNotStarted = errors.New("application not started")
	// ErrCycle says that applications depend on each other, or that their phases do. See CycleError.
	ErrCycle = errors.New("cycle")
	// ErrStarted says that what was asked for wants an application that does not run.
	ErrStarted = errors.New("application started: stop it first")
	// ErrStopping says that the controller has ended or is about to; a new one can be made.
	ErrStopping = errors.New("the controller is stopping or has stopped")
	// ErrDeadlock says that a function of an application waited for itself.
	ErrDeadlock = errors.New("deadlock")

	errKilled    = errors.New("the controller was killed")
	errOver      = errors.New("the application has ended")
	errGoexit    = errors.New("the function ended its goroutine (runtime.Goexit) instead of returning")
	errNoContext = fmt.Errorf("%w context: nil; use context.Background()", ErrInvalid)
)

// An UnknownError says which name the controller does not know, who wants it and what may have been meant. errors.Is
// knows it as ErrNotLoaded.
type UnknownError struct {
	Name    string
	By      string // the application that depends on it; empty when a caller named it
	Nearest string // the most similar name that is known; empty when none is near
}

func (e *UnknownError) Error() string {
	s := fmt.Sprintf("application %s is not loaded", e.Name)
	if e.By != "" {
		s = fmt.Sprintf("application %s depends on %s, which is not loaded", e.By, e.Name)
	}
	if e.Nearest != "" {
		return s + ": did you mean " + e.Nearest + "?"
	}
	return s + ": load it first"
}

// Is makes it an ErrNotLoaded.
func (e *UnknownError) Is(target error) bool { return target == ErrNotLoaded }

// A CycleError names a cycle, the first name again at its end. errors.Is knows it as ErrCycle.
type CycleError struct {
	What string   // "applications" or "phases"
	Path []string // each wants the next one before itself
}

func (e *CycleError) Error() string {
	s := fmt.Sprintf("%s want each other first: %s", e.What, strings.Join(e.Path, " → "))
	if e.What == "phases" {
		return s + "; name the phases in one order in all applications"
	}
	return s + "; take one dependency away"
}

// Is makes it an ErrCycle.
func (e *CycleError) Is(target error) bool { return target == ErrCycle }

// A NotStartedError says which dependency does not run. errors.Is knows it as ErrNotStarted.
type NotStartedError struct {
	Name       string
	Dependency string // empty: it is the application itself that does not run
}

func (e *NotStartedError) Error() string {
	if e.Dependency == "" {
		return fmt.Sprintf("application %s does not run; a start under way is broken off by the end of its context", e.Name)
	}
	return fmt.Sprintf("application %s depends on %s, which does not run: start it first, or use EnsureAllStarted", e.Name, e.Dependency)
}

// Is makes it an ErrNotStarted.
func (e *NotStartedError) Is(target error) bool { return target == ErrNotStarted }

// A StartError says which application did not start, and why. What the same call had started before it has been stopped
// again.
type StartError struct {
	Name  string
	Phase string // empty: Start itself
	Err   error  // what its function returned, or a panic, or why the start was broken off
}

func (e *StartError) Error() string {
	if e.Phase != "" {
		return fmt.Sprintf("start application %s, phase %s: %v", e.Name, e.Phase, e.Err)
	}
	return fmt.Sprintf("start application %s: %v", e.Name, e.Err)
}

// Unwrap returns what the function returned.
func (e *StartError) Unwrap() error { return e.Err }

// A TerminatedError says which application ended by itself, and why. It is in the Reason of a controller that ended
// because of it.
type TerminatedError struct {
	Name   string
	Type   Type
	Reason supervise.Reason
}

func (e *TerminatedError) Error() string {
	return fmt.Sprintf("application %s (%v) ended by itself: %v", e.Name, e.Type, e.Reason)
}

// Unwrap is the evidence in the reason; nil when there is none.
func (e *TerminatedError) Unwrap() error { return e.Reason.Err }

// A StopError says that the waiting for a stop was over before the stop was, and who is blocking it. The stopping goes
// on.
type StopError struct {
	What     string   // what is still stopping
	Blocking []string // as Controller.Blocking
	Err      error    // the cause of the context's end
}

func (e *StopError) Error() string {
	s := fmt.Sprintf("%s still stopping: %v", e.What, e.Err)
	if len(e.Blocking) > 0 {
		s += "; waiting for " + strings.Join(e.Blocking, ", ")
	}
	return s
}

// Unwrap is the cause of the context's end.
func (e *StopError) Unwrap() error { return e.Err }
