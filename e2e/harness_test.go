package e2e_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper/api"
	"semper/internal/abreast"
	"semper/internal/reserve"
)

// built are the binaries all tests share.
var built struct{ semper, app, rpc string }

// atOnce is how many tests run at once on each processor: they wait for processes, for drains and for windows far more than they compute.
const atOnce = 2

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "e2e")
		if err != nil {
			fmt.Println(err)
			return 1
		}
		defer os.RemoveAll(dir)
		// Instances may run as another user: they must be able to reach their files.
		if err := os.Chmod(dir, 0o755); err != nil {
			fmt.Println(err)
			return 1
		}
		built.semper, built.app, built.rpc = filepath.Join(dir, "semper"), filepath.Join(dir, "app"), filepath.Join(dir, "rpc")
		for out, pkg := range map[string]string{built.semper: "semper/cmd/semper", built.app: "semper/e2e/app", built.rpc: "semper/e2e/rpc"} {
			// Built as releases are; other tests of this module build so too, and share what is compiled. Every deploy carries the app: it is small.
			cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", out, pkg)
			cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
			if b, err := cmd.CombinedOutput(); err != nil {
				fmt.Printf("build %s: %v\n%s", pkg, err, b)
				return 1
			}
		}
		if err := abreast.Tests(atOnce); err != nil {
			fmt.Println(err)
			return 1
		}
		return m.Run()
	}())
}

// server is a semper under test.
type server struct {
	t    *testing.T
	web  *http.Client // of the edge
	api  *api.Client
	dir  string
	http string
	args []string // of the server, beside directory and address
	cmd  *exec.Cmd
	log  *os.File
}

// start runs `semper server run` in a data directory of its own.
func start(t *testing.T, args ...string) *server {
	t.Helper()
	dir, err := os.MkdirTemp("", "sm")
	if err != nil {
		t.Fatal(err)
	}
	return startIn(t, dir, args...)
}

// startIn runs it in a directory below dir, which is removed at the end of the test.
func startIn(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	var err error
	s := &server{t: t, dir: filepath.Join(dir, "d"), http: freeAddr(t), args: args, web: &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}}}
	if s.api, err = api.NewClient(s.host(), api.ClientOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.stopAll()
		if t.Failed() {
			parts, _ := filepath.Glob(filepath.Join(s.dir, "keeper", "parts", "*.log"))
			for _, path := range append([]string{filepath.Join(dir, "log")}, parts...) {
				b, err := os.ReadFile(path)
				t.Logf("%s (%v):\n%s", filepath.Base(path), err, tail(string(b), 60))
			}
		}
		_ = exec.Command("chmod", "-R", "u+w", dir).Run()
		_ = os.RemoveAll(dir)
	})
	s.log, err = os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	s.run()
	return s
}

func tail(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// freeAddr is kept free until the end of t, for who is told to listen there.
func freeAddr(t *testing.T) string {
	t.Helper()
	return reserve.For(t).Address()
}

// run starts the keeper (again) and waits until it says it is up.
func (s *server) run() {
	s.t.Helper()
	pr, pw, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = exec.Command(built.semper, append([]string{"server", "run", "--data", s.dir, "--http", s.http}, s.args...)...)
	s.cmd.Stdout, s.cmd.Stderr = s.log, pw
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	_ = pw.Close()
	up := make(chan struct{})
	go func() { // ends when every holder of the pipe has ended
		defer pr.Close()
		sc := bufio.NewScanner(pr)
		said := false
		for sc.Scan() {
			fmt.Fprintln(s.log, sc.Text())
			if !said && strings.Contains(sc.Text(), "semper is up") {
				said = true
				close(up)
			}
		}
		if !said {
			close(up)
		}
	}()
	select {
	case <-up:
	case <-time.After(60 * time.Second):
		s.t.Fatal("the server did not come up within a minute")
	}
}

// stopAll ends everything, by the front door and, whatever is left, by pid.
func (s *server) stopAll() {
	s.web.CloseIdleConnections() // an edge that ends gives such a moment to be used once more
	if s.cmd.ProcessState == nil {
		_ = s.cmd.Process.Signal(os.Interrupt)
		done := make(chan struct{})
		go func() { _ = s.cmd.Wait(); close(done) }()
		select {
		case <-done:
		case <-time.After(30 * time.Second):
			s.t.Error("the server did not end within 30s of SIGINT")
			_ = s.cmd.Process.Kill()
			<-done
		}
	}
	for _, pid := range s.processes() {
		s.t.Logf("left behind: %d %s", pid, cmdline(pid))
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
}

// processes are the living ones that name the data directory in arguments or environment.
func (s *server) processes() []int {
	var out []int
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscanf(e.Name(), "%d", &pid); err != nil || pid == os.Getpid() {
			continue
		}
		env, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if strings.Contains(cmdline(pid), s.dir) || bytes.Contains(env, []byte("="+s.dir+"/")) {
			out = append(out, pid)
		}
	}
	return out
}

func cmdline(pid int) string {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " "))
}

