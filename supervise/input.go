package supervise

// input is what can happen to a supervisor. It is a sealed sum: dispatch has a case for each.
type input interface{ input() }

type (
	// call asks for something and waits for the answer.
	call struct {
		op    op
		id    string
		child Child      // which one, of a dynamic core; and the answer to opStart
		spec  ChildSpec  // of opStart
		to    *settings  // of opChange
		ret   chan error // takes one answer without blocking
	}
	// settings are what a change brings.
	settings struct {
		flags Flags
		most  int
		specs []ChildSpec
	}
	// answered is what the start of this number came to.
	answered struct {
		kid   *kid
		n     int
		child Child     // unless err
		run   *Starting // what watches child; nil when it tells of its end itself
		err   error
	}
	// ended says that the incarnation of this number is gone. The loop fills in the reason.
	ended struct {
		kid    *kid
		n      int
		reason Reason
	}
	// retry is the supervisor's word to itself after a failed restart, so that what came meanwhile is served first.
	retry struct {
		kid *kid
		n   int
	}
	nudge struct{ id string }     // cut a back-off short
	tick  struct{}                // a moment has come that a kid waits for
	stop  struct{ reason Reason } // end, in order
	kill  struct{}                // end, at once
)

type op int

const (
	opBoot op = iota
	opStart
	opTerminate
	opRestart
	opDelete
	opChange
)

func (*call) input()    {}
func (answered) input() {}
func (*ended) input()   {}
func (retry) input()    {}
func (nudge) input()    {}
func (tick) input()     {}
func (stop) input()     {}
func (kill) input()     {}

// A command is what the loop does for the core.
type command struct {
	verb verb
	kid  *kid
	n    int // the number of the start it concerns
	call *call
	err  error // of doAnswer: the answer; of doCancel: the cause
}

type verb int

const (
	doStart    verb = iota // call the StartFunc; its end comes back as answered, the child's as ended
	doCancel               // end the context of the start under way
	doShutdown             // ask the child
	doKill                 // kill the child
	doRetry                // put a retry at the end of the mailbox
	doAnswer               // answer a call
)
