package supervise

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// A Supervisor runs children and restarts them. It is itself a Child, so that trees nest. All methods are safe for
// concurrent use. Those that take a context wait for the outcome; the end of the context ends only the waiting.
type Supervisor struct {
	observe  func(Event)
	base     context.Context // what the starts' contexts are made from: the values of Start's, never ended
	box      mailbox
	works    sync.WaitGroup // the goroutines of the incarnations; run and letGo wait for them
	done     chan struct{}  // closed when the supervisor has ended and nothing of it runs
	gone     chan struct{}  // closed when the loop has ended: after done, or after released
	released chan struct{}
	release  sync.Once

	mu   sync.Mutex // guards core, which only the loop writes
	core *core
}

// Start starts a supervisor and its children, from first to last, each after the one before has acknowledged. If one
// does not start, those before it are stopped in reverse order and the error is a *StartError. The end of ctx breaks
// the start off in the same way; after Start has returned, ctx means nothing. When Start returns an error, nothing of
// the supervisor runs any more, which takes as long as its children take to stop.
func Start(ctx context.Context, f Flags, children []ChildSpec, o Options) (*Supervisor, error) {
	if err := validate(&f, children); err != nil {
		return nil, err
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	s := &Supervisor{
		observe:  o.Observe,
		base:     context.WithoutCancel(ctx),
		box:      mailbox{wake: make(chan struct{}, 1)},
		done:     make(chan struct{}),
		gone:     make(chan struct{}),
		released: make(chan struct{}),
		core:     newCore(f, children, time.Now(), o.Rand),
	}
	boot := &call{op: opBoot, ret: make(chan error, 1)}
	s.box.put(boot)
	go s.run()
	select {
	case err := <-boot.ret:
		if err != nil {
			<-s.gone
			return nil, err
		}
		return s, nil
	case <-ctx.Done():
		err := fmt.Errorf("start of supervisor %s: %w", f.Name, context.Cause(ctx))
		s.box.put(stop{reason: Reason{Kind: Shutdown, Err: err}})
		<-s.gone
		return nil, err
	}
}

// StartChild adds a child at the end of the order and starts it. ErrAlreadyStarted and ErrAlreadyPresent tell that the
// id is taken, a *StartError that it did not start; then its spec is forgotten. ErrIgnore from its StartFunc is success.
func (s *Supervisor) StartChild(ctx context.Context, spec ChildSpec) error {
	if err := spec.validate(); err != nil {
		return err
	}
	return s.ask(ctx, &call{op: opStart, id: spec.ID, spec: spec})
}

// TerminateChild stops a child and whatever restarting of it was planned, and returns when nothing of it is left. Its
// spec stays, except a Temporary's, and a restart that the strategy makes for a sibling's sake revives it, as in OTP.
// Terminating a child that does not run is success.
func (s *Supervisor) TerminateChild(ctx context.Context, id string) error {
	return s.ask(ctx, &call{op: opTerminate, id: id})
}

// RestartChild starts a child that does not run. Its restarts so far are forgiven by its back-off, not by the window.
func (s *Supervisor) RestartChild(ctx context.Context, id string) error {
	return s.ask(ctx, &call{op: opRestart, id: id})
}

// DeleteChild forgets the spec of a child that does not run.
func (s *Supervisor) DeleteChild(ctx context.Context, id string) error {
	return s.ask(ctx, &call{op: opDelete, id: id})
}

// Nudge cuts the back-off of a child short: the attempt it waits for is made now. Without one it does nothing.
func (s *Supervisor) Nudge(id string) { s.box.put(nudge{id: id}) }

// Children lists the children in start order. It never waits for a start or a stop.
func (s *Supervisor) Children() []ChildInfo {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	infos := make([]ChildInfo, 0, s.core.kids.Len())
	for k := range s.core.forward() {
		i := s.core.info(k, now)
		if i.State == StateRunning || i.State == StateStopping {
			i.Child = k.run.child
		}
		infos = append(infos, i)
	}
	return infos
}

// Count counts the children.
func (s *Supervisor) Count() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	var n Counts
	for k := range s.core.forward() {
		n.Specs++
		if k.phase == running || k.phase == stopping {
			n.Active++
		}
		if k.spec.Supervisor {
			n.Supervisors++
		} else {
			n.Workers++
		}
	}
	return n
}

