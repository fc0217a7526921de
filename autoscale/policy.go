package autoscale

import (
	"encoding/json"
	"fmt"
	"time"

	"semper"
)

// A Policy is by what a service is scaled, as a release keeps it. A signal whose target is 0 is not looked at.
type Policy struct {
	Min int `json:"min"` // 0: it may sleep
	Max int `json:"max"`
	// InFlight is how many requests, in flight or waiting for an instance, each instance is meant to have.
	InFlight int `json:"in_flight,omitempty"`
	// QueueDepth is how many jobs that could start each instance is meant to have before it.
	QueueDepth int `json:"queue_depth,omitempty"`
	// QueueAge is how long the oldest job that could start is meant to wait.
	QueueAge semper.Duration `json:"queue_age,omitempty"`
	Up       Pace            `json:"up,omitzero"`
	Down     Pace            `json:"down,omitzero"`
	// ToZeroAfter is how long a service with Min 0 has had nothing to do when the last of its instances go.
	ToZeroAfter semper.Duration `json:"to_zero_after,omitempty"`
}

// Pace is how fast something follows the load.
type Pace struct {
	// After is how long the load has to have asked for it.
	After semper.Duration `json:"after,omitempty"`
	// Step is how many instances come or go at once; 0: up as many as there are and at least [LeastStep], down half of them.
	Step int `json:"step,omitempty"`
}

// What a policy has where it says nothing, and what bounds it.
const (
	DefaultInFlight    = 20
	DefaultQueueDepth  = 100
	DefaultQueueAge    = semper.Duration(10 * time.Second)
	DefaultDownAfter   = semper.Duration(5 * time.Minute)
	DefaultToZeroAfter = semper.Duration(15 * time.Minute)
	LeastStep          = 4
	MaxInstances       = 1000
	// LongestAfter bounds how far back a service is remembered.
	LongestAfter = semper.Duration(24 * time.Hour)
)

// WithDefaults is p with its zero settings as documented: a service that names no signal is scaled by what it takes, requests or
// jobs or both.
func (p Policy) WithDefaults(requests, jobs bool) Policy {
	if p.InFlight == 0 && p.QueueDepth == 0 && p.QueueAge == 0 {
		if requests {
			p.InFlight = DefaultInFlight
		}
		if jobs {
			p.QueueDepth, p.QueueAge = DefaultQueueDepth, DefaultQueueAge
		}
	}
	if p.Down.After == 0 {
		p.Down.After = DefaultDownAfter
	}
	if p.Min == 0 && p.ToZeroAfter == 0 {
		p.ToZeroAfter = DefaultToZeroAfter
	}
	return p
}

// A Fault is what is wrong with a policy, by its key in semper.yaml below scale.
type Fault struct{ Key, Message, Hint string }

// Check tells what is wrong with the policy of a service that takes requests, jobs, or both; it is one with defaults.
func (p Policy) Check(requests, jobs bool) []Fault {
	var out []Fault
	wrong := func(key, message, hint string) { out = append(out, Fault{key, message, hint}) }
	switch {
	case !requests && !jobs:
		wrong("", "nothing tells how much it has to do: it takes neither requests nor jobs of a queue", "remove scale, and say how many with instances")
		return out
	case p.Max < 1:
		wrong("max", "it is not said how many may run at most", "max: 10")
	case p.Max > MaxInstances:
		wrong("max", fmt.Sprintf("%d instances: a service has %d at most", p.Max, MaxInstances), "")
	case p.Min < 0:
		wrong("min", fmt.Sprintf("%d instances is less than none", p.Min), "0 lets it sleep while nobody asks for anything")
	case p.Min > p.Max:
		wrong("min", fmt.Sprintf("min is %d, more than max with %d", p.Min, p.Max), "")
	}
	if p.InFlight != 0 && !requests {
		wrong("in_flight", "it takes no requests", "queue_depth or queue_age say how many jobs an instance is meant to have")
	}
	if p.QueueDepth != 0 && !jobs {
		wrong("queue_depth", "it has no queue", "in_flight says how many requests an instance is meant to have; a route with mode: async, or jobs of a worker, makes a queue")
	}
	if p.QueueAge != 0 && !jobs {
		wrong("queue_age", "it has no queue", "in_flight says how many requests an instance is meant to have; a route with mode: async, or jobs of a worker, makes a queue")
	}
	if p.InFlight < 0 {
		wrong("in_flight", "less than none", "")
	}
	if p.QueueDepth < 0 {
		wrong("queue_depth", "less than none", "")
	}
	if p.Min > 0 && p.ToZeroAfter != 0 {
		wrong("to_zero_after", fmt.Sprintf("with min: %d it never sleeps", p.Min), "min: 0 lets it sleep")
	}
	return append(out, p.checkTimes()...)
}

func (p Policy) checkTimes() (out []Fault) {
	for _, t := range []struct {
		key  string
		of   semper.Duration
		what string
	}{
		{"queue_age", p.QueueAge, ""}, {"up.after", p.Up.After, ""}, {"down.after", p.Down.After, ""}, {"to_zero_after", p.ToZeroAfter, ""},
	} {
		if t.of < 0 || t.of > LongestAfter {
			out = append(out, Fault{t.key, fmt.Sprintf("%s is not a time from 0s to %s", t.of, LongestAfter), ""})
		}
	}
	for _, step := range []struct {
		key string
		n   int
	}{{"up.step", p.Up.Step}, {"down.step", p.Down.Step}} {
		if step.n < 0 {
			out = append(out, Fault{step.key, "less than none", ""})
		}
	}
	return out
}

// Of is the policy of a service; false where it is not scaled by itself. One that cannot be read is none: the service stays as it is.
func Of(svc semper.Service) (p Policy, ok bool) {
	if len(svc.Autoscale) == 0 || json.Unmarshal(svc.Autoscale, &p) != nil || p.Max < 1 {
		return Policy{}, false
	}
	return p, true
}

// Encode is p as a release keeps it.
func (p Policy) Encode() json.RawMessage {
	b, err := json.Marshal(p)
	if err != nil { // numbers and text
		return nil
	}
	return b
}

// Within is n as a policy allows it for a service that a release begins with: at least one instance, which shows that it starts.
func (p Policy) Within(n int) int { return min(max(n, p.Min, 1), p.Max) }
