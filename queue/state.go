package queue

import (
	"net/http"
	"strings"
	"time"
)

// State is where a job is in its life; see the package for how they follow each other.
type State string

// The states.
const (
	Queued    State = "queued"    // it starts as soon as order, bounds and its NotBefore let it
	Delayed   State = "delayed"   // an attempt failed; the next is due at a time
	Running   State = "running"   // an attempt holds its lease
	Done      State = "done"      // terminal: an attempt completed it
	Dead      State = "dead"      // terminal until an operator's Retry: no attempt completed it
	Discarded State = "discarded" // terminal: an operator took it out
	Expired   State = "expired"   // terminal: its time to live ended before an attempt began
)

// States are all states, in the order of a life.
var States = []State{Queued, Delayed, Running, Done, Dead, Discarded, Expired}

// Terminal is whether nothing happens to a job in s by itself.
func (s State) Terminal() bool { return s == Done || s == Dead || s == Discarded || s == Expired }

// Attempt is one start of a job and how it ended.
type Attempt struct {
	Number  int       `json:"number"` // from 1
	Started time.Time `json:"started"`
	Ended   time.Time `json:"ended,omitzero"`
	Status  int       `json:"status,omitempty"`
	Reason  string    `json:"reason,omitempty"` // "the lease ended" for one that was not heard of
	Worker  string    `json:"worker,omitempty"` // who claimed it
}

// Result is the response that a job was answered with.
type Result struct {
	Status int         `json:"status"`
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"-"`
}

// Status is everything a queue knows of a job but its request.
type Status struct {
	ID        ID        `json:"id"`
	State     State     `json:"state"`
	Key       string    `json:"key,omitempty"`
	Priority  int       `json:"priority,omitempty"`
	Accepted  time.Time `json:"accepted"`
	NotBefore time.Time `json:"not_before,omitzero"`
	Expires   time.Time `json:"expires,omitzero"`
	Due       time.Time `json:"due,omitzero"`   // of the next attempt, when delayed
	Ended     time.Time `json:"ended,omitzero"` // when it became terminal
	Size      int64     `json:"size"`
	Attempts  []Attempt `json:"attempts,omitempty"` // the newest MaxHistory, oldest first
	Why       string    `json:"why,omitempty"`      // it is dead, discarded or expired
	Result    *Result   `json:"result,omitempty"`   // when done; when dead, the last attempt's, if it had one
	Kept      time.Time `json:"kept,omitzero"`      // until when a terminal job is remembered
}

// Told is why a job has ended, as its client is told: who discarded it is not for clients to know.
func (s Status) Told() string {
	if s.State == Discarded {
		return ""
	}
	return s.Why
}

// MaxHistory is how many attempts of one job are kept, and MaxReason how many bytes of a reason.
const (
	MaxHistory = 32
	MaxReason  = 1 << 10
)

// Lease is the right to end one attempt of a job. It can be written down and used by any process.
type Lease struct {
	ID      ID    `json:"id"`
	Attempt int   `json:"attempt"` // from 1
	Token   int64 `json:"token"`   // the engine's revision of the claim: below that of a later Pause, above that of an earlier one
}

// Claim is a job to do now.
type Claim struct {
	Job
	Lease Lease
	For   time.Duration // how long the lease holds from now, at least; extend it before
}

// By is who does something to a queue, and why.
type By struct {
	Who string `json:"who"`
	Why string `json:"why,omitempty"`
}

// Deed is what an operator did.
type Deed struct {
	By
	At   time.Time `json:"at"`
	What string    `json:"what"` // pause, resume, retry, discard
	IDs  []ID      `json:"ids,omitempty"`
}

// Pause is a queue that hands out nothing.
type Pause struct {
	By
	Since    time.Time `json:"since"`
	Revision int64     `json:"-"` // of the engine: every claim has a lower one, or one above Resume's
}

// Stats are a queue in numbers.
type Stats struct {
	Queued  int   `json:"queued"`
	Delayed int   `json:"delayed"`
	Running int   `json:"running"`
	Dead    int   `json:"dead"`
	Bytes   int64 `json:"bytes"` // of all these

	Oldest     time.Time `json:"oldest,omitzero"` // accepted, of what is queued and may start
	Paused     *Pause    `json:"paused,omitempty"`
	Dispatcher string    `json:"dispatcher,omitempty"` // the process that hands out jobs
	Full       bool      `json:"full,omitempty"`       // Enqueue refuses
}

// Age is how long the oldest job that may start has waited.
func (s Stats) Age(now time.Time) time.Duration {
	if s.Oldest.IsZero() {
		return 0
	}
	return max(0, now.Sub(s.Oldest))
}

// Remember adds an attempt to a job's history, of which the newest MaxHistory are kept. It changes no list that others
// hold.
func Remember(history []Attempt, a Attempt) []Attempt {
	if len(a.Reason) > MaxReason {
		a.Reason = strings.ToValidUTF8(a.Reason[:MaxReason], "") + "…"
	}
	from := max(0, len(history)+1-MaxHistory)
	return append(append(make([]Attempt, 0, len(history)-from+1), history[from:]...), a)
}

// LeaseEnded is the failure of an attempt that was not heard of.
func LeaseEnded() Failure { return Failure{Reason: "the lease ended"} }
