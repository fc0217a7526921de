package cli_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"github.com/rogpeppe/go-internal/testscript"

	"semper/api/apitest"
	"semper/queue"
)

// fakeQueue gives a service of app bar a queue with jobs, or has them die.
func fakeQueue(ts *testscript.TestScript, s *apitest.Semper, args []string) {
	n, err := strconv.Atoi(args[2])
	ts.Check(err)
	ctx := context.Background()
	q, err := s.QueueEngine().Open(ctx, queue.Service{App: "bar", Environment: "production", Service: args[1]}, queue.Policy{MaxAttempts: 1})
	ts.Check(err)
	if args[0] == "bury" {
		claims, err := q.Claim(ctx, "worker-1", n)
		ts.Check(err)
		for _, c := range claims {
			_, err := q.Fail(ctx, c.Lease, queue.Failure{Status: 500, Reason: "boom"})
			ts.Check(err)
		}
		return
	}
	for i := range n {
		id, err := queue.ParseID(fmt.Sprintf("01JD7Z0V6QW8Y1D6M5T3K9E2%02d", i))
		ts.Check(err)
		_, err = q.Enqueue(ctx, queue.Job{ID: id, Request: queue.Request{
			Method: http.MethodPost, Target: "/send?token=s3cret", Host: "bar.example",
			Header: http.Header{"Authorization": {"Bearer s3cret"}}, Body: fmt.Appendf(nil, "hello %d", i),
		}})
		ts.Check(err)
	}
}
