package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"semper"
	"semper/edge/config"
	"semper/edge/procid"
	"semper/internal/reserve"
)

// backendProcess is an instance in its own process: this test binary, started with EDGE_TEST_BACKEND.
func backendProcess(addr string) {
	network := "tcp"
	if strings.HasPrefix(addr, "/") {
		network = "unix"
	}
	l, err := net.Listen(network, addr)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(l.Addr())
	http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { //nolint:errcheck // it is killed
		if r.URL.Path == "/echo" {
			io.Copy(w, r.Body) //nolint:errcheck // the client checks
			return
		}
		fmt.Fprintf(w, "%d", os.Getpid())
	}))
}

// process is an instance that can be killed as instances are.
type process struct {
	*exec.Cmd
	semper.Backend
}

func startProcess(t *testing.T, id, addr string) *process {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "EDGE_TEST_BACKEND="+addr)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: cmd}
	t.Cleanup(p.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	ticks, err := procid.StartTicks(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	p.Backend = semper.Backend{ID: semper.InstanceID("bar/" + id), Address: strings.TrimSpace(line), PID: cmd.Process.Pid, StartTicks: ticks,
		Health: semper.Health{Kind: semper.HealthHTTP, Path: "/"}}
	if strings.HasPrefix(p.Address, "/") {
		p.Address = "unix:" + p.Address
	}
	return p
}

func (p *process) kill() {
	p.Process.Kill() //nolint:errcheck // gone is what it should be
	p.Wait()         //nolint:errcheck // killed
}

// TestKilledInstancesFailNoRequest kills real processes under load, one at a time, and brings each back
// on its address with no word from anybody: the edge's own probe lets it in again.
func TestKilledInstancesFailNoRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var ps [3]*process
	for i := range ps {
		ps[i] = startProcess(t, fmt.Sprintf("web.r1.%d", i+1), reserve.For(t).Address())
	}
	f.table(1, nil, ps[0].Backend, ps[1].Backend, ps[2].Backend)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var answers atomic.Int64
	for range 16 {
		wg.Go(func() {
			c := client(t)
			for ctx.Err() == nil {
				resp, err := c.Get(f.url("/"))
				if err != nil {
					t.Error(err)
					return
				}
				if b := drainBody(t, resp); resp.StatusCode != http.StatusOK {
					t.Errorf("%s: %s", resp.Status, b)
					return
				}
				answers.Add(1)
			}
		})
	}
	for n := range 6 {
		i := n % 3
		at := answers.Load()
		ps[i].kill()
		eventually(t, "the dead instance is ejected", func() bool { return len(f.State().Ejected) == 1 || t.Failed() })
		eventually(t, "traffic goes on", func() bool { return answers.Load() > at+50 || t.Failed() })
		ps[i] = startProcess(t, fmt.Sprintf("web.r1.%d", i+1), ps[i].Address)
		eventually(t, "the instance is back", func() bool { return len(f.State().Ejected) == 0 || t.Failed() })
	}
	cancel()
	wg.Wait()
	l := f.settled(1)
	if l.Accepted != l.Served || l.EdgeErrors != 0 {
		t.Errorf("ledger %+v", l)
	}
	t.Logf("ledger %+v", l)
}

// TestDeathEjectsBeforeARequestFindsOut: the pidfd tells, without any traffic.
func TestDeathEjectsBeforeARequestFindsOut(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := startProcess(t, "web.r1.1", reserve.For(t).Address())
	f.table(1, nil, p.Backend)
	if s := f.State(); len(s.Ejected) != 0 {
		t.Fatalf("ejected alive: %v", s.Ejected)
	}
	p.kill()
	eventually(t, "ejected", func() bool { return len(f.State().Ejected) == 1 })
	// Another incarnation in a new table is another backend, and starts without a stain.
	q := startProcess(t, "web.r1.1", p.Address)
	f.table(1, nil, q.Backend)
	if s := f.State(); len(s.Ejected) != 0 {
		t.Errorf("the new incarnation is ejected: %v", s.Ejected)
	}
	if _, body := get(t, client(t), f.url("/")); body != fmt.Sprint(q.PID) {
		t.Errorf("answered by %s", body)
	}
}

func TestAProcessThatIsAnotherByNowIsDead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := startProcess(t, "web.r1.1", reserve.For(t).Address())
	stale := p.Backend
	stale.StartTicks++
	gone := p.Backend
	gone.ID, gone.PID = "bar/web.r1.2", 1<<22+1
	f.table(1, nil, stale, gone)
	f.registry.Lock()
	for _, b := range f.backends {
		b.mu.Lock()
		if !b.probing && !b.up() {
			t.Errorf("%s: ejected, and nobody probes it", b.id)
		}
		b.mu.Unlock()
	}
	f.registry.Unlock()
	// Both answer at that address, so the probe admits them.
	if resp, _ := get(t, client(t), f.url("/")); resp.StatusCode != http.StatusOK {
		t.Error(resp.Status)
	}
	if l := f.settled(1); l.Served != 1 {
		t.Errorf("%+v", l)
	}
}

