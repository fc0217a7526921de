package queue

import "encoding/json"

// Settings are what a service says of its queue: how it is worked, and what of a request decides its lane.
type Settings struct {
	Policy
	KeyField string `json:"key_field,omitempty"` // the header field whose value is Job.Key; empty: jobs have none
}

// ReadSettings reads what a release has stored. What a newer semper says beside is passed over.
func ReadSettings(stored json.RawMessage) (s Settings, err error) {
	if err = json.Unmarshal(stored, &s); err != nil {
		return s, invalid("settings of a queue: "+err.Error(), "deploy the app again")
	}
	return s, s.Check()
}
