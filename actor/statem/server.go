package statem

import (
	"context"
	"errors"
	"fmt"
	"time"

	"semper/actor"
	"semper/supervise"
)

// ErrUnhandled is the crash of a machine that got a message in a state whose table entry has no Handle. Give it one, or
// postpone the message until the machine is elsewhere.
var ErrUnhandled = errors.New("message not handled in this state")

// Start starts a machine in a state, and returns when its Init has. It is actor.Start: the same options, errors and
// meaning of ctx. The first Enter comes after Start has been acknowledged, before any message.
func Start[S comparable, M any](ctx context.Context, first S, machine Machine[S, M], o actor.Options) (actor.Ref[M], error) {
	if _, named := o.Name.(fmt.Stringer); o.Label == "" && !named {
		o.Label = fmt.Sprintf("%T", subject(machine))
	}
	return actor.Start(ctx, newServer(first, machine), o)
}

// Child is the spec of a supervised machine, as actor.Child is that of a server. Each incarnation is a new machine in
// the first state.
func Child[S comparable, M any](id string, first S, machine func() Machine[S, M], o actor.Options) supervise.ChildSpec {
	if machine == nil {
		return actor.Child[M](id, nil, o)
	}
	return actor.Child(id, func() actor.Server[M] { return newServer(first, machine()) }, o)
}

// server makes a Machine of the messages and infos of an actor: it performs what the core decides.
type server[S comparable, M any] struct {
	machine Machine[S, M]
	enterer Enterer[S, M] // nil: none, as the next
	info    Informed[S, M]
	core    core[S, M]
	turn    Turn[S, M]
	clocks  slots[*time.Timer]
	event   event[M] // in hand
}

// start is what Init asks Continue for: the way into the first state.
type start struct{}

// strike is the Info of a clock that has struck.
type strike struct {
	at     slot
	serial uint64
}

func (x strike) String() string {
	if x.at.kind == NamedTimeout {
		return fmt.Sprintf("timeout %v", x.at.name)
	}
	return x.at.kind.String()
}

func newServer[S comparable, M any](first S, machine Machine[S, M]) *server[S, M] {
	s := &server[S, M]{machine: machine}
	s.core.state = first
	s.turn.core = &s.core
	s.bind()
	return s
}

func (s *server[S, M]) bind() {
	s.enterer, _ = s.machine.(Enterer[S, M])
	s.info, _ = s.machine.(Informed[S, M])
}

// subject is whose methods Init, Terminate and Redact are: the machine, or the data of one made by a table.
func subject(machine any) any {
	if b, ok := machine.(interface{ subject() any }); ok {
		return b.subject()
	}
	return machine
}

// check says what is wrong with a machine that is to be in a state.
func check[S comparable, M any](state S, machine Machine[S, M]) error {
	if machine == nil {
		return fmt.Errorf("%w: Start wants a machine, not nil", actor.ErrInvalid)
	}
	if b, ok := machine.(interface{ has(S) bool }); ok && !b.has(state) {
		return fmt.Errorf("%w: state %v is not in the table of states", actor.ErrInvalid, state)
	}
	return nil
}

func (s *server[S, M]) Init(self *actor.Self[M]) error {
	s.turn.self = self
	if s.machine == nil {
		return check(s.core.state, s.machine)
	}
	if m, ok := subject(s.machine).(Initer[S, M]); ok {
		s.turn.callback = initial
		if err := s.result(m.Init(&s.turn)); err != nil {
			return err
		}
		if s.turn.asked.moved {
			s.core.state = s.turn.asked.next
		}
	}
	if err := check(s.core.state, s.machine); err != nil {
		return err
	}
	self.Continue(start{})
	return nil
}

// Continue begins the machine: the first Enter, and what Init and it asked for.
func (s *server[S, M]) Continue(_ *actor.Self[M], with any) error {
	if with != (start{}) {
		return fmt.Errorf("%w: Continue was called in a state machine: use the NextEvent of its Turn", actor.ErrInvalid)
	}
	if err := s.enter(s.core.state); err != nil {
		return err
	}
	s.settle()
	return s.work()
}

func (s *server[S, M]) Handle(_ *actor.Self[M], m M) error {
	s.event = event[M]{m: m}
	return s.run()
}

func (s *server[S, M]) Info(_ *actor.Self[M], info any) error {
	if x, ok := info.(strike); ok {
		e, ok := s.core.struck(x.at, x.serial)
		if !ok {
			return nil
		}
		s.clocks.free(&x.at)
		s.event = e
		return s.run()
	}
	s.event = event[M]{kind: Info, info: info}
	return s.run()
}

// run handles the event in hand, and what follows from it.
func (s *server[S, M]) run() error {
	if err := s.step(); err != nil {
		return err
	}
	return s.work()
}

// work handles what is to be handled before anything is received. It stops when the process is asked to end, which
// its kernel does then: a machine that always has a next event must not be immortal.
func (s *server[S, M]) work() error {
	for !s.core.rests() && s.turn.self.Err() == nil {
		s.event, _ = s.core.next()
		if err := s.step(); err != nil {
			return err
		}
	}
	return nil
}

// step is one turn: handle, leave, enter, settle. The event stays in hand when it fails, for the crash report.
func (s *server[S, M]) step() error {
	t := &s.turn
	t.event, t.callback = &s.event, handling
	var err error
	switch {
	case s.event.kind != Info:
		err = s.machine.Handle(t, s.event.m)
	case s.info != nil:
		err = s.info.Info(t, s.event.info)
	}
	if err = s.result(err); err != nil {
		return err
	}
	from := s.core.state
	if s.core.leave(&s.event, &t.asked) {
		if err := s.enter(from); err != nil {
			return err
		}
	}
	s.settle()
	t.event, s.event = nil, event[M]{}
	return nil
}

func (s *server[S, M]) enter(from S) error {
	if s.enterer == nil {
		return nil
	}
	s.turn.callback = entering
	return s.result(s.enterer.Enter(&s.turn, from))
}

// result is what a callback returned, or what it did that it must not.
func (s *server[S, M]) result(err error) error {
	if err == nil {
		err = s.turn.misuse
	}
	return err
}

// settle ends a turn, and does what the core orders to do with the clocks.
func (s *server[S, M]) settle() {
	s.core.settle(&s.turn.asked)
	orders := s.core.ordered()
	for i := range orders {
		s.clock(&orders[i])
	}
}

func (s *server[S, M]) clock(o *order) {
	if o.in == 0 {
		(*s.clocks.get(&o.at)).Stop()
		s.clocks.free(&o.at)
		return
	}
	id, x := s.turn.self.PID(), strike{o.at, o.serial}
	*s.clocks.use(&o.at) = time.AfterFunc(o.in, func() { _ = id.Inform(x) })
}

func (s *server[S, M]) Terminate(ctx context.Context, _ *actor.Self[M], r actor.Reason) {
	for _, c := range s.clocks.all {
		(*c).Stop()
	}
	if m, ok := subject(s.machine).(Terminator[S, M]); ok {
		s.turn.callback = ending
		m.Terminate(ctx, &s.turn, r)
	}
}
