package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// sweepFor bounds how long what the main process left behind may take to die of SIGKILL. Only a
// process stuck inside the kernel takes longer than an instant.
const sweepFor = 10 * time.Second

// sweep kills what the ended main process left running and returns when a look finds none of it,
// with words for what cannot be killed.
func (p *Process) sweep() string {
	deadline := time.Now().Add(sweepFor)
	var unkillable []int
	for {
		p.group.Kill()
		strays := p.strays(unkillable)
		if len(strays) == 0 {
			break
		}
		unkillable = append(unkillable, end(strays, deadline)...)
		if !time.Now().Before(deadline) {
			break
		}
	}
	if len(unkillable) == 0 {
		return ""
	}
	return fmt.Sprintf("it left processes that do not die: %v", unkillable)
}

// strays are the processes that belong to p, without those known to be unkillable.
func (p *Process) strays(unkillable []int) []stat {
	var found []stat
	self := os.Getpid()
	grouped := p.group.Members()
	recycled := false // the main process's number names a stranger by now, and so may the group's
	processes(func(s stat) {
		if s.pid == p.id.PID {
			recycled = recycled || s.start != p.id.StartTicks
			return
		}
		// What a process starts is never older than itself.
		if s.start < p.id.StartTicks || s.pid == self || slices.Contains(unkillable, s.pid) {
			return
		}
		if s.dead() {
			if s.ppid == self && s.pgrp == p.id.PID {
				found = append(found, s)
			}
			return
		}
		if slices.Contains(grouped, s.pid) || p.marks(s) {
			found = append(found, s)
		}
	})
	if recycled {
		found = slices.DeleteFunc(found, func(s stat) bool {
			return s.pgrp == p.id.PID && !slices.Contains(grouped, s.pid) && !p.named(s.pid)
		})
	}
	return found
}

// marks reports whether s carries p's marker, or is in its process group and carries no other.
func (p *Process) marks(s stat) bool {
	marker, ok := markerOf(s.pid)
	if ok && marker != "" {
		return marker == p.id.Marker
	}
	return s.pgrp == p.id.PID
}

func (p *Process) named(pid int) bool {
	marker, ok := markerOf(pid)
	return ok && marker != "" && marker == p.id.Marker
}

// end kills strays, waits for them until the deadline and reaps those that fell to us. It returns the
// ones that live.
func end(strays []stat, deadline time.Time) (unkillable []int) {
	for _, s := range strays {
		fd, err := unix.PidfdOpen(s.pid, 0)
		if err != nil {
			continue // gone already
		}
		if now, err := readStat(s.pid); err != nil || now.start != s.start {
			_ = unix.Close(fd)
			continue
		}
		err = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		if errors.Is(err, unix.EPERM) || !readable(fd, int(max(0, time.Until(deadline).Milliseconds()))) {
			unkillable = append(unkillable, s.pid)
		} else {
			// Not ours to reap is as good: it is gone, or its parent's.
			_ = unix.Waitid(unix.P_PIDFD, fd, nil, unix.WEXITED|unix.WNOHANG, nil)
		}
		_ = unix.Close(fd)
	}
	return unkillable
}
