package task

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"

	"semper/actor"
)

// The side of the process.

// nothing is the type of the messages of a task: it takes none.
type nothing struct{}

// work is what the process of a task is to do; it is let go of when that is done.
type work[R any] struct {
	ctx  context.Context // of Async
	fn   func(context.Context) (R, error)
	link bool // to the owner, by the process itself, because its start was a supervisor's
}

// spawn starts the process of one task.
func spawn(ctx context.Context, s actor.Server[nothing], o actor.Options) (actor.PID, error) {
	ref, err := actor.Start(ctx, s, o)
	return ref.PID(), err
}

// server is a Task as its own process sees it.
type server[R any] Task[R]

func (s *server[R]) Init(self *actor.Self[nothing]) error {
	s.self, s.pid = self, self.PID()
	if s.work.link {
		self.Link(s.owner)
	}
	self.Continue(nil)
	return nil
}

func (s *server[R]) Handle(*actor.Self[nothing], nothing) error { return nil }

// Continue is the whole life of the task.
func (s *server[R]) Continue(self *actor.Self[nothing], _ any) error {
	w := s.work
	s.work = work[R]{}
	t := (*Task[R])(s)
	defer endWith(w.ctx, func(r actor.Reason) { t.ask(r) })()
	v, err := w.fn(self)
	if _, ok := actor.Stopped(err); ok {
		return err
	}
	if heeded(self, err) {
		return nil // the reason is that for which it was asked
	}
	t.answer(v, err)
	return leave(self)
}

// answer makes the result known, unless it was given up.
func (t *Task[R]) answer(v R, err error) {
	t.value, t.err = v, err
	if !t.state.CompareAndSwap(pending, answered) {
		var zero R
		t.value, t.err = zero, nil
	}
}

// Redact implements actor.Redactor: results are nobody's business.
func (s *server[R]) Redact(any) any { return fmt.Sprintf("task of %v", s.owner) }

// endWith asks for the end of a task when ctx ends, until the function it returns is called. The context of a process
// is left out: its end is a matter of links.
func endWith(ctx context.Context, ask func(actor.Reason)) (stop func() bool) {
	if _, ok := ctx.(actor.Process); ok || ctx.Done() == nil {
		return func() bool { return true }
	}
	return context.AfterFunc(ctx, func() { ask(actor.Reason{Kind: actor.Shutdown, Err: context.Cause(ctx)}) })
}

// heeded reports whether a function returned err because its context had ended.
func heeded(self context.Context, err error) bool {
	return errors.Is(err, context.Canceled) && self.Err() != nil
}

// leave is the end of a process that has done its work: normal, or for the reason for which it is asked to end anyway.
func leave(self context.Context) error {
	if self.Err() == nil {
		return actor.Stop(actor.Reason{})
	}
	return nil
}

// nameOf is the name of a function, without the path of its package.
func nameOf(fn any) string {
	f := runtime.FuncForPC(reflect.ValueOf(fn).Pointer())
	if f == nil {
		return "task"
	}
	name := f.Name()
	return name[strings.LastIndexByte(name, '/')+1:]
}
