package edge

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper"
	"semper/edge/ledger"
	"semper/internal/abreast"
	"semper/internal/reserve"
)

func TestMain(m *testing.M) {
	if addr := os.Getenv("EDGE_TEST_BACKEND"); addr != "" {
		backendProcess(addr)
		return
	}
	if err := abreast.Tests(2); err != nil { // they wait for ends: of grace, of windows, of drains
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(everyDriver{m})
}

// everyDriver runs all tests once for each driver: whatever holds with one holds with the other.
type everyDriver struct{ *testing.M }

var driver Driver

func (m everyDriver) Run() int {
	for _, driver = range []Driver{Loops, Goroutines} {
		if code := m.M.Run(); code != 0 {
			fmt.Fprintf(os.Stderr, "that was with driver %s\n", driver)
			return code
		}
	}
	return 0
}

// a fixture is an edge with a listener, and a table that tests change.
type fixture struct {
	*Edge
	t    *testing.T
	dir  string
	addr string
	l    net.Listener
	mu   sync.Mutex
	tab  semper.Table
}

func newFixture(t *testing.T, options ...func(*Options)) *fixture {
	t.Helper()
	o := Options{ID: "edge-1", Dir: t.TempDir(), Driver: driver, Log: slog.New(slog.DiscardHandler)}
	if os.Getenv("EDGE_TEST_LOG") != "" {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	for _, f := range options {
		f(&o)
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{Edge: e, t: t, dir: o.Dir}
	f.listen()
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return f
}

func (f *fixture) listen() {
	f.t.Helper()
	var err error
	if f.l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		f.t.Fatal(err)
	}
	f.addr = f.l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- f.Serve(f.l, false) }()
	f.t.Cleanup(func() {
		f.Close() //nolint:errcheck // reported by the first
		if err := <-served; err != nil {
			f.t.Errorf("serve: %v", err)
		}
	})
}

func trust(prefix string) func(*Options) {
	return func(o *Options) { o.Trusted = []netip.Prefix{netip.MustParsePrefix(prefix)} }
}

const webPool = semper.PoolKey("bar/production/web")

// table is the next table: everything to one pool of a release.
func (f *fixture) table(release int, change func(*semper.Table), backends ...semper.Backend) {
	f.t.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tab = semper.Table{
		Epoch:  f.tab.Epoch + 1,
		Routes: []semper.Route{{Path: "/", Pool: webPool}},
		Pools:  []semper.Pool{{Key: webPool, App: "bar", Release: semper.NameRelease(release), Backend: backends}},
	}
	if change != nil {
		change(&f.tab)
	}
	if err := f.Apply(f.tab); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) ledger(release int) semper.Ledger {
	return f.books.Snapshot().Counts[Key{App: "bar", Release: semper.NameRelease(release)}]
}

// eventually waits until ok holds; what the edge counts at the end of a request, the request's client
// may know a moment earlier.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("never came true: %s", what)
		}
	}
}

// settled waits until nothing is in flight and gives the release's ledger.
func (f *fixture) settled(release int) semper.Ledger {
	f.t.Helper()
	eventually(f.t, "nothing in flight", func() bool { return len(f.State().InFlight) == 0 && ledger.InFlight(f.ledger(release)) == 0 })
	return f.ledger(release)
}

// client is one with its own connections.
func client(t *testing.T) *http.Client {
	t.Helper()
	tr := &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// abrupt is a client that, when it gives a request up, leaves for good: with a reset. One that only says that it sends no
// more may still want its answer.
func abrupt(t *testing.T) *http.Client {
	t.Helper()
	c := client(t)
	c.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) { //nolint:forcetypeassert // it is one
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok {
			tcp.SetLinger(0) //nolint:errcheck // then the test tells
		}
		return conn, err
	}
	return c
}

func (f *fixture) url(path string) string { return "http://" + f.addr + path }

// get is a response with its body read.
func get(t *testing.T, c *http.Client, url string) (*http.Response, string) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	return resp, drainBody(t, resp)
}

func drainBody(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close() //nolint:errcheck // read
	return string(b)
}

// an app is one instance in this process.
type app struct {
	*http.Server
	semper.Backend
	done chan struct{}
}

// start runs an instance over TCP, or over a unix socket where network says so.
func start(t *testing.T, network, id string, h http.Handler) *app {
	t.Helper()
	addr := reserve.For(t).Address() // still there for who comes back to it
	if network == "unix" {
		dir, err := os.MkdirTemp("", "s")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // a test's
		addr = filepath.Join(dir, "a")
	}
	return startAt(t, network, addr, id, h)
}

