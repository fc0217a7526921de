package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"semper/actor/observer"
	"semper/edge"
	"semper/internal/handoff"
	"semper/supervise"
)

// shared is a listening socket as an edge inherits it, and its address.
func shared(t *testing.T) (handoff.Socket, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the socket is a copy
	s, err := handoff.FromListener("http", l)
	if err != nil {
		t.Fatal(err)
	}
	return s, l.Addr().String()
}

// dataDir is an empty data directory.
func dataDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "edge") // short: a path of a unix socket has a limit
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // a test's
	if err := os.MkdirAll(filepath.Dir(dirs(dir).run("x")), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// served waits for an answer of the edge at addr, whatever it is: without a route table it is a refusal.
func served(t *testing.T, addr string) {
	t.Helper()
	tr := &http.Transport{DisableKeepAlives: true}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr, Timeout: 20 * time.Second}).Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // only read
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		t.Fatal(err)
	}
}

// TestAcceptLoopIsRestarted: an accept loop that fails is begun again on the same socket, and clients in its queue are
// answered.
func TestAcceptLoopIsRestarted(t *testing.T) {
	t.Parallel()
	s, addr := shared(t)
	defer handoff.Close([]handoff.Socket{s})
	e, err := edge.New(edge.Options{ID: "edge-1", Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	first, err := s.Listen()
	if err != nil {
		t.Fatal(err)
	}
	failed := make(chan supervise.Event, 1)
	p := &plane{o: PartOptions{ID: "edge-1", Log: slog.New(slog.DiscardHandler)}, sockets: []handoff.Socket{s}, edge: e}
	tree, err := supervise.Start(t.Context(), bounded("edge-1", "listeners"), []supervise.ChildSpec{
		{ID: "http 0", Restart: supervise.Transient, Backoff: gently, Start: p.accept(s, first, edge.Terms{})},
	}, supervise.Options{Observe: func(e supervise.Event) {
		if e.Kind == supervise.Ended {
			failed <- e
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	served(t, addr)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if e := <-failed; e.Reason.Kind != supervise.Crash {
		t.Errorf("the loop ended as %v, want a crash", e.Reason)
	}
	served(t, addr)
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	if e := <-failed; e.Reason.Kind != supervise.Normal || e.Decision != "none" {
		t.Errorf("%v, want a normal end with the edge, and no restart", e)
	}
	if err := tree.Stop(t.Context()); err != nil {
		t.Error(err)
	}
}

// missing asks the program that connects to l for its tree until all those wanted run, and returns what is missing.
func missing(t *testing.T, l net.Listener, want []string) []string {
	t.Helper()
	raw, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	conn, err := observer.Accept(raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // it never fails
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for {
		tree, err := conn.Tree(ctx)
		if err != nil {
			t.Error(err)
			return want
		}
		running := make(map[string]bool)
		var walk func(n observer.Node, above string)
		walk = func(n observer.Node, above string) {
			running[above+n.ID] = n.State == "running"
			for _, c := range n.Children {
				walk(c, above+n.ID+"/")
			}
		}
		walk(tree, "")
		want = slices.DeleteFunc(want, func(path string) bool { return running[path] })
		if len(want) == 0 || ctx.Err() != nil {
			return want
		}
	}
}

// TestEdgeIsATree: a whole edge process, seen through SEMPER_TREE, with nobody else around: without a store it serves by
// what it has.
func TestEdgeIsATree(t *testing.T) { // not parallel: it sets the environment of the process
	s, addr := shared(t)
	dir := dataDir(t)
	semper, err := net.Listen("unix", filepath.Join(dir, "tree"))
	if err != nil {
		t.Fatal(err)
	}
	defer semper.Close() //nolint:errcheck // a test's
	t.Setenv(observer.Env, semper.Addr().String())
	t.Setenv(handoff.Env, "http="+strconv.Itoa(s.FD()))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := Edge(ctx, PartOptions{Dir: dir, ID: "edge-1", Log: slog.New(slog.DiscardHandler)}); err != nil {
			t.Error(err)
		}
	})
	served(t, addr)
	if not := missing(t, semper, []string{
		"edge-1/observer", "edge-1/background/tend", "edge-1/background/lines", "edge-1/background/backends",
		"edge-1/helpers/sockets", "edge-1/helpers/control", "edge-1/helpers/table", "edge-1/listeners/http 0",
	}); len(not) > 0 {
		t.Errorf("never in the tree: %q", not)
	}
	cancel()
	wg.Wait()
	if _, err := os.Stat(dirs(dir).run("edge-1.fd")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the sockets are still offered: %v", err)
	}
}

// TestEdgeGivesUpASocketThatIsShut: a socket on which no accept loop can live ends the process with an error, so that
// its keeper sees it, and not with a silence.
func TestEdgeGivesUpASocketThatIsShut(t *testing.T) { // not parallel: it sets the environment of the process
	s, _ := shared(t)
	if err := unix.Shutdown(s.FD(), unix.SHUT_RD); err != nil {
		t.Fatal(err)
	}
	t.Setenv(handoff.Env, "http="+strconv.Itoa(s.FD()))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	err := Edge(ctx, PartOptions{Dir: dataDir(t), ID: "edge-1", Log: slog.New(slog.DiscardHandler)})
	if !errors.Is(err, supervise.ErrAutoShutdown) || !strings.Contains(err.Error(), "listeners") {
		t.Errorf("it ended with %v, want the end of its listeners", err)
	}
}
