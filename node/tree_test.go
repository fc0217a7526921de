package node

import (
	"context"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"semper/actor/observer"
	"semper/supervise"
)

// TestCrashBelowLeavesReport: a service that panics anywhere in the tree of a part is restarted, and semper is told
// where it stands and with which stack.
func TestCrashBelowLeavesReport(t *testing.T) { // not parallel: it sets the environment of the process
	dir, err := os.MkdirTemp("", "tree") // short: a path of a unix socket has a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // a test's
	l, err := net.Listen("unix", filepath.Join(dir, "tree"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test's
	t.Setenv(observer.Env, l.Addr().String())

	log := slog.New(slog.DiscardHandler)
	again := make(chan struct{}, 1)
	runs := 0
	broken := supervise.ChildSpec{ID: "table", Backoff: gently, Start: supervise.Serve(func(ctx context.Context) error {
		if runs++; runs == 1 {
			panic("a table of nothing")
		}
		again <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	})}
	tree, err := runTree(t.Context(), PartOptions{ID: "edge-1", Log: log}, bounded("edge-1"), []supervise.ChildSpec{
		{ID: "helpers", Supervisor: true, Start: subtree(log, bounded("edge-1", "helpers"), []supervise.ChildSpec{broken})},
	})
	if err != nil {
		t.Fatal(err)
	}
	<-again
	raw, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	crashes := make(chan observer.Crash, 4)
	conn, err := observer.Accept(raw, func(c observer.Crash) { crashes <- c })
	if err != nil {
		t.Fatal(err)
	}
	c := <-crashes
	if c.Path != "edge-1/helpers/table" || c.Reason != "crash: panic: a table of nothing" || !strings.Contains(c.Stack, "tree_test.go") {
		t.Errorf("%+v, want the panic of edge-1/helpers/table with its stack", c)
	}
	if got, want := conn.Hello().Program, "semper edge-1"; got != want {
		t.Errorf("the program is %q, want %q", got, want)
	}
	if err := tree.Stop(t.Context()); err != nil {
		t.Error(err)
	}
	if err := conn.Close(); err != nil {
		t.Error(err)
	}
}
