package faults

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"semper/edge"
	"semper/edge/alone"
)

var long = flag.Bool("long", false, "everything at its full size")

// What makes a process of the test binary an edge or an instance, and its limits.
const (
	asEdge      = "SEMPER_TEST_FAULTS_EDGE"
	asInstance  = "SEMPER_TEST_FAULTS_INSTANCE"
	descriptors = "SEMPER_TEST_FAULTS_NOFILE"
)

func TestMain(m *testing.M) {
	switch {
	case os.Getenv(asEdge) != "":
		os.Exit(edgeMain())
	case os.Getenv(asInstance) != "":
		os.Exit(instanceMain())
	}
	flag.Parse()
	goleak.VerifyTestMain(m)
}

// edgeMain is the program: what cmd/semper makes of `edge run`. A line on its input has it say how it is, and the end of
// its input is its end.
func edgeMain() int {
	if n, err := strconv.ParseUint(os.Getenv(descriptors), 10, 64); err == nil {
		if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
			fmt.Println("ended:", err)
			return 1
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		defer stop()
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			out, err := json.Marshal(look(in.Text() == "stacks"))
			fmt.Println("state:", string(out), err)
		}
	}()
	o := alone.Options{
		Routes: os.Args[1], Driver: edge.Driver(os.Args[2]), Dir: filepath.Join(filepath.Dir(os.Args[1]), "data"),
		Ready: func(s alone.Serving) { fmt.Println("ready:", s) },
		Log:   slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelInfo})),
	}
	if err := alone.Run(ctx, o); err != nil {
		fmt.Println("ended:", err)
		return 1
	}
	return 0
}

// A state is what a process has.
type state struct {
	Descriptors int
	Goroutines  int
	Heap        int64 // bytes of objects, after a collection
	Stacks      string
}

// look tells what this process has, after a collection.
func look(stacks bool) (s state) {
	debug.FreeOSMemory()
	runtime.GC() // the second empties pools
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return s
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s = state{Descriptors: len(all), Goroutines: runtime.NumGoroutine(), Heap: int64(m.HeapAlloc)}
	if stacks {
		var text strings.Builder
		if pprof.Lookup("goroutine").WriteTo(&text, 1) == nil {
			s.Stacks = text.String()
		}
	}
	return s
}

// An edgeProcess is an edge, its file, and what it said.
type edgeProcess struct {
	t                      *testing.T
	cmd                    *exec.Cmd
	in                     io.WriteCloser
	plain, secure, metrics string // addresses

	mu    sync.Mutex
	said  []string
	more  chan struct{} // closed with the next line
	reads chan struct{} // closed at the end
	seen  int
}

// routes has a listener for each, and one pool.
const routes = `listeners:
  - {http: "127.0.0.1:0", idle_timeout: 1h, head_timeout: 1h}
  - {https: "127.0.0.1:0", idle_timeout: 1h, head_timeout: 1h}
metrics: "127.0.0.1:0"
certificates: [{self_signed: [localhost]}]
pools:
  app: {upstreams: [UPSTREAMS], keepalive: {idle: 4, timeout: 1s}}
routes:
  - {to: app POLICY}
`

