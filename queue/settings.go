package queue

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"time"
)

// Settings are what a service says of its queue: how it is worked, what of a request decides its lane, and what clients may ask.
type Settings struct {
	Policy
	KeyField   string     `json:"key_field,omitempty"`   // the header field whose value is Job.Key; empty: see KeyPointer
	KeyPointer string     `json:"key_pointer,omitempty"` // where in a body of JSON it is (RFC 6901); both empty: jobs have none
	Wishes     Wishes     `json:"wishes,omitzero"`
	Callbacks  *Callbacks `json:"callbacks,omitempty"` // nil: nobody is told how jobs end

	Longest   time.Duration `json:"longest,omitempty"`    // of an attempt that gives signs of life within each lease; 0: a lease
	Alive     bool          `json:"alive,omitempty"`      // an instance that has not closed the connection is a sign of life
	MaxAnswer int           `json:"max_answer,omitempty"` // of one response's body that is kept; 0: 16 MiB
}

// Wishes are how far clients may go with what they ask for their jobs.
type Wishes struct {
	Priority int           `json:"priority,omitempty"` // the highest; 0: an ordinary one
	Delay    time.Duration `json:"delay,omitempty"`    // the longest until a job may start; 0: 24 h
}

// Callbacks are how clients are told of the ends of their jobs: see package queue/callback.
type Callbacks struct {
	Secret   string         `json:"secret"`             // name of the app's secret that signs them
	To       string         `json:"to,omitempty"`       // who is told where a request names nobody
	Hosts    []string       `json:"hosts,omitempty"`    // names that clients may give; empty: any
	Networks []netip.Prefix `json:"networks,omitempty"` // of addresses that are not public, and allowed
}

// MaxAnswer is the most that Settings.MaxAnswer may be: an answer is in memory while it is stored and sent.
const MaxAnswer = 64 << 20

// Filled is s with its defaults.
func (s Settings) Filled() Settings {
	s.Policy = s.Policy.Filled()
	fill(&s.Wishes.Delay, 24*time.Hour)
	fill(&s.MaxAnswer, 16<<20)
	s.Longest = max(s.Longest, s.Lease)
	return s
}

// Check is nil when a queue can go by s, else it names the first thing that is wrong.
func (s Settings) Check() error {
	switch {
	case s.KeyField != "" && s.KeyPointer != "":
		return invalid("two keys of a request", "a field of its header, or a place in its body")
	case s.Wishes.Priority < -9 || s.Wishes.Priority > 9:
		return invalid(fmt.Sprintf("priority %d is not from -9 to 9", s.Wishes.Priority), "0 is ordinary, higher is earlier")
	case s.Wishes.Delay < 0 || s.Longest < 0:
		return invalid("a time below zero", "leave it out for its default")
	case s.Longest != 0 && s.Longest < s.Policy.Filled().Lease:
		return invalid("the longest attempt is shorter than a timeout", "make it longer, or leave it out: nothing is extended then")
	case s.MaxAnswer < 0 || s.MaxAnswer > MaxAnswer:
		return invalid(fmt.Sprintf("an answer of %d bytes is more than the %d that are kept", s.MaxAnswer, MaxAnswer), "put large answers where the client can fetch them, and answer with their address")
	}
	if s.KeyPointer != "" {
		if _, err := ReadPointer(s.KeyPointer); err != nil {
			return err
		}
	}
	return s.Policy.Check()
}

// ReadSettings reads what a release has stored. What a newer semper says beside is passed over.
func ReadSettings(stored json.RawMessage) (s Settings, err error) {
	if err = json.Unmarshal(stored, &s); err != nil {
		return s, invalid("settings of a queue: "+err.Error(), "deploy the app again")
	}
	return s, s.Check()
}
