package etcd_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"semper"
	"semper/store"
	"semper/store/etcd"
	"semper/store/storetest"
)

// serverDir, when set, makes this test binary a server: it is killed and started again by the tests.
const serverDir = "SEMPER_TEST_STORE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serverDir); dir != "" {
		os.Exit(beServer(dir, os.Getenv("SEMPER_TEST_STORE_SOCKET")))
	}
	goleak.VerifyTestMain(m)
}

// beServer serves until its standard input ends, as it does when the test dies.
func beServer(dir, socket string) int {
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	err := etcd.Serve(ctx, etcd.ServeOptions{
		Dir: dir, Socket: socket, Ready: func() { fmt.Println("ready") },
		Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// server is a store process on a directory, over its restarts.
type server struct {
	t           testing.TB
	dir, socket string
	cmd         *exec.Cmd
	stdin       io.Closer
	stderr      *os.File
	exited      chan error // gets the process's end
}

func newServer(t testing.TB) *server {
	t.Helper()
	return newServerIn(t, t.TempDir())
}

func newServerIn(t testing.TB, dir string) *server {
	t.Helper()
	run, err := os.MkdirTemp("", "s")
	must(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(run) })
	s := &server{t: t, dir: dir, socket: filepath.Join(run, "store.sock")}
	t.Cleanup(s.kill)
	return s
}

// launch starts the process and does not wait for it.
func (s *server) launch() io.Reader {
	s.t.Helper()
	exe, err := os.Executable()
	must(s.t, err)
	s.cmd = exec.Command(exe)
	s.cmd.Env = append(os.Environ(), serverDir+"="+s.dir, "SEMPER_TEST_STORE_SOCKET="+s.socket)
	s.stderr, err = os.CreateTemp(s.t.TempDir(), "stderr")
	must(s.t, err)
	s.cmd.Stderr = s.stderr
	s.stdin, err = s.cmd.StdinPipe()
	must(s.t, err)
	out, err := s.cmd.StdoutPipe()
	must(s.t, err)
	must(s.t, s.cmd.Start())
	s.exited = make(chan error, 1)
	return out
}

// start returns when the server is ready.
func (s *server) start() {
	s.t.Helper()
	out := s.launch()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		s.t.Fatalf("the server said %q, %v, and: %s", line, err, s.log())
	}
	s.reap()
}

func (s *server) reap() {
	cmd, exited := s.cmd, s.exited
	go func() { exited <- cmd.Wait() }()
}

func (s *server) log() string {
	b, _ := os.ReadFile(s.stderr.Name())
	return string(b)
}

// kill ends the process as a power cut would, and returns when it is gone.
func (s *server) kill() {
	if s.cmd == nil {
		return
	}
	_ = s.cmd.Process.Kill()
	<-s.exited
	s.cmd = nil
	_ = s.stdin.Close()
	_ = s.stderr.Close()
}

// stop ends the process in order.
func (s *server) stop() error {
	_ = s.stdin.Close()
	err := <-s.exited
	s.cmd = nil
	_ = s.stderr.Close()
	return err
}

// pause returns when every thread of the server stands still.
func (s *server) pause() {
	must(s.t, s.cmd.Process.Signal(syscall.SIGSTOP))
	must(s.t, unix.Waitid(unix.P_PID, s.cmd.Process.Pid, nil, unix.WSTOPPED|unix.WNOWAIT, nil))
}

func (s *server) resume() { must(s.t, s.cmd.Process.Signal(syscall.SIGCONT)) }

func (s *server) client(t testing.TB, o etcd.Options) *etcd.Store {
	t.Helper()
	if o.Patience == 0 {
		o.Patience = 30 * time.Second // eight engineers' tests on two cores
	}
	c, err := etcd.Open(t.Context(), s.socket, o)
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func put(t testing.TB, s semper.Store, key, value string) int64 {
	t.Helper()
	rev, err := s.Commit(t.Context(), semper.Txn{Then: []semper.Write{{Key: key, Value: []byte(value)}}})
	must(t, err)
	return rev
}

func TestContract(t *testing.T) {
	t.Parallel()
	srv := newServer(t)
	srv.start()
	storetest.Run(t, func(t *testing.T) semper.Store { return srv.client(t, etcd.Options{}) })
	storetest.RunBulk(t, func(t *testing.T) store.Bulk { return srv.client(t, etcd.Options{}) })
}
