package supervise

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// EventKind says what happened to a child.
type EventKind int

const (
	Started     EventKind = iota // an incarnation runs (or was ignored: then Err is ErrIgnore)
	StartFailed                  // a start returned an error; Decision says what follows
	Ended                        // an incarnation ended by itself; Decision says what follows
	Restarting                   // a restart attempt begins
	GaveUp                       // the limit of restarts was passed
	Stopped                      // the supervisor ended an incarnation, for a sibling's sake or its own end
	Terminated                   // TerminateChild ended it, or ended its restarting
)

func (k EventKind) String() string {
	return name("event", int(k), "started", "start-failed", "ended", "restarting", "gave-up", "stopped", "terminated")
}

// An Event is one fact about one child.
type Event struct {
	Supervisor string
	Child      string
	Kind       EventKind
	At         time.Time
	Reason     Reason        // why it ended; of Ended, Stopped and Terminated
	Delay      time.Duration // before the next attempt; of Ended and StartFailed
	Window     int           // restarts in the supervisor's window, this one included
	Restarts   int           // restarts of this child since its spec was added
	Err        error         // of StartFailed, and ErrIgnore of Started
	Decision   string        // what the supervisor does about it, in words; "none" when nothing
}

// String tells e in one line, for people and logs:
//
//	web/web.2 ended: crash: bad config; restart in 2ms (restart 3 within the window)
//	web/web.2 start-failed: no disk; restart at once (restart 4 within the window)
//	web/web.1 started
func (e Event) String() string {
	var b strings.Builder
	if e.Supervisor != "" {
		b.WriteString(e.Supervisor + "/")
	}
	fmt.Fprintf(&b, "%s %v", e.Child, e.Kind)
	switch {
	case e.Kind == Started && errors.Is(e.Err, ErrIgnore):
		b.WriteString(": ignored, it does not run")
	case e.Kind == Ended || e.Kind == Stopped || e.Kind == Terminated:
		fmt.Fprintf(&b, ": %v", e.Reason)
	case e.Err != nil:
		fmt.Fprintf(&b, ": %v", e.Err)
	}
	if e.Decision != "" && e.Decision != "none" {
		b.WriteString("; " + e.Decision)
		if e.Kind != GaveUp && e.Window > 0 {
			fmt.Fprintf(&b, " (restart %d within the window)", e.Window)
		}
	}
	return b.String()
}

// Options are what a supervisor gets from its surroundings. The zero value is useful.
type Options struct {
	// Observe is called for each event, in order, from the supervisor's goroutine. It must not block and must not
	// call the supervisor.
	Observe func(Event)
	// Rand returns numbers in [0,1) for jitter; nil: math/rand.
	Rand func() float64
}

// State is what a child is doing now.
type State int

const (
	StateUndefined  State = iota // a spec without a running child
	StateStarting                // its first start has not acknowledged yet
	StateRunning                 // it acknowledged its start and has not ended
	StateRestarting              // between incarnations, an attempt under way or next in line
	StateBackoff                 // between incarnations, waiting for the next attempt's time
	StateStopping                // asked to end, not gone yet
)

func (s State) String() string {
	return name("state", int(s), "undefined", "starting", "running", "restarting", "backoff", "stopping")
}

// ChildInfo is one child as it was when Children was called.
type ChildInfo struct {
	ID          string
	State       State
	Restart     RestartType
	Supervisor  bool
	Significant bool
	Child       Child     // the incarnation in StateRunning and StateStopping, else nil; a *Supervisor when trees nest
	Restarts    int       // restarts since its spec was added
	Last        Reason    // why the last incarnation ended; meaningful when Ends > 0
	Ends        int       // incarnations that ended so far
	Err         error     // why the last start attempt failed; nil after one that did not
	Since       time.Time // when State began
	Next        time.Time // when the next attempt is due, in StateBackoff
	GivenUp     bool      // restarts passed the limit and the window is not empty again (Persist)
}

// Counts are the numbers of count_children: Active excludes children that are restarting or undefined.
type Counts struct{ Specs, Active, Supervisors, Workers int }
