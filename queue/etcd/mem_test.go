package etcd_test

import (
	"io"
	"log/slog"
	"testing"

	"semper/queue"
	"semper/queue/etcd"
	"semper/queue/queuetest"
	"semper/store"
	"semper/store/mem"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func engine(t testing.TB, s store.Bulk, id, bodies string) *etcd.Engine {
	t.Helper()
	e, err := etcd.New(s, etcd.Options{ID: id, Bodies: bodies, Log: quiet()})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// inMemory is an engine with a store and a directory of its own, over its crashes.
type inMemory struct {
	*etcd.Engine
	store  *mem.Store
	bodies string
}

func (m *inMemory) Close() error {
	err := m.Engine.Close()
	_ = m.store.Close()
	return err
}

// TestContract runs the recipe over the store in memory, where time is virtual and schedules are many.
func TestContract(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, queuetest.Harness{
		Bubble: true,
		Open: func(t testing.TB) queue.Engine {
			s, dir := mem.New(), t.TempDir()
			return &inMemory{engine(t, s, "edge-1", dir), s, dir}
		},
		Reopen: func(t testing.TB, e queue.Engine) queue.Engine {
			old := e.(*inMemory)
			if err := old.Engine.Close(); err != nil {
				t.Error(err)
			}
			return &inMemory{engine(t, old.store, "edge-1", old.bodies), old.store, old.bodies}
		},
	})
}
