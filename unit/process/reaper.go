package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"semper"

	"golang.org/x/sys/unix"
)

// Reaper takes the exit statuses of orphans: descendants whose parents died before them and that
// therefore became children of the calling process. It leaves alone the main processes of those
// [Options] it is in, and every child in the caller's own process group (what os/exec
// starts, unless told otherwise). A nil *Reaper in Options does nothing. There may be one per program.
type Reaper struct {
	mu    sync.Mutex // guards known, and is held over each fork and each wait of a known child
	known map[int]bool
}

// NewReaper makes the calling program the one that orphans among its descendants fall to
// (PR_SET_CHILD_SUBREAPER). The setting lives through an exec in place.
func NewReaper() (*Reaper, error) {
	if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
		return nil, &semper.Error{Code: semper.Internal, Op: "become the reaper of orphans", Err: err}
	}
	return &Reaper{known: make(map[int]bool)}, nil
}

// Run reaps until ctx ends. After an exec in place, adopt every living child before calling it: it
// would take the status of one it does not know.
func (r *Reaper) Run(ctx context.Context) {
	ended := make(chan os.Signal, 1) // one is enough: every look reaps all there are
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	for {
		r.reap()
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
}

func (r *Reaper) reap() {
	r.mu.Lock()
	defer r.mu.Unlock()
	own := unix.Getpgrp()
	for _, pid := range children() {
		if r.known[pid] {
			continue
		}
		if s, err := readStat(pid); err == nil && s.dead() && s.pgrp != own {
			for {
				_, err := unix.Wait4(pid, nil, unix.WNOHANG, nil)
				if !errors.Is(err, unix.EINTR) {
					break
				}
			}
		}
	}
}

// children of the calling process, zombies included. Each thread has a list of its own.
func children() []int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	var pids []int
	for _, t := range tasks {
		b, err := os.ReadFile("/proc/self/task/" + t.Name() + "/children")
		if errors.Is(err, os.ErrNotExist) && t.Name() == fmt.Sprint(os.Getpid()) {
			return childrenByScan()
		}
		for f := range strings.FieldsSeq(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// childrenByScan is for kernels without the lists (CONFIG_PROC_CHILDREN).
func childrenByScan() []int {
	var pids []int
	self := os.Getpid()
	processes(func(s stat) {
		if s.ppid == self {
			pids = append(pids, s.pid)
		}
	})
	return pids
}

// adding calls fork and knows the child it returns before anybody can look for it.
func (r *Reaper) adding(fork func() (int, error)) error {
	if r == nil {
		_, err := fork()
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := fork()
	if err == nil {
		r.known[pid] = true
	}
	return err
}

func (r *Reaper) add(pid int) {
	_ = r.adding(func() (int, error) { return pid, nil })
}

// release calls wait, which frees the pid, and forgets it before it can be given to another child.
func (r *Reaper) release(pid int, wait func()) {
	if r == nil {
		wait()
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	wait()
	delete(r.known, pid)
}
