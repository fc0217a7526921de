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

// A Notifier is a Child that tells of its end itself. It lives without a goroutine that waits for Done, which is what
// makes a million idle children cheap.
type Notifier interface {
	Child
	// Notify keeps f and calls it exactly once, when Done is (or, made lazily, would be) closed: at once when it is
	// already. f does not block. It is called from any goroutine, and with no lock held that Reason takes.
	//
	// Shutdown and Kill of a Notifier are called by the supervisor's own goroutine, which a Shutdown that blocks would
	// halt.
	Notify(f func())
}

// An Abandonable is a Child that Kill cannot end entirely, as one that is a goroutine: its Done may be closed while
// something of it is still running. From then on it is revoked, nobody waits for it, and until Gone is closed its
// supervisor lists it as abandoned.
type Abandonable interface {
	Child
	// Gone is closed when the last goroutine of the child has returned. It may be made when first asked for, by a
	// supervisor that has seen the child killed.
	Gone() <-chan struct{}
}

// A StartFunc starts one incarnation and returns when the child has acknowledged that it runs: whatever is started
// after it may rely on it. It may return a child that already runs (adoption). ErrIgnore keeps the spec without a
// running child and counts as success. It must return soon after ctx ends (the supervisor is stopping); a child it
// returns together with a nil error is then stopped. It must not call methods of its own supervisor that wait.
type StartFunc func(ctx context.Context) (Child, error)

// RestartType says after which ends a child is started again.
type RestartType int8

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
	ID         string // unique within its supervisor, not empty; of a Dynamic's child only a label
	Start      StartFunc
	Restart    RestartType
	Shutdown   time.Duration // between Child.Shutdown and Child.Kill; zero: DefaultShutdown (Infinity for a supervisor)
	Supervisor bool          // the child is itself a supervisor; used for Shutdown's default and for counting
	// Significant children decide about the AutoShutdown of their supervisor. A Permanent one cannot be significant.
	Significant bool
	Backoff     Backoff // zero: no delay ever, as in OTP
}

// Backoff spaces out the restarts of one child. The first restart, and any restart after an uptime of at least Reset,
// is at once; the k-th one after that waits Min·Factor^k, at most Max, varied by ±Jitter.
type Backoff struct {
	Min, Max time.Duration // Min zero: no back-off at all; Max zero: Min is the only step
	Factor   float64       // below 1 means 2
	Jitter   float64       // fraction of the delay, 0 to 1: 0.2 varies it by ±20 %
	Reset    time.Duration // uptime after which a child counts as healthy; zero: only after the period of Flags
}

func name(what string, i int, names ...string) string {
	if i >= 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%s(%d)", what, i)
}
