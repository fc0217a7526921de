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
	s, err := start(ctx, server, &o)
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
		if ctx, ok := ctx.(*supervise.Starting); ok {
			s, ack, err := begin(ctx, server, &o)
			if err == nil {
				s.boot(ack)
			}
			return nil, err
		}
		return startChild(ctx, server, &o)
	}}
}

func startChild[M any](ctx context.Context, server func() Server[M], o *Options) (supervise.Child, error) {
	if server == nil {
		return nil, noServer(o)
	}
	s, err := start(ctx, server(), o)
	if err != nil {
		return nil, err
	}
	return (*child)(&s.process), nil
}

func noServer(o *Options) error {
	return fmt.Errorf("%w: child %s has no function that makes its server", ErrInvalid, o.Label)
}

// begin makes a process whose start goes on in the goroutine that its supervisor has given to it: that becomes the first
// of the process.
func begin[M any](ctx *supervise.Starting, server func() Server[M], o *Options) (*Self[M], *request, error) {
	if server == nil {
		return nil, nil, noServer(o)
	}
	s, err := prepare(ctx, server(), o)
	if err != nil {
		return nil, nil, err
	}
	a := &begun{waiter: waiter{begun: ctx}}
	a.to, a.w = &s.process, &a.waiter
	if !a.keep() {
		s.retire()
		return nil, nil, s.stillborn()
	}
	ctx.OnCancel(a)
	return s, &a.request, nil
}

// begun is the acknowledgement of such a start.
type begun struct {
	request
	waiter
}

// Cancel implements supervise.Canceler: the end of the start's context.
func (a *begun) Cancel(cause error) { a.request.cancel(cause) }

func (q *request) cancel(cause error) {
	if q.fail(fmt.Errorf("start of %v: Init did not return in time: %w", q.to.String(), cause)) {
		q.to.unparent()
		q.to.kill(Reason{Kind: Killed, Err: cause})
	}
}

func (q *request) acknowledge() {
	if q.err != nil {
		q.w.begun.Fail(q.err)
	} else {
		q.w.begun.Ack((*child)(q.to))
	}
}

// prepare makes a process with its name and its parent.
func prepare[M any](ctx context.Context, server Server[M], o *Options) (*Self[M], error) {
	if err := o.validate(ctx, server == nil); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, late(label(o, server), ctx)
	}
	s := newSelf(ctx, server, o)
	if o.Name != nil {
		if err := s.Register(o.Name); err != nil {
			return nil, err
		}
	}
	parent := s.parent
	if parent != nil && !s.tie(parent) {
		return nil, s.orphan()
	}
	return s, nil
}

// late, stillborn and orphan are not written out where they are needed: the frames there are those of every start, and a start
// whose frames are large has its stack copied.
func late(what string, ctx context.Context) error {
	return fmt.Errorf("start of %s: the context was over before it: %w", what, context.Cause(ctx))
}

func (p *process) stillborn() error { return &ExitError{PID: PID{p}, Reason: PID{p}.Reason()} }

func (p *process) orphan() error {
	p.die(noProc, true)
	return fmt.Errorf("link to the parent %v: %w", PID{p.parent}, ErrNoProc)
}

func start[M any](ctx context.Context, server Server[M], o *Options) (*Self[M], error) {
	s, err := prepare(ctx, server, o)
	if err != nil {
		return nil, err
	}
	w := &waiter{c: make(chan struct{}, 1)}
	ack := &request{to: &s.process, w: w}
	if !ack.keep() { // killed by one that found it by its name
		s.retire()
		return nil, s.stillborn()
	}
	go s.boot(ack)
	if over := ctx.Done(); over == nil {
		<-w.c
	} else {
		select {
		case <-w.c:
		case <-over:
			ack.cancel(context.Cause(ctx))
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

func newSelf[M any](ctx context.Context, server Server[M], o *Options) *Self[M] {
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
	switch ctx := ctx.(type) {
	case interface{ core() *process }:
		s.base = ctx.core().base // not the parent itself: a process does not keep its ancestors in memory
	case *supervise.Starting:
		s.base = ctx.Values()
	default:
		s.base = context.WithoutCancel(ctx)
	}
	return s
}

func label(o *Options, server any) string {
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
		s.turns()
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
