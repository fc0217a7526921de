package alone

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper/edge"
	"semper/edge/routefile"
	"semper/internal/abreast"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// asEdge is set for a process of the test binary that is an edge.
const asEdge = "SEMPER_TEST_EDGE"

func TestMain(m *testing.M) {
	if os.Getenv(asEdge) != "" {
		os.Exit(edgeMain())
	}
	if err := abreast.Tests(2); err != nil { // they wait for processes
		fmt.Println(err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// edgeMain is the program: what cmd/semper makes of `edge run`, and a look at what Run left behind.
func edgeMain() int {
	o := Options{
		Args:    os.Args[1:],
		Ready:   func(s Serving) { fmt.Println("ready:", s) },
		Refused: func(what string, err error) { fmt.Printf("not %s: %v\n", what, err) },
	}
	driver, http, https := "", "", ""
	flag.StringVar(&o.Routes, "routes", "", "")
	flag.StringVar(&o.Metrics, "metrics", "", "")
	flag.StringVar(&o.Dir, "data", "", "")
	flag.StringVar(&http, "http", "", "")
	flag.StringVar(&https, "https", "", "")
	flag.DurationVar(&o.check, "check", 0, "")
	flag.StringVar(&driver, "driver", string(edge.Loops), "")
	flag.Parse()
	o.Driver = edge.Driver(driver)
	for list, text := range map[*[]string]string{&o.HTTP: http, &o.HTTPS: https} {
		if text != "" {
			*list = strings.Split(text, ",")
		}
	}
	if err := Run(context.Background(), o); err != nil {
		fmt.Println("ended:", err)
		return 1
	}
	// certmagic's rate limiter is one goroutine for each authority, for the life of the process.
	if err := goleak.Find(goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.(*RingBufferRateLimiter).loop")); err != nil {
		fmt.Println("leak:", err)
		return 7
	}
	return 0
}

// A rig is an edge process, its file, and what it said.
type rig struct {
	t    *testing.T
	dir  string
	cmd  *exec.Cmd
	done chan error // of the first process

	mu    sync.Mutex
	lines []string
	more  chan struct{} // closed with the next line
	reads chan struct{} // closed when nobody can say anything any more
	seen  int           // lines that were waited for
}

// write puts text into a file of the rig's, and gives its path.
func (r *rig) write(name, text string) string {
	r.t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		r.t.Fatal(err)
	}
	return path
}

// launch starts an edge by a file with text.
func launch(t *testing.T, text string, args ...string) *rig {
	t.Helper()
	dir, err := os.MkdirTemp("", "alone") // short, for unix sockets
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, dir: dir, done: make(chan error, 1), more: make(chan struct{}), reads: make(chan struct{})}
	args = append([]string{"-routes", r.write("edge.yaml", strings.ReplaceAll(text, "DIR", dir)), "-data", filepath.Join(dir, "data")}, args...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.cmd = exec.Command(os.Args[0], args...)
	r.cmd.Env = append(os.Environ(), asEdge+"=1")
	r.cmd.Stdout, r.cmd.Stderr = in, in
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	go r.listen(out)
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(r.end)
	return r
}

// listen keeps what the processes say, until the last of them has ended.
func (r *rig) listen(out io.ReadCloser) {
	defer close(r.reads)
	defer out.Close()
	s := bufio.NewScanner(out)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		r.mu.Lock()
		r.lines = append(r.lines, s.Text())
		close(r.more)
		r.more = make(chan struct{})
		r.mu.Unlock()
	}
}

// end kills what is left.
func (r *rig) end() {
	_ = r.cmd.Process.Kill()
	for _, pid := range r.pids() {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-r.reads
	if r.t.Failed() {
		r.t.Logf("the edge said:\n%s", strings.Join(r.lines, "\n"))
	}
	_ = os.RemoveAll(r.dir)
}

var pidOf = regexp.MustCompile(`pid ([0-9]+)$`)

// pids are those of the processes that were ready.
func (r *rig) pids() (all []int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, line := range r.lines {
		if m := pidOf.FindStringSubmatch(line); m != nil {
			pid, err := strconv.Atoi(m[1])
			if err == nil && !slices.Contains(all, pid) {
				all = append(all, pid)
			}
		}
	}
	return all
}

// says waits for the next line that has text, and gives it with those behind it that are there.
func (r *rig) says(text string) string {
	r.t.Helper()
	late := time.After(30 * time.Second)
	for {
		r.mu.Lock()
		for i := r.seen; i < len(r.lines); i++ {
			if strings.Contains(r.lines[i], text) {
				line := r.lines[i]
				r.seen = i + 1
				r.mu.Unlock()
				return line
			}
		}
		more := r.more
		r.mu.Unlock()
		select {
		case <-more:
		case <-r.reads:
			r.t.Fatalf("every process ended, and none said %q", text)
		case <-late:
			r.t.Fatalf("nobody said %q in time", text)
		}
	}
}

var bound = regexp.MustCompile(`(http3|http|https|unix|metrics) ([^ ,]+)`)

// ready waits until the file is in force, and gives the addresses by kind.
func (r *rig) ready() map[string][]string {
	r.t.Helper()
	at := map[string][]string{}
	for _, m := range bound.FindAllStringSubmatch(r.says("ready:"), -1) {
		at[m[1]] = append(at[m[1]], m[2])
	}
	return at
}

// signal the process that was ready last.
func (r *rig) signal(s syscall.Signal) {
	r.t.Helper()
	pids := r.pids()
	if len(pids) == 0 {
		r.t.Fatal("nobody is ready")
	}
	if err := syscall.Kill(pids[len(pids)-1], s); err != nil {
		r.t.Fatal(err)
	}
}

// ends waits for the end of the first process and gives its exit code.
func (r *rig) ends() int {
	r.t.Helper()
	select {
	case <-r.done:
		return r.cmd.ProcessState.ExitCode()
	case <-time.After(30 * time.Second):
		r.t.Fatal("the edge does not end")
		return -1
	}
}

// app is an upstream that answers with its name.
func app(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Saw", r.Header.Get("X-Forwarded-For")+" "+r.Header.Get("X-Forwarded-Proto")+" "+r.Header.Get("X-Forwarded-Host"))
		fmt.Fprintf(w, "%s %s", name, r.RequestURI)
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// client does not keep connections that the test would have to close.
func client(t *testing.T) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// get is status and content.
func get(t *testing.T, c *http.Client, url string) (int, string, http.Header) {
	t.Helper()
	resp, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b), resp.Header
}

func wants(t *testing.T, c *http.Client, url, body string) {
	t.Helper()
	if status, got, _ := get(t, c, url); status != http.StatusOK || got != body {
		t.Errorf("%s: %d %q, not %q", url, status, got, body)
	}
}

// overUnix is a client of a unix socket.
func overUnix(t *testing.T, path string) *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// eventually looks until ok, for what other processes do and nothing tells of.
func eventually(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(2 * time.Minute); !ok(); <-tick.C {
		if time.Now().After(late) {
			t.Fatal("it never was so")
		}
	}
}

// readAll reads an answer to its end.
func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// listenerAt is a listener as a file with an address alone has it.
func listenerAt(address string) routefile.Listener {
	l := routefile.NewListener()
	l.HTTP = routefile.Address(address)
	return l
}
