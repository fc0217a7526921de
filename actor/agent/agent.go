package agent

import (
	"context"
	"fmt"
	"reflect"
	"runtime"

	"semper/actor"
	"semper/supervise"
)

// Ref is the address of one incarnation of an agent whose state is an S.
type Ref[S any] = actor.Ref[Message[S]]

// Target is what an agent can be reached by: a Ref or a Name.
type Target[S any] = actor.Target[Message[S]]

// Name is a fixed name for one agent at a time, given to it by Options.Name.
type Name[S any] = actor.Name[Message[S]]

// NewName makes a name that nobody has yet. Its text is for people and need not be unique.
func NewName[S any](name string) *Name[S] { return actor.NewName[Message[S]](name) }

// Message is what an agent takes: a function to be run in it. It is made by the functions of this package.
type Message[S any] struct {
	do   func(*S)
	by   any // the function as it was given, for reports
	verb string
	stop *actor.Reason
}

// String names the function, which is all there is to say of it.
func (m Message[S]) String() string {
	if m.by == nil {
		return m.verb
	}
	return m.verb + " " + runtime.FuncForPC(reflect.ValueOf(m.by).Pointer()).Name()
}

// Start starts an agent with the state that begin returns, and returns when it has. It is actor.Start: the same options,
// errors and meaning of ctx. A panic of begin is a *actor.PanicError.
func Start[S any](ctx context.Context, begin func() S, o actor.Options) (Ref[S], error) {
	if begin == nil {
		return Ref[S]{}, errNoFunction
	}
	return actor.Start(ctx, newServer(begin), labelled[S](o))
}

// Child is the spec of a supervised agent, as actor.Child is that of a server. Each incarnation begins anew: what the
// one before it held is gone with it.
func Child[S any](id string, begin func() S, o actor.Options) supervise.ChildSpec {
	if begin == nil {
		return actor.Child[Message[S]](id, nil, o)
	}
	return actor.Child(id, func() actor.Server[Message[S]] { return newServer(begin) }, o)
}

var errNoFunction = fmt.Errorf("%w: an agent wants a function, not nil", actor.ErrInvalid)

// labelled puts what the agent holds in the place of a label: all agents are of the same type of server.
func labelled[S any](o actor.Options) actor.Options {
	if _, named := o.Name.(fmt.Stringer); o.Label == "" && !named {
		o.Label = "agent of " + reflect.TypeFor[S]().String()
	}
	return o
}

// Get returns what f makes of the state. f must not change the state.
func Get[R, S any](ctx context.Context, to Target[S], f func(S) R) (R, error) {
	if f == nil {
		return *new(R), errNoFunction
	}
	return actor.Call(ctx, to, func(from actor.From[R]) Message[S] {
		return Message[S]{verb: "get", by: f, do: func(s *S) {
			if from.Waiting() {
				from.Reply(f(*s))
			}
		}}
	})
}

// Update replaces the state by what f makes of it, and returns when it has.
func Update[S any](ctx context.Context, to Target[S], f func(S) S) error {
	if f == nil {
		return errNoFunction
	}
	_, err := actor.Call(ctx, to, func(from actor.From[struct{}]) Message[S] {
		return Message[S]{verb: "update", by: f, do: func(s *S) {
			*s = f(*s)
			from.Reply(struct{}{})
		}}
	})
	return err
}

// GetAndUpdate replaces the state by the second of what f returns, and returns the first. Nothing happens in between.
func GetAndUpdate[R, S any](ctx context.Context, to Target[S], f func(S) (R, S)) (R, error) {
	if f == nil {
		return *new(R), errNoFunction
	}
	return actor.Call(ctx, to, func(from actor.From[R]) Message[S] {
		return Message[S]{verb: "get and update", by: f, do: func(s *S) {
			r, next := f(*s)
			*s = next
			from.Reply(r)
		}}
	})
}

// Cast replaces the state by what f makes of it, some time later. The errors are those of Ref.Cast: who does not care
// may ignore them.
func Cast[S any](to Target[S], f func(S) S) error {
	if f == nil || to == nil {
		return errNoFunction
	}
	ref, err := to.Resolve()
	if err != nil {
		return err
	}
	return ref.Cast(Message[S]{verb: "cast", by: f, do: func(s *S) { *s = f(*s) }})
}

// Stop ends the agent for a reason, the zero Reason being a normal end, after all that came before. It returns when the
// agent has ended or ctx ends. An *actor.ExitError says that it ended for another reason before.
func Stop[S any](ctx context.Context, to Target[S], r actor.Reason) error {
	if ctx == nil || to == nil {
		return fmt.Errorf("%w: Stop wants a context and an agent", actor.ErrInvalid)
	}
	ref, err := to.Resolve()
	if err != nil {
		return err
	}
	if actor.Caller(ctx) == ref.PID() && ref.PID() != (actor.PID{}) {
		return actor.ErrCallingSelf
	}
	if err := ref.CastContext(ctx, Message[S]{verb: "stop", stop: &r}); err != nil {
		return err
	}
	select {
	case <-ref.PID().Done():
	case <-ctx.Done():
		return fmt.Errorf("agent %v has not stopped yet: %w", ref, context.Cause(ctx))
	}
	if got := ref.PID().Reason(); got.Kind != r.Kind {
		return &actor.ExitError{PID: ref.PID(), Reason: got}
	}
	return nil
}

// Replace puts what change makes of the state in its place, before the functions that wait and also while the agent is
// suspended: it is for the repair of a running system. When change returns an error, or panics, the state stays what
// it was, and the error is returned.
func Replace[S any](ctx context.Context, to Target[S], change func(S) (S, error)) error {
	switch {
	case ctx == nil || to == nil:
		return fmt.Errorf("%w: Replace wants a context and an agent", actor.ErrInvalid)
	case change == nil:
		return errNoFunction
	}
	ref, err := to.Resolve()
	if err != nil {
		return err
	}
	var refused error
	err = ref.PID().State(ctx, func(of any) {
		s, ok := of.(*server[S])
		if !ok {
			refused = fmt.Errorf("%w: %v is not an agent", actor.ErrInvalid, ref)
			return
		}
		next, err := change(s.state)
		if refused = err; err == nil {
			s.state = next
		}
	})
	if err != nil {
		return err
	}
	return refused
}

// server is an agent as package actor sees it.
type server[S any] struct {
	begin func() S
	state S
}

func newServer[S any](begin func() S) *server[S] { return &server[S]{begin: begin} }

func (s *server[S]) Init(*actor.Self[Message[S]]) error {
	s.state = s.begin()
	s.begin = nil
	return nil
}

func (s *server[S]) Handle(_ *actor.Self[Message[S]], m Message[S]) error {
	switch {
	case m.stop != nil:
		return actor.Stop(*m.stop)
	case m.do != nil: // nil is the zero Message, which somebody made himself
		m.do(&s.state)
	}
	return nil
}

// Redact implements actor.Redactor: an agent is shown as its state, redacted when that is a Redactor itself.
func (s *server[S]) Redact(what any) any {
	if what != any(s) {
		return what // a Message, which shows the name of a function and no data
	}
	if r, ok := any(s.state).(actor.Redactor); ok {
		return r.Redact(s.state)
	}
	return s.state
}
