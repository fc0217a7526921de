package supervise

import (
	"context"
	"fmt"
	"time"
)

// A Reason says why a child (or a supervisor) ended.
type Reason struct {
	Kind ReasonKind
	// Err is the evidence: an exit status, a panic, a failed start. May be nil.
	Err error
	// External marks an end by an outside hand, such as an administrator's kill. It says nothing about the child's
	// health, so the child is restarted at once, and the restart is neither counted in the window nor backed off.
	External bool
}

// ReasonKind sorts ends into what decides about a restart.
type ReasonKind int

const (
	Normal   ReasonKind = iota // it finished what it had to do
	Shutdown                   // it was asked to end, and did
	Killed                     // it was ended without its consent
	Crash                      // it ended by a fault of its own
)

func (k ReasonKind) String() string {
	return name("reason", int(k), "normal", "shutdown", "killed", "crash")
}

// Abnormal reports whether a Transient child that ended for r is restarted: anything but Normal and Shutdown.
func (r Reason) Abnormal() bool { return r.Kind != Normal && r.Kind != Shutdown }

func (r Reason) String() string {
	s := r.Kind.String()
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	if r.External {
		s += " (from outside)"
	}
	return s
}

// A Child is one incarnation of whatever a supervisor runs: a goroutine, an OS process, a container, another
// supervisor. All methods are safe for concurrent use and none of them blocks.
type Child interface {
	// Done is closed when nothing of the child is left running, and never before.
	Done() <-chan struct{}
	// Reason says why it ended. It is called only after Done is closed.
	Reason() Reason
	// Shutdown asks the child to end. Asking twice is asking once.
	Shutdown()
	// Kill ends the child without asking. The supervisor waits for Done without limit afterwards, because starting
	// another incarnation beside a living one is worse than waiting.
	Kill()
}

// A StartFunc starts one incarnation and returns when the child has acknowledged that it runs: whatever is started
// after it may rely on it. It may return a child that already runs (adoption). ErrIgnore keeps the spec without a
// running child and counts as success. It must return soon after ctx ends (the supervisor is stopping); a child it
// returns together with a nil error is then stopped. It must not call methods of its own supervisor that wait.
type StartFunc func(ctx context.Context) (Child, error)

// RestartType says after which ends a child is started again.
type RestartType int

const (
	Permanent RestartType = iota // always
	Transient                    // only after an abnormal end
	Temporary                    // never; its spec is forgotten when it ends
)

func (t RestartType) String() string {
	return name("restart", int(t), "permanent", "transient", "temporary")
}

const (
	// DefaultShutdown is how long a child may take to end when its spec does not say: the zero ChildSpec.Shutdown of
	// a worker. A child that is itself a supervisor defaults to Infinity: killing it would orphan its children.
	DefaultShutdown = 5 * time.Second
	// Brutal as a ChildSpec.Shutdown kills without asking.
	Brutal time.Duration = -1
	// Infinity as a ChildSpec.Shutdown never kills.
	Infinity time.Duration = -2
)

// A ChildSpec says how to start, restart and stop one child.
type ChildSpec struct {
	ID         string // unique within its supervisor, not empty
	Start      StartFunc
	Restart    RestartType
	Shutdown   time.Duration // between Child.Shutdown and Child.Kill; zero: DefaultShutdown (Infinity for a supervisor)
	Supervisor bool          // the child is itself a supervisor; used for Shutdown's default and for counting
	Backoff    Backoff       // zero: no delay ever, as in OTP
}

// Backoff spaces out the restarts of one child. The first restart, and any restart after an uptime of at least Reset,
// is at once; the k-th one after that waits Min·Factor^k, at most Max, varied by ±Jitter.
type Backoff struct {
	Min, Max time.Duration // Min zero: no back-off at all; Max zero: Min is the only step
	Factor   float64       // below 1 means 2
	Jitter   float64       // fraction of the delay, 0 to 1: 0.2 varies it by ±20 %
	Reset    time.Duration // uptime after which a child counts as healthy; zero: only after the period of Flags
}

// Strategy says which children a restart concerns.
type Strategy int

const (
	OneForOne  Strategy = iota // only the child that ended
	RestForOne                 // it and all that were started after it
	OneForAll                  // all children
)

func (s Strategy) String() string {
	return name("strategy", int(s), "one_for_one", "rest_for_one", "one_for_all")
}

// GiveUp says what a supervisor does when its children needed more restarts than Flags allow.
type GiveUp int

const (
	// Escalate stops all children in reverse order and ends the supervisor with Shutdown, as OTP does.
	Escalate GiveUp = iota
	// Persist reports GaveUp and goes on restarting, always at back-off, until the window is empty again. The other
	// children are not touched: one bad instance must not take its healthy siblings away from the traffic.
	Persist
)

func (g GiveUp) String() string { return name("give-up", int(g), "escalate", "persist") }

// Flags are the settings of one supervisor.
type Flags struct {
	Name     string // for events and messages
	Strategy Strategy
	// Intensity is the number of restarts allowed within Period; one more and the supervisor gives up. Every attempt
	// counts, failed ones too, and all children share the one window.
	Intensity int
	Period    time.Duration // inclusive, monotonic; zero: 5s
	GiveUp    GiveUp
}

func name(what string, i int, names ...string) string {
	if i >= 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", what, i)
}
