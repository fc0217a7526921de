package supervise

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// A Supervisor runs children and restarts them. It is itself a Child, so that trees nest. All methods are safe for
// concurrent use. Those that take a context wait for the outcome; the end of the context ends only the waiting. With one
// that is over already, nothing is done.
type Supervisor struct{ loop }

// Start starts a supervisor and its children, from first to last, each after the one before has acknowledged. If one
// does not start, those before it are stopped in reverse order and the error is a *StartError; settings that have no
// meaning give an *InvalidError. The end of ctx breaks the start off in the same way; after Start has returned, ctx
// gives only its values. When Start returns an error, nothing of the supervisor runs any more, which takes as long as
// its children take to stop.
func Start(ctx context.Context, f Flags, children []ChildSpec, o Options) (*Supervisor, error) {
	if err := validate(&f, children); err != nil {
		return nil, err
	}
	s := new(Supervisor)
	if err := s.launch(ctx, newCore(f, children, time.Now(), o.rand()), o); err != nil {
		return nil, err
	}
	return s, nil
}

// launch starts the loop, and returns when the first starts are over.
func (l *loop) launch(ctx context.Context, c *core, o Options) error {
	if err := usable(ctx); err != nil {
		return fmt.Errorf("start of supervisor %s: %w", c.flags.Name, err)
	}
	l.observe, l.base, l.core = o.Observe, &inherited{ctx}, c
	c.unheard = o.Observe == nil
	l.box.wake = make(chan struct{}, 1)
	l.done, l.gone, l.released = make(chan struct{}), make(chan struct{}), make(chan struct{})
	boot := &call{op: opBoot, ret: make(chan error, 1)}
	l.box.put(boot)
	go l.run()
	select {
	case err := <-boot.ret:
		return l.launched(err)
	case <-ctx.Done():
	}
	select {
	case err := <-boot.ret: // it was over before ctx was
		return l.launched(err)
	default:
	}
	err := fmt.Errorf("start of supervisor %s: %w", c.flags.Name, context.Cause(ctx))
	l.box.put(stop{reason: Reason{Kind: Shutdown, Err: err}})
	<-l.gone
	return err
}

// launched is what the first starts came to. After an error nothing runs any more.
func (l *loop) launched(err error) error {
	if err != nil {
		<-l.gone
	}
	return err
}

// usable refuses a context that nothing can be done with.
func usable(ctx context.Context) error {
	if ctx == nil {
		return flaw{"ctx", "is nil, want a context, such as context.Background()"}.of("")
	}
	return context.Cause(ctx)
}

func (o *Options) rand() func() float64 {
	if o.Rand == nil {
		return rand.Float64
	}
	return o.Rand
}

// StartChild adds a child at the end of the order and starts it. ErrAlreadyStarted and ErrAlreadyPresent tell that the
// id is taken, a *StartError that it did not start; then its spec is forgotten. ErrIgnore from its StartFunc is success.
func (s *Supervisor) StartChild(ctx context.Context, spec ChildSpec) error {
	if err := spec.check(0, s.Flags()); err != nil {
		return err
	}
	return s.ask(ctx, call{op: opStart, id: spec.ID, spec: spec})
}

// TerminateChild stops a child and whatever restarting of it was planned, and returns when nothing of it is left. Its
// spec stays, except a Temporary's, and a restart that the strategy makes for a sibling's sake revives it, as in OTP.
// Terminating a child that does not run is success.
func (s *Supervisor) TerminateChild(ctx context.Context, id string) error {
	return s.ask(ctx, call{op: opTerminate, id: id})
}

// RestartChild starts a child that does not run. Its restarts so far are forgiven by its back-off, not by the window.
func (s *Supervisor) RestartChild(ctx context.Context, id string) error {
	return s.ask(ctx, call{op: opRestart, id: id})
}

// DeleteChild forgets the spec of a child that does not run.
func (s *Supervisor) DeleteChild(ctx context.Context, id string) error {
	return s.ask(ctx, call{op: opDelete, id: id})
}

// Nudge cuts the back-off of a child short: the attempt it waits for is made now. Without one it does nothing.
func (s *Supervisor) Nudge(id string) { s.box.put(nudge{id: id}) }

// Change replaces the flags and specs while the children run, as OTP's code_change does. It starts and stops nothing: a
// child whose id is among the specs lives on and takes its new spec at the next restart, and its place in the order of
// the list; one whose id is not is kept as it is, after those of the list; a new id is added without being started,
// which is left to RestartChild or to a round of the strategy. Restarts already counted still count.
//
// Where an OTP supervisor would be busy, Change waits. It fails with an *InvalidError where Start would, changing
// nothing.
func (s *Supervisor) Change(ctx context.Context, f Flags, children []ChildSpec) error {
	if err := validate(&f, children); err != nil {
		return err
	}
	return s.ask(ctx, call{op: opChange, to: &settings{flags: f, specs: slices.Clone(children)}})
}

// Flags returns the settings, with their defaults filled in.
func (s *Supervisor) Flags() Flags {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.flags
}
