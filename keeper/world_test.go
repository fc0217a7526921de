package keeper_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"semper"
	"semper/internal/reserve"
	"semper/keeper"
	"semper/keeper/datadir"
	"semper/keeper/journal"
	"semper/store/blob"
)

// A world is a data directory with a real keeper process on it, and the client of that.
type world struct {
	t      *testing.T
	dir    datadir.Dir
	http   string
	env    []string
	binary string              // empty: the test's own
	as     *syscall.Credential // nil: the same user
	client *keeper.Client
	cmd    *exec.Cmd
	out    *output
}

// output collects what a process prints and tells when a line has come.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
	seen chan struct{} // closed at "ready"
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	had := strings.Contains(o.text.String(), "ready\n")
	o.text.Write(b)
	if !had && strings.Contains("\n"+o.text.String(), "\nready\n") {
		close(o.seen)
	}
	return len(b), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "s")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: datadir.Dir(dir), http: reserve.For(t).Address()}
	w.client = keeper.NewClient(w.dir.KeeperSocket())
	t.Cleanup(w.destroy)
	return w
}

// run starts a keeper and waits until it says it is ready.
func (w *world) run(extra ...string) *world {
	w.t.Helper()
	w.spawn(extra...)
	gone := make(chan error, 1)
	cmd := w.cmd
	go func() { gone <- cmd.Wait() }()
	w.cmd.Cancel = func() error { return <-gone }
	select {
	case <-w.out.seen:
	case err := <-gone:
		gone <- err
		w.t.Fatalf("the keeper ended: %v\n%s", err, w.out)
	case <-w.t.Context().Done():
		w.t.Fatalf("the keeper is not ready\n%s", w.out)
	case <-time.After(60 * time.Second):
		w.t.Fatalf("the keeper is not ready\n%s", w.out)
	}
	return w
}

func (w *world) spawn(extra ...string) {
	w.t.Helper()
	self, err := os.Executable()
	if err != nil {
		w.t.Fatal(err)
	}
	if w.binary != "" {
		self = w.binary
	}
	w.out = &output{seen: make(chan struct{})}
	w.cmd = exec.CommandContext(context.Background(), self)
	w.cmd.Args = append([]string{"semper", "keeper", "--data", string(w.dir), "--http", w.http}, extra...)
	w.cmd.Env = append(append(os.Environ(), roleEnv+"=1", "GORACE=atexit_sleep_ms=0"), w.env...)
	w.cmd.Stdout, w.cmd.Stderr = w.out, w.out
	// The keeper leads a group, so that what orphans fall to is it and not the test.
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: w.as}
	// Children of a keeper that was killed hold its output open.
	w.cmd.WaitDelay = 10 * time.Millisecond
	if err := w.cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
}

// end sends sig to the keeper and waits for it to be gone.
func (w *world) end(sig syscall.Signal) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(sig); err != nil {
		w.t.Fatal(err)
	}
	_ = w.cmd.Cancel() // its exit status is the signal
}

// destroy ends everything that carries the directory's mark.
func (w *world) destroy() {
	if w.t.Failed() && w.out != nil {
		w.t.Logf("keeper of %s:\n%s", w.dir, w.out)
		for _, log := range glob(string(w.dir), "keeper/parts/*.log") {
			b, _ := os.ReadFile(log)
			w.t.Logf("%s:\n%s", log, b)
		}
	}
	if w.cmd != nil && w.cmd.Process != nil {
		_ = w.cmd.Process.Kill()
	}
	for range 100 {
		pids := w.marked()
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		awaitGone(pids)
	}
	w.client.Close()
	_ = filepath.WalkDir(string(w.dir), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	_ = os.RemoveAll(string(w.dir))
}

func glob(dir, pattern string) []string {
	found, _ := filepath.Glob(filepath.Join(dir, pattern))
	return found
}

// marked are the living processes that carry a mark of this directory.
func (w *world) marked() []int {
	var m datadir.Marker
	if err := journal.ReadJSON(w.dir.Marker(), &m); err != nil {
		return nil
	}
	var pids []int
	for _, path := range glob("/proc", "[0-9]*/environ") {
		b, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(b, []byte("\x00SEMPER_INCARNATION="+m.ID+".")) {
			continue
		}
		pid, _ := strconv.Atoi(strings.Split(path, "/")[2])
		pids = append(pids, pid)
	}
	return pids
}

// awaitGone waits until none of pids runs.
func awaitGone(pids []int) {
	for _, pid := range pids {
		if fd, err := unix.PidfdOpen(pid, 0); err == nil {
			_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 10000)
			_ = unix.Close(fd)
		}
	}
}

