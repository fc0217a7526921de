package task_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"semper/actor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bubble runs a test in virtual time.
func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// quiet is a context in which crashes are not logged.
var quiet = actor.WithReporter(context.Background(), func(actor.CrashReport) {})

var errBoom = errors.New("boom")

// within is a context that ends after d.
func within(t *testing.T, ctx context.Context, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, d)
	t.Cleanup(cancel)
	return ctx
}

// job is what an owner is made to do in one of its callbacks.
type job struct {
	do   func(self *actor.Self[job]) error
	from actor.From[error]
}

// owner is a process that does jobs, and keeps the Infos it gets.
type owner struct {
	mu    sync.Mutex
	infos []any
	ref   actor.Ref[job]
}

func (o *owner) Handle(self *actor.Self[job], j job) error {
	err := j.do(self)
	j.from.Reply(err)
	if _, ok := actor.Stopped(err); ok {
		return err
	}
	return nil
}

func (o *owner) Info(_ *actor.Self[job], info any) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.infos = append(o.infos, info)
	return nil
}

func (o *owner) got() []any {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.infos
}

func newOwner(t *testing.T, ctx context.Context, opts actor.Options) *owner {
	t.Helper()
	o := &owner{}
	ref, err := actor.Start(ctx, actor.Server[job](o), opts)
	if err != nil {
		t.Fatal(err)
	}
	o.ref = ref
	t.Cleanup(ref.PID().Kill)
	return o
}

// do runs f in a callback of the owner, and gives its error or why there is none.
func (o *owner) do(f func(self *actor.Self[job]) error) error {
	err, died := actor.Call(context.Background(), o.ref, func(from actor.From[error]) job { return job{f, from} })
	return errors.Join(err, died)
}

// untilAsked is a task that works until it is asked to end.
func untilAsked(ctx context.Context) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// stubborn is a task that does not look at its context.
func stubborn(until <-chan struct{}) func(context.Context) (int, error) {
	return func(context.Context) (int, error) {
		<-until
		return 1, nil
	}
}

func answer(n int) func(context.Context) (int, error) {
	return func(context.Context) (int, error) { return n, nil }
}

func after(d time.Duration, n int) func(context.Context) (int, error) {
	return func(ctx context.Context) (int, error) {
		select {
		case <-time.After(d):
			return n, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

func failing(context.Context) (int, error)   { return 0, errBoom }
func panicking(context.Context) (int, error) { panic("boom") }

// kindOf is the kind of the Reason in err, which must say that a process ended without an answer.
func kindOf(t *testing.T, err error) actor.Reason {
	t.Helper()
	var end *actor.ExitError
	if !errors.As(err, &end) {
		t.Fatalf("%v, want an ExitError", err)
	}
	return end.Reason
}

// expect checks a result.
func expect[R comparable](t *testing.T, what string, got R, err error, want R, wantErr error) {
	t.Helper()
	if got != want || !errors.Is(err, wantErr) {
		t.Errorf("%s: %v, %v; want %v, %v", what, got, err, want, wantErr)
	}
}
