package actor

import (
	"context"
	"fmt"
	"sync/atomic"

	"semper/supervise"
)

// A From is where the reply to one call goes. It is put into the message, may be handed on, and is answered once, from
// anywhere, in the handler or long after it.
type From[R any] struct{ a *answer[R] }

// Reply answers the call and reports whether it was the first answer and the caller still waited. Replying to the zero
// From does nothing: a message that came by Cast may have one.
func (f From[R]) Reply(v R) bool {
	if f.a == nil || !f.a.state.CompareAndSwap(waiting, settled) {
		return false
	}
	f.a.value = v
	f.a.settle()
	return true
}

// Fail answers the call with an error.
func (f From[R]) Fail(err error) bool {
	if err == nil {
		err = fmt.Errorf("%w: From.Fail was given no error", ErrInvalid)
	}
	return f.a != nil && f.a.request.fail(err)
}

// Waiting reports whether somebody still waits for the reply: work whose caller has gone may be left undone.
func (f From[R]) Waiting() bool { return f.a != nil && f.a.state.Load() == waiting }

type answer[R any] struct {
	request
	value R
}

const (
	waiting int32 = iota
	settled       // there is an answer, or there will be in a moment
	left          // the caller does not wait any more: a late reply vanishes
)

// request is one call as the process called sees it.
type request struct {
	state atomic.Int32
	// listed says that the process keeps it in its list of open calls. It is set before state is looked at, and looked
	// at after state is set, so that one of both sides takes it out of the list.
	listed     atomic.Bool
	info       any // of one that is no call: what comes besides messages
	to         *process
	w          *waiter
	err        error
	prev, next *request // of the list, guarded by to.mu
}

// A waiter is who waits for the answer.
type waiter struct {
	c chan struct{} // takes one answer without blocking
	// begun is the supervised start that the answer acknowledges, in place of c.
	begun *supervise.Starting
}

func (q *request) fail(err error) bool {
	if !q.state.CompareAndSwap(waiting, settled) {
		return false
	}
	q.err = err
	q.settle()
	return true
}

func (q *request) settle() {
	if q.w.begun == nil {
		q.w.c <- struct{}{}
	} else {
		q.acknowledge()
	}
	q.unlist()
}

// keep lists a call that its handler has not answered, so that the death of the process answers it. It reports whether
// the process lives.
func (q *request) keep() bool {
	p := q.to
	p.mu.Lock()
	defer p.mu.Unlock()
	q.listed.Store(true)
	if q.state.Load() != waiting || p.phase == dead {
		return p.phase != dead
	}
	q.next = p.open
	if p.open != nil {
		p.open.prev = q
	}
	p.open = q
	return true
}

func (q *request) unlist() {
	if !q.listed.Load() {
		return
	}
	p := q.to
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case q.prev != nil:
		q.prev.next = q.next
	case p.open == q:
		p.open = q.next
	}
	if q.next != nil {
		q.next.prev = q.prev
	}
	q.prev, q.next = nil, nil
}

// Call sends a message and waits for its reply. The message is made by ask, which puts the From into it:
//
//	n, err := actor.Call(ctx, counter, func(from actor.From[int]) message { return get{from} })
//
// The end of ctx ends the waiting: the error is then the cause of ctx, and a late reply vanishes; the server may still
// do what was asked. A process that ends before it replies gives an *ExitError, one that had ended before ErrNoProc. In
// a callback ctx is the Self, or comes from it: that is how a call to itself is found out (ErrCallingSelf) and how the
// waiting ends when the process is asked to end. Call may be used by any goroutine.
func Call[R, M any](ctx context.Context, to Target[M], ask func(From[R]) M) (R, error) {
	var zero R
	if ctx == nil || ask == nil || to == nil {
		return zero, fmt.Errorf("%w: Call wants a context, a target and a function that makes the message", ErrInvalid)
	}
	ref, err := to.Resolve()
	if err != nil {
		return zero, err
	}
	s := ref.s
	if s == nil {
		return zero, ErrNoProc
	}
	if caller(ctx) == &s.process {
		return zero, ErrCallingSelf
	}
	if ctx.Err() != nil {
		return zero, fmt.Errorf("call of %v: the context was over before it: %w", s.String(), context.Cause(ctx))
	}
	w := s.spare.Swap(nil)
	if w == nil {
		w = &waiter{c: make(chan struct{}, 1)}
	}
	a := &answer[R]{request: request{to: &s.process, w: w}}
	if err := s.put(ctx, envelope[M]{m: ask(From[R]{a}), x: &a.request}); err != nil {
		return a.leave(err)
	}
	if p := asked(ctx); p != nil && p.awaiting.CompareAndSwap(nil, &a.request) {
		p.await()
	} else if over := ctx.Done(); over == nil {
		<-w.c
	} else {
		select {
		case <-w.c:
		case <-over:
			return a.leave(fmt.Errorf("call of %v: %w", s.String(), context.Cause(ctx)))
		}
	}
	if a.state.Load() == left {
		a.unlist()
		a.err = fmt.Errorf("call of %v: %w", s.String(), context.Canceled)
	}
	s.spare.Store(w)
	return a.value, a.err
}

// asked is the process whose own context ctx is, that which ends when the process is asked to end; nil for any other.
func asked(ctx context.Context) *process {
	if c, ok := ctx.(interface{ asked() *process }); ok {
		return c.asked()
	}
	return nil
}

// await waits for the answer to p's own call, or until p is asked to end. One channel is enough for both, and a select
// on two costs a third of a call more.
func (p *process) await() {
	q := p.awaiting.Load()
	if p.leaving() {
		q.abandon()
	}
	<-q.w.c
	p.awaiting.Store(nil)
}

// abandon ends the waiting from the side of the caller.
func (q *request) abandon() {
	if q.state.CompareAndSwap(waiting, left) {
		q.w.c <- struct{}{}
	}
}

// leave ends the waiting for err, unless there is an answer already. Only then may the waiter be used again: a From
// may have been given away and answered even when the message could not be sent.
func (a *answer[R]) leave(err error) (R, error) {
	if a.state.CompareAndSwap(waiting, left) {
		a.unlist()
		a.err = err
	} else {
		<-a.w.c
	}
	a.to.spare.Store(a.w)
	return a.value, a.err
}

type selfKey struct{}

// Personal keeps the identity of a process from what a supervisor started by it starts: that is another.
func (selfKey) Personal() {}

// caller is the process that ctx belongs to, or nil.
func caller(ctx context.Context) *process {
	if ctx == nil {
		return nil
	}
	if c, ok := ctx.(interface{ core() *process }); ok {
		return c.core()
	}
	p, _ := ctx.Value(selfKey{}).(*process)
	return p
}
