package task

import (
	"context"
	"fmt"
	"time"

	"semper/actor"
	"semper/supervise"
)

// An Option says how a task is started.
type Option func(settings) settings

type settings struct {
	nolink   bool
	label    string
	under    *Supervisor
	below    bool // under was given, also when it is nil
	shutdown time.Duration
	restart  supervise.RestartType
	restarts bool // restart was given
}

func gather(o []Option) settings {
	var s settings
	for _, f := range o {
		if f != nil {
			s = f(s)
		}
	}
	return s
}

// Nolink keeps the crash of a task from ending the process that owns it, and the end of that process from ending the
// task: async_nolink of Elixir. With a plain goroutine as the owner it changes nothing.
func Nolink() Option {
	return func(s settings) settings { s.nolink = true; return s }
}

// Label is what the process of the task is called in reports and trees. Without it that is the name of its function.
func Label(text string) Option {
	return func(s settings) settings { s.label = text; return s }
}

// Under starts the task as a child of a supervisor, which counts it, lists it, ends it when it ends itself, and says
// who blocks that. Values still come from the context of the start, and crash reports name the caller. A task that is
// linked to its owner is so besides.
func Under(sup *Supervisor) Option {
	return func(s settings) settings { s.under, s.below = sup, true; return s }
}

// Shutdown is how long a task under a supervisor may take to end when that ends it: as ChildSpec.Shutdown.
func Shutdown(d time.Duration) Option {
	return func(s settings) settings { s.shutdown = d; return s }
}

// Restart makes a supervisor restart what Start started under it: as ChildSpec.Restart. Without it, it is Temporary.
func Restart(r supervise.RestartType) Option {
	return func(s settings) settings { s.restart, s.restarts = r, true; return s }
}

// check refuses what has no meaning, in words that say what has.
func check(ctx context.Context, noFn bool, s settings) error {
	switch {
	case ctx == nil:
		return fmt.Errorf("%w: a task wants a context, such as context.Background()", actor.ErrInvalid)
	case noFn:
		return fmt.Errorf("%w: a task wants a function, not nil", actor.ErrInvalid)
	case s.below && s.under == nil:
		return fmt.Errorf("%w: Under wants a supervisor, not nil: make one by NewSupervisor", actor.ErrInvalid)
	case !s.below && (s.restarts || s.shutdown != 0):
		return fmt.Errorf("%w: Restart and Shutdown are what a supervisor does: give Under too", actor.ErrInvalid)
	case ctx.Err() != nil:
		return fmt.Errorf("start of a task: the context was over before it: %w", context.Cause(ctx))
	}
	return nil
}

// once refuses to restart a task that has a result.
func once(s settings) error {
	if s.restarts {
		return fmt.Errorf("%w: Restart is for Start: a task with a result runs once", actor.ErrInvalid)
	}
	return nil
}
