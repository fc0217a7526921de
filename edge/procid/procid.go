// Package procid tells one process from a later one that was given the same pid.
package procid

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
)

// StartTicks is when process pid started, in clock ticks since boot (field 22 of /proc/PID/stat): with
// the pid it names the process for ever. The error is [os.ErrNotExist] or [os.ErrProcessDone] when no
// such process runs; one that only waits to be reaped does not.
func StartTicks(pid int) (uint64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	// The command in field 2 may hold anything: fields are counted from the bracket that closes it.
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("/proc/%d/stat is not understood", pid)
	}
	if fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return 0, os.ErrProcessDone
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}
