package cli_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"semper"
	"semper/api"
	"semper/api/apitest"
	"semper/cli"
)

// run is one command line in this process.
type run struct {
	out, err locked
	tty      bool
	stdin    io.Reader
	env      map[string]string
	host     string
}

// locked is a buffer that may be read while it is written.
type locked struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (r *run) main(ctx context.Context, args ...string) int {
	if r.stdin == nil {
		r.stdin = strings.NewReader("")
	}
	return cli.Main(ctx, args, cli.Env{
		Stdin: r.stdin, Stdout: &r.out, Stderr: &r.err,
		Getenv: func(k string) string {
			if k == "SEMPER_HOST" {
				return r.host
			}
			return r.env[k]
		},
		IsTTY: func(any) bool { return r.tty },
		Size:  func() (int, int) { return 100, 30 },
		Now:   func() time.Time { return time.Date(2026, 11, 21, 12, 0, 10, 0, time.UTC) },
	}, cli.ServerCommands{})
}

func start(t *testing.T) (*apitest.Semper, string) {
	t.Helper()
	s, host, stop, err := serve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return s, host
}

// project is a directory that deploys; extra goes into its semper.yaml.
func project(t *testing.T, extra string) string {
	t.Helper()
	dir := t.TempDir()
	yaml := "version: 1\napp: bar\n" + extra + "services:\n  web:\n    command: cat app.txt\n    instances: 2\n"
	for name, text := range map[string]string{"semper.yaml": yaml, "app.txt": extra} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func inState(t *testing.T, s *apitest.Semper, state semper.RolloutState) {
	t.Helper()
	if err := s.Until(t.Context(), func(o api.Overview) bool {
		return len(o.Environments) > 0 && o.Environments[0].Rollout.State == state
	}); err != nil {
		t.Fatal(err)
	}
}

// TestInterruptDetaches: Ctrl-C after the beginning ends the watching and nothing else.
func TestInterruptDetaches(t *testing.T) {
	t.Parallel()
	for _, tty := range []bool{false, true} {
		t.Run(fmt.Sprint("tty ", tty), func(t *testing.T) {
			t.Parallel()
			s, host := start(t)
			s.Stall(semper.RolloutReady)
			ctx, interrupt := context.WithCancel(t.Context())
			go func() {
				inState(t, s, semper.RolloutReady)
				interrupt()
			}()
			r := run{host: host, tty: tty}
			if code := r.main(ctx, "deploy", "-f", project(t, "")); code != 130 {
				t.Errorf("exit %d\n%s%s", code, r.out.String(), r.err.String())
			}
			for _, want := range []string{"detached: deploy d-1 (nothing → r1) goes on", "semper status -w -a bar", "semper promote", "semper abort"} {
				if !strings.Contains(r.err.String(), want) {
					t.Errorf("stderr does not say %q:\n%s", want, r.err.String())
				}
			}
			s.Stall(semper.RolloutWatch)
			inState(t, s, semper.RolloutWatch)
		})
	}
}

// TestInterruptBeforeDeploy: while the build runs, nothing has changed yet, and Ctrl-C says so.
func TestInterruptBeforeDeploy(t *testing.T) {
	t.Parallel()
	s, host := start(t)
	dir := project(t, "build: echo begun > begun; exec sleep 60\n")
	fifo := filepath.Join(dir, "begun")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	read := make(chan error, 1)
	go func() {
		f, err := os.Open(fifo)
		if err == nil {
			_, err = bufio.NewReader(f).ReadString('\n')
			_ = f.Close()
		}
		interrupt()
		read <- err
	}()
	r := run{host: host}
	if code := r.main(ctx, "deploy", "-f", dir); code != 130 || !strings.Contains(r.err.String(), "interrupted: nothing was changed") {
		t.Errorf("exit %d\n%s", code, r.err.String())
	}
	if err := <-read; err != nil {
		t.Error(err)
	}
	if o, err := s.Overview(t.Context()); err != nil || len(o.Environments) != 0 {
		t.Errorf("%v, %v", o, err)
	}
}

// TestInterruptBeforeAnything: the command asks nothing of the server.
func TestInterruptBeforeAnything(t *testing.T) {
	t.Parallel()
	s, host := start(t)
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	for _, args := range [][]string{{"deploy", "-f", project(t, "")}, {"plan", "-f", project(t, "")}, {"status"}, {"rollback"}} {
		r := run{host: host}
		if code := r.main(ctx, args...); code != 130 || !strings.Contains(r.err.String(), "interrupted") {
			t.Errorf("%s: exit %d\n%s", args, code, r.err.String())
		}
	}
	if o, err := s.Overview(t.Context()); err != nil || len(o.Environments) != 0 {
		t.Errorf("%v, %v", o, err)
	}
}

// TestLiveTree: on a terminal the tree is drawn in place, ends up whole, and stays.
func TestLiveTree(t *testing.T) {
	t.Parallel()
	s, host := start(t)
	s.Stall(semper.RolloutReady)
	go func() {
		inState(t, s, semper.RolloutReady)
		s.Stall(semper.RolloutWatch)
	}()
	r := run{host: host, tty: true, env: map[string]string{"TERM": "xterm-256color"}}
	if code := r.main(t.Context(), "deploy", "-f", project(t, "")); code != 0 {
		t.Fatalf("exit %d\n%s", code, r.err.String())
	}
	screen := strings.Join(terminal(t, r.err.String()), "\n")
	for _, want := range []string{"pack  ", "bar · production  r1 serves  epoch 1", "✓ deploy d-1  nothing → r1  watch", "│  └─ ● web.r1.2  ready"} {
		if strings.Count(screen, want) != 1 {
			t.Errorf("the screen has %q not once:\n%s", want, screen)
		}
	}
	if strings.Contains(screen, "Ctrl-C") {
		t.Errorf("the last picture still offers Ctrl-C:\n%s", screen)
	}
	r = run{host: host, tty: true, env: map[string]string{"TERM": "xterm", "NO_COLOR": "1"}}
	if r.main(t.Context(), "status"); strings.Contains(r.out.String(), "\x1b") {
		t.Errorf("NO_COLOR: %q", r.out.String())
	}
	r = run{host: host, tty: true, env: map[string]string{"TERM": "dumb"}}
	if r.main(t.Context(), "restart"); strings.Contains(r.out.String()+r.err.String(), "\x1b") {
		t.Errorf("TERM=dumb: %q", r.err.String())
	}
	r = run{host: host, env: map[string]string{"CLICOLOR_FORCE": "1"}}
	if r.main(t.Context(), "status"); !strings.Contains(r.out.String(), "\x1b[") {
		t.Errorf("CLICOLOR_FORCE: %q", r.out.String())
	}
}

// terminal is what a terminal shows after text.
func terminal(t *testing.T, text string) []string {
	t.Helper()
	rows := []string{""}
	y := 0
	for len(text) > 0 {
		var n int
		switch {
		case strings.HasPrefix(text, "\x1b[K"):
			text = text[3:]
		case strings.HasPrefix(text, "\x1b[J"):
			rows, text = rows[:y+1], text[3:]
			rows[y] = ""
		case strings.HasPrefix(text, "\x1b["):
			end := strings.IndexAny(text[2:], "ABCDHm") + 2
			if text[end] == 'A' {
				if _, err := fmt.Sscanf(text[2:end], "%d", &n); err != nil || n > y {
					t.Fatalf("up %q from row %d", text[2:end], y)
				}
				y -= n
			}
			text = text[end+1:]
		case text[0] == '\r':
			rows[y], text = "", text[1:]
		case text[0] == '\n':
			y++
			if y == len(rows) {
				rows = append(rows, "")
			}
			rows[y], text = "", text[1:]
		default:
			rows[y] += text[:1]
			text = text[1:]
		}
	}
	return rows
}

func TestRollbackAsks(t *testing.T) {
	t.Parallel()
	s, host := start(t)
	for _, extra := range []string{"", "warm: 1m\n"} {
		r := run{host: host}
		if code := r.main(t.Context(), "deploy", "-f", project(t, extra)); code != 0 {
			t.Fatalf("exit %d\n%s", code, r.err.String())
		}
		inState(t, s, semper.RolloutWatch)
	}
	for _, c := range []struct {
		answer, flag, serves string
		code                 int
	}{{"n\n", "-v", "r2", 1}, {"\n", "-v", "r2", 1}, {"", "-v", "r2", 1}, {"y\n", "-v", "r1", 0}, {"", "-y", "r2", 0}, {"", "--no-input", "r1", 0}} {
		r := run{host: host, tty: true, stdin: strings.NewReader(c.answer), env: map[string]string{"TERM": "dumb"}}
		code := r.main(t.Context(), "rollback", c.flag)
		st, err := s.Status(t.Context(), "bar", "")
		if err != nil || code != c.code || string(st.Release) != c.serves {
			t.Errorf("answer %q %s: exit %d, %s serves, %v\n%s", c.answer, c.flag, code, st.Release, err, r.err.String())
		}
		if asked := strings.Contains(r.err.String(), "roll back to r1? [y/N]"); asked != (c.flag == "-v") {
			t.Errorf("answer %q %s: asked %v\n%s", c.answer, c.flag, asked, r.err.String())
		}
		inState(t, s, semper.RolloutWatch)
	}
}

func TestStatusWatchShowsChanges(t *testing.T) {
	t.Parallel()
	s, host := start(t)
	r := run{host: host}
	if code := r.main(t.Context(), "deploy", "-q", "-f", project(t, "")); code != 0 {
		t.Fatalf("exit %d\n%s", code, r.err.String())
	}
	ctx, interrupt := context.WithCancel(t.Context())
	pr, pw := io.Pipe()
	done := make(chan int, 1)
	go func() {
		defer pw.Close()
		w := run{host: host}
		done <- cli.Main(ctx, []string{"status", "-w", "-o", "json"}, cli.Env{
			Stdin: strings.NewReader(""), Stdout: pw, Stderr: &w.err,
			Getenv: func(k string) string { return map[string]string{"SEMPER_HOST": host}[k] },
		}, cli.ServerCommands{})
	}()
	lines := bufio.NewReader(pr)
	if l := firstLine(lines); !strings.Contains(l, `"app":"bar"`) || strings.Contains(l, `"hold"`) {
		t.Errorf("first line: %s", l)
	}
	if _, err := s.Hold(t.Context(), "bar", "", api.HoldRequest{Writes: true, By: "ann"}); err != nil {
		t.Fatal(err)
	}
	for {
		l := firstLine(lines)
		if l == "" {
			t.Fatal("the stream ended before it showed the hold")
		}
		if strings.Contains(l, `"hold":[{"writes":true`) {
			break
		}
	}
	interrupt()
	go func() { _, _ = io.Copy(io.Discard, pr) }()
	if code := <-done; code != 130 {
		t.Errorf("exit %d", code)
	}
}

func TestDefaultDir(t *testing.T) {
	t.Parallel()
	if dir := cli.DefaultDir(); !filepath.IsAbs(dir) {
		t.Errorf("DefaultDir() = %q", dir)
	}
}

// TestStopWaits: `server stop` returns when the keeper has let go of the data directory, not before.
func TestStopWaits(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	lock, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	var stopped atomic.Bool
	var out locked
	code := cli.Main(t.Context(), []string{"server", "stop", "--data", dir}, cli.Env{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out}, cli.ServerCommands{
		Stop: func(context.Context, string, bool) error {
			go func() { // ends at once; the lock's release is what Main waits for
				stopped.Store(true)
				_ = lock.Close()
			}()
			return nil
		},
	})
	if code != 0 || !stopped.Load() {
		t.Errorf("exit %d, stopped %v\n%s", code, stopped.Load(), out.String())
	}
}