// ctx bounds one call.
func (w *world) ctx() context.Context {
	ctx, cancel := context.WithTimeout(w.t.Context(), 60*time.Second)
	w.t.Cleanup(cancel)
	return ctx
}

// artifact packs files into the blob store; a name that ends with ".sh" is executable.
func (w *world) artifact(files map[string]string) semper.Digest {
	w.t.Helper()
	dir := w.t.TempDir()
	for name, text := range files {
		mode := os.FileMode(0o644)
		if strings.HasSuffix(name, ".sh") {
			mode = 0o755
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			w.t.Fatal(err)
		}
	}
	var pack bytes.Buffer
	d, _, err := blob.Pack(&pack, dir, blob.Ignore{})
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := blob.Open(w.dir.Blobs())
	if err == nil {
		err = s.Put(w.ctx(), d, &pack)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// spec is instance n of a service that runs script with sh.
func (w *world) spec(n int, script string) semper.InstanceSpec {
	w.t.Helper()
	d := w.artifact(map[string]string{"run.sh": "#!/bin/sh\n" + script + "\n"})
	return semper.InstanceSpec{
		ID: semper.NameInstance("bar", "web", "r1", n), App: "bar", Environment: "production", Service: "web", Release: "r1",
		Generation: 1, Artifact: d,
		Spec: semper.Service{Type: semper.Worker, Command: []string{"./run.sh"}, Instances: 1},
	}
}

// idle is a script that runs until it is told to end.
const idle = "trap 'exit 0' TERM; while :; do sleep 0.05; done"

func (w *world) start(spec semper.InstanceSpec) semper.InstanceStatus {
	w.t.Helper()
	st, err := w.client.Start(w.ctx(), spec)
	if err != nil {
		w.t.Fatal(err)
	}
	return st
}

// await watches an instance until cond holds.
func (w *world) await(id semper.InstanceID, what string, cond func(semper.InstanceStatus) bool) semper.InstanceStatus {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx(), 30*time.Second)
	defer cancel()
	var last semper.InstanceStatus
	for ctx.Err() == nil {
		ch, err := w.client.Watch(ctx)
		if err != nil {
			continue
		}
		for batch := range ch {
			for _, st := range batch {
				if st.Spec.ID != id {
					continue
				}
				if last = st; cond(st) {
					return st
				}
			}
		}
	}
	w.t.Fatalf("%s: not seen: %s; last %+v", id, what, last)
	return last
}

// parts awaits the parts and checks that each is ready.
func (w *world) parts() map[string]keeper.Part {
	w.t.Helper()
	var list []keeper.Part
	w.eventually("all parts ready", func() bool {
		var err error
		list, err = w.client.Parts(w.ctx())
		return err == nil && !slices.ContainsFunc(list, func(p keeper.Part) bool { return !p.Ready }) && len(list) >= 4
	})
	byID := map[string]keeper.Part{}
	for _, p := range list {
		byID[p.ID] = p
	}
	return byID
}

// eventually polls what has no event to wait on from outside.
func (w *world) eventually(what string, cond func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		if time.Now().After(deadline) {
			w.t.Fatalf("not seen: %s", what)
		}
		<-tick.C
	}
}

func (w *world) crashes() []semper.CrashReport {
	w.t.Helper()
	list, err := w.client.Crashes(w.ctx())
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

// get asks the edge over a new connection.
func (w *world) get() (string, error) {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	resp, err := c.Get("http://" + w.http + "/")
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", resp.Status, b)
	}
	return string(b), err
}

// load asks the edge again and again over new connections until stop is called, which reports how many
// answers came and every error.
func (w *world) load() (stop func() (int, []error)) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var errs []error
	n := 0
	wg.Go(func() {
		for ctx.Err() == nil {
			if _, err := w.get(); err != nil {
				errs = append(errs, err)
			}
			n++
		}
	})
	return func() (int, []error) {
		cancel()
		wg.Wait()
		return n, errs
	}
}

// alive tells whether pid runs; one that has ended and was not reaped does not.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err == nil && !strings.Contains(string(b), ") Z ")
}
