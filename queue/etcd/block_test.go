package etcd_test

import (
	"testing"

	"semper/queue"
	"semper/queue/queuetest"
	"semper/store/mem"
)

// TestContractPacked is TestContract with every job in a block, also where it comes alone.
func TestContractPacked(t *testing.T) {
	t.Parallel()
	packed := func(t testing.TB, s *mem.Store, bodies string) *inMemory {
		e := engine(t, s, "edge-1", bodies)
		e.PackFrom(1)
		return &inMemory{e, s, bodies}
	}
	queuetest.Run(t, queuetest.Harness{
		Bubble: true,
		Open:   func(t testing.TB) queue.Engine { return packed(t, mem.New(), t.TempDir()) },
		Reopen: func(t testing.TB, e queue.Engine) queue.Engine {
			old := e.(*inMemory)
			if err := old.Engine.Close(); err != nil {
				t.Error(err)
			}
			return packed(t, old.store, old.bodies)
		},
	})
}
