package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Kind of a process of a server.
type Kind string

// The kinds. Keeper sorts first.
const (
	Keeper   Kind = "keeper"
	Store    Kind = "store"
	Control  Kind = "control"
	Edge     Kind = "edge"
	Queue    Kind = "queue"
	Instance Kind = "instance"
)

var order = []Kind{Keeper, Control, Store, Edge, Queue, Instance}

// parts are the kinds that are semper's own.
var parts = order[:5]

// A Process of a server, as /proc shows it.
type Process struct {
	PID      int
	Kind     Kind
	Instance string // id, for an instance and what it started
	Release  string
}

// Processes is everything of this server that runs now, the keeper first.
func (s *Server) Processes() ([]Process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var all []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if p, ok := s.process(pid); ok {
			all = append(all, p)
		}
	}
	slices.SortStableFunc(all, func(a, b Process) int { return slices.Index(order, a.Kind) - slices.Index(order, b.Kind) })
	return all, nil
}

// process looks whether pid is of this server: by its arguments, or by the scratch directory that
// an instance has in its environment.
func (s *Server) process(pid int) (Process, bool) {
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	line, err := os.ReadFile(filepath.Join(dir, "cmdline"))
	if err != nil || len(line) == 0 {
		return Process{}, false // gone, a kernel thread, or a zombie
	}
	argv := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	if len(argv) > 3 && argv[0] == "semper" && slices.Contains(argv, s.Dir) && slices.Contains(parts, Kind(argv[1])) {
		return Process{PID: pid, Kind: Kind(argv[1])}, true
	}
	text, err := os.ReadFile(filepath.Join(dir, "environ"))
	if err != nil {
		return Process{}, false
	}
	env := map[string]string{}
	for v := range bytes.SplitSeq(text, []byte{0}) {
		name, value, _ := strings.Cut(string(v), "=")
		env[name] = value
	}
	if !strings.HasPrefix(env["SEMPER_SCRATCH"], s.Dir+"/") {
		return Process{}, false
	}
	return Process{PID: pid, Kind: Instance, Instance: env["SEMPER_INSTANCE"], Release: env["SEMPER_RELEASE"]}, true
}

// PID of the one process of a part; the newest where an upgrade runs two.
func (s *Server) PID(k Kind) (int, error) {
	all, err := s.Processes()
	if err != nil {
		return 0, err
	}
	pid := 0
	for _, p := range all {
		if p.Kind == k {
			pid = max(pid, p.PID)
		}
	}
	if pid == 0 {
		return 0, fmt.Errorf("no semper %s runs", k)
	}
	return pid, nil
}

// Runs reports whether pid is instance id: a status may be a moment old.
func (s *Server) Runs(pid int, id string) bool {
	p, ok := s.process(pid)
	return ok && p.Instance == id
}

// Kill ends pid with SIGKILL and returns the instant before it did.
func Kill(pid int) (time.Time, error) {
	at := time.Now()
	return at, unix.Kill(pid, unix.SIGKILL)
}

// waitGone returns when pid has ended, or after the time.
func waitGone(pid int, within time.Duration) {
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(within.Milliseconds()))
}

// A Watch sees new children of a keeper within a fraction of a millisecond.
type Watch struct {
	server *Server
	keeper int
	known  map[int]bool // children that are not looked at again
}

// Watch knows the children that the keeper has now.
func (s *Server) Watch() (*Watch, error) {
	keeper, err := s.PID(Keeper)
	if err != nil {
		return nil, err
	}
	pids, err := children(keeper)
	if err != nil {
		return nil, err
	}
	w := &Watch{server: s, keeper: keeper, known: map[int]bool{}}
	for _, pid := range pids {
		w.known[pid] = true
	}
	return w, nil
}

// Replacement waits until a new process runs as instance id, and returns when that was seen.
func (w *Watch) Replacement(id string, within time.Duration) (time.Time, error) {
	for began := time.Now(); time.Since(began) < within; {
		pids, err := children(w.keeper)
		if err != nil {
			return time.Time{}, err
		}
		now := time.Now()
		for _, pid := range pids {
			if w.known[pid] {
				continue
			}
			// Until it has executed its program it looks like the keeper: then it is looked at again.
			p, ok := w.server.process(pid)
			if ok && p.Instance == id {
				return now, nil
			}
			if ok && p.Kind != Keeper {
				w.known[pid] = true
			}
		}
		pause := unix.Timespec{Nsec: int64(100 * time.Microsecond)}
		_ = unix.Nanosleep(&pause, nil)
	}
	return time.Time{}, errors.New("no replacement within " + within.String())
}

// children of pid, from all its threads.
func children(pid int) ([]int, error) {
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		return nil, err
	}
	if len(lists) == 0 {
		return nil, fmt.Errorf("process %d is gone, or this kernel does not list children", pid)
	}
	var pids []int
	for _, list := range lists {
		text, err := os.ReadFile(list)
		if err != nil {
			continue // a thread that ended
		}
		for f := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(f); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids, nil
}

// Usage is what a process uses.
type Usage struct {
	RSS int64         // resident bytes
	PSS int64         // the same with shared pages divided by those who share them; 0 where the kernel does not say
	CPU time.Duration // user and system, since its start
}

// UsageOf a process.
func UsageOf(pid int) (Usage, error) {
	var u Usage
	dir := filepath.Join("/proc", strconv.Itoa(pid))
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return u, err
	}
	u.RSS = kilobytes(status, "VmRSS:")
	if rollup, err := os.ReadFile(filepath.Join(dir, "smaps_rollup")); err == nil {
		u.PSS = kilobytes(rollup, "Pss:")
	}
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return u, err
	}
	// The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return u, fmt.Errorf("%s/stat: %.80q is not a process", dir, stat)
	}
	for _, f := range fields[11:13] {
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return u, err
		}
		u.CPU += time.Duration(ticks) * time.Second / userHZ
	}
	return u, nil
}

// CPUOf is the processor time a process has used since its start, in all its threads, as the scheduler counts it: to the
// nanosecond, where [UsageOf] counts hundredths of a second. What it waited for in children is not in it.
func CPUOf(pid int) (time.Duration, error) {
	var t unix.Timespec
	clock := int32(^pid<<3 | 2) // CPUCLOCK_SCHED of a process, from Linux's include/linux/posix-timers.h
	if err := unix.ClockGettime(clock, &t); err != nil {
		return 0, fmt.Errorf("processor clock of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// userHZ is the unit of times in /proc, the same on every Linux that Go runs on.
const userHZ = 100

func kilobytes(text []byte, name string) int64 {
	for line := range strings.SplitSeq(string(text), "\n") {
		if f := strings.Fields(line); len(f) > 1 && f[0] == name {
			n, err := strconv.ParseInt(f[1], 10, 64)
			if err != nil {
				return 0
			}
			return n << 10
		}
	}
	return 0
}
