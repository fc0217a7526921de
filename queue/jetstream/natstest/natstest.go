// Package natstest runs nats-server, as the process it is, for tests of whoever uses JetStream.
package natstest

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"semper/internal/reserve"
)

// binary is the server, built once per test binary from a module of its own; Go keeps it from one run to the next.
var binary = sync.OnceValues(func() (string, error) {
	_, here, _, _ := runtime.Caller(0)
	cmd := exec.Command("go", "tool", "-n", "nats-server")
	cmd.Dir = filepath.Join(filepath.Dir(here), "..", "internal", "natsserver")
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false -trimpath", "GOWORK=off", "CGO_ENABLED=0")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("go tool -n nats-server in %s: %w\n%s", cmd.Dir, err, said.String())
	}
	return strings.TrimSpace(string(out)), nil
})

// reconnectWait is how often a connection tries to come back.
const reconnectWait = 50 * time.Millisecond

// Config is what tests differ in.
type Config struct {
	Server    string // lines of the server's configuration
	JetStream string // lines of its block jetstream; empty: Durable
	Dir       string // of its files; empty: one that is removed after the test
}

// Durable is a block jetstream that package jetstream takes.
const Durable = "sync_interval: always\nmax_file_store: 8GB\nmax_memory_store: 64MB"

// Server is one that runs, over its restarts.
type Server struct {
	Name    string
	URL     string // of clients
	Monitor string // of its monitoring

	t     testing.TB
	text  func(block string) string
	file  string
	cmd   *exec.Cmd
	stdin io.Closer
	said  chan struct{} // closed when the process has said all
}

// Start gives a server, ready, that ends with the test.
func Start(t testing.TB, c Config) *Server {
	t.Helper()
	s := prepare(t, "n1", c)
	s.Start()
	return s
}

// Cluster gives n servers that replicate streams, named n1 and so on. They may still be electing who leads.
func Cluster(t testing.TB, n int) []*Server {
	t.Helper()
	routes := make([]string, n)
	for i := range routes {
		routes[i] = reserve.For(t).Address()
	}
	all := make([]*Server, n)
	for i := range all {
		all[i] = prepare(t, fmt.Sprint("n", i+1), Config{Server: fmt.Sprintf("cluster { name: c, listen: %q, routes: [%s] }", routes[i], "nats://"+strings.Join(routes, ", nats://"))})
	}
	for _, s := range all {
		s.Start()
	}
	return all
}

func prepare(t testing.TB, name string, c Config) *Server {
	t.Helper()
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	if c.JetStream == "" {
		c.JetStream = Durable
	}
	clients, monitor := reserve.For(t), reserve.For(t)
	s := &Server{t: t, Name: name, URL: "nats://" + clients.Address(), Monitor: "http://" + monitor.Address(), file: filepath.Join(t.TempDir(), "nats.conf")}
	s.text = func(block string) string {
		return fmt.Sprintf("server_name: %s\nlisten: %q\nhttp: %q\n%s\njetstream {\nstore_dir: %q\n%s\n}\n", name, clients.Address(), monitor.Address(), c.Server, c.Dir, block)
	}
	s.Configure(c.JetStream)
	t.Cleanup(s.Kill)
	return s
}

// Configure gives the server another block jetstream, from its next start on.
func (s *Server) Configure(block string) {
	s.t.Helper()
	must(s.t, os.WriteFile(s.file, []byte(s.text(block)), 0o600))
}

// untilEOF runs a command until its input ends: so it ends with whoever holds the other end, killed or not.
const untilEOF = `exec 3<&0; "$@" & p=$!; (cat <&3; kill -9 $p) >/dev/null 2>&1 & wait $p`

// Start begins a server that was killed, and returns when it is ready.
func (s *Server) Start() {
	s.t.Helper()
	exe, err := binary()
	must(s.t, err)
	s.cmd = exec.Command("sh", "-c", untilEOF, "sh", exe, "-c", s.file)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	s.stdin, err = s.cmd.StdinPipe()
	must(s.t, err)
	out, err := s.cmd.StderrPipe()
	must(s.t, err)
	must(s.t, s.cmd.Start())
	ready := make(chan bool, 1)
	said := make(chan struct{})
	s.said = said
	var all bytes.Buffer
	go func() {
		defer close(said)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			all.WriteString(lines.Text() + "\n")
			if strings.Contains(lines.Text(), "Server is ready") {
				ready <- true
			}
		}
		close(ready)
	}()
	if !<-ready {
		s.t.Fatalf("nats-server ended by itself:\n%s", all.String())
	}
}

// Kill is kill -9.
func (s *Server) Kill() {
	if s.cmd == nil {
		return
	}
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGKILL) // the group: the server and the shell around it
	s.stdin.Close()
	<-s.said
	_ = s.cmd.Wait()
	s.cmd = nil
}

// Connect gives a connection that comes back after restarts, and ends with the test.
func (s *Server) Connect() *nats.Conn {
	s.t.Helper()
	nc, err := nats.Connect(s.URL, nats.MaxReconnects(-1), nats.ReconnectWait(reconnectWait), nats.ReconnectJitter(0, 0))
	must(s.t, err)
	s.t.Cleanup(nc.Close)
	return nc
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
