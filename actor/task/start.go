package task

import (
	"context"

	"semper/actor"
	"semper/supervise"
)

// Start starts fn in a process of its own and forgets it: its end is the only thing that is heard of it. As nobody
// awaits an error, one that fn returns is a Crash of the process, with its report.
//
// When ctx is of a process, the task is linked to that, unless Nolink is given. The end of another ctx asks the task to
// end, as does that of one made from the context of a process. Under a supervisor neither is so: the task is the
// supervisor's alone, and ctx gives it only its values.
func Start(ctx context.Context, fn func(ctx context.Context) error, o ...Option) (actor.PID, error) {
	s := gather(o)
	if err := check(ctx, fn == nil, s); err != nil {
		return actor.PID{}, err
	}
	if s.label == "" {
		s.label = nameOf(fn)
	}
	by := actor.Caller(ctx)
	if s.under == nil {
		link := !s.nolink && by != actor.PID{}
		return spawn(ctx, &job{ctx: ctx, fn: fn, by: by}, actor.Options{Label: s.label, Link: link})
	}
	r := supervise.Temporary
	if s.restarts {
		r = s.restart
	}
	return s.under.start(ctx, s, r, func(inner context.Context) (actor.PID, error) {
		return spawn(inner, &job{fn: fn}, actor.Options{Label: s.label})
	})
}

// Child is the spec of a function as a child of any supervisor: Temporary, until changed. Its start is acknowledged
// before fn runs. An error of fn, as in Start, is a Crash.
func Child(id string, fn func(ctx context.Context) error) supervise.ChildSpec {
	if fn == nil {
		return supervise.ChildSpec{ID: id} // which is refused
	}
	spec := actor.Child(id, func() actor.Server[nothing] { return &job{fn: fn} }, actor.Options{})
	spec.Restart = supervise.Temporary
	return spec
}

// job is the behaviour of a process that nobody awaits.
type job struct {
	ctx context.Context // whose end is its end; nil: nobody's
	fn  func(context.Context) error
	by  actor.PID // whom it is linked to at most
}

func (j *job) Init(self *actor.Self[nothing]) error {
	self.Continue(nil)
	return nil
}

func (j *job) Handle(*actor.Self[nothing], nothing) error { return nil }

func (j *job) Continue(self *actor.Self[nothing], _ any) error {
	if j.ctx != nil {
		defer endWith(j.ctx, func(r actor.Reason) {
			self.Unlink(j.by)
			self.PID().Exit(r)
		})()
	}
	err := j.fn(self)
	switch {
	case heeded(self, err):
		return nil
	case err != nil:
		return err
	}
	return leave(self)
}

// Redact implements actor.Redactor.
func (j *job) Redact(any) any { return "task that nobody awaits" }
