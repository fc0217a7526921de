package observer

import (
	"errors"
	"slices"

	"semper/actor"
	"semper/supervise"
)

// Services is the Observe of a supervisor whose children are services, as of supervise.Serve: it makes a crash report
// of each that ended by a fault or panicked in its start, and gives every event to next, which may be nil. A process
// reports its own crash, with its mailbox and state; where a supervisor has processes among its children, processes
// are their ids. The report of a service has no PID: its Label is the id, its one ancestor the name of the supervisor.
func Services(report actor.Reporter, next func(supervise.Event), processes ...string) func(supervise.Event) {
	return func(e supervise.Event) {
		if r, crashed := crashOfService(e); crashed && !slices.Contains(processes, e.Child) {
			report(r)
		}
		if next != nil {
			next(e)
		}
	}
}

// crashOfService is the report of an event, if it tells of a crash.
func crashOfService(e supervise.Event) (actor.CrashReport, bool) {
	r := e.Reason
	var broken *supervise.PanicError
	switch {
	case e.Kind == supervise.StartFailed && errors.As(e.Err, &broken):
		r = supervise.Reason{Kind: supervise.Crash, Err: e.Err}
	case e.Kind == supervise.Ended && r.Abnormal() && !r.External:
		errors.As(r.Err, &broken)
	default:
		return actor.CrashReport{}, false
	}
	c := actor.CrashReport{At: e.At, Label: e.Child, Reason: r}
	if e.Supervisor != "" {
		c.Ancestors = []string{e.Supervisor}
	}
	if broken != nil {
		c.Stack = string(broken.Stack)
	}
	return c, true
}

// placeOfService is where a service that crashed stands.
func placeOfService(r actor.CrashReport) string {
	if len(r.Ancestors) == 0 {
		return r.Label
	}
	return r.Ancestors[0] + "/" + r.Label
}
