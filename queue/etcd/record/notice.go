package record

import (
	"time"

	"semper/queue"
)

// Notice is what the dispatcher has to know of a change: from the commit itself, or from the bell.
type Notice struct {
	Kind    string    `json:"k"`
	ID      queue.ID  `json:"i,omitzero"`
	Meta    *Meta     `json:"m,omitempty"` // of a new job, or one that is queued behind the others again
	Attempt int       `json:"n,omitempty"`
	Due     time.Time `json:"u,omitzero"`
	Noted   bool      `json:"d,omitempty"` // there is a record under delay
	Token   int64     `json:"t,omitempty"`
	Packed  bool      `json:"l,omitempty"` // what is over stood in a block
}

// Kinds of notices.
const (
	Add    = "add"
	Back   = "back"
	Bury   = "bury"
	End    = "end"
	Extend = "extend"
	Pause  = "pause"
	Resume = "resume"
)
