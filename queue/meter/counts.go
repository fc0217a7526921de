package meter

import (
	"time"

	"semper/queue"
)

// Counts are what happened to a queue's jobs in some time.
type Counts struct {
	Accepted    uint64 `json:"accepted"`    // durable, and not there before
	Duplicate   uint64 `json:"duplicate"`   // there before, under the same idempotency key
	Full        uint64 `json:"full"`        // refused: the backlog was at its bound
	Invalid     uint64 `json:"invalid"`     // refused: the body too large, the key another request's, a field that cannot be
	Unavailable uint64 `json:"unavailable"` // not known to be accepted: the store was away, or the client
	Attempts    uint64 `json:"attempts"`    // begun
	Failed      uint64 `json:"failed"`      // attempts that completed nothing: by an answer, for want of one, or with their lease
	Done        uint64 `json:"done"`        // jobs
	Dead        uint64 `json:"dead"`        // jobs that no attempt completed
}

// Add is c and o together.
func (c Counts) Add(o Counts) Counts {
	return Counts{
		c.Accepted + o.Accepted, c.Duplicate + o.Duplicate, c.Full + o.Full, c.Invalid + o.Invalid, c.Unavailable + o.Unavailable,
		c.Attempts + o.Attempts, c.Failed + o.Failed, c.Done + o.Done, c.Dead + o.Dead,
	}
}

// Sub is what c has more than o, an earlier reading of the same counters.
func (c Counts) Sub(o Counts) Counts {
	return Counts{
		c.Accepted - o.Accepted, c.Duplicate - o.Duplicate, c.Full - o.Full, c.Invalid - o.Invalid, c.Unavailable - o.Unavailable,
		c.Attempts - o.Attempts, c.Failed - o.Failed, c.Done - o.Done, c.Dead - o.Dead,
	}
}

const (
	// Step is the time between two points.
	Step = 10 * time.Second
	// Kept is how many points are remembered: an hour.
	Kept = 360
	// minute is over how many points back [Reading.Lately] reaches.
	minute = 6
)

// A Point is what happened in the time before At, since the point before it, and how the queue stood then.
type Point struct {
	At       time.Time `json:"at"`
	Accepted uint64    `json:"accepted,omitempty"`
	Failed   uint64    `json:"failed,omitempty"` // attempts
	Done     uint64    `json:"done,omitempty"`
	Dead     uint64    `json:"dead,omitempty"`

	Waiting int     `json:"waiting,omitempty"` // jobs queued or delayed
	Running int     `json:"running,omitempty"`
	Buried  int     `json:"buried,omitempty"` // jobs that are dead
	Oldest  float64 `json:"oldest,omitempty"` // seconds that the first of what may start has waited
	Blind   bool    `json:"blind,omitempty"`  // the queue could not be asked how it stands
}

// A Reading is all that is counted of a queue.
type Reading struct {
	Service queue.Service `json:"service"`
	Since   time.Time     `json:"since"` // counters were 0
	At      time.Time     `json:"at"`
	Stats   queue.Stats   `json:"stats"`
	Blind   bool          `json:"blind,omitempty"` // Stats are not known

	Total  Counts        `json:"total"`
	Lately Counts        `json:"lately"` // of the last minute or so
	Over   time.Duration `json:"over"`   // which is so long

	Jobs     Histogram `json:"jobs"`     // from when a job might start to when it was done
	Attempts Histogram `json:"attempts"` // from when one began to when it ended, whichever way
	Recent   Histogram `json:"recent"`   // Jobs of the last five to ten minutes

	Past []Point `json:"past,omitempty"` // oldest first; only where it is asked for
}
