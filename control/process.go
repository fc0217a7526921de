package control

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"semper"
	"semper/actor"
	"semper/supervise"
)

// act is a message to the model.
type act interface{ isAct() }

// news is what one of the model's observers or hands has to say.
type news struct {
	what string
	take func(*model)
}

// command is what a user wants of the model. It is either begun or withdrawn, and never both.
type command struct {
	op    string
	do    func(*model) error
	from  actor.From[error]
	phase atomic.Int32
}

const (
	offered int32 = iota
	begun
	withdrawn
)

func (news) isAct()     {}
func (*command) isAct() {}

// settle decides between the model, which begins the command, and the caller, who withdraws it.
func (q *command) settle(phase int32) bool { return q.phase.CompareAndSwap(offered, phase) }

// due is the word of the process to itself that something has come which may have consequences.
type due struct{}

// leader is the process that owns the model of one term. It takes what comes, and when it has taken what had gathered by
// then, it decides once.
type leader struct {
	c    *Control
	term *term
	m    *model
	due  bool // a due is on its way
}

// gather is how many messages may wait for the model, and so for how many there is one decision at most. Who has more
// to say waits.
const gather = 64

func (p *leader) Init(self *actor.Self[act]) (err error) {
	p.m, err = p.c.load(self, p.term.leadership, workers{p.term, self.Ref()})
	self.Continue(due{}) // who waits for the start does not wait for the consequences
	return err
}

func (p *leader) Continue(self *actor.Self[act], _ any) error { return p.decide(self) }

// Info is a due, or the Timeout of a decision that has to be looked at again.
func (p *leader) Info(self *actor.Self[act], _ any) error { return p.decide(self) }

func (p *leader) Handle(self *actor.Self[act], a act) error {
	switch a := a.(type) {
	case news:
		a.take(p.m)
	case *command:
		if a.settle(begun) {
			a.from.Reply(a.do(p.m))
		}
	}
	p.later(self) // in any case: the message has cancelled the Timeout
	return nil
}

// later asks for a decision behind what waits already.
func (p *leader) later(self *actor.Self[act]) {
	if !p.due {
		p.due = true
		_ = self.PID().Inform(due{}) // ErrNoProc: it is ending, and decides nothing any more
	}
}

func (p *leader) decide(self *actor.Self[act]) error {
	p.due = false
	next := p.c.reconcile(p.m)
	p.c.publish(p.m)
	if next <= 0 {
		p.later(self)
	}
	self.Timeout(next)
	return nil
}

// Terminate ends what the model has under way outside of the tree of its term.
func (p *leader) Terminate(context.Context, *actor.Self[act], supervise.Reason) {
	if p.m != nil {
		p.m.close()
	}
}

// Redact keeps what users gave, such as the environment of their services, out of crash reports.
func (p *leader) Redact(what any) any {
	switch what := what.(type) {
	case news:
		return what.what
	case *command:
		return "command " + what.op
	case *leader:
		if what.m == nil {
			return "model: not loaded"
		}
		return fmt.Sprintf("model: %d environments, %d instances, epoch %d, event %d, keeper seen %t, doing %d",
			len(what.m.envs), len(what.m.instances), what.m.table.value.Epoch, what.m.counters.value.Event, what.m.keeperSeen, len(what.m.doing))
	}
	return what
}

// workers are the hands of one model.
type workers struct {
	term  *term
	model actor.Ref[act]
}

func (h workers) do(spec supervise.ChildSpec) error {
	d := h.term.work.Load()
	if d == nil {
		return supervise.ErrStopping
	}
	_, err := d.StartChild(context.Background(), spec) // which waits for nothing but the start of a goroutine
	return err
}

func (h workers) tell(ctx context.Context, what string, take func(*model)) {
	if ctx.Err() == nil {
		_ = h.model.CastContext(ctx, news{what, take}) // who has ended needs no news
	}
}

// seat is the name of the model that leads now, for those who wait for one.
type seat struct {
	*actor.Name[act]
	mu      sync.Mutex
	changed chan struct{} // guarded by mu; closed and replaced when a model takes the seat
}

func newSeat() *seat { return &seat{Name: actor.NewName[act]("model"), changed: make(chan struct{})} }

// Register implements actor.Registrar.
func (s *seat) Register(id actor.PID) error {
	if err := s.Name.Register(id); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.changed)
	s.changed = make(chan struct{})
	return nil
}

// next is closed when another model takes the seat.
func (s *seat) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// tell gives the model news of an observer and does not wait until it has taken them. The observers end with the model,
// so that news for a model that has ended are nobody's.
func (c *Control) tell(ctx context.Context, what string, take func(*model)) {
	if ctx.Err() != nil {
		return
	}
	if ref, err := c.model.Resolve(); err == nil {
		_ = ref.CastContext(ctx, news{what, take})
	}
}

// ask has the model run f, and waits for it. The end of ctx ends the waiting for a model that takes the command; one that
// is taken is answered. A model that ends before it has begun it leaves it to the next.
func (c *Control) ask(ctx context.Context, op string, f func(*model) error) error {
	for {
		next := c.model.next()
		if answer, settled := c.offer(ctx, op, f); settled {
			return answer
		}
		select {
		case <-next:
		case <-ctx.Done():
			return untaken(ctx, op)
		}
	}
}

// offer offers a command to the model there is; settled is false when that has not begun it and never will.
func (c *Control) offer(ctx context.Context, op string, f func(*model) error) (answer error, settled bool) {
	q := &command{op: op, do: f}
	wait, leave := context.WithCancel(context.WithoutCancel(ctx))
	defer leave()
	defer context.AfterFunc(ctx, func() {
		if q.settle(withdrawn) {
			leave()
		}
	})()
	answer, err := actor.Call(wait, c.model, func(from actor.From[error]) act { q.from = from; return q })
	switch {
	case err == nil:
		return answer, true
	case q.settle(withdrawn):
		return nil, false
	case q.phase.Load() == withdrawn:
		return untaken(ctx, op), true
	}
	return &semper.Error{
		Code: semper.Internal, Op: op, Message: "the control process broke while it performed the command: it may have been stored or not",
		Hint: "semper status shows whether it was; semper crash show says what broke", Err: broken(err),
	}, true
}

// broken is the reason in an *actor.ExitError, without the process's own name for itself.
func broken(err error) error {
	if e, ok := errors.AsType[*actor.ExitError](err); ok && e.Reason.Err != nil {
		return e.Reason.Err
	}
	return err
}

func untaken(ctx context.Context, op string) error {
	return &semper.Error{Code: semper.Unavailable, Op: op, Message: "the control process has not taken the command: nothing was changed", Hint: "is the store up? semper doctor", Err: ctx.Err()}
}
