// Package priority lets a process step back behind the services it shares a machine with.
package priority

import (
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Background is the nice value of work that nobody's request waits for: about a tenth of the
// processor time of an ordinary process where both want it, all of it where nobody else does.
const Background = 10

// Lower sets the nice value of every thread of this process, and so of every thread and process
// they start. It is meant for the start of a program. A process that is nicer already stays so.
func Lower(nice int) error {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		// The kernel's call answers 20 - nice.
		if now, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err != nil || 20-now >= nice {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, nice); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}
