package task

import (
	"context"
	"fmt"
	"sync/atomic"

	"semper/actor"
	"semper/supervise"
)

// A Supervisor runs tasks as its children: see [Under]. It is made once, most often as a package variable, and stands for
// the incarnation of the moment, as a Name does:
//
//	var jobs = task.NewSupervisor(supervise.DynamicFlags{Name: "jobs", MaxChildren: 100}, supervise.Options{})
//
// It has its place in a tree by its Child, or is started by Start. It is safe for concurrent use.
type Supervisor struct {
	flags   supervise.DynamicFlags
	options supervise.Options
	at      atomic.Pointer[supervise.Dynamic]
}

// NewSupervisor makes a supervisor of tasks that does not run yet.
func NewSupervisor(f supervise.DynamicFlags, o supervise.Options) *Supervisor {
	return &Supervisor{flags: f, options: o}
}

// Start starts the supervisor. Who calls it owns it, and ends it by its Stop. ErrAlreadyStarted of package supervise
// says that it runs.
func (s *Supervisor) Start(ctx context.Context) (*supervise.Dynamic, error) {
	if ctx == nil {
		return nil, fmt.Errorf("%w: Start wants a context, such as context.Background()", actor.ErrInvalid)
	}
	had := s.at.Load()
	if runs(had) {
		return nil, fmt.Errorf("supervisor of tasks %s: %w", s.flags.Name, supervise.ErrAlreadyStarted)
	}
	if s.flags.Name != "" {
		ctx = actor.Under(ctx, s.flags.Name)
	}
	d, err := supervise.StartDynamic(ctx, s.flags, s.options)
	if err != nil {
		return nil, err
	}
	if !s.at.CompareAndSwap(had, d) { // another Start was faster
		d.Kill()
		<-d.Done()
		return nil, fmt.Errorf("supervisor of tasks %s: %w", s.flags.Name, supervise.ErrAlreadyStarted)
	}
	return d, nil
}

// Child is its spec in the tree of another supervisor: Permanent, until changed.
func (s *Supervisor) Child(id string) supervise.ChildSpec {
	return supervise.ChildSpec{ID: id, Supervisor: true, Start: func(ctx context.Context) (supervise.Child, error) {
		d, err := s.Start(ctx)
		if err != nil {
			return nil, err
		}
		return d, nil
	}}
}

// Dynamic is the incarnation that runs, to count its tasks, list them or look for the abandoned; nil when none does.
func (s *Supervisor) Dynamic() *supervise.Dynamic {
	if d := s.at.Load(); runs(d) {
		return d
	}
	return nil
}

func runs(d *supervise.Dynamic) bool {
	if d == nil {
		return false
	}
	select {
	case <-d.Done():
		return false
	default:
		return true
	}
}

// start starts one task on behalf of ctx.
func (s *Supervisor) start(ctx context.Context, o settings, r supervise.RestartType, spawn func(context.Context) (actor.PID, error)) (actor.PID, error) {
	d := s.Dynamic()
	if d == nil {
		return actor.PID{}, fmt.Errorf("%s: %w", s.flags.Name, ErrNotRunning)
	}
	child, err := d.StartChild(ctx, supervise.ChildSpec{
		ID: o.label, Restart: r, Shutdown: o.shutdown,
		Start: func(inner context.Context) (supervise.Child, error) {
			id, err := spawn(actor.OnBehalf(inner, ctx))
			if err != nil {
				return nil, err
			}
			return id.Child(), nil
		},
	})
	if err != nil {
		return actor.PID{}, fmt.Errorf("start of a task under %s: %w", s.flags.Name, err)
	}
	return child.(interface{ PID() actor.PID }).PID(), nil
}