func startAt(t *testing.T, network, addr, id string, h http.Handler) *app {
	t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	a := &app{Server: &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}, done: make(chan struct{})}
	a.Backend = semper.Backend{ID: semper.InstanceID("bar/" + id), Address: l.Addr().String()}
	if network == "unix" {
		a.Address = "unix:" + addr
	}
	go func() {
		defer close(a.done)
		a.Serve(l) //nolint:errcheck // ends with kill
	}()
	t.Cleanup(a.kill)
	return a
}

// kill closes the listener and every connection, like the death of a process does.
func (a *app) kill() {
	a.Server.Close() //nolint:errcheck // dead
	<-a.done
}

// says answers with a text that names the release from beginning to end.
func says(release int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintf(w, "r%d r%d r%d", release, release, release) }
}

func TestRoutesAndBalance(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	hit := make(chan string, 100)
	named := func(n string) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit <- n })
	}
	a, b, api, other := start(t, "tcp", "a", named("a")), start(t, "unix", "b", named("b")), start(t, "tcp", "api", named("api")), start(t, "tcp", "other", named("other"))
	f.table(1, func(tab *semper.Table) {
		for name, app := range map[string]*app{"api": api, "other": other} {
			k := semper.NamePool("bar", "production", name)
			tab.Pools = append(tab.Pools, semper.Pool{Key: k, App: "bar", Release: "r1", Backend: []semper.Backend{app.Backend}})
		}
		tab.Routes = append(tab.Routes,
			semper.Route{Path: "/api", Pool: "bar/production/api"},
			semper.Route{Host: "Other.Example", Path: "/", Pool: "bar/production/other"})
	}, a.Backend, b.Backend)
	c := client(t)
	for _, tc := range []struct{ host, path, want string }{
		{"x.example", "/api", "api"},
		{"x.example", "/api/v1?a=b", "api"},
		{"x.example", "/ap%69/v1", "api"},
		{"other.example", "/api", "other"},
		{"OTHER.example.:80", "/", "other"},
		{"x.example", "/x/../api/y", "api"},
		{"x.example", "/apix", "web"},
		{"x.example", "/api%2fv1", "web"},
		{"x.example", "/api../v1", "web"},
		{"x.example", "//api", "web"},
	} {
		req, err := http.NewRequest(http.MethodGet, f.url(tc.path), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Host = tc.host
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		drainBody(t, resp)
		got := <-hit
		if got == "a" || got == "b" {
			got = "web"
		}
		if got != tc.want {
			t.Errorf("%s%s went to %s, want %s", tc.host, tc.path, got, tc.want)
		}
	}
	n := map[string]int{}
	for range 40 {
		get(t, c, f.url("/"))
		n[<-hit]++
	}
	if n["a"] == 0 || n["b"] == 0 || n["a"]+n["b"] != 40 { // by chance among equals: once in 2^39 one has them all
		t.Errorf("both have nothing in hand: got %v", n)
	}
}

func TestNoRouteAndNoBackend(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	c := client(t)
	resp, body := get(t, c, f.url("/"))
	if resp.StatusCode != http.StatusNotFound || resp.Header.Get("X-Semper-Error") != "no-route" || resp.Header.Get("X-Request-Id") == "" {
		t.Errorf("got %s %v %q", resp.Status, resp.Header, body)
	}
	f.table(1, func(tab *semper.Table) { tab.Pools[0].Limits.Age = semper.Duration(30 * time.Millisecond) })
	resp, _ = get(t, c, f.url("/"))
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("X-Semper-Error") != "no-backend" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("got %s %v", resp.Status, resp.Header)
	}
	if got, want := f.settled(1), (semper.Ledger{Accepted: 1, EdgeErrors: 1, Held: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestApplyIgnoresWhatIsNotNewer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.table(1, nil)
	f.table(2, nil)
	old := f.tab
	old.Epoch--
	if err := f.Apply(old); err != nil || f.Epoch() != 2 {
		t.Errorf("epoch %d, %v", f.Epoch(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := f.WaitEpoch(ctx, 2); err != nil {
		t.Error(err)
	}
	if err := f.WaitEpoch(ctx, 3); err == nil {
		t.Error("an epoch that is not there was waited for")
	}
}

func TestWaitEpochWakes(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	got := make(chan error, 3)
	for n := range 3 {
		go func() { got <- f.WaitEpoch(t.Context(), semper.Epoch(n+1)) }()
	}
	for range 3 {
		f.table(1, nil)
	}
	for range 3 {
		if err := <-got; err != nil {
			t.Error(err)
		}
	}
}
