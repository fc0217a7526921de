package cli_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"semper/api"
)

// TestTrafficIsDrawnAgainUntilInterrupted shows a change of what edges do on a terminal, without a new command.
func TestTrafficIsDrawnAgainUntilInterrupted(t *testing.T) {
	t.Parallel()
	s, host := start(t)
	carry := func(route string) {
		s.Carry(api.Traffic{Rows: []api.TrafficRow{{App: "bar", Environment: "production", Service: "web", Release: "r1", Route: route, Rate1: 1}}})
	}
	carry("before.example/")
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	r := &run{tty: true, host: host}
	done := make(chan int, 1)
	go func() { done <- r.main(ctx, "traffic", "show") }()
	shows := func(what string) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		late := time.After(30 * time.Second)
		for !strings.Contains(r.out.String(), what) {
			select {
			case <-tick.C:
			case <-late:
				t.Fatalf("never shown: %s in\n%s\n%s", what, r.out.String(), r.err.String())
			}
		}
	}
	shows("before.example/")
	carry("after.example/")
	shows("after.example/")
	interrupt()
	if code := <-done; code != 130 {
		t.Errorf("exit code %d, want that of an interrupt", code)
	}
	if out := r.out.String(); !strings.Contains(out, "\x1b[") {
		t.Errorf("not drawn in place:\n%q", out)
	}
}
