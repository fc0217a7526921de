// Command queue measures the embedded queue beside what etcd itself does with the same disk, in one run, on a store
// process of its own.
//
//	go run ./bench/queue                  to the terminal
//	go run ./bench/queue -write           and to bench/queue/RESULTS.md, on a machine that does nothing else
//	go run ./bench/queue -backlog 20000   a smaller backlog
//
// Everything is durable before it counts: the store syncs its log. Jobs are 1 KB.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"semper/store/etcd"
)

func main() {
	if os.Getenv("GOGC") == "" { // as the keeper has it for the store, which inherits it, and for the queue's process
		debug.SetGCPercent(200)
		_ = os.Setenv("GOGC", "200")
	}
	write := flag.Bool("write", false, "write bench/queue/RESULTS.md")
	backlog := flag.Int("backlog", 200_000, "jobs of the backlog")
	span := flag.Duration("for", 5*time.Second, "how long each rate is measured")
	semper := flag.String("semper", "bin/semper", "the binary, for what is accepted through its edge")
	profile := flag.String("profile", "", "directory for processor profiles of this process, one per measurement")
	serve := flag.String("serve", "", "be the store of this directory (for the command itself)")
	rate := flag.Float64("rate", 0, "jobs per second of latency; 0: half of what dispatch measured")
	only := flag.String("only", "", "one measurement: accept, dispatch, latency, backlog, restart or beside; some want the one before")
	flag.Parse()
	err := beStore(*serve)
	if *serve == "" {
		err = measureAll(&bench{store: &server{}, span: *span, semper: *semper, only: *only, jobRate: 2 * *rate}, *write, *backlog, *profile)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "queue:", err)
		os.Exit(1)
	}
}

// beStore serves until its standard input ends.
func beStore(dir string) error {
	if dir == "" {
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	return etcd.Serve(ctx, etcd.ServeOptions{Dir: filepath.Join(dir, "data"), Socket: filepath.Join(dir, "s"), Ready: func() { fmt.Println("ready") }})
}

// server is a store process.
type server struct {
	dir   string
	cmd   *exec.Cmd
	stdin io.Closer
}

func (s *server) socket() string { return filepath.Join(s.dir, "s") }

func (s *server) start() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	s.cmd = exec.Command(exe, "-serve", s.dir)
	if s.stdin, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		return err
	}
	if _, err := io.ReadFull(out, make([]byte, len("ready\n"))); err != nil {
		return fmt.Errorf("the store did not start: %w", err)
	}
	return nil
}

// kill is kill -9.
func (s *server) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Signal(syscall.SIGKILL)
		_ = s.cmd.Wait()
		s.stdin.Close()
		s.cmd = nil
	}
}

// fresh replaces the store by an empty one.
func (b *bench) fresh() (err error) {
	b.end()
	if b.store.dir, err = os.MkdirTemp("", "q"); err != nil {
		return err
	}
	return errors.Join(b.store.start(), b.connect())
}

func (b *bench) end() {
	if b.raws != nil {
		_ = b.raws.Close()
		b.raws = nil
	}
	b.store.kill()
	if b.store.dir != "" {
		_ = os.RemoveAll(b.store.dir)
	}
}

func measureAll(b *bench, write bool, backlog int, profile string) error {
	defer b.end()
	if err := b.fresh(); err != nil {
		return err
	}
	var out bytes.Buffer
	fmt.Fprintf(&out, "# The queue\n\nWritten by `go run ./bench/queue -write`: %s, %d processors, %s. Jobs of 1 KB, durable before they count; the store, the accepting and the working side share the machine. Costs are processor time here and in the store, and commits, per 1,000 jobs.\n\n| what | measured | cost | wanted |\n|---|---|---|---|\n",
		runtime.Version(), runtime.NumCPU(), time.Now().Format(time.DateOnly))
	w := io.MultiWriter(&out, os.Stdout)
	for _, m := range []struct {
		name    string
		measure func(io.Writer) error
	}{
		{"accept", b.accept}, {"dispatch", b.dispatch}, {"latency", b.latency},
		{"backlog", func(w io.Writer) error { return b.fill(w, backlog) }}, {"restart", b.restart}, {"beside", b.beside},
	} {
		if b.only != "" && b.only != m.name {
			continue
		}
		if err := profiled(profile, m.name, func() error { return m.measure(w) }); err != nil {
			return fmt.Errorf("%s: %w", m.name, err)
		}
	}
	if write {
		return os.WriteFile("bench/queue/RESULTS.md", out.Bytes(), 0o644)
	}
	return nil
}
