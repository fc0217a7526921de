package alone

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"semper/edge"
	"semper/supervise"
)

// name is that of the edge, and of the tree.
const name = "edge"

// faults are the restarts that a supervisor takes within faultPeriod.
const (
	faults      = 5
	faultPeriod = 10 * time.Second
)

// gently spaces out the restarts of a part: the first is at once.
var gently = supervise.Backoff{Min: 10 * time.Millisecond, Max: time.Second, Jitter: 0.2, Reset: faultPeriod}

// plant starts the tree, with the edge as its first child. There is no listener yet, and no control.
func (s *server) plant(o edge.Options) (err error) {
	o.Observe = observe(s.log).Observe
	// The start is not broken off: what asks for the end meanwhile is heard by control.
	ctx := context.WithoutCancel(s.ctx)
	s.tree, err = supervise.Start(ctx, supervise.Flags{Name: name, Intensity: faults, Period: faultPeriod, AutoShutdown: supervise.AnySignificant},
		[]supervise.ChildSpec{
			{ID: "background", Supervisor: true, Restart: supervise.Temporary, Significant: true, Start: func(context.Context) (supervise.Child, error) {
				if s.edge, err = edge.New(o); err != nil {
					return nil, err
				}
				return s.edge.Background(), nil
			}},
			s.family("helpers", supervise.Persist, &s.helpers),
			s.family("listeners", supervise.Escalate, &s.listeners),
		}, observe(s.log))
	if failed, ok := errors.AsType[*supervise.StartError](err); ok {
		return failed.Err // whose child that was is of no use to people
	}
	return err
}

// family is a supervisor whose children come later. What it gives up is given up for good.
func (s *server) family(id string, g supervise.GiveUp, in **supervise.Supervisor) supervise.ChildSpec {
	f := supervise.Flags{Name: name + "/" + id, Intensity: faults, Period: faultPeriod, GiveUp: g}
	return supervise.ChildSpec{ID: id, Supervisor: true, Restart: supervise.Temporary, Significant: true, Start: func(ctx context.Context) (supervise.Child, error) {
		tree, err := supervise.Start(ctx, f, nil, observe(s.log))
		if err != nil {
			return nil, err
		}
		*in = tree
		return tree, nil
	}}
}

// replace starts a child in the place of the one with its id, which is stopped before if there is one.
func replace(ctx context.Context, in *supervise.Supervisor, spec supervise.ChildSpec) error {
	remove(ctx, in, spec.ID)
	return in.StartChild(ctx, spec)
}

// remove stops a child, if it is there, and forgets it.
func remove(ctx context.Context, in *supervise.Supervisor, id string) {
	in.TerminateChild(ctx, id) //nolint:errcheck // it is not there, or everything ends
	in.DeleteChild(ctx, id)    //nolint:errcheck // the same
}

// observe logs what a supervisor had to do. Starts and ordered ends are the normal course.
func observe(log *slog.Logger) supervise.Options {
	return supervise.Options{Observe: func(e supervise.Event) {
		level := slog.LevelDebug
		switch {
		case e.Kind == supervise.GaveUp:
			level = slog.LevelError
		case e.Kind == supervise.Ended && e.Reason.Abnormal(), e.Kind == supervise.StartFailed:
			level = slog.LevelWarn
		}
		more := []any{"child", e.Child, "supervisor", e.Supervisor}
		if p, ok := errors.AsType[*supervise.PanicError](e.Reason.Err); ok {
			more = append(more, "stack", string(p.Stack))
		}
		log.Log(context.Background(), level, e.String(), more...)
	}}
}
