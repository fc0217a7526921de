package alone

import (
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"

	"semper/supervise"
)

// inside serves a file by an edge that runs in this process and has no signals but those that the test sends.
func inside(t *testing.T, text string, change func(*Options)) (s *server, signals chan os.Signal) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "edge.yaml")
	writeFile(t, path, text)
	o := Options{Routes: path, Dir: filepath.Join(t.TempDir(), "data")}
	if change != nil {
		change(&o)
	}
	signals = make(chan os.Signal, 8)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	s, err := start(ctx, o, signals)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ruled := make(chan error, 1)
	go func() { ruled <- s.rule() }()
	t.Cleanup(func() {
		cancel() // drains
		if err := <-ruled; err != nil {
			t.Error(err)
		}
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s, signals
}

// restarts are those of each part so far, by its path in the tree.
func restarts(in []supervise.ChildInfo, below string, all map[string]int) map[string]int {
	for _, c := range in {
		if c.Restarts > 0 {
			all[below+c.ID] = c.Restarts
		}
		if tree, ok := c.Child.(interface {
			Children() []supervise.ChildInfo
		}); ok {
			restarts(tree.Children(), below+c.ID+"/", all)
		}
	}
	return all
}

// A faulty listener panics when it is first asked for a connection.
type faulty struct {
	*net.TCPListener
	broke *atomic.Int64
}

func (f faulty) Accept() (net.Conn, error) {
	f.broke.Add(1)
	panic("a bug in an accept loop")
}

// TestAPanicCostsOnePart breaks one part after the other: it alone is started again, and requests are answered all the time.
func TestAPanicCostsOnePart(t *testing.T) {
	t.Parallel()
	var reloads, broke atomic.Int64
	const file = "listeners: [127.0.0.1:0, 127.0.0.1:0]\nmetrics: 127.0.0.1:0\npools: {app: %s}\nroutes: [{to: app}]\n"
	s, signals := inside(t, fmt.Sprintf(file, app(t, "a")), func(o *Options) {
		o.Driver = "goroutine" // which takes any listener
		o.Ready = func(Serving) {
			if reloads.Add(1) == 1 {
				panic("a bug in the making of changes")
			}
		}
	})
	first, second := s.plan.listeners[0], s.plan.listeners[1]
	scrapes := s.plan.listeners[2]
	doors := maps.Clone(s.doors) // of now, and for ever
	at := func(l listener) string { return "http://" + doors[l.key].socket.Addr() }
	want := map[string]int{}
	serves := func() {
		t.Helper()
		wants(t, client(t), at(first)+"/", "a /")
		wants(t, client(t), at(second)+"/", "a /")
		eventually(t, func() bool { return fmt.Sprint(restarts(s.tree.Children(), "", map[string]int{})) == fmt.Sprint(want) })
	}
	serves()

	for _, l := range []listener{first, scrapes} {
		ln, err := doors[l.key].socket.Listen()
		if err != nil {
			t.Fatal(err)
		}
		where := "listeners/"
		if l.metrics {
			where = "helpers/"
		}
		if err := s.accept(acceptance{doors[l.key], l, faulty{ln.(*net.TCPListener), &broke}}); err != nil {
			t.Fatal(err)
		}
		want[where+l.kind()+" "+l.key] = 1
		serves()
	}
	if status, _, _ := get(t, client(t), at(scrapes)+"/metrics"); status != 200 || broke.Load() != 2 {
		t.Errorf("metrics: %d, after %d faults", status, broke.Load())
	}

	signals <- syscall.SIGHUP
	want["helpers/control"] = 1
	serves()
	signals <- syscall.SIGHUP
	eventually(t, func() bool { return reloads.Load() == 2 })
	serves()
}

// TestWithoutListenersTheEdgeEnds: one whose accept loop breaks again and again says so by its end, for a service manager to see.
func TestWithoutListenersTheEdgeEnds(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "edge.yaml")
	writeFile(t, path, fmt.Sprintf("listeners: 127.0.0.1:0\npools: {app: %s}\nroutes: [{to: app}]\n", app(t, "a")))
	s, err := start(t.Context(), Options{Routes: path}, nil)
	if err != nil {
		t.Fatal(err)
	}
	spec := s.accepting(s.doors[s.plan.listeners[0].key].socket, s.plan.listeners[0], nil)
	spec.Start = supervise.Serve(func(context.Context) error { panic("a bug that stays") })
	if err := replace(t.Context(), s.listeners, spec); err != nil {
		t.Fatal(err)
	}
	if err := s.rule(); err == nil {
		t.Error("it ended without a word")
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
