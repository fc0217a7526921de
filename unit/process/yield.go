package process

import (
	"fmt"
	"os"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// passes bounds how often all threads are gone through. Each pass catches what was forked during the one before by a
// thread that had not been changed yet; two are enough unless a program forks without end.
const passes = 16

// yield has p run on the processor time that nobody else wants. It is called right after exec, while there is little to change.
func (p *Process) yield() {
	if !mayYield() {
		return // it could never be taken back
	}
	p.group.Idle(true)
	p.reschedule(unix.SCHED_NORMAL, unix.SCHED_IDLE)
}

// Compete ends what [Options.Yields] began: everything p runs by now gets the share of the processors that its nice value
// gives it. A thread that asked for another policy itself keeps that, unless it is SCHED_IDLE. It may be called again, at any
// time, for an adopted process too; a process whose fork was under way is sure to be found by a second call only.
func (p *Process) Compete() {
	p.group.Idle(false)
	p.reschedule(unix.SCHED_IDLE, unix.SCHED_NORMAL)
}

// reschedule gives every thread of p that has one policy another.
func (p *Process) reschedule(from, to uint32) {
	for range passes {
		changed := 0
		for _, pid := range p.members() {
			changed += reschedule(pid, from, to)
		}
		if changed == 0 {
			return
		}
	}
}

// members are the main process, if it lives, and everything it has started.
func (p *Process) members() []int {
	p.mu.Lock()
	reaped := p.reaped
	p.mu.Unlock()
	if reaped {
		return nil // its number may be another's
	}
	if len(p.group.Dirs()) > 0 {
		return p.group.Members()
	}
	all := []int{p.id.PID}
	for _, s := range p.strays(nil) {
		all = append(all, s.pid)
	}
	return all
}

// reschedule tells how many threads of pid it changed.
func reschedule(pid int, from, to uint32) (changed int) {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0 // ended
	}
	for _, t := range tasks {
		tid, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		now, err := unix.SchedGetAttr(tid, 0)
		if err == nil && now.Policy == from && setPolicy(tid, to, now.Nice) == nil {
			changed++
		}
	}
	return changed
}

// setPolicy sets the nice value too: the kernel has no call that leaves it as it is.
func setPolicy(tid int, policy uint32, nice int32) error {
	return unix.SchedSetAttr(tid, &unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: policy, Nice: nice}, 0)
}

// mayYield reports whether this program may undo SCHED_IDLE. Capabilities do not tell: in a user namespace they are all
// there and of no use. So a thread that is thrown away tries.
var mayYield = sync.OnceValue(func() bool {
	_, err := onOwnThread(func() (launched, error) {
		now, err := unix.SchedGetAttr(0, 0)
		if err == nil {
			err = setPolicy(0, unix.SCHED_IDLE, now.Nice)
		}
		if err == nil {
			err = setPolicy(0, unix.SCHED_NORMAL, now.Nice)
		}
		return launched{}, err
	})
	return err == nil
})
