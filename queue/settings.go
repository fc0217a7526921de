package queue

import (
	"encoding/json"
	"net/netip"
)

// Settings are what a service says of its queue: how it is worked, and what of a request decides its lane.
type Settings struct {
	Policy
	KeyField  string     `json:"key_field,omitempty"` // the header field whose value is Job.Key; empty: jobs have none
	Callbacks *Callbacks `json:"callbacks,omitempty"` // nil: nobody is told how jobs end
}

// Callbacks are how clients are told of the ends of their jobs: see package queue/callback.
type Callbacks struct {
	Secret   string         `json:"secret"`             // name of the app's secret that signs them
	To       string         `json:"to,omitempty"`       // who is told where a request names nobody
	Hosts    []string       `json:"hosts,omitempty"`    // names that clients may give; empty: any
	Networks []netip.Prefix `json:"networks,omitempty"` // of addresses that are not public, and allowed
}

// ReadSettings reads what a release has stored. What a newer semper says beside is passed over.
func ReadSettings(stored json.RawMessage) (s Settings, err error) {
	if err = json.Unmarshal(stored, &s); err != nil {
		return s, invalid("settings of a queue: "+err.Error(), "deploy the app again")
	}
	return s, s.Check()
}
