package api

import (
	"strings"

	"semper"
)

// A HoldRequest says whose requests are to wait, or to go on: those to a service, those of a route, by its host and path, or with
// neither all of the environment.
type HoldRequest struct {
	Service string          `json:"service,omitempty"`
	Route   string          `json:"route,omitempty"`
	Writes  bool            `json:"writes,omitempty"` // only unsafe methods; a hold's
	For     semper.Duration `json:"for,omitempty"`    // after which it ends by itself; 0: when it is ended
	By      string          `json:"by,omitempty"`
}

// holdBody is a HoldRequest with what it is for.
type holdBody struct {
	App         string `json:"app,omitempty"`
	Environment string `json:"environment,omitempty"`
	HoldRequest
}

// Waiting is how many requests wait at the edges where h holds them. A line may be held by more than one.
func (s *Status) Waiting(h semper.Hold) int {
	n := 0
	for _, e := range s.Edges {
		if h.Route != "" {
			n += e.Waiting[h.Route]
			continue
		}
		own := semper.NamePool(s.App, s.Environment, h.Service)
		for k, waiting := range e.Held {
			if k == own || strings.HasPrefix(string(k), string(own)+"@") || h.Service == "" && strings.HasPrefix(string(k), string(own)) {
				n += waiting
			}
		}
	}
	return n
}

// HoldWords say what h holds: "all requests", "writes to service web".
func HoldWords(h semper.Hold) string {
	what := "all requests"
	if h.Writes {
		what = "writes"
	}
	switch {
	case h.Service != "":
		return strings.TrimPrefix(what, "all ") + " to service " + h.Service
	case h.Route != "":
		return strings.TrimPrefix(what, "all ") + " of route " + h.Route
	}
	return what
}
