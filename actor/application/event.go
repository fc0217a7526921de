package application

import (
	"context"
	"log/slog"
	"time"

	"semper/supervise"
)

// EventKind says what happened to an application.
type EventKind int

const (
	Started        EventKind = iota // its Start and its phases have returned
	StartFailed                     // Err says why
	Ended                           // by itself; Decision says what follows
	Stopped                         // on purpose, or with the others
	CallbackFailed                  // its PrepStop or its Stop returned an error or panicked; nothing follows
)

func (k EventKind) String() string {
	return name("event", int(k), "started", "start-failed", "ended", "stopped", "callback-failed")
}

// An Event is one fact about one application.
type Event struct {
	Name     string
	Kind     EventKind
	At       time.Time
	Type     Type
	Reason   supervise.Reason // of Ended and Stopped
	Err      error            // of StartFailed and CallbackFailed
	Decision string           // of Ended: what the controller does about it, in words
}

// The decisions about an end.
const (
	decideNone  = "none"
	decideStop  = "stop all"
	decideBreak = "break the start off"
)

// emit tells of one event after the other; c.mu is not held.
func (c *Controller) emit(e Event) {
	e.At = time.Now()
	c.observing.Lock()
	defer c.observing.Unlock()
	c.observe(e)
}

// logged is what becomes of events that nobody observes: what is as wanted is no news.
func logged(e Event) {
	level := slog.LevelDebug
	args := []any{"application", e.Name, "type", e.Type.String()}
	switch e.Kind {
	case StartFailed, CallbackFailed:
		level = slog.LevelError
	case Ended:
		level = slog.LevelWarn
		if e.Decision == decideStop {
			level = slog.LevelError
		}
		args = append(args, "reason", e.Reason.String(), "decision", e.Decision)
	case Stopped:
		args = append(args, "reason", e.Reason.String())
	}
	if e.Err != nil {
		args = append(args, "error", e.Err)
	}
	slog.Log(context.Background(), level, "application "+e.Kind.String(), args...)
}
