package observer

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"semper/actor"
	"semper/supervise"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var quiet = actor.WithReporter(context.Background(), func(actor.CrashReport) {})

func bubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, f)
}

// worker is a Server that does what it is sent.
type worker struct {
	Secret string
	Count  int
}

var errBoom = errors.New("boom")

func (w *worker) Handle(_ *actor.Self[any], m any) error {
	switch m := m.(type) {
	case func():
		m()
	case error:
		return m
	}
	w.Count++
	return nil
}

// keeper hides its secret.
type discreet struct{ worker }

func (*discreet) Redact(what any) any {
	if d, ok := what.(*discreet); ok {
		return discreet{worker{Secret: "***", Count: d.Count}}
	}
	return what
}

func newWorker() actor.Server[any] { return &worker{} }

func actorSpec(id string) supervise.ChildSpec { return actor.Child(id, newWorker, actor.Options{}) }

func nested(id string, start func(ctx context.Context) (supervise.Child, error)) supervise.ChildSpec {
	return supervise.ChildSpec{ID: id, Supervisor: true, Start: start}
}

func waits(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }

func start(t *testing.T, f supervise.Flags, specs ...supervise.ChildSpec) *supervise.Supervisor {
	t.Helper()
	s, err := supervise.Start(quiet, f, specs, supervise.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func stop(t *testing.T, s interface{ Stop(context.Context) error }) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// ref is the process with this path of ids below a supervisor.
func ref(t *testing.T, root supervise.Child, id string) actor.Ref[any] {
	t.Helper()
	var found actor.PID
	for _, i := range root.(parent).Children() {
		if p, ok := i.Child.(process); ok && i.ID == id {
			found = p.PID()
		}
	}
	r, err := actor.RefOf[any](found)
	if err != nil {
		t.Fatalf("%s: %v", id, err)
	}
	return r
}

// below is the node with this path of ids below n.
func below(t *testing.T, n Node, ids ...string) Node {
	t.Helper()
next:
	for _, id := range ids {
		for _, c := range n.Children {
			if c.ID == id {
				n = c
				continue next
			}
		}
		t.Fatalf("no %s below %s: %+v", id, n.ID, n.Children)
	}
	return n
}
