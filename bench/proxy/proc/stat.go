package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"semper/bench/rig"
)

// userHZ is the unit of times in /proc, the same on every Linux that Go runs on.
const userHZ = 100

// CPU is processor time. User and System are what the kernel samples, by looking once in 10 ms who runs: of a program that wakes
// and sleeps in step with that, they can be a fraction of the truth (a seventh, of semper's loops on this machine). Ran is what its
// scheduler measures, to the nanosecond, of the threads that live: figures are made of that, and the samples only say which part was
// spent in the kernel.
type CPU struct{ Ran, User, System time.Duration }

// Total is the time that was used.
func (c CPU) Total() time.Duration { return c.Ran }

// Minus is what was used since before.
func (c CPU) Minus(before CPU) CPU {
	return CPU{c.Ran - before.Ran, c.User - before.User, c.System - before.System}
}

func (c CPU) plus(o CPU) CPU { return CPU{c.Ran + o.Ran, c.User + o.User, c.System + o.System} }

// CPU is what the process and everything it started have used so far.
func (p *Process) CPU() (CPU, error) { return cpuOf(p.PID) }

// OwnCPU is the same of this process and everything it started.
func OwnCPU() (CPU, error) { return cpuOf(os.Getpid()) }

func cpuOf(pid int) (CPU, error) {
	var sum CPU
	pids, err := tree(pid)
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // ended just now: its parent has its time, once it has waited for it
		}
		if err != nil {
			return CPU{}, err
		}
		c, err := parseStat(text)
		if err != nil {
			return CPU{}, err
		}
		if c.Ran, err = ran(pid); err != nil {
			return CPU{}, err
		}
		sum = sum.plus(c)
	}
	return sum, err
}

// ran is how long the threads of a process have run.
func ran(pid int) (sum time.Duration, err error) {
	threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err != nil {
		return 0, err
	}
	for _, path := range threads {
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue // ended just now
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", path, err)
		}
		sum += time.Duration(n)
	}
	return sum, nil
}

// parseStat reads the user and system time of a process and of the children it has waited for: fields 14 to 17.
func parseStat(text []byte) (CPU, error) {
	// The name in parentheses may hold spaces and parentheses.
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return CPU{}, fmt.Errorf("%.80q is not the stat of a process", text)
	}
	var ticks [4]time.Duration
	for i, f := range fields[11:15] {
		n, err := strconv.ParseUint(f, 10, 63)
		if err != nil {
			return CPU{}, fmt.Errorf("%.80q is not the stat of a process: %w", text, err)
		}
		ticks[i] = time.Duration(n) * time.Second / userHZ
	}
	return CPU{User: ticks[0] + ticks[2], System: ticks[1] + ticks[3]}, nil
}

// tree is pid and everything below it.
func tree(pid int) ([]int, error) {
	all := []int{pid}
	for i := 0; i < len(all); i++ {
		lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", all[i]))
		if err != nil {
			return nil, err
		}
		if i == 0 && len(lists) == 0 {
			return nil, fmt.Errorf("process %d is gone, or this kernel does not list children", pid)
		}
		for _, list := range lists {
			text, err := os.ReadFile(list)
			if err != nil {
				continue // a thread that ended
			}
			for f := range strings.FieldsSeq(string(text)) {
				if n, err := strconv.Atoi(f); err == nil {
					all = append(all, n)
				}
			}
		}
	}
	return all, nil
}

// Memory is what a process and everything it started hold, in bytes.
type Memory struct {
	RSS int64
	PSS int64 // RSS with shared pages divided by those who share them
}

// Memory of the process and everything below it.
func (p *Process) Memory() (Memory, error) {
	var sum Memory
	pids, err := tree(p.PID)
	for _, pid := range pids {
		u, err := rig.UsageOf(pid)
		if err != nil {
			return Memory{}, err
		}
		sum.RSS += u.RSS
		sum.PSS += u.PSS
	}
	return sum, err
}

// Machine is the processor time of all cores, from which follows how busy others kept a machine that should have been ours.
type Machine struct {
	Busy   time.Duration // of all processes
	Stolen time.Duration // wanted, but given to other virtual machines
}

// MachineNow reads it.
func MachineNow() (Machine, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return Machine{}, err
	}
	return parseMachine(text)
}

// parseMachine reads the first line of /proc/stat: user nice system idle iowait irq softirq steal.
func parseMachine(text []byte) (Machine, error) {
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return Machine{}, fmt.Errorf("/proc/stat begins with %.80q, want the sum over all cores", line)
	}
	var m Machine
	for i, f := range fields[1:9] {
		n, err := strconv.ParseUint(f, 10, 63)
		if err != nil {
			return Machine{}, fmt.Errorf("/proc/stat: %w", err)
		}
		switch d := time.Duration(n) * time.Second / userHZ; i {
		case 3, 4: // idle
		case 7:
			m.Stolen = d
		default:
			m.Busy += d
		}
	}
	return m, nil
}
