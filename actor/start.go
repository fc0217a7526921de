package actor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"semper/supervise"
)

// Options are the settings of one process. The zero value is useful.
type Options struct {
	Label   string    // what it is called in reports and trees; empty: the name, or the type of the Server
	Name    Registrar // registered before Init, released before anyone is told of the end; nil: none
	Mailbox Mailbox
	// Link ties its life to the process whose context the start was given. That process is its parent: its exit ends
	// it even when it traps exits.
	Link     bool
	TrapExit bool // exit signals arrive as Exit
}

// Start starts a process and returns when its Init has: whatever is started after it may rely on it. The end of ctx
// ends the start, with nothing left of it but a callback that does not return. Afterwards ctx gives only its values.
//
// ErrIgnore and other errors of Init come back as they are, a panic as a *PanicError. A name that a living process has
// gives an *AlreadyStartedError with its PID.
func Start[M any](ctx context.Context, server Server[M], o Options) (Ref[M], error) {
	s, err := start(ctx, server, o)
	if err != nil {
		return Ref[M]{}, err
	}
	return Ref[M]{s}, nil
}

// Child is the spec of a supervised process: Permanent, with DefaultShutdown, until changed. A new Server is made for
// each incarnation, so that none inherits what broke the one before.
func Child[M any](id string, server func() Server[M], o Options) supervise.ChildSpec {
	if o.Label == "" {
		o.Label = id
	}
	return supervise.ChildSpec{ID: id, Start: func(ctx context.Context) (supervise.Child, error) {
		if server == nil {
			return nil, fmt.Errorf("%w: child %s has no function that makes its server", ErrInvalid, id)
		}
		s, err := start(ctx, server(), o)
		if err != nil {
			return nil, err
		}
		return (*child)(&s.process), nil
	}}
}

func start[M any](ctx context.Context, server Server[M], o Options) (*Self[M], error) {
	if err := o.validate(ctx, server == nil); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("start of %s: the context was over before it: %w", label(o, server), context.Cause(ctx))
	}
	s := newSelf(ctx, server, o)
	if o.Name != nil {
		if err := s.Register(o.Name); err != nil {
			return nil, err
		}
	}
	parent := s.parent
	if parent != nil && !s.tie(parent) {
		s.die(noProc, true)
		return nil, fmt.Errorf("link to the parent %v: %w", PID{parent}, ErrNoProc)
	}
	w := &waiter{c: make(chan struct{}, 1)}
	ack := &request{to: &s.process, w: w}
	if !ack.keep() { // killed by one that found it by its name
		s.retire()
		return nil, &ExitError{PID: s.PID(), Reason: s.PID().Reason()}
	}
	go s.boot(ack)
	if over := ctx.Done(); over == nil {
		<-w.c
	} else {
		select {
		case <-w.c:
		case <-over:
			if ack.fail(fmt.Errorf("start of %v: Init did not return in time: %w", s.String(), context.Cause(ctx))) {
				s.unparent()
				s.kill(Reason{Kind: Killed, Err: context.Cause(ctx)})
			}
			<-w.c
		}
	}
	if ack.err != nil {
		return nil, ack.err
	}
	s.spare.Store(w)
	return s, nil
}

func (o *Options) validate(ctx context.Context, noServer bool) error {
	switch {
	case ctx == nil:
		return fmt.Errorf("%w: Start wants a context, such as context.Background()", ErrInvalid)
	case noServer:
		return fmt.Errorf("%w: Start wants a server, not nil", ErrInvalid)
	case o.Mailbox.Limit < 0:
		return fmt.Errorf("%w: mailbox limit %d, want 0 (none) or more", ErrInvalid, o.Mailbox.Limit)
	case o.Mailbox.Overflow < Reject || o.Mailbox.Overflow > Wait:
		return fmt.Errorf("%w: %v, want one of Reject, DropNewest, DropOldest, Wait", ErrInvalid, o.Mailbox.Overflow)
	case o.Link && caller(ctx) == nil:
		return fmt.Errorf("%w: Link wants the context of a process, such as the Self of a callback", ErrInvalid)
	}
	return nil
}

func newSelf[M any](ctx context.Context, server Server[M], o Options) *Self[M] {
	s := &Self[M]{server: server}
	if o.Mailbox.Limit > 0 {
		s.box.bound = &bound[M]{Mailbox: o.Mailbox}
	}
	s.id, s.since, s.trap, s.active = lastID.Add(1), time.Now(), o.TrapExit, true
	s.label = label(o, server)
	s.self, s.loop = s, runs(s)
	s.kin, _ = ctx.Value(kinKey{}).(*lineage)
	if o.Link {
		s.parent = caller(ctx)
	}
	if self, ok := ctx.(interface{ core() *process }); ok {
		s.base = self.core().base // not the parent itself: a process does not keep its ancestors in memory
	} else {
		s.base = context.WithoutCancel(ctx)
	}
	return s
}

func label(o Options, server any) string {
	if o.Label != "" {
		return o.Label
	}
	if n, ok := o.Name.(fmt.Stringer); ok {
		return n.String()
	}
	return fmt.Sprintf("%T", server)
}

// boot is the first goroutine of a process: Init, the acknowledgement, and then what is in the mailbox already.
func (s *Self[M]) boot(ack *request) {
	born, done := false, false
	defer func() {
		if done {
			return
		}
		v := recover()
		if born {
			s.broke(v)
		} else if !s.finishing {
			s.unborn(ack, panicked(v))
		}
	}()
	if server, ok := s.server.(Initer[M]); ok {
		if err := server.Init(s); err != nil {
			done = true
			s.unborn(ack, err)
			return
		}
	}
	inherited, err := s.inherit()
	if err != nil {
		done = true
		s.unborn(ack, err)
		return
	}
	s.mu.Lock()
	if s.phase != dead {
		s.phase, s.born = busy, true
	}
	s.mu.Unlock()
	born = true
	s.tellStart()
	ack.answer(inherited)
	if err := s.carryOn(); err != nil {
		s.stop(err)
	} else {
		for s.turn() {
		}
	}
	done = true
}

// unborn is the end of a process whose Init did not come to a good end. The parent is not punished for it: it gets the
// error, when the name is free.
func (s *Self[M]) unborn(ack *request, err error) {
	s.finishing = true
	s.unparent()
	r := reasonOf(err)
	if errors.Is(err, ErrIgnore) {
		r = Reason{Kind: Normal}
	}
	ack.unlist()
	defer func() {
		s.last(&r)
		ack.fail(err)
	}()
	if panics(r) {
		s.report(r)
	}
}

// unparent takes back the link to the parent.
func (p *process) unparent() {
	if p.parent != nil {
		p.Unlink(PID{p.parent})
	}
}

// answer acknowledges a start. Whoever sees that sees also what became of the inheritance.
func (q *request) answer(h *inheritance) {
	first := q.state.CompareAndSwap(waiting, settled)
	h.settle(first)
	if first {
		q.settle()
	}
}
