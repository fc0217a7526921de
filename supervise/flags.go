package supervise

import "time"

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

// AutoShutdown says when a supervisor ends because of its significant children. It looks only at a significant child
// that ended by itself and is not restarted: a Transient one that ended well, a Temporary one that ended in whatever way.
// One that was terminated, or stopped for a sibling's sake, is no cause.
type AutoShutdown int

const (
	Never          AutoShutdown = iota
	AnySignificant              // with the first one
	AllSignificant              // with the last one: no other significant child runs or is being restarted
)

func (a AutoShutdown) String() string {
	return name("auto-shutdown", int(a), "never", "any_significant", "all_significant")
}

// Flags are the settings of one supervisor.
type Flags struct {
	Name     string // for events and messages
	Strategy Strategy
	// Intensity is the number of restarts allowed within Period; one more and the supervisor gives up. Every attempt
	// counts, failed ones too, and all children share the one window.
	Intensity int
	Period    time.Duration // inclusive, monotonic; zero: 5s
	GiveUp    GiveUp
	// AutoShutdown ends the supervisor with Shutdown and ErrAutoShutdown in Err. It has no use where the supervisor is
	// itself Permanent: it would be restarted.
	AutoShutdown AutoShutdown
}
