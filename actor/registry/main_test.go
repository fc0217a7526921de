package registry

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"semper/actor"
)

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // of listeners that panic, on purpose
	goleak.VerifyTestMain(m)
}

// job is what a test makes a process do, and what tells the test that it is done.
type job struct {
	do   func(self *actor.Self[job]) error
	from actor.From[error]
}

// worker does its jobs; an error of one is the answer, and ends nothing.
type worker struct {
	init func(*actor.Self[job]) error
	down []actor.Down
}

func (w *worker) Init(self *actor.Self[job]) error {
	if w.init == nil {
		return nil
	}
	return w.init(self)
}

func (w *worker) Handle(self *actor.Self[job], j job) error {
	j.from.Reply(j.do(self))
	return nil
}

func (w *worker) Info(_ *actor.Self[job], info any) error {
	if d, ok := info.(actor.Down); ok {
		w.down = append(w.down, d)
	}
	return nil
}

// quiet is a context in which crashes are not logged.
var quiet = actor.WithReporter(context.Background(), func(actor.CrashReport) {})

func start(t testing.TB, o actor.Options) actor.Ref[job] {
	t.Helper()
	ref, err := actor.Start(quiet, actor.Server[job](&worker{}), o)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

// do has a process do something, and returns what that returned.
func do(t testing.TB, to actor.Ref[job], f func(self *actor.Self[job]) error) error {
	t.Helper()
	answer, err := actor.Call(context.Background(), to, func(from actor.From[error]) job { return job{f, from} })
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func register[K comparable, V any](t testing.TB, r *Registry[K, V], of actor.Ref[job], key K, value V) error {
	t.Helper()
	return do(t, of, func(self *actor.Self[job]) error { return r.Register(self, key, value) })
}

func unregister[K comparable, V any](t testing.TB, r *Registry[K, V], of actor.Ref[job], key K) {
	t.Helper()
	_ = do(t, of, func(self *actor.Self[job]) error { r.Unregister(self, key); return nil })
}

func kill(of ...actor.Ref[job]) {
	for _, r := range of {
		r.PID().Kill()
	}
}

// scenario runs a test in a bubble, for 1 and 8 partitions.
func scenario(t *testing.T, f func(t *testing.T, partitions int)) {
	t.Parallel()
	for _, n := range []int{1, 8} {
		t.Run(fmt.Sprintf("partitions=%d", n), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { f(t, n) })
		})
	}
}

// empty checks that a registry remembers nothing of processes that are gone.
func empty[K comparable, V any](t rapid.TB, r *Registry[K, V]) {
	t.Helper()
	for p := range r.every {
		if len(p.entries) > 0 || p.n != 0 || len(p.queues) > 0 {
			t.Errorf("%d keys, %d entries, %d queues are left", len(p.entries), p.n, len(p.queues))
		}
	}
	if owners := r.owned.Owners(); len(owners) > 0 {
		t.Errorf("%v are known", owners)
	}
}
