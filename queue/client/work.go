package client

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"
)

// Options of [Work]. The zero Options are good ones.
type Options struct {
	Concurrency int // handlers at a time; 0: 1
	// Grace is how long handlers may go on when ctx has ended; then their contexts end, and what they had is given back. 0: as long
	// as they take, and as their process is let.
	Grace time.Duration
	Log   *slog.Logger // nil: slog.Default()
}

// A Handler does a job. An error is a failed attempt, of which [Final] and [After] say more, and [ErrBack] gives the job back
// uncounted. A panic is a failed attempt.
type Handler func(ctx context.Context, j *Job) (Result, error)

// ErrBack is for a handler that could not even begin: the job goes back as if it had not been claimed.
var ErrBack = errors.New("given back")

// said is an error of a handler with what it says of further attempts.
type said struct {
	error
	final bool
	after time.Duration
}

func (s said) Unwrap() error { return s.error }

// Final is err of an attempt after which no further one would help.
func Final(err error) error { return said{error: err, final: true} }

// After is err of an attempt after which the next makes sense in d at the earliest.
func After(d time.Duration, err error) error { return said{error: err, after: d} }

// Work has jobs done by h until ctx ends, and returns when every handler has: with an error only where asking makes no sense, because
// this process is not an instance, or its service has no queue.
func Work(ctx context.Context, c *Client, o Options, h Handler) error {
	o.Concurrency = max(o.Concurrency, 1)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	hands, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	if o.Grace > 0 {
		defer context.AfterFunc(ctx, func() {
			t := time.AfterFunc(o.Grace, cut)
			context.AfterFunc(hands, func() { t.Stop() })
		})()
	}
	w := &worker{Client: c, Options: o, handle: h, slots: make(chan struct{}, o.Concurrency)}
	defer w.wg.Wait()
	for {
		n, ok := w.free(ctx)
		if !ok {
			return nil
		}
		jobs, err := c.Claim(ctx, n, 30*time.Second)
		for range n - len(jobs) {
			<-w.slots
		}
		for i := range jobs {
			w.wg.Go(func() {
				defer func() { <-w.slots }()
				w.do(hands, &jobs[i])
			})
		}
		if err == nil {
			continue
		}
		if err := w.wait(ctx, err); err != nil {
			return err
		}
	}
}

type worker struct {
	*Client
	Options
	handle Handler
	slots  chan struct{} // has one for each job in hand
	wg     sync.WaitGroup
}

// free takes all slots that are free, and waits for one. false: ctx has ended.
func (w *worker) free(ctx context.Context) (n int, ok bool) {
	if ctx.Err() != nil {
		return 0, false
	}
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return 0, false
	}
	for n = 1; n < min(cap(w.slots), 100); n++ {
		select {
		case w.slots <- struct{}{}:
		default:
			return n, true
		}
	}
	return n, true
}

// wait passes the time until it makes sense to ask again. The error says that it never does.
func (w *worker) wait(ctx context.Context, err error) error {
	pause := time.Second
	e, answered := errors.AsType[*Error](err)
	switch {
	case ctx.Err() != nil:
		return nil
	case answered && e.Status < 500 && e.is == nil:
		return err
	case answered && e.RetryAfter > 0:
		pause = min(e.RetryAfter, time.Minute)
	}
	if !errors.Is(err, ErrQuiesced) {
		w.Log.Warn("no jobs can be claimed; asking again", "error", err, "in", pause)
	}
	t := time.NewTimer(pause/2 + rand.N(pause))
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
	return nil
}

// farewell is how long the end of an attempt may take to be written down. The lease ends what is not.
const farewell = 10 * time.Second

// do has one job done and says how it went.
func (w *worker) do(hands context.Context, j *Job) {
	ctx, end := context.WithCancelCause(hands)
	kept := make(chan struct{})
	go func() { // until the handler has returned; do waits for it
		defer close(kept)
		w.keep(ctx, j, end)
	}()
	r, err := w.call(ctx, j)
	lost := errors.Is(context.Cause(ctx), ErrLeaseLost)
	end(nil)
	<-kept
	if lost {
		w.Log.Warn("the lease of a job ended before its handler: another does it", "job", j.ID)
		return
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(hands), farewell)
	defer cancel()
	var s said
	switch {
	case err == nil:
		err = w.Complete(last, j, r)
	case errors.Is(err, ErrBack) || hands.Err() != nil && errors.Is(err, context.Canceled):
		err = w.Release(last, j)
	case errors.As(err, &s):
		err = w.Fail(last, j, Failure{Reason: s.Error(), RetryAfter: s.after, Final: s.final})
	default:
		err = w.Fail(last, j, Failure{Reason: err.Error()})
	}
	if err != nil {
		w.Log.Warn("how an attempt ended was not written down; it begins again when its lease ends", "job", j.ID, "error", err)
	}
}

// call runs the handler; a panic is an error.
func (w *worker) call(ctx context.Context, j *Job) (r Result, err error) {
	defer func() {
		if p := recover(); p != nil {
			w.Log.Error("a handler panicked", "job", j.ID, "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return w.handle(ctx, j)
}

// keep extends the lease of j, in a third of its time each, until ctx ends; when it is lost it ends ctx.
func (w *worker) keep(ctx context.Context, j *Job, end context.CancelCauseFunc) {
	lasts := time.Duration(j.Seconds * float64(time.Second))
	for until := time.Now().Add(lasts); ; {
		t := time.NewTimer(lasts / 3)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
		d, err := w.Extend(ctx, j)
		switch {
		case err == nil && d > 0:
			lasts, until = d, time.Now().Add(d)
		case errors.Is(err, ErrLeaseLost), time.Now().After(until):
			end(ErrLeaseLost)
			return
		}
	}
}
