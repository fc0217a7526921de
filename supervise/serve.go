package supervise

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
)

// A Service is what Serve supervises, as a type. Services written for suture are of it.
type Service interface {
	// Serve works until ctx ends, and then returns soon. Returning nil means that it finished what it had to do.
	Serve(ctx context.Context) error
}

// Serve makes a child of a function that works until its context ends. The start is acknowledged at once, and the
// function runs in a goroutine of its own, with the values of the start's context.
//
// It ends as Normal when it returns nil, as Shutdown when it returns an error after it was asked to end, as Crash when
// it returns one before. A panic is a Crash with a *PanicError, runtime.Goexit one with ErrGoexit. Kill ends it as far
// as its supervisor is concerned: Done is closed at once, with reason Killed, what the function returns is nobody's
// business any more, and until it does it is listed as abandoned.
func Serve(serve func(ctx context.Context) error) StartFunc {
	if serve == nil {
		return nil // which is refused with the spec
	}
	return func(ctx context.Context) (Child, error) {
		s := newService(ctx)
		go s.run(serve)
		return s, nil
	}
}

// ServeService is Serve for a Service. One that is restarted has its Serve called again.
func ServeService(s Service) StartFunc {
	if s == nil {
		return nil
	}
	return Serve(s.Serve)
}

// ServeReady is Serve for a function that tells when it is ready: only then is its start acknowledged, and what is
// started after it may rely on it. When it returns before, or panics, its start has failed; nil too is a failure then,
// and ErrIgnore is no child this time.
func ServeReady(serve func(ctx context.Context, ready func()) error) StartFunc {
	if serve == nil {
		return nil
	}
	return func(ctx context.Context) (Child, error) {
		s := newService(ctx)
		ready := make(chan struct{})
		tell := sync.OnceFunc(func() { close(ready) })
		go s.run(func(ctx context.Context) error { return serve(ctx, tell) })
		select {
		case <-ready:
			return s, nil
		case <-s.gone:
		case <-ctx.Done():
			s.Shutdown()
			<-s.gone
		}
		select {
		case <-ready: // and ended since, which is for the supervisor to find
			return s, nil
		default:
		}
		switch err := s.Reason().Err; {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			return nil, err
		}
		return nil, errNeverReady
	}
}

// ErrGoexit tells that a Serve function ended its goroutine instead of returning.
var ErrGoexit = errors.New("runtime.Goexit was called; return an error instead")

var errNeverReady = errors.New("it returned before it was ready; call ready once it serves, or return ErrIgnore")

// service is one goroutine as a child.
type service struct {
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{} // closed when it has ended, as far as anybody is concerned
	gone   chan struct{} // closed when the function has returned

	mu     sync.Mutex // guards the following
	asked  bool
	ended  bool
	reason Reason
	told   []func()
}

func newService(ctx context.Context) *service {
	s := &service{done: make(chan struct{}), gone: make(chan struct{})}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

func (s *service) run(serve func(context.Context) error) {
	defer close(s.gone)
	defer s.cancel()
	r := Reason{Kind: Crash, Err: ErrGoexit}
	defer func() {
		if v := recover(); v != nil {
			r = Reason{Kind: Crash, Err: &PanicError{Value: v, Stack: debug.Stack()}}
		}
		s.end(r)
	}()
	r = s.judge(serve(s.ctx))
}

// judge sorts what the function returned.
func (s *service) judge(err error) Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		return Reason{Kind: Normal}
	case !s.asked:
		return Reason{Kind: Crash, Err: err}
	case errors.Is(err, context.Canceled):
		return Reason{Kind: Shutdown}
	}
	return Reason{Kind: Shutdown, Err: err}
}

func (s *service) end(r Reason) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		return
	}
	s.ended, s.reason = true, r
	told := s.told
	s.told = nil
	close(s.done)
	s.mu.Unlock()
	for _, f := range told {
		f()
	}
}

// Done implements Child.
func (s *service) Done() <-chan struct{} { return s.done }

// Gone implements Abandonable.
func (s *service) Gone() <-chan struct{} { return s.gone }

// Notify implements Notifier.
func (s *service) Notify(f func()) {
	s.mu.Lock()
	ended := s.ended
	if !ended {
		s.told = append(s.told, f)
	}
	s.mu.Unlock()
	if ended {
		f()
	}
}

// Reason implements Child.
func (s *service) Reason() Reason {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reason
}

// Shutdown implements Child.
func (s *service) Shutdown() {
	s.mu.Lock()
	s.asked = true
	s.mu.Unlock()
	s.cancel()
}

// Kill implements Child: nobody can kill a goroutine, but it can be disowned.
func (s *service) Kill() {
	s.cancel()
	s.end(Reason{Kind: Killed})
}

// A PanicError is a panic that ended a child, or the start of one.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
