package examples_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"semper/bench/rig"
)

// semper builds the binary once for all tests of this package.
func semper(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "semper")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", bin, "semper/cmd/semper")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	return bin
}

// server starts one that ends with the test.
func server(t *testing.T, bin string) *rig.Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "ex") // short, and open to instances that run as users of their own
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	address, err := rig.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	s := &rig.Server{Bin: bin, Dir: filepath.Join(dir, "data"), HTTP: address, Log: filepath.Join(dir, "log")}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			t.Logf("the server and its parts said:\n%s", s.Logs())
		}
	})
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// An example, what must be installed for it, where it answers and what, and where its version stands.
type example struct {
	name, needs, path, greeting string
	version                     string // file that holds the word "one"
}

var all = []example{
	{"python-hello", "python3", "/", "hello from python, version %s", "version.txt"},
	{"go-hello", "go", "/go-hello", "hello from go, version %s", "version.txt"},
	{"node-hello", "node", "/node-hello", "hello from node, version %s", "version.txt"},
	{"procfile-app", "python3", "/", "hello from a Procfile, version %s", "app.py"},
	{"websocket-echo", "python3", "/websocket-echo", "WebSocket echo", ""},
	{"ab-test", "python3", "/ab-test", "background: grey", ""},
	{"async", "python3", "/async", "exports: POST", ""},
}

// TestEachDeploysAsItIs deploys every example from a copy of its folder, then a second release of it.
func TestEachDeploysAsItIs(t *testing.T) {
	t.Parallel()
	bin := semper(t)
	shared := server(t, bin)
	for _, e := range all {
		t.Run(e.name, func(t *testing.T) {
			if _, err := exec.LookPath(e.needs); err != nil {
				t.Skipf("%s is not installed: %v", e.needs, err)
			}
			s := shared
			if e.name == "procfile-app" {
				s = server(t, bin) // it takes / of every host, as python-hello does
			}
			dir := filepath.Join(t.TempDir(), e.name)
			if err := os.CopyFS(dir, os.DirFS(e.name)); err != nil {
				t.Fatal(err)
			}
			if e.name == "ab-test" {
				giveToken(t, s, e.name)
			}
			deploy(t, s, dir)
			e.check(t, s, "one", "r1")
			if e.version == "" {
				return
			}
			e.change(t, dir)
			deploy(t, s, dir)
			e.check(t, s, "two", "r2")
		})
	}
}

func deploy(t *testing.T, s *rig.Server, dir string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if _, err := s.Deploy(ctx, dir); err != nil {
		t.Fatal(err)
	}
}

// giveToken is the second line of ab-test's README: what its instances push values with.
func giveToken(t *testing.T, s *rig.Server, app string) {
	t.Helper()
	token, err := s.Run(t.Context(), "experiment", "token", "-a", app)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, token, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(t.Context(), "secret", "set", "metrics_token", "-a", app, "--from", file); err != nil {
		t.Fatal(err)
	}
}

// change makes the one-line change that a second release is.
func (e example) change(t *testing.T, dir string) {
	t.Helper()
	name := filepath.Join(dir, e.version)
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.Replace(string(text), `VERSION = "one"`, `VERSION = "two"`, 1)
	if e.version == "version.txt" {
		changed = "two\n"
	}
	if err := os.WriteFile(name, []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
}

// check asks the example through the edge.
func (e example) check(t *testing.T, s *rig.Server, version, release string) {
	t.Helper()
	want := e.greeting
	if strings.Contains(want, "%s") {
		want = fmt.Sprintf(want, version)
	}
	res, err := http.Get("http://" + s.HTTP + e.path)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
		t.Errorf("%s answers %s, %v:\n%s\nwant %q", e.path, res.Status, err, body, want)
	}
	if got := res.Header.Get("X-Semper-Release"); got != release {
		t.Errorf("X-Semper-Release is %q, want %q", got, release)
	}
	switch e.name {
	case "websocket-echo":
		e.checkSocket(t, s, release)
	case "async":
		checkExport(t, s)
	case "procfile-app", "ab-test":
	default:
		e.checkEvents(t, s, release)
	}
}

// checkExport has an export made, which is accepted first, and asks where the answer is said to be.
func checkExport(t *testing.T, s *rig.Server) {
	t.Helper()
	res, err := http.Post("http://"+s.HTTP+"/async/exports", "application/json", strings.NewReader(`{"year": 2026}`))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close() // the Location says more
	if res.StatusCode != http.StatusAccepted {
		t.Fatalf("an export is answered %s", res.Status)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for res.StatusCode == http.StatusAccepted {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.HTTP+res.Header.Get("Location"), nil)
		if err != nil {
			t.Fatal(err)
		}
		at := res.Header.Get("Location")
		req.Header.Set("Prefer", "wait=30")
		if res, err = http.DefaultClient.Do(req); err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close() // read whole
		if res.StatusCode == http.StatusAccepted {
			res.Header.Set("Location", at)
			continue
		}
		if err != nil || res.StatusCode != http.StatusCreated || !strings.Contains(string(body), "2026-12,84") {
			t.Errorf("the export is %s, %v:\n%s", res.Status, err, body)
		}
	}
}

// checkEvents reads the first server-sent event: it comes at once, not when the stream ends.
func (e example) checkEvents(t *testing.T, s *rig.Server, release string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.HTTP+strings.TrimSuffix(e.path, "/")+"/sse", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	r := bufio.NewReader(res.Body)
	for _, want := range []string{"id: 1\n", "data: " + release + " 1\n"} {
		if line, err := r.ReadString('\n'); err != nil || line != want {
			t.Errorf("the stream says %q, %v; want %q", line, err, want)
		}
	}
}

func (e example) checkSocket(t *testing.T, s *rig.Server, release string) {
	t.Helper()
	c, _, err := websocket.Dial(t.Context(), "ws://"+s.HTTP+e.path+"/socket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"welcome to version one, release " + release, release + ": hello"} {
		if _, b, err := c.Read(t.Context()); err != nil || string(b) != want {
			t.Errorf("the socket says %q, %v; want %q", b, err, want)
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, ""); err != nil {
		t.Errorf("close: %v", err)
	}
}

// TestWorker gives both workers jobs, and waits for what they come to.
func TestWorker(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"go", "python3"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: %v", name, err)
		}
	}
	s := server(t, semper(t))
	dir := filepath.Join(t.TempDir(), "worker")
	if err := os.CopyFS(dir, os.DirFS("worker")); err != nil {
		t.Fatal(err)
	}
	deploy(t, s, dir)
	for path, want := range map[string]string{"/worker/resize": "r1 resized attempt 1", "/worker/mail": "r1 sent attempt 1"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+s.HTTP+path, strings.NewReader("a picture"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Prefer", "wait=50")
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(b), want) {
			t.Errorf("%s: %s %q, want %q", path, resp.Status, b, want)
		}
	}
	for { // what resize gave mail
		logs, err := s.Run(t.Context(), "logs", "-a", "worker", "--service", "mail", "-n", "20")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(logs), "has 4 bytes now") {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatalf("mail has not got its job:\n%s", logs)
		}
	}
}