// TestAllInstancesDeadAtOnceIsSurvived: requests wait for one to come back.
func TestAllInstancesDeadAtOnceIsSurvived(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := startProcess(t, "web.r1.1", reserve.For(t).Address())
	f.table(1, nil, p.Backend)
	p.kill()
	eventually(t, "ejected", func() bool { return len(f.State().Ejected) == 1 })
	results := make(chan string, 20)
	for i := range cap(results) {
		go func() {
			c := client(t)
			var resp *http.Response
			var err error
			if i%2 == 0 {
				resp, err = c.Get(f.url("/"))
			} else {
				resp, err = c.Post(f.url("/"), "text/plain", strings.NewReader("x"))
			}
			if err != nil {
				results <- err.Error()
				return
			}
			resp.Body.Close() //nolint:errcheck // not wanted
			results <- resp.Status
		}()
	}
	eventually(t, "all wait", func() bool { return f.State().Held[webPool] == cap(results) })
	startProcess(t, "web.r1.1", p.Address)
	for range cap(results) {
		if s := <-results; s != "200 OK" {
			t.Error(s)
		}
	}
	if l := f.settled(1); l.Served != 20 || l.Held != 20 {
		t.Errorf("%+v", l)
	}
}

// breaking is a backend that reads requests and then closes the connection on the first n of them.
func breaking(t *testing.T, n int64) (*app, *atomic.Int64) {
	t.Helper()
	var seen atomic.Int64
	return start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // its end
		if seen.Add(1) <= n {
			panic(http.ErrAbortHandler)
		}
		io.WriteString(w, "ok") //nolint:errcheck // the client checks
	})), &seen
}

func TestWhatWasSentIsSentAgainOnlyIfIdempotent(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		method, body string
		key          bool
		status       int
		seen         int64
	}{
		{http.MethodGet, "", false, 200, 2},
		{http.MethodPut, "hello", false, 200, 2},
		{http.MethodDelete, "", false, 200, 2},
		{http.MethodPost, "hello", false, 502, 1},
		{http.MethodPost, "", false, 502, 1},
		{http.MethodPost, "", true, 502, 1},
		{http.MethodPatch, "hello", true, 502, 1},
		{http.MethodPut, strings.Repeat("x", 2*replayLimit), false, 502, 1},
	} {
		t.Run(fmt.Sprintf("%s %d %t", tc.method, len(tc.body), tc.key), func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a, seen := breaking(t, 1)
			f.table(1, nil, a.Backend)
			req, err := http.NewRequest(tc.method, f.url("/"), strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			if tc.key {
				req.Header.Set("Idempotency-Key", "k")
			}
			resp, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			drainBody(t, resp)
			if resp.StatusCode != tc.status || seen.Load() != tc.seen {
				t.Errorf("status %d, sent %d times; want %d and %d", resp.StatusCode, seen.Load(), tc.status, tc.seen)
			}
			l := f.settled(1)
			if want := uint64(tc.seen - 1); l.Retried != want || l.Accepted != 1 {
				t.Errorf("%+v", l)
			}
		})
	}
}

// TestAKeepAliveConnectionThatDiedLosesNoPost: the backend restarts while connections to it are idle;
// the next POST on each must not be written into a closed connection.
func TestAKeepAliveConnectionThatDiedLosesNoPost(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a := start(t, network, "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })) //nolint:errcheck // the client checks
			f.table(1, nil, a.Backend)
			addr := strings.TrimPrefix(a.Address, "unix:")
			for n := range 20 {
				resp, err := client(t).Post(f.url("/"), "text/plain", strings.NewReader("hello"))
				if err != nil {
					t.Fatal(err)
				}
				if b := drainBody(t, resp); resp.StatusCode != 200 || b != "hello" {
					t.Fatalf("post %d: %s %s", n, resp.Status, b)
				}
				a.kill()
				a = startAt(t, network, addr, "web.r1.1", a.Handler)
			}
		})
	}
}

func TestTriesAreBounded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a, seen := breaking(t, 1<<40)
	f.table(1, nil, a.Backend)
	resp, _ := get(t, client(t), f.url("/"))
	if resp.StatusCode != http.StatusBadGateway || resp.Header.Get("X-Semper-Error") != "bad-gateway" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if n := seen.Load(); n != config.Tries {
		t.Errorf("sent %d times, want %d", n, config.Tries)
	}
}

// TestAFullBacklogIsWaitedFor: a unix socket whose app is slow to accept refuses nobody.
func TestAFullBacklogIsWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) }) //nolint:errcheck // a test's
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	path := dir + "/a"
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), path)
	l, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	file.Close() //nolint:errcheck // the listener has its own
	f.table(1, func(tab *semper.Table) {
		tab.Routes[0].Policy = []byte(`{"timeouts":{"connect":"5m"}}`) // as long as a slow machine may take
	}, semper.Backend{ID: "bar/web.r1.1", Address: "unix:" + path})
	status := make(chan string, 8)
	for range cap(status) {
		go func() {
			resp, err := client(t).Post(f.url("/"), "", nil)
			if err != nil {
				status <- err.Error()
				return
			}
			resp.Body.Close() //nolint:errcheck // not wanted
			status <- resp.Status
		}()
	}
	eventually(t, "all are on their way", func() bool { return f.State().InFlight["bar/web.r1.1"].Total() == cap(status) })
	s := &http.Server{Handler: says(1)}
	done := make(chan struct{})
	go func() { s.Serve(l); close(done) }() //nolint:errcheck // ends with the test
	t.Cleanup(func() { s.Close(); <-done }) //nolint:errcheck // a test's
	for range cap(status) {
		if s := <-status; s != "200 OK" {
			t.Error(s)
		}
	}
	if got, want := f.settled(1), (semper.Ledger{Accepted: 8, Served: 8}); got != want { // and nothing was tried again
		t.Errorf("got %+v, want %+v", got, want)
	}
}
