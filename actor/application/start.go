package application

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"semper/supervise"
)

// start is one call of Start or EnsureAllStarted that has its turn.
type start struct {
	c      *Controller
	ctx    context.Context // ends when the start is to be broken off
	cancel context.CancelCauseFunc
	runs   []*run // what it has started, in this order
}

// Start starts one application, all of whose dependencies run already, and returns when its Start and its phases have.
// ErrAlreadyStarted says that it runs, a *NotStartedError which dependency does not, a *StartError that it did not come
// up. There is one start at a time: others wait for their turn. When another call has started the same application
// meanwhile, its outcome is that of this one too, unless it was broken off.
//
// The end of ctx breaks the start off. When Start returns an error, nothing of the application runs any more, which
// takes as long as that takes. Afterwards ctx gives only its values.
func (c *Controller) Start(ctx context.Context, app string) error {
	since := c.runsBefore(app)
	s, err := c.begin(ctx, "Start")
	if err != nil {
		return err
	}
	defer s.finish()
	if over, err := c.mayStart(app, since); over {
		return err
	}
	return s.all([]string{app})
}

// runsBefore is the number of the last run that a call of Start must not take for one that happened meanwhile.
func (c *Controller) runsBefore(app string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a := c.apps[app]; a != nil && a.run != nil && a.run.state == StateStarting {
		return a.run.n - 1
	}
	return c.runs
}

// mayStart reports whether a call of Start is over before it has started anything, and its answer then.
func (c *Controller) mayStart(app string, since uint64) (over bool, answer error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.apps[app]
	switch {
	case a == nil:
		return true, c.unknown(app)
	case a.isUp() && a.run.n > since:
		return true, nil
	case a.isUp():
		return true, fmt.Errorf("%s: %w", app, ErrAlreadyStarted)
	case a.failed != nil && a.failed.run > since:
		return true, a.failed.err
	}
	for _, d := range a.Dependencies {
		if c.apps[d] == nil {
			return true, &UnknownError{Name: d, By: app, Nearest: nearest(d, c.known())}
		}
	}
	return false, nil
}

// EnsureAllStarted starts the applications named and all they depend on, as far as they do not run already, each after
// its dependencies, and then goes through their phases: each phase over all that this call has started, in the same
// order, before the next phase. It returns the names of those it has started.
//
// When one does not start, all that this call has started are stopped again, in reverse order, and the error is a
// *StartError. The order of dependencies and phases is looked at before anything is started: *UnknownError and
// *CycleError. The end of ctx is as for Start.
func (c *Controller) EnsureAllStarted(ctx context.Context, apps ...string) ([]string, error) {
	s, err := c.begin(ctx, "EnsureAllStarted")
	if err != nil {
		return nil, err
	}
	defer s.finish()
	c.mu.Lock()
	known := c.known()
	c.mu.Unlock()
	names, err := order(known, apps)
	if err != nil {
		return nil, err
	}
	if err := s.all(names); err != nil {
		return nil, err
	}
	started := make([]string, len(s.runs))
	for i, r := range s.runs {
		started[i] = r.app.Name
	}
	return started, nil
}

// begin waits for the turn of a start.
func (c *Controller) begin(ctx context.Context, what string) (*start, error) {
	if ctx == nil {
		return nil, errNoContext
	}
	if b := callbackOf(ctx, c); b != nil {
		return nil, b.deadlock(what, "name what must run first in Dependencies")
	}
	select {
	case c.turn <- struct{}{}:
	case <-c.closing:
		return nil, ErrStopping
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: another start is under way: %w", what, context.Cause(ctx))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		<-c.turn
		return nil, ErrStopping
	}
	s := &start{c: c}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	c.starting = s
	return s, nil
}

func (s *start) finish() {
	s.c.mu.Lock()
	s.c.starting = nil
	s.c.mu.Unlock()
	s.cancel(nil)
	<-s.c.turn
}

// all starts applications that are in dependency order, or none of them.
func (s *start) all(names []string) (err error) {
	var apps []*Application
	s.c.mu.Lock()
	for _, n := range names {
		if a := s.c.apps[n]; a != nil && !a.isUp() {
			apps = append(apps, &a.Application)
		}
	}
	s.c.mu.Unlock()
	order, err := phases(apps)
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := s.one(n); err != nil {
			s.takeBack()
			return err
		}
	}
	for _, phase := range order {
		if err := s.phase(phase); err != nil {
			s.takeBack()
			return err
		}
	}
	return nil
}

// takeBack stops what has been started, last first.
func (s *start) takeBack() {
	for _, r := range slices.Backward(s.runs) {
		s.c.mu.Lock()
		r.askToStop()
		s.c.mu.Unlock()
		<-r.gone
	}
}

