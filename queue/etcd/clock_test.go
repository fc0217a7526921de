package etcd_test

import (
	"testing"
	"time"

	"semper/queue"
	"semper/queue/backlog"
	"semper/queue/etcd"
)

// TestAClockThatIsSetIsNoticed has a job for a time of day: a dispatcher does not sleep until then by a timer, which goes on by a clock
// that nobody sets.
func TestAClockThatIsSetIsNoticed(t *testing.T) {
	t.Parallel()
	b := backlog.New(queue.Policy{})
	empty := etcd.Sleep(b)
	now := time.Now()
	b.Add(backlog.Entry{ID: queue.NewID(now), Revision: 1, At: now.Add(24 * time.Hour)}, now)
	if d := etcd.Sleep(b); d > 15*time.Second || empty < time.Minute {
		t.Errorf("it sleeps %s before a job of tomorrow, and %s without one", d, empty)
	}
}