// part is the pid of one of semper's own processes.
func (s *server) part(kind string) int {
	s.t.Helper()
	for _, pid := range s.processes() {
		if strings.HasPrefix(cmdline(pid), "semper "+kind) {
			return pid
		}
	}
	return 0
}

type result struct {
	out, err string
	code     int
}

// cli runs the semper command line against the server.
func (s *server) cli(args ...string) result {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return s.cliContext(ctx, nil, args...)
}

func (s *server) cliContext(ctx context.Context, started func(*os.Process), args ...string) result {
	s.t.Helper()
	cmd := exec.CommandContext(ctx, built.semper, args...)
	cmd.Env = append(os.Environ(), "SEMPER_HOST="+s.host())
	var out, errb bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errb
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	if started != nil {
		started(cmd.Process)
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	return result{out.String(), errb.String(), cmd.ProcessState.ExitCode()}
}

// must runs the command line and fails the test unless it succeeds.
func (s *server) must(args ...string) string {
	s.t.Helper()
	r := s.cli(args...)
	if r.code != 0 {
		s.t.Fatalf("semper %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// host is where the command line finds the server.
func (s *server) host() string { return "unix://" + s.dir + "/api.sock" }

// asked is what the server answers to one question of the command line's, without a process for each: tests ask again and again.
func asked[T any](s *server, question func(context.Context, *api.Client) (T, error)) T {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	v, err := question(ctx, s.api)
	if err != nil {
		s.t.Fatal(err)
	}
	return v
}

// printed is what the command line prints of it as JSON.
func printed[T any](s *server, args ...string) (v T) {
	s.t.Helper()
	if err := json.Unmarshal([]byte(s.must(append(args, "-o", "json")...)), &v); err != nil {
		s.t.Fatal(err)
	}
	return v
}

func (s *server) status() api.Status {
	s.t.Helper()
	return asked(s, func(ctx context.Context, c *api.Client) (api.Status, error) { return c.Status(ctx, "", "") })
}

// app writes a directory to deploy and returns it. Its instances may take their time to start, on what the machine has left.
func app(t *testing.T, version, behaviour, extra string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "ap")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	yaml := fmt.Sprintf(`version: 1
app: bar
warm: 1m
drain: { request: 5s, stream: 1s, websocket: 1s }
services:
  web:
    type: web
    command: ./app
    instances: 2
    env: { BEHAVIOUR: %q }
    health: { path: /, grace: 45s }
    stop: { timeout: 1s }
%s
routes:
  - { path: /, to: web }
`, behaviour, extra)
	write(t, filepath.Join(dir, "semper.yaml"), yaml, 0o644)
	write(t, filepath.Join(dir, "version.txt"), version+"\n", 0o644)
	b, err := os.ReadFile(built.app)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "app"), string(b), 0o755)
	return dir
}

func write(t *testing.T, path, content string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), mode); err != nil {
		t.Fatal(err)
	}
}

// get asks the edge and returns the status and the body.
func (s *server) get(path string) (int, string) {
	s.t.Helper()
	resp, err := s.web.Get("http://" + s.http + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, strings.TrimSpace(string(b))
}

// serves fails the test unless the edge answers from the release.
func (s *server) serves(release, version string) {
	s.t.Helper()
	for range 5 {
		if code, body := s.get("/"); code != 200 || body != release+" "+version {
			s.t.Fatalf("the edge answers %d %q, want %s %s", code, body, release, version)
		}
	}
}

// eventually polls cond, a bounded time, and the more seldom the longer it takes: what is waited for needs the processors too.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(60 * time.Second)
	for wait := 10 * time.Millisecond; !cond(); wait = min(wait*5/4, 250*time.Millisecond) {
		select {
		case <-time.After(wait):
		case <-deadline:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

func alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(b), ") Z ")
}
