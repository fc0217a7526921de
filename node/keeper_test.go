package node

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"semper"
)

// Who stops a server whose keeper is gone learns whether anything runs, and what to do about it.
func TestStopWithoutAKeeperSaysWhatRuns(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "stop") // short: a path of a unix socket has a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // a test's
	if err := Stop(t.Context(), dir, true); semper.CodeOf(err) != semper.NotFound || !strings.Contains(err.Error(), "no semper runs on "+dir) {
		t.Errorf("nothing runs: %v", err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test's
	if err := Stop(t.Context(), dir, true); semper.CodeOf(err) != semper.Unavailable || !strings.Contains(semper.HintOf(err), "semper server run --data "+dir) {
		t.Errorf("the parts run: %v, %s", err, semper.HintOf(err))
	}
}
