// Package priority lets a process step back behind the services it shares a machine with.
package priority

import (
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// Background is the nice value of work that nobody's request waits for: about a tenth of the
// processor time of an ordinary process where both want it, all of it where nobody else does.
const Background = 10

// turn is how long background work that got a processor keeps it while somebody else waits for that. A nice value alone makes
// turns rarer but no shorter, and a turn of some 3 ms, which is Linux's usual one, is as long as many a request's whole answer.
// It is the shortest that Linux gives, from 6.12 on; an older kernel ignores it.
const turn = 100 * time.Microsecond

// Lower sets the nice value of every thread of this process, and so of every thread and process they start, and shortens
// their turns. It takes no share of the processors from them beside what the nice value does. It is meant for the start of a
// program. A thread that is nicer already, or is not scheduled by nice values, stays as it is.
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
		now, err := unix.SchedGetAttr(tid, 0)
		if err != nil || now.Policy != unix.SCHED_NORMAL || now.Nice >= int32(nice) {
			continue
		}
		to := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: now.Policy, Nice: int32(nice), Runtime: uint64(turn)}
		if err := unix.SchedSetAttr(tid, &to, 0); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}
