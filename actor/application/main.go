package application

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// A Program runs applications for a main function. The zero value is useful.
type Program struct {
	Options
	// Signals that end the program in order; nil: SIGINT and SIGTERM, empty: none. A second one is not caught, so that it
	// ends the program as it would any other.
	Signals []os.Signal
	// StopWithin is how long the stop of all may take; zero: DefaultStop, negative: any time.
	StopWithin time.Duration
}

// DefaultStop is the StopWithin of a Program that does not say.
const DefaultStop = 30 * time.Second

// Main is the whole of a main function: it starts the applications, waits for SIGINT, SIGTERM, the end of ctx, or an
// application that the others should not outlive, and stops them in reverse order. See Program.Run.
//
//	func main() {
//		if err := application.Main(context.Background(), database, web); err != nil {
//			log.Fatal(err)
//		}
//	}
func Main(ctx context.Context, apps ...Application) error { return Program{}.Run(ctx, apps...) }

// Run starts the applications and everything they depend on, in order, and waits for a signal, the end of ctx, or the
// end of an application that the others should not outlive. Then, or when something did not start, it stops them in
// reverse order within StopWithin.
//
// It returns nil after a signal or the end of ctx, when everything has been stopped. Otherwise errors.As finds in the
// error a *StartError, a *TerminatedError, and a *StopError when the time for the stop was over: that names who is
// blocking it, and what it names runs until the program exits. Which exit code each deserves is up to the program.
func (p Program) Run(ctx context.Context, apps ...Application) error {
	if ctx == nil {
		return errNoContext
	}
	c, err := New(p.Options, apps...)
	if err != nil {
		return err
	}
	signals := p.Signals
	if signals == nil {
		signals = []os.Signal{os.Interrupt, syscall.SIGTERM}
	}
	ctx, release := context.WithCancel(ctx)
	defer release()
	if len(signals) > 0 { // of none, signal would make all
		ctx, release = signal.NotifyContext(ctx, signals...)
		defer release()
	}
	names := make([]string, len(apps))
	for i, a := range apps {
		names[i] = a.Name
	}
	started := make(chan error, 1)
	var starter sync.WaitGroup
	starter.Go(func() {
		_, err := c.EnsureAllStarted(ctx, names...)
		started <- err
	})
	var fault error
	select {
	case fault = <-started:
	case <-c.closing:
	case <-ctx.Done():
	}
	if fault == nil {
		select {
		case <-c.closing:
		case <-ctx.Done():
		}
	}
	if c.closes() && errors.Is(fault, ErrStopping) || ctx.Err() != nil && errors.Is(fault, context.Cause(ctx)) {
		fault = nil // not a fault of its own: it was broken off by what is told anyway
	}
	release()
	if err = p.stop(c); !errors.As(err, new(*StopError)) {
		starter.Wait()
	}
	return errors.Join(fault, err)
}

// stop stops all within the time there is, and says what had ended it before.
func (p Program) stop(c *Controller) error {
	ctx := context.Background()
	within := p.StopWithin
	if within == 0 {
		within = DefaultStop
	}
	if within > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, within, fmt.Errorf("%w: %v were not enough", context.DeadlineExceeded, within))
		defer cancel()
	}
	err := c.StopAll(ctx)
	if r := c.Reason(); r.Err != nil {
		return errors.Join(r.Err, err)
	}
	return err
}
