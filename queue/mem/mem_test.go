package mem_test

import (
	"testing"

	"go.uber.org/goleak"

	"semper/queue"
	"semper/queue/mem"
	"semper/queue/queuetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestContract(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, queuetest.Harness{
		Bubble: true,
		Open:   func(testing.TB) queue.Engine { return mem.New() },
		Reopen: func(_ testing.TB, e queue.Engine) queue.Engine { return e.(*mem.Engine).Restart() },
	})
}
