package supervise

import (
	"context"
	"errors"
	"runtime/debug"
)

// An incarnation is what the loop keeps of one start and the child that came of it. Its goroutine calls the StartFunc.
// It goes on to watch the child, so that every call into it is made where blocking hurts nobody else, unless the child
// is a Notifier: of that nothing is kept.
type incarnation struct {
	// Of a start under way.
	ctx    context.Context
	cancel context.CancelCauseFunc
	// Of a child that is watched.
	asks chan verb // doShutdown, doKill; one of each fits
}

// live is the goroutine of one incarnation.
func (l *loop) live(k *kid, n int, run *incarnation, start StartFunc) {
	defer l.works.Done()
	child, watch := l.start(k, n, run, start)
	switch {
	case child == nil:
	case watch == nil:
		child.(Notifier).Notify(func() { l.box.put(ended{kid: k, n: n}) })
	default:
		l.watch(k, n, child, watch)
	}
}

// start calls the StartFunc and tells the outcome, whatever it is: a panic is a failed start, as an exception is in
// OTP, and so is the end of the goroutine.
func (l *loop) start(k *kid, n int, run *incarnation, start StartFunc) (child Child, watch *incarnation) {
	err := errors.New("the start ended its goroutine")
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		l.box.put(answered{kid: k, n: n, child: child, run: watch, err: err})
	}()
	c, err2 := start(run.ctx)
	switch {
	case err2 != nil: // c is possibly a nil pointer of a real type
		err = err2
	case c == nil:
		err = errors.New("the start returned neither a child nor an error")
	default:
		child, err = c, nil
		if _, tells := c.(Notifier); !tells {
			watch = &incarnation{asks: make(chan verb, 2)}
		}
	}
	return child, watch
}

func (l *loop) watch(k *kid, n int, child Child, run *incarnation) {
	for {
		select {
		case <-child.Done():
			l.box.put(ended{kid: k, n: n})
			return
		case what := <-run.asks:
			tell(child, what)
		case <-l.released:
			return
		}
	}
}

// tell passes on what the child of k is asked to do.
func (k *kid) tell(what verb) {
	if k.run == nil {
		tell(k.child, what)
		return
	}
	select {
	case k.run.asks <- what:
	default: // the same has been asked already
	}
}

func tell(child Child, what verb) {
	if what == doKill {
		child.Kill()
	} else {
		child.Shutdown()
	}
}
