package config

import (
	"strings"

	"semper"
	"semper/autoscale"
)

// scale is by what the number of a service's instances changes by itself.
type scale struct {
	Min         int             `yaml:"min" jsonschema:"minimum=0,maximum=1000,example=1" doc:"How many run at least; 1 when left out. 0 lets the service sleep while nobody asks for anything; the next request or job wakes it."`
	Max         int             `yaml:"max" jsonschema:"required,minimum=1,maximum=1000,example=10" doc:"How many run at most."`
	InFlight    int             `yaml:"in_flight" jsonschema:"minimum=1,maximum=1000000,example=20" doc:"How many requests each is meant to have, in flight or waiting. 20 for a service that takes requests, when no other target is given."`
	QueueDepth  int             `yaml:"queue_depth" jsonschema:"minimum=1,maximum=10000000,example=100" doc:"How many waiting jobs each is meant to have before it. 100 for a service with a queue, when no other target is given."`
	QueueAge    semper.Duration `yaml:"queue_age" jsonschema:"example=10s" doc:"How long the oldest waiting job is meant to wait. 10s for a service with a queue, when no other target is given."`
	Up          scaleUp         `yaml:"up" doc:"How fast more are started."`
	Down        scaleDown       `yaml:"down" jsonschema:"example={after: 5m}" doc:"How fast they are taken away again. Those that have nothing in hand go first."`
	ToZeroAfter semper.Duration `yaml:"to_zero_after" jsonschema:"example=15m" doc:"How long a service with min: 0 has had nothing to do when it falls asleep. 15m when left out."`
}

// scaleUp is how fast a number follows a load that grows.
type scaleUp struct {
	After semper.Duration `yaml:"after" jsonschema:"example=30s" doc:"How long more have to have been needed. At once when left out."`
	Step  int             `yaml:"step" jsonschema:"minimum=1,maximum=1000,example=2" doc:"How many at once. As many as there are, and 4 at least, when left out."`
}

// scaleDown is how fast a number follows a load that shrinks.
type scaleDown struct {
	After semper.Duration `yaml:"after" jsonschema:"example=10m" doc:"How long fewer have to have been enough. 5m when left out."`
	Step  int             `yaml:"step" jsonschema:"minimum=1,maximum=1000,example=1" doc:"How many at once. Half of them when left out."`
}

// scale looks at by what the number of a service's instances changes.
func (c *checker) scale(path string, s service) {
	path += ".scale"
	if !c.given(path) || c.hasProblem(path) {
		return
	}
	requests, jobs := c.takes(path, s)
	for _, f := range c.scaling(path, s).Check(requests, jobs) {
		at := path
		if f.Key != "" {
			at = join(path, f.Key)
		}
		if !c.given(at) {
			at = path
		}
		c.problem(at, f.Message, f.Hint)
	}
}

// takes reports what the service whose scale is at path takes.
func (c *checker) takes(path string, s service) (requests, jobs bool) {
	of := strings.TrimSuffix(path, ".scale")
	jobs = c.queued(of)
	return s.isWeb() || jobs && c.given(of+".listen"), jobs
}

// scaling is s's scale as package autoscale has it.
func (c *checker) scaling(path string, s service) autoscale.Policy {
	p := autoscale.Policy{
		Min: s.Scale.Min, Max: s.Scale.Max, InFlight: s.Scale.InFlight, QueueDepth: s.Scale.QueueDepth, QueueAge: s.Scale.QueueAge,
		Up: autoscale.Pace(s.Scale.Up), Down: autoscale.Pace(s.Scale.Down), ToZeroAfter: s.Scale.ToZeroAfter,
	}
	if !c.given(path + ".min") {
		p.Min = 1
	}
	_, jobs := c.takes(path, s)
	return p.WithDefaults(s.isWeb(), jobs)
}
