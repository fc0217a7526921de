package backlog

import (
	"time"

	"semper/queue"
)

// Entry is a job as the backlog knows it.
type Entry struct {
	ID       queue.ID
	Revision int64 // when it was accepted, which with Place is its order
	Place    int64 // among those accepted in one commit
	Priority int8
	Attempt  int32 // attempts begun
	Key      string
	Size     int64
	Accepted time.Time
	Expires  time.Time
	// At is the time that the present state waits for: when queued or delayed, of the start; when running, of the end of
	// the lease.
	At    time.Time
	Token int64 // of the running attempt
	// Note is the engine's own, about the present wait; it is gone when the job starts or waits anew.
	Note int64
	// Page is the engine's own too: where it has written down what is known of this job; 0 is nowhere.
	Page int32
	// Seen is the revision of the last change that the engine has told of, for engines that may hear of them out of turn.
	Seen int64

	state  phase
	lane   *lane
	inLane int32
	inTime int32 // in the heap of times, or that of leases
	inTTL  int32
	inAge  int32
}

// phase is a state as the backlog has it: picked is a job whose claim is being written down.
type phase uint8

const (
	waiting phase = iota
	picked
	running
	dead
)

// State is the entry's in the words of package queue.
func (e *Entry) State() queue.State {
	switch {
	case e.state == dead:
		return queue.Dead
	case e.state != waiting:
		return queue.Running
	case e.isLate() == 1:
		return queue.Delayed
	}
	return queue.Queued
}

// Waits is whether the job neither runs nor is dead.
func (e *Entry) Waits() bool { return e.state == waiting }

// isLate is 1 for a job that waits for its next attempt, else 0.
func (e *Entry) isLate() int {
	if e.state == waiting && e.Attempt > 0 && !e.At.IsZero() {
		return 1
	}
	return 0
}

// before is the order of acceptance.
func before(a, b *Entry) bool {
	if a.Revision != b.Revision {
		return a.Revision < b.Revision
	}
	return a.Place < b.Place
}

// sooner is the order in which free jobs start.
func sooner(a, b *Entry) bool {
	if a.Priority != b.Priority {
		return a.Priority > b.Priority
	}
	return before(a, b)
}

// lane is jobs that keep each other waiting.
type lane struct {
	key     string
	ordered bool
	width   int // that run at once; 0: no bound
	running int
	jobs    heap[*Entry]
	inOpen  int32
}

func newLane(key string, ordered bool, width int) *lane {
	less := sooner
	if ordered {
		less = before
	}
	return &lane{key: key, ordered: ordered, width: width, jobs: heap[*Entry]{less: less, at: func(e *Entry) *int32 { return &e.inLane }}}
}

func (l *lane) empty() bool { return l.running == 0 && l.jobs.len() == 0 }
