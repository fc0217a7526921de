// Package waking has what control and edges tell each other of a service that may sleep. The first stands in the route table with the
// service's pool: edges are to keep its requests while it has no instance that is ready. The second they answer when they are asked.
//
// It does nothing: who starts instances, and who keeps requests, is elsewhere.
package waking

import "encoding/json"

// A Service may sleep, and wakes when somebody asks for something.
type Service struct {
	// Health is the path of its health check, by HTTP; empty where it has none. Who asks there wakes nobody: the service is well.
	Health string `json:"health,omitempty"`
	// Failed says that none is ready, and that one ended before it was.
	Failed bool `json:"failed,omitempty"`
}

// Encode is s as a route table has it.
func (s Service) Encode() json.RawMessage {
	b, err := json.Marshal(s)
	if err != nil { // text and a flag
		return nil
	}
	return b
}

// Read is what a route table says of a pool; nil where it says nothing, or what cannot be read.
func Read(b json.RawMessage) *Service {
	s := new(Service)
	if len(b) == 0 || json.Unmarshal(b, s) != nil {
		return nil
	}
	return s
}

// Told is what an edge tells of a service that may sleep.
type Told struct {
	Asked   uint64 `json:"asked"`             // requests since the edge began, each once at least, but for those that asked if it is well
	Waiting int    `json:"waiting,omitempty"` // for an instance, now
}
