package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"semper/api"
	"semper/control/output"
	"semper/keeper"
	"semper/unit/process"
)

// machine answers control's questions about this machine.
type machine struct {
	dirs   dirs
	keeper *keeper.Client
}

// Listening are the addresses of a process and what it started.
func (m *machine) Listening(pid int) ([]string, error) { return process.Listening(pid) }

// Resident is the memory of processes and what they started.
func (m *machine) Resident(pids []int) map[int]int64 { return process.Resident(pids) }

// Alive reports whether pid is an edge of this binary.
func (m *machine) Alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if errors.Is(err, os.ErrNotExist) {
		return false
	}
	return err != nil || strings.HasPrefix(string(b), "semper\x00edge\x00")
}

// Tail is the newest lines of an output file.
func (m *machine) Tail(path string, lines int) ([]string, error) {
	return process.Tail(path, lines, 1<<20)
}

// Open opens a regular file below dir, to which somebody else writes: a link that leads out of it, a pipe or a device is an error.
func (m *machine) Open(dir, path string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()                                            //nolint:errcheck // what is open below it stays so
	f, err := root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe that nobody writes to would wait for ever
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "read", Path: path, Err: errors.New("is no regular file")}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Follow sends the newest lines of an output file and then each new one, until ctx ends.
func (m *machine) Follow(ctx context.Context, path string, tail int) (<-chan string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	before, err := process.Tail(path, tail, 1<<20)
	if err != nil {
		return nil, err
	}
	out := make(chan string)
	go func() { // owned by ctx
		defer close(out)
		send := func(line string) bool {
			select {
			case out <- line:
				return true
			case <-ctx.Done():
				return false
			}
		}
		for _, l := range before {
			if !send(l) {
				return
			}
		}
		for l, err := range process.Follow(ctx, path, info.Size()) {
			if err != nil || !send(l.Text) {
				return
			}
		}
	}()
	return out, nil
}

// Bytes sends what is written to an output file from an offset on. See [process.Bytes].
func (m *machine) Bytes(ctx, life context.Context, path string, from int64) (<-chan output.Chunk, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	out := make(chan output.Chunk)
	go func() { // owned by ctx
		defer close(out)
		for c, err := range process.Bytes(ctx, life, path, from) {
			if err != nil {
				return
			}
			select {
			case out <- output.Chunk(c):
			case <-ctx.Done():
				return
			}
		}
	}()
	return out, nil
}

// Gone reports whether the holder of a leadership, "host/pid/start ticks", has ended. Of another
// host nothing is known.
func (m *machine) Gone(id string) bool {
	host, rest, _ := strings.Cut(id, "/")
	pid, ticks, _ := strings.Cut(rest, "/")
	self, err := os.Hostname()
	n, perr := strconv.Atoi(pid)
	if err != nil || perr != nil || host != self {
		return false
	}
	now, err := startTicks(n)
	return errors.Is(err, os.ErrNotExist) || err == nil && strconv.FormatUint(now, 10) != ticks
}

// Checks look at what semper needs of the machine.
func (m *machine) Checks(ctx context.Context) []api.Check {
	out := []api.Check{{Name: "kernel", Status: "ok", Detail: release() + " " + runtime.GOARCH}}
	out = append(out, m.disk(), m.data(), user(), limits(), cgroups())
	parts, err := m.keeper.Parts(ctx)
	if err != nil {
		return append(out, api.Check{Name: "parts", Status: "fail", Detail: err.Error(), Hint: "start it: semper server run"})
	}
	for _, p := range parts {
		c := api.Check{Name: p.ID, Status: "ok", Detail: fmt.Sprintf("pid %d, %d restarts, %s", p.PID, p.Restarts, memory(p.PID))}
		if !p.Ready && p.Kind != "keeper" {
			c.Status, c.Detail, c.Hint = "warn", fmt.Sprintf("pid %d has not said it is ready", p.PID), "semper crash list"
		}
		out = append(out, c)
	}
	return out
}

func (m *machine) disk() api.Check {
	var st unix.Statfs_t
	if err := unix.Statfs(string(m.dirs), &st); err != nil {
		return api.Check{Name: "disk", Status: "fail", Detail: err.Error()}
	}
	free, all := st.Bavail*uint64(st.Bsize), st.Blocks*uint64(st.Bsize)
	c := api.Check{Name: "disk", Status: "ok", Detail: fmt.Sprintf("%d MiB free of %d MiB", free>>20, all>>20)}
	switch {
	case free < 256<<20:
		c.Status, c.Hint = "fail", "the store ends when the disk is full: semper release gc, or make room"
	case free < 1<<30:
		c.Status, c.Hint = "warn", "semper release gc removes artifacts nothing needs"
	}
	return c
}

func (m *machine) data() api.Check {
	info, err := os.Stat(string(m.dirs))
	if err != nil {
		return api.Check{Name: "data directory", Status: "fail", Detail: err.Error()}
	}
	if info.Mode().Perm()&0o022 != 0 {
		return api.Check{Name: "data directory", Status: "warn", Detail: fmt.Sprintf("%s may be written by others (%s)", m.dirs, info.Mode().Perm()), Hint: "chmod 711 " + string(m.dirs)}
	}
	return api.Check{Name: "data directory", Status: "ok", Detail: string(m.dirs)}
}

func user() api.Check {
	if os.Geteuid() == 0 {
		return api.Check{Name: "user", Status: "ok", Detail: "root: instances run as a user of their own where their files allow it"}
	}
	return api.Check{Name: "user", Status: "ok", Detail: fmt.Sprintf("uid %d: instances run as the same user", os.Geteuid())}
}

func limits() api.Check {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &l); err != nil {
		return api.Check{Name: "open files", Status: "warn", Detail: err.Error()}
	}
	if l.Max < 8192 {
		return api.Check{Name: "open files", Status: "warn", Detail: fmt.Sprintf("at most %d", l.Max), Hint: "raise the limit (LimitNOFILE= in the unit file): each connection needs two"}
	}
	return api.Check{Name: "open files", Status: "ok", Detail: fmt.Sprintf("at most %d", l.Max)}
}

func cgroups() api.Check {
	if _, err := os.Stat("/sys/fs/cgroup/cgroup.controllers"); err == nil {
		return cgroup("/sys/fs/cgroup", "v2")
	}
	if _, err := os.Stat("/sys/fs/cgroup/memory"); err == nil {
		return cgroup("/sys/fs/cgroup/memory", "v1")
	}
	return api.Check{Name: "cgroups", Status: "warn", Detail: "none: memory and cpu limits are not enforced"}
}

func cgroup(dir, version string) api.Check {
	if unix.Access(dir, unix.W_OK) != nil {
		return api.Check{Name: "cgroups", Status: "warn", Detail: version + ", not writable for this user: memory and cpu limits are not enforced", Hint: "run as root, or under systemd with Delegate=yes"}
	}
	return api.Check{Name: "cgroups", Status: "ok", Detail: version}
}

func release() string {
	b, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(b))
}

// memory is a process's resident set.
func memory(pid int) string {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "statm"))
	fields := strings.Fields(string(b))
	if err != nil || len(fields) < 2 {
		return "memory unknown"
	}
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		return "memory unknown"
	}
	return fmt.Sprintf("%d MiB", pages*os.Getpagesize()>>20)
}

// startTicks is field 22 of a process's stat: with the pid it names the process for ever.
func startTicks(pid int) (uint64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, ok := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat: unexpected form", pid)
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
