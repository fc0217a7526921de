package semper

import "time"

// An Event is a fact that happened: appended, never edited.
type Event struct {
	Seq         int64       `json:"seq"` // rises by one per event
	At          time.Time   `json:"at"`
	Kind        string      `json:"kind"` // "rollout.connect", "instance.crashed", "hold.begun" …
	App         string      `json:"app,omitempty"`
	Environment string      `json:"environment,omitempty"`
	Release     ReleaseName `json:"release,omitempty"`
	Instance    InstanceID  `json:"instance,omitempty"`
	Rollout     string      `json:"rollout,omitempty"`
	Run         string      `json:"run,omitempty"` // of a pipeline
	Epoch       Epoch       `json:"epoch,omitempty"`
	By          string      `json:"by,omitempty"`
	Message     string      `json:"message"` // one line for a person
	Crash       string      `json:"crash,omitempty"`
}