// one starts one application, unless it runs.
func (s *start) one(name string) error {
	r, err := s.enter(name)
	if r == nil {
		return err
	}
	c := s.c
	var child supervise.Child
	if start := r.app.Start; start != nil {
		err = r.call(r.life, "Start", s.breakable(func(ctx context.Context) (err error) {
			child, err = start(ctx)
			return err
		}))
		switch {
		case errors.Is(err, supervise.ErrIgnore):
			child, err = nil, nil
		case err == nil && child == nil:
			err = fmt.Errorf("%w: Start returned no child and no error; return supervise.ErrIgnore when there is no tree", ErrInvalid)
		}
	}
	if err != nil {
		err = s.failed(r, "", err)
		c.mu.Lock()
		r.app.run = nil
		c.mu.Unlock()
		r.kill(nil)
		close(r.gone)
		return err
	}
	c.mu.Lock()
	r.child = child
	c.up = append(c.up, r)
	s.runs = append(s.runs, r)
	if c.killed {
		r.kill(errKilled)
	}
	c.mu.Unlock()
	if len(r.app.Phases) == 0 {
		s.running(r)
	}
	c.masters.Go(r.master)
	return s.broken(r, "")
}

// enter makes the run of an application whose dependencies run. It returns nil when there is one.
func (s *start) enter(name string) (*run, error) {
	c := s.c
	for {
		c.mu.Lock()
		a := c.apps[name]
		switch {
		case a == nil:
			defer c.mu.Unlock()
			return nil, c.unknown(name) // unloaded meanwhile
		case a.isUp():
			c.mu.Unlock()
			return nil, nil
		case s.ctx.Err() != nil:
			c.mu.Unlock()
			return nil, s.why(&StartError{Name: name, Err: context.Cause(s.ctx)})
		case a.run == nil:
			defer c.mu.Unlock()
			for _, d := range a.Dependencies {
				if dep := c.apps[d]; dep == nil || !dep.isUp() {
					return nil, &NotStartedError{Name: name, Dependency: d}
				}
			}
			c.runs++
			a.run, a.failed = newRun(s, a), nil
			return a.run, nil
		}
		gone := a.run.gone
		c.mu.Unlock()
		select { // of the incarnation that is stopping
		case <-gone:
		case <-s.ctx.Done():
		}
	}
}

// isUp is called with mu held.
func (a *loaded) isUp() bool { return a.run != nil && a.run.state != StateStopping }

// phase takes every application that has the phase through it.
func (s *start) phase(name string) error {
	for _, r := range s.runs {
		i := slices.IndexFunc(r.app.Phases, func(p Phase) bool { return p.Name == name })
		if i < 0 {
			continue
		}
		if err := r.call(r.life, "phase "+name, s.breakable(r.app.Phases[i].Run)); err != nil {
			return s.failed(r, name, err)
		}
		if err := s.broken(r, name); err != nil {
			return err
		}
		if i == len(r.app.Phases)-1 {
			s.running(r)
		}
	}
	return nil
}

// breakable makes the context that f gets end with the start.
func (s *start) breakable(f func(context.Context) error) func(context.Context) error {
	return func(ctx context.Context) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		defer context.AfterFunc(s.ctx, func() { cancel(context.Cause(s.ctx)) })()
		return f(ctx)
	}
}

// running marks the end of the start of r, unless it has ended already. Nobody is told of that end before this.
func (s *start) running(r *run) {
	c := s.c
	c.observing.Lock()
	defer c.observing.Unlock()
	c.mu.Lock()
	ok := r.state == StateStarting
	if ok {
		r.enter(StateRunning)
	}
	at := r.since
	c.mu.Unlock()
	if ok {
		c.observe(Event{Name: r.app.Name, Kind: Started, At: at, Type: r.app.Type})
	}
}

// broken is the error of a start that is to go no further, or nil.
func (s *start) broken(r *run, phase string) error {
	if s.ctx.Err() == nil {
		return nil
	}
	return s.why(&StartError{Name: r.app.Name, Phase: phase, Err: context.Cause(s.ctx)})
}

// failed reports that r did not start, and tells whose fault that is.
func (s *start) failed(r *run, phase string, err error) error {
	if s.ctx.Err() != nil && errors.Is(err, context.Canceled) {
		err = context.Cause(s.ctx)
	}
	e := s.why(&StartError{Name: r.app.Name, Phase: phase, Err: err})
	if s.ctx.Err() == nil {
		s.c.mu.Lock()
		r.app.failed = &failure{run: r.n, err: e}
		s.c.mu.Unlock()
	}
	s.c.emit(Event{Name: r.app.Name, Kind: StartFailed, Type: r.app.Type, Err: err})
	return e
}

// why is e, unless the start was broken off because another application of the same start ended.
func (s *start) why(e *StartError) error {
	if other, ok := errors.AsType[*StartError](context.Cause(s.ctx)); ok {
		return other
	}
	return e
}