// Window is the number of restarts that count towards the intensity now.
func (s *Supervisor) Window() int {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.window.size(now, s.core.flags.Period)
}

// Stop stops all children in reverse start order, each after the one after it is gone, and ends the supervisor. When
// ctx ends first, the stopping goes on, and the error says who is blocking it.
func (s *Supervisor) Stop(ctx context.Context) error {
	s.Shutdown()
	select {
	case <-s.done:
		return nil
	case <-s.gone:
	case <-ctx.Done():
		err := fmt.Errorf("supervisor %s is still stopping: %w", s.core.flags.Name, context.Cause(ctx))
		if who := s.Blocking(); len(who) > 0 {
			err = fmt.Errorf("%w; waiting for %s", err, strings.Join(who, ", "))
		}
		return err
	}
	select {
	case <-s.done:
		return nil
	default:
		return ErrReleased
	}
}

// Blocking answers who is blocking a stop: the children that were asked to end, or whose start was cancelled, and are
// not gone yet. A child inside a nested supervisor is named by its path, outermost first, joined by "/".
func (s *Supervisor) Blocking() []string {
	type blocker struct {
		id    string
		child Child
	}
	var blockers []blocker
	s.mu.Lock()
	for k := range s.core.forward() {
		switch {
		case k.phase == stopping:
			blockers = append(blockers, blocker{k.spec.ID, k.run.child})
		case k.phase == starting && k.doomed:
			blockers = append(blockers, blocker{k.spec.ID, nil})
		}
	}
	s.mu.Unlock()
	var who []string
	for _, b := range blockers {
		inner, _ := b.child.(interface{ Blocking() []string })
		var below []string
		if inner != nil {
			below = inner.Blocking()
		}
		for _, id := range below {
			who = append(who, b.id+"/"+id)
		}
		if len(below) == 0 {
			who = append(who, b.id)
		}
	}
	return who
}

// Done is closed when the supervisor has ended and none of its children runs: after Stop, Shutdown, Kill or an
// escalation. Release does not close it, because the children live on.
func (s *Supervisor) Done() <-chan struct{} { return s.done }

// Reason says why the supervisor ended; meaningful after Done. An escalation is a Shutdown with ErrIntensity in Err.
func (s *Supervisor) Reason() Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.core.reason
}

// Shutdown is Stop without waiting.
func (s *Supervisor) Shutdown() { s.box.put(stop{reason: Reason{Kind: Shutdown}}) }

// Kill kills all children at once, without asking and in no order. Done is closed when they are gone.
func (s *Supervisor) Kill() { s.box.put(kill{}) }

// Release ends the supervisor without touching its children, and waits until its own goroutines have ended. Starts
// under way are cancelled with ErrReleased as the cause; a child that comes out of one all the same is left alone too.
// Children that have a Release method, nested supervisors above all, are released as well. Afterwards every call
// answers ErrReleased. Release must not be called by Observe or by a StartFunc of the supervisor.
func (s *Supervisor) Release() {
	s.release.Do(func() { close(s.released) })
	<-s.gone
}

// ask puts a call and waits for its answer.
func (s *Supervisor) ask(ctx context.Context, c *call) error {
	c.ret = make(chan error, 1)
	s.box.put(c)
	select {
	case err := <-c.ret:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-s.gone:
	}
	select { // answered in the loop's last breath
	case err := <-c.ret:
		return err
	default:
	}
	select {
	case <-s.released:
		return ErrReleased
	default:
		return ErrStopping
	}
}
