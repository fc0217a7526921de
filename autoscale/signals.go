package autoscale

import "time"

// Signals are what is seen of a service now.
type Signals struct {
	// Placed is how many instances should run now, on their way up or ready; Ready how many of them are, and Busy how many have
	// anything in hand.
	Placed, Ready, Busy int

	Requests *Requests // nil: not known
	Queue    *Queue    // nil: not known

	// Rollout says that a move of the environment is under way, Held that somebody has its requests wait.
	Rollout, Held bool
}

// Requests are those to a service at all edges.
type Requests struct {
	InFlight int  // at its instances
	Waiting  int  // for one
	Recent   bool // there was one since the signals before these
}

// Queue is that of a service.
type Queue struct {
	Depth   int           // jobs that could start
	Running int           // jobs that have started
	Age     time.Duration // of the oldest that could start
	Paused  bool          // none is handed out
}

// idle reports whether there was certainly nothing to do for a service with policy p.
func (s *Signals) idle(p Policy) bool {
	switch {
	case s.missing(p) || s.Busy > 0:
		return false
	case s.Requests != nil && (s.Requests.InFlight > 0 || s.Requests.Waiting > 0 || s.Requests.Recent):
		return false
	}
	return s.Queue == nil || (s.Queue.Depth == 0 || s.Queue.Paused) && s.Queue.Running == 0
}

// missing reports whether something is not known that the policy goes by. Requests always are: whatever a service takes comes as one
// in the end, or might.
func (s *Signals) missing(p Policy) bool {
	return s.Requests == nil || p.queue() && s.Queue == nil
}

func (p Policy) queue() bool { return p.QueueDepth > 0 || p.QueueAge > 0 }
