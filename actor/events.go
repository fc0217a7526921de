package actor

import (
	"context"
	"time"

	"semper/actor/telemetry"
)

// What the kernel tells by package telemetry, on its Default bus. Handlers run in the goroutine in which it happens and
// must not block. While nobody is attached, each costs one atomic load in the life of a process; messages have none.
var (
	// EventStart: "actor.process.start", a start was acknowledged.
	EventStart = telemetry.NewEmitter[StartMeasurements, PID](nil, "actor.process.start")
	// EventStop: "actor.process.stop", a process that had started has ended, and everyone who must know has been told.
	EventStop = telemetry.NewEmitter[StopMeasurements, PID](nil, "actor.process.stop")
	// EventCrash: "actor.process.crash", there is a crash report; the Reporter gets it too.
	EventCrash = telemetry.NewEmitter[StopMeasurements, CrashReport](nil, "actor.process.crash")
)

// StartMeasurements of EventStart.
type StartMeasurements struct {
	Init time.Duration // how long the start took
}

// StopMeasurements of EventStop and EventCrash.
type StopMeasurements struct {
	Uptime   time.Duration
	Messages uint64 // handled
}

func (p *process) tellStart() {
	if EventStart.Listening() {
		EventStart.Execute(p.values(), StartMeasurements{Init: time.Since(p.since)}, PID{p})
	}
}

// tellStop is called once, after the end.
func (p *process) tellStop() {
	if !EventStop.Listening() {
		return
	}
	p.mu.Lock()
	born, handled := p.born, p.handled
	p.mu.Unlock()
	if born {
		EventStop.Execute(p.values(), StopMeasurements{Uptime: time.Since(p.since), Messages: handled}, PID{p})
	}
}

func (p *process) tellCrash(c CrashReport) {
	if EventCrash.Listening() {
		EventCrash.Execute(p.values(), StopMeasurements{Uptime: c.Uptime, Messages: c.Messages}, c)
	}
}

// values is the context of a handler: that of the start, which does not end with the process.
func (p *process) values() context.Context { return p.base }
