package keeper

import (
	"bytes"
	"debug/elf"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// bootID names the time since the machine booted: pids and start times of another are meaningless.
func bootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// buildOf tells binaries apart: the id the linker wrote into it, else its size and age.
func buildOf(path string) string {
	f, err := elf.Open(path)
	if err == nil {
		defer f.Close() //nolint:errcheck // only read
		if note := f.Section(".note.go.buildid"); note != nil {
			if b, err := note.Data(); err == nil && len(b) > 16 {
				return string(bytes.Trim(b[16:], "\x00"))
			}
		}
		if note := f.Section(".note.gnu.build-id"); note != nil {
			if b, err := note.Data(); err == nil && len(b) > 16 {
				return hex.EncodeToString(b[16:])
			}
		}
	}
	if st, err := os.Stat(path); err == nil {
		return fmt.Sprintf("%d@%d", st.Size(), st.ModTime().UnixNano())
	}
	return "unknown"
}

// A marked process carries the mark of one of this directory's members.
type marked struct {
	mark
	pid, pgid int
	start     uint64
}

// markedProcesses are all that carry a mark of directory id, as far as this user may look.
func markedProcesses(id string) []marked {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []marked
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p, ok := markedProcess(pid, id); ok {
			found = append(found, p)
		}
	}
	return found
}

func markedProcess(pid int, id string) (marked, bool) {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return marked{}, false
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		value, ok := bytes.CutPrefix(v, []byte(markEnv+"="))
		if !ok {
			continue
		}
		m := parseMark(string(value))
		if m.token == "" || m.dir != id {
			return marked{}, false
		}
		stat, err := readStat(pid)
		return marked{mark: m, pid: pid, pgid: stat.pgid, start: stat.start}, err == nil
	}
	return marked{}, false
}

// markEnv is the variable that package process puts a mark in.
const markEnv = "SEMPER_INCARNATION"

type procStat struct {
	ppid, pgid int
	start      uint64 // in clock ticks since boot
}

// readStat reads /proc/PID/stat from behind the name, which may contain anything.
func readStat(pid int) (procStat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return procStat{}, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 20 {
		return procStat{}, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(f))
	}
	var s procStat
	s.ppid, _ = strconv.Atoi(f[1])
	s.pgid, _ = strconv.Atoi(f[2])
	s.start, err = strconv.ParseUint(f[19], 10, 64)
	return s, err
}

// kill ends a process by a handle that cannot come to mean another.
func (p marked) kill() {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd) //nolint:errcheck // only a handle
	if s, err := readStat(p.pid); err == nil && s.start == p.start {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // gone is as good
	}
}

// startTime is when a process of that start tick began, to a hundredth of a second.
func startTime(ticks uint64) time.Time {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}
	}
	return time.Now().Add(-(time.Duration(up.Nano()) - time.Duration(ticks)*time.Second/100)).Round(10 * time.Millisecond)
}
