package queues

import (
	"context"
	"strings"
	"testing"

	"semper"
	"semper/queue"
)

// refusing is an engine that cannot be used as it is.
type refusing struct{ Engine }

func (refusing) Queues(context.Context) ([]queue.Listing, error) {
	return nil, &semper.Error{Code: semper.Unavailable, Op: "queue", Message: "this JetStream would lose jobs", Hint: "write sync_interval: always"}
}

func TestACheckSaysWhatTheEngineSays(t *testing.T) {
	t.Parallel()
	if c := (Desk{Engine: refusing{}}).CheckQueues(t.Context()); c.Status != "fail" || !strings.Contains(c.Detail, "would lose jobs") || c.Hint != "write sync_interval: always" {
		t.Errorf("%+v", c)
	}
	if c := (Desk{}).CheckQueues(t.Context()); c.Status != "ok" {
		t.Errorf("%+v", c)
	}
}
