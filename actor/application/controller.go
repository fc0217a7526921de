package application

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"semper/supervise"
)

// Options are what a controller gets from its surroundings. The zero value is useful.
type Options struct {
	// Env overrides the Env of applications, by their names.
	Env map[string][]Setting
	// Observe is called for each event, one at a time, by the goroutine in which it happens. It must not block and must
	// not start or stop anything. Nil: ends and errors are logged with log/slog.
	Observe func(Event)
}

// A Controller loads applications, starts them in the order of their dependencies and stops them in reverse. It is
// itself a supervise.Child. All methods are safe for concurrent use.
type Controller struct {
	observe   func(Event)
	observing sync.Mutex // held while observe runs

	turn    chan struct{} // holds one element while a start is under way: there is one at a time
	closing chan struct{} // closed when the end begins
	done    chan struct{} // closed when the end is complete
	masters sync.WaitGroup

	envMu sync.RWMutex // may be taken with mu held, not the other way round
	env   map[string]map[any]Setting

	mu       sync.Mutex // guards all that follows
	apps     map[string]*loaded
	up       []*run // those whose Start has returned, in this order
	starting *start // under way
	runs     uint64 // so far
	closed   bool
	killed   bool
	reason   supervise.Reason // why it ends
}

var _ supervise.Child = (*Controller)(nil)

// loaded is an application that the controller knows.
type loaded struct {
	Application
	run    *run     // nil: it does not run
	failed *failure // of the last start, when that did not come up
}

// failure is what became of a start, for those who wanted the same.
type failure struct {
	run uint64
	err error
}

// New makes a controller that knows the applications and has started none of them. It needs no end unless something
// was started.
func New(o Options, apps ...Application) (*Controller, error) {
	c := &Controller{
		observe: o.Observe, turn: make(chan struct{}, 1), closing: make(chan struct{}), done: make(chan struct{}),
		env: map[string]map[any]Setting{}, apps: map[string]*loaded{},
	}
	if c.observe == nil {
		c.observe = logged
	}
	for _, a := range apps {
		if err := c.Load(a); err != nil {
			return nil, err
		}
	}
	for _, app := range slices.Sorted(maps.Keys(o.Env)) {
		if err := c.SetEnv(app, o.Env[app]...); err != nil {
			return nil, fmt.Errorf("options: env: %w", err)
		}
	}
	return c, nil
}

// Load makes an application known. Its dependencies may be loaded later, but before it is started.
func (c *Controller) Load(a Application) error {
	if err := a.validate(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.apps[a.Name] != nil {
		return fmt.Errorf("%s: %w", a.Name, ErrAlreadyLoaded)
	}
	c.apps[a.Name] = &loaded{Application: a.clone()}
	c.setEnv(a.Name, a.Env)
	return nil
}

// Unload forgets an application that does not run, and its settings.
func (c *Controller) Unload(app string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.apps[app]
	switch {
	case a == nil:
		return c.unknown(app)
	case a.run != nil:
		return fmt.Errorf("%s: %w", app, ErrStarted)
	}
	delete(c.apps, app)
	c.envMu.Lock()
	defer c.envMu.Unlock()
	delete(c.env, app)
	return nil
}

// unknown is called with mu held.
func (c *Controller) unknown(app string) error {
	return &UnknownError{Name: app, Nearest: nearest(app, c.known())}
}

// known is called with mu held.
func (c *Controller) known() map[string]*Application {
	all := make(map[string]*Application, len(c.apps))
	for n, a := range c.apps {
		all[n] = &a.Application
	}
	return all
}

// State is what an application is doing now.
type State int

const (
	StateLoaded   State = iota // it does not run
	StateStarting              // its Start or its phases are under way
	StateRunning
	StateStopping // asked to end, or its tree has ended; not all of it is gone yet
)

func (s State) String() string {
	return name("state", int(s), "loaded", "starting", "running", "stopping")
}

// Info is one application as it was when it was asked for.
type Info struct {
	Name         string
	Description  string
	Version      string
	Type         Type
	Dependencies []string
	State        State
	Since        time.Time       // when State began; zero for StateLoaded
	Child        supervise.Child // the top of its tree; nil without one
}

func (c *Controller) info(a *loaded) Info {
	i := Info{Name: a.Name, Description: a.Description, Version: a.Version, Type: a.Type, Dependencies: slices.Clone(a.Dependencies)}
	if a.run != nil {
		i.State, i.Since, i.Child = a.run.state, a.run.since, a.run.child
	}
	return i
}

// Which lists the applications that run, in the order in which they were started.
func (c *Controller) Which() []Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Info
	for _, r := range c.up {
		if r.state == StateRunning {
			all = append(all, c.info(r.app))
		}
	}
	return all
}

// Loaded lists all applications that the controller knows, sorted by name.
func (c *Controller) Loaded() []Info {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []Info
	for _, n := range slices.Sorted(maps.Keys(c.apps)) {
		all = append(all, c.info(c.apps[n]))
	}
	return all
}

// Done is closed when the controller has ended and nothing of its applications runs: after StopAll, Shutdown or Kill,
// or after an application ended that the others should not outlive.
func (c *Controller) Done() <-chan struct{} { return c.done }

// Reason says why the controller ended; meaningful after Done. It is a Crash with a *TerminatedError when an application
// ended by itself, Shutdown or Killed when that was asked for.
func (c *Controller) Reason() supervise.Reason {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.reason
}

// Shutdown is StopAll without waiting.
func (c *Controller) Shutdown() { c.close(supervise.Reason{Kind: supervise.Shutdown}) }

// Kill kills the trees of all applications at once, in no order. Neither PrepStop nor Stop are called, and the contexts
// of those that run already end. Done is closed when all have ended.
func (c *Controller) Kill() {
	r := supervise.Reason{Kind: supervise.Killed}
	c.close(r)
	c.mu.Lock()
	var doomed []*run
	c.killed = true
	if c.reason.Kind == supervise.Shutdown {
		c.reason = r
	}
	for _, a := range c.apps {
		if a.run != nil {
			doomed = append(doomed, a.run)
		}
	}
	c.mu.Unlock()
	for _, d := range doomed {
		d.kill(errKilled)
	}
}

// StopAll breaks off a start that is under way, stops all applications in the reverse order of their start, each after
// the one started after it is gone, and ends the controller. When ctx ends first, the stopping goes on, and the
// *StopError says who is blocking it.
func (c *Controller) StopAll(ctx context.Context) error {
	if ctx == nil {
		return errNoContext
	}
	if b := callbackOf(ctx, c); b != nil {
		return b.deadlock("StopAll", "use Shutdown, which does not wait")
	}
	c.Shutdown()
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return &StopError{What: "applications are", Blocking: c.Blocking(), Err: context.Cause(ctx)}
	}
}

// close begins the end, once.
func (c *Controller) close(r supervise.Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	c.closed, c.reason = true, r
	close(c.closing)
	if c.starting != nil {
		c.starting.cancel(ErrStopping)
	}
	go c.end()
}

// closes reports whether the end has begun.
func (c *Controller) closes() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// end stops everything. Its last act is to close done.
func (c *Controller) end() {
	c.turn <- struct{}{} // a start under way has been told to end, and takes back what it did
	for {
		c.mu.Lock()
		if len(c.up) == 0 {
			c.mu.Unlock()
			break
		}
		last := c.up[len(c.up)-1]
		last.askToStop()
		c.mu.Unlock()
		<-last.gone
	}
	c.masters.Wait()
	close(c.done)
}
