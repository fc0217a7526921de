package mark

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Env is the variable that package process puts a mark in.
const Env = "SEMPER_INCARNATION"

// A Mark says whose directory, which member of it, and which incarnation a process belongs to.
type Mark struct {
	Dir, Token  string
	Incarnation int64
}

// NewToken is the part of a mark that is a member's own. It contains no dot.
func NewToken() string {
	b := make([]byte, 6)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// String is m as it stands in an environment.
func (m Mark) String() string { return fmt.Sprintf("%s.%s.%d", m.Dir, m.Token, m.Incarnation) }

// Parse reads a mark; what is none has no token.
func Parse(s string) Mark {
	f := strings.Split(s, ".")
	if len(f) != 3 {
		return Mark{}
	}
	n, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		return Mark{}
	}
	return Mark{Dir: f[0], Token: f[1], Incarnation: n}
}

// BootID names the time since the machine booted: pids and start times of another are meaningless.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("boot id: %w", err)
	}
	return strings.TrimSpace(string(b)), nil
}

// A Process carries a mark.
type Process struct {
	Mark
	PID, PGID int
	Start     uint64 // in clock ticks since boot: with PID it names the process for ever
}

// Processes are all that carry a mark of directory id, as far as this user may look.
func Processes(id string) []Process {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var found []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if p, ok := Of(pid, id); ok {
			found = append(found, p)
		}
	}
	return found
}

// Of is the process with that pid, if it carries a mark of directory id and this user may see it.
func Of(pid int, id string) (Process, bool) {
	env, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return Process{}, false
	}
	for v := range bytes.SplitSeq(env, []byte{0}) {
		value, ok := bytes.CutPrefix(v, []byte(Env+"="))
		if !ok {
			continue
		}
		m := Parse(string(value))
		if m.Token == "" || m.Dir != id {
			return Process{}, false
		}
		stat, err := ReadStat(pid)
		return Process{Mark: m, PID: pid, PGID: stat.PGID, Start: stat.Start}, err == nil
	}
	return Process{}, false
}

// Stat is what of /proc/PID/stat a keeper needs.
type Stat struct {
	PPID, PGID int
	Start      uint64 // in clock ticks since boot
}

// ReadStat reads /proc/PID/stat from behind the name, which may contain anything.
func ReadStat(pid int) (Stat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Stat{}, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 20 {
		return Stat{}, fmt.Errorf("/proc/%d/stat: %d fields", pid, len(f))
	}
	var s Stat
	s.PPID, _ = strconv.Atoi(f[1])
	s.PGID, _ = strconv.Atoi(f[2])
	s.Start, err = strconv.ParseUint(f[19], 10, 64)
	return s, err
}

// Kill ends the process by a handle that cannot come to mean another.
func (p Process) Kill() {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd) //nolint:errcheck // only a handle
	if s, err := ReadStat(p.PID); err == nil && s.Start == p.Start {
		_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) // gone is as good
	}
}

// StartTime is when a process of that start tick began, to a hundredth of a second.
func StartTime(ticks uint64) time.Time {
	var up unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &up); err != nil {
		return time.Time{}
	}
	return time.Now().Add(-(time.Duration(up.Nano()) - time.Duration(ticks)*time.Second/100)).Round(10 * time.Millisecond)
}

// ancestors bounds how far up a sender's parents are looked for.
const ancestors = 8

// Sender tells whose process pid is: its mark or, where its environment may not be read, the pids among
// which its main process is if it descends from one or shares its group.
func Sender(pid int, id string) (Mark, []int) {
	if p, ok := Of(pid, id); ok {
		return p.Mark, nil
	}
	var line []int
	for range ancestors {
		s, err := ReadStat(pid)
		if err != nil || pid <= 1 {
			break
		}
		line = append(line, pid, s.PGID)
		pid = s.PPID
	}
	return Mark{}, line
}
