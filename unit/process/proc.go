package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"semper"

	"golang.org/x/sys/unix"
)

// ticksPerSecond is the unit of times in /proc: the kernel fixes USER_HZ at 100 wherever Go runs on Linux.
const ticksPerSecond = 100

// stat is what /proc/PID/stat tells of a process that matters here.
type stat struct {
	pid, ppid, pgrp, session int
	state                    byte // 'Z': its first thread ended and is not yet reaped
	threads                  int
	start                    uint64
	cpu                      uint64 // user + system, in ticks
	rss                      uint64 // resident memory, in pages
	exit                     syscall.WaitStatus
}

// dead reports whether nothing of the process runs any more. While a thread does, the process
// still holds its files and sockets, whatever became of its first thread.
func (s stat) dead() bool { return (s.state == 'Z' || s.state == 'X') && s.threads <= 1 }

// startedAt is the wall clock time of the start, to a hundredth of a second.
func (s stat) startedAt() time.Time {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Now()
	}
	age := time.Duration(up.Nano()) - time.Duration(s.start)*time.Second/ticksPerSecond
	return time.Now().Add(-age)
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// parseStat reads the line from its last parenthesis on: the name before it may hold anything.
func parseStat(b []byte) (stat, error) {
	open, end := bytes.IndexByte(b, '('), bytes.LastIndexByte(b, ')')
	if open < 1 || end < open {
		return stat{}, errors.New("malformed stat of a process")
	}
	f := strings.Fields(string(b[end+1:])) // f[0] is field 3
	if len(f) < 50 {
		return stat{}, errors.New("short stat of a process")
	}
	var bad error
	number := func(field int) uint64 {
		n, err := strconv.ParseInt(f[field-3], 10, 64)
		if err != nil {
			bad = err
		}
		return uint64(n)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b[:open])))
	if err != nil {
		return stat{}, err
	}
	s := stat{
		pid:     pid,
		state:   f[0][0],
		ppid:    int(number(4)),
		pgrp:    int(number(5)),
		session: int(number(6)),
		cpu:     number(14) + number(15),
		threads: int(number(20)),
		start:   number(22),
		rss:     number(24),
		exit:    syscall.WaitStatus(number(52)),
	}
	return s, bad
}

// markerOf is the incarnation in the environment the process was executed with. Not readable, or not
// there, is ok == false.
func markerOf(pid int) (marker string, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "", false
	}
	for kv := range bytes.SplitSeq(b, []byte{0}) {
		if v, found := bytes.CutPrefix(kv, []byte(markerKey+"=")); found {
			return string(v), true
		}
	}
	return "", false
}

// usage is what the living process id names has used by itself.
func usage(id Identity) semper.ResourcePeaks {
	s, err := readStat(id.PID)
	if err != nil || s.start != id.StartTicks {
		return semper.ResourcePeaks{}
	}
	peak := semper.ResourcePeaks{CPU: semper.Duration(time.Duration(s.cpu) * time.Second / ticksPerSecond)}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", id.PID))
	if err == nil {
		if kb, ok := field(string(b), "VmHWM:"); ok {
			peak.MemoryBytes = kb << 10
		}
	}
	return peak
}

// field is the number that follows key at the beginning of a line.
func field(text, key string) (int64, bool) {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == key {
			n, err := strconv.ParseInt(f[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// machineOOMKills counts the processes the kernel has killed for memory since it booted.
func machineOOMKills() int {
	b, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	n, _ := field(string(b), "oom_kill")
	return int(n)
}

func larger(a, b semper.ResourcePeaks) semper.ResourcePeaks {
	return semper.ResourcePeaks{MemoryBytes: max(a.MemoryBytes, b.MemoryBytes), CPU: max(a.CPU, b.CPU)}
}

// grouped is what a cgroup says, filled up with what is known of the process where it says nothing.
// The kernel counts resident size and a cgroup's memory differently, so one is not the other's bound.
func grouped(own, group semper.ResourcePeaks) semper.ResourcePeaks {
	p := larger(own, group)
	if group.MemoryBytes > 0 {
		p.MemoryBytes = group.MemoryBytes
	}
	return p
}