// start runs an edge before instances, by driver. policy are the route's settings, env its environment's.
func start(t *testing.T, driver edge.Driver, policy string, instances []string, env ...string) *edgeProcess {
	t.Helper()
	if policy != "" {
		policy = ", " + policy
	}
	var quoted []string
	for _, at := range instances {
		quoted = append(quoted, strconv.Quote(at))
	}
	text := strings.NewReplacer("UPSTREAMS", strings.Join(quoted, ", "), " POLICY", policy).Replace(routes)
	path := filepath.Join(t.TempDir(), "edge.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	e := &edgeProcess{t: t, more: make(chan struct{}), reads: make(chan struct{})}
	e.cmd = exec.Command(os.Args[0], path, string(driver))
	e.cmd.Env = append(append(os.Environ(), asEdge+"=1"), env...)
	out, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	e.cmd.Stdout, e.cmd.Stderr = to, to
	if e.in, err = e.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := e.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	to.Close()
	go e.listen(out)
	t.Cleanup(e.end)
	at := map[string]string{}
	for _, m := range regexp.MustCompile(`(http|https|metrics) ([^ ,]+)`).FindAllStringSubmatch(e.says("ready:"), -1) {
		at[m[1]] = m[2]
	}
	e.plain, e.secure, e.metrics = at["http"], at["https"], at["metrics"]
	return e
}

// listen keeps what the process says.
func (e *edgeProcess) listen(out io.ReadCloser) {
	defer close(e.reads)
	defer out.Close()
	s := bufio.NewScanner(out)
	s.Buffer(nil, 4<<20)
	for s.Scan() {
		e.mu.Lock()
		e.said = append(e.said, s.Text())
		close(e.more)
		e.more = make(chan struct{})
		e.mu.Unlock()
	}
}

// end has the process drain, and waits for it.
func (e *edgeProcess) end() {
	e.in.Close()
	late := time.AfterFunc(time.Minute, func() {
		e.t.Error("the edge does not end")
		_ = e.cmd.Process.Kill()
	})
	defer late.Stop()
	<-e.reads
	if err := e.cmd.Wait(); err != nil && !e.t.Failed() {
		e.t.Errorf("the edge ended with %v", err)
	}
	if e.t.Failed() {
		e.t.Logf("the edge said:\n%.8000s", strings.Join(e.said, "\n"))
	}
}

// says waits for the next line with text.
func (e *edgeProcess) says(text string) string {
	e.t.Helper()
	late := time.After(time.Minute)
	for {
		e.mu.Lock()
		for ; e.seen < len(e.said); e.seen++ {
			if line := e.said[e.seen]; strings.Contains(line, text) {
				e.seen++
				e.mu.Unlock()
				return line
			}
		}
		more := e.more
		e.mu.Unlock()
		select {
		case <-more:
		case <-e.reads:
			e.t.Fatalf("the edge ended, and never said %q", text)
		case <-late:
			e.t.Fatalf("the edge never said %q", text)
		}
	}
}

// said counts the lines with text so far.
func (e *edgeProcess) times(text string) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, line := range e.said {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// state asks the process what it has.
func (e *edgeProcess) state(question string) (s state) {
	e.t.Helper()
	if _, err := fmt.Fprintln(e.in, question); err != nil {
		e.t.Fatal(err)
	}
	_, text, _ := strings.Cut(e.says("state: "), "state: ")
	if err := json.NewDecoder(strings.NewReader(text)).Decode(&s); err != nil {
		e.t.Fatalf("%v in %q", err, text)
	}
	return s
}

// metric is the sum of the samples of a metric that have all of parts in their line.
func (e *edgeProcess) metric(name string, parts ...string) (sum float64) {
	e.t.Helper()
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	resp, err := c.Get("http://" + e.metrics + "/metrics")
	if err != nil {
		e.t.Fatal(err)
	}
	defer resp.Body.Close()
lines:
	for s := bufio.NewScanner(resp.Body); s.Scan(); {
		line := s.Text()
		if !strings.HasPrefix(line, name) || !strings.ContainsAny(line[len(name):len(name)+1], "{ ") {
			continue
		}
		for _, p := range parts {
			if !strings.Contains(line, p) {
				continue lines
			}
		}
		n, err := strconv.ParseFloat(line[strings.LastIndexByte(line, ' ')+1:], 64)
		if err != nil {
			e.t.Fatalf("%v in %q", err, line)
		}
		sum += n
	}
	return sum
}

// patience is how long anything may take that is no fault.
const patience = 20 * time.Second

// until looks until ok, for what other processes do and nothing tells of; false when that takes too long.
func until(ok func() bool) bool {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(patience); !ok(); <-tick.C {
		if time.Now().After(late) {
			return false
		}
	}
	return true
}

// eventually fails the test when it never comes about.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	if !until(ok) {
		t.Fatalf("it never came about: %s", what)
	}
}

// both runs a test for each driver.
func both(t *testing.T, test func(t *testing.T, driver edge.Driver)) {
	t.Helper()
	t.Parallel()
	for _, d := range []edge.Driver{edge.Loops, edge.Goroutines} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			test(t, d)
		})
	}
}

// dial connects.
func dial(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn) //nolint:forcetypeassert // it was asked for
}

// allowed is how many descriptors a process may have here.
func allowed() int {
	var l syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l) != nil {
		return 1024
	}
	return int(min(l.Cur, 1<<20))
}
