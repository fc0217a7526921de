package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Others are the processes that this one did not start, but for the kernel's own threads, each with what it has used so far: its
// threads by the scheduler's measure, and the children it has waited for by the samples, which is all that is left of them.
type Others map[int]time.Duration

// OthersNow reads them.
func OthersNow() (Others, error) {
	own, err := tree(os.Getpid())
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	all := make(Others)
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || slices.Contains(own, pid) {
			continue
		}
		used, err := used(pid)
		switch {
		case errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH): // it ended just now
		case err != nil:
			return nil, err
		default:
			all[pid] = used
		}
	}
	return all, nil
}

// kernel is the parent of the kernel's threads.
const kernel = 2

func used(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 15 {
		return 0, fmt.Errorf("%.80q is not the stat of a process", text)
	}
	if pid == kernel || fields[1] == strconv.Itoa(kernel) {
		return 0, nil
	}
	var children time.Duration
	for _, f := range fields[13:15] {
		n, err := strconv.ParseUint(f, 10, 63)
		if err != nil {
			return 0, fmt.Errorf("%.80q is not the stat of a process: %w", text, err)
		}
		children += time.Duration(n) * time.Second / userHZ
	}
	own, err := ran(pid)
	return own + children, err
}

// Since is what was used since before. A process that has ended meanwhile is counted with its parent, once that has waited for it.
func (o Others) Since(before Others) (sum time.Duration) {
	for pid, used := range o {
		sum += max(0, used-before[pid]) // a number may have been given anew
	}
	return sum
}
