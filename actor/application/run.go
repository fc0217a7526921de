package application

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"semper/supervise"
)

// run is an application from its start to its end. What OTP's application master does for it, its goroutine does.
type run struct {
	c     *Controller
	n     uint64 // of the runs of the controller
	app   *loaded
	by    *start
	final context.Context // of PrepStop and Stop: ends by Kill
	kill  context.CancelCauseFunc
	life  context.Context // of Start and the phases: ends with the application too
	over  context.CancelCauseFunc
	calls sync.Mutex    // held while a function of the application runs: one at a time
	halt  chan struct{} // closed by askToStop
	gone  chan struct{} // closed when nothing of it runs and it is forgotten

	// Guarded by c.mu.
	state State
	since time.Time
	child supervise.Child // set before master begins, and not changed
	asked bool            // to stop, by whomever
	step  string          // which of its functions runs
}

func newRun(s *start, a *loaded) *run {
	r := &run{c: s.c, n: s.c.runs, app: a, by: s, halt: make(chan struct{}), gone: make(chan struct{})}
	base := context.WithValue(context.WithoutCancel(s.ctx), memberKey{}, &member{controller: s.c, name: a.Name})
	r.final, r.kill = context.WithCancelCause(base)
	r.life, r.over = context.WithCancelCause(r.final)
	r.enter(StateStarting)
	return r
}

// enter is called with c.mu held.
func (r *run) enter(s State) { r.state, r.since = s, time.Now() }

// askToStop is called with c.mu held.
func (r *run) askToStop() {
	if !r.asked {
		r.asked = true
		close(r.halt)
	}
}

// master waits for the end of the application, whoever wants it, and sees it through.
func (r *run) master() {
	var ended <-chan struct{} // never, when there is no tree
	if r.child != nil {
		ended = r.child.Done()
	}
	select {
	case <-ended:
	case <-r.halt:
	case <-r.final.Done():
	}
	reason, decision := r.ending(ended)
	if decision != "" {
		r.c.emit(Event{Name: r.app.Name, Kind: Ended, Type: r.app.Type, Reason: reason, Decision: decision})
		if decision == decideStop {
			r.c.close(supervise.Reason{Kind: supervise.Crash, Err: r.terminated(reason)})
		}
	} else {
		reason = r.stop(ended)
	}
	r.callback("Stop", r.app.Stop)
	if decision == "" {
		r.c.emit(Event{Name: r.app.Name, Kind: Stopped, Type: r.app.Type, Reason: reason})
	}
	r.forget()
}

// ending marks the end, and decides about one that nobody asked for; otherwise there is no decision.
func (r *run) ending(ended <-chan struct{}) (supervise.Reason, string) {
	defer r.over(errOver)
	r.c.mu.Lock()
	defer r.c.mu.Unlock()
	state := r.state
	r.enter(StateStopping)
	select {
	case <-ended:
	default:
		return supervise.Reason{}, ""
	}
	reason := r.child.Reason()
	switch {
	case r.asked || r.c.closed:
		return reason, ""
	case state == StateStarting:
		r.by.cancel(&StartError{Name: r.app.Name, Err: r.terminated(reason)})
		return reason, decideBreak
	case r.app.Type.ends(reason):
		return reason, decideStop
	}
	return reason, decideNone
}

func (r *run) terminated(reason supervise.Reason) error {
	return &TerminatedError{Name: r.app.Name, Type: r.app.Type, Reason: reason}
}

// stop ends the tree and returns its reason.
func (r *run) stop(ended <-chan struct{}) supervise.Reason {
	select {
	case <-ended: // while it was not asked yet
	default:
		r.callback("PrepStop", r.app.PrepStop)
	}
	killed := r.final.Done()
	switch {
	case r.child != nil:
	case r.final.Err() != nil:
		return supervise.Reason{Kind: supervise.Killed}
	default:
		return supervise.Reason{Kind: supervise.Shutdown}
	}
	select {
	case <-killed:
	default:
		r.child.Shutdown()
	}
	select {
	case <-ended:
	case <-killed:
		r.child.Kill()
		<-ended
	}
	return r.child.Reason()
}

// callback calls PrepStop or Stop, unless all is killed.
func (r *run) callback(step string, f func(context.Context) error) {
	if f == nil || r.final.Err() != nil {
		return
	}
	if err := r.call(r.final, step, f); err != nil {
		r.c.emit(Event{Name: r.app.Name, Kind: CallbackFailed, Type: r.app.Type, Err: fmt.Errorf("%s: %w", step, err)})
	}
}

// forget is the last act of a run.
func (r *run) forget() {
	r.c.mu.Lock()
	r.c.up = remove(r.c.up, r)
	r.app.run = nil
	r.c.mu.Unlock()
	r.kill(errOver)
	close(r.gone)
}

func remove(all []*run, r *run) []*run {
	for i := range all {
		if all[i] == r {
			return append(all[:i:i], all[i+1:]...)
		}
	}
	return all
}

// callback of an application that runs now. Processes may inherit it with the values of a context, so that it says when
// it is over.
type callback struct {
	run  *run
	step string
	over atomic.Bool
}

type callbackKey struct{}

// callbackOf is the function of an application of c in which ctx was given out, when it has not returned yet.
func callbackOf(ctx context.Context, c *Controller) *callback {
	b, _ := ctx.Value(callbackKey{}).(*callback)
	if b == nil || b.run.c != c || b.over.Load() {
		return nil
	}
	return b
}

func (b *callback) deadlock(what, instead string) error {
	return fmt.Errorf("%w: %s was called in %s of application %s, and would wait for its end: %s", ErrDeadlock, what, b.step, b.run.app.Name, instead)
}

// call calls a function of the application, in a goroutine of its own that it waits for: a panic or a Goexit is an error.
func (r *run) call(ctx context.Context, step string, f func(context.Context) error) error {
	r.calls.Lock()
	defer r.calls.Unlock()
	b := &callback{run: r, step: step}
	r.c.mu.Lock()
	r.step = step
	r.c.mu.Unlock()
	out := make(chan error, 1)
	go func() {
		err := errGoexit
		defer func() {
			if v := recover(); v != nil {
				err = &supervise.PanicError{Value: v, Stack: debug.Stack()}
			}
			out <- err
		}()
		err = f(context.WithValue(ctx, callbackKey{}, b))
	}()
	err := <-out
	b.over.Store(true)
	r.c.mu.Lock()
	r.step = ""
	r.c.mu.Unlock()
	return err
}
