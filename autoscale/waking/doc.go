// Package waking has what control tells edges of a service that may sleep, and has no instance that is ready: that they are to keep
// its requests, and tell control, who starts one. It stands in the route table with the service's pool.
//
// It does nothing: who starts instances, and who keeps requests, is elsewhere.
package waking

import "encoding/json"

// A Service has no instance that is ready, and wakes when somebody asks for something.
type Service struct {
	// Health is the path of its health check, by HTTP; empty where it has none. Who asks there wakes nobody: the service is well.
	Health string `json:"health,omitempty"`
	// Failed says that its newest instance ended before it was ready.
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
