package process

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"semper"

	"golang.org/x/sys/unix"
)

// awaitPidfd returns when the process has ended. It holds no thread: the runtime's poller wakes it.
func awaitPidfd(f *os.File) {
	raw, err := f.SyscallConn()
	if err != nil {
		return
	}
	ended := func(fd uintptr) bool { return readable(int(fd), 0) }
	if raw.Read(ended) == nil {
		return
	}
	// The poller does not take pidfds on this kernel.
	_ = raw.Control(func(fd uintptr) { readable(int(fd), -1) })
}

// readable waits at most timeout milliseconds, -1 for ever.
func readable(fd, timeout int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(fds, timeout)
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

// signalPidfd sends s to the very process f was opened for.
func signalPidfd(f *os.File, s syscall.Signal) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return os.ErrProcessDone
	}
	var sent error
	err = raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), s, nil, 0) })
	if err != nil || errors.Is(sent, unix.ESRCH) {
		return os.ErrProcessDone
	}
	return sent
}

// collect takes the status of the ended main process and judges it. The group is killed before the
// process is reaped, while its number is still its own.
func (p *Process) collect() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.killGroupLocked()
	e := ending{asked: p.asked, killed: p.killed, because: p.because}
	if p.child {
		p.reaper.release(p.id.PID, func() { e.status, e.known = p.reapLocked() })
	} else {
		p.reaper.release(p.id.PID, func() {})
	}
	if !e.known {
		e.status, e.known = p.lastWords()
	}
	p.reaped = true
	e.groupOOM, e.grouped = p.group.OOMKills()
	e.machineOOM = machineOOMKills() - p.oomBefore
	p.reason = e.reason()
}

func (p *Process) reapLocked() (syscall.WaitStatus, bool) {
	var status syscall.WaitStatus
	var ru syscall.Rusage
	for {
		pid, err := syscall.Wait4(p.id.PID, &status, 0, &ru)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || pid != p.id.PID {
			return 0, false
		}
		p.peak = larger(p.peak, semper.ResourcePeaks{
			MemoryBytes: ru.Maxrss << 10,
			CPU:         semper.Duration(time.Duration(ru.Utime.Nano() + ru.Stime.Nano())),
		})
		return status, true
	}
}

// lastWords is the status of a process that is not ours to reap. While it is a zombie /proc tells it,
// and after that, since Linux 6.15, the pidfd. It may be reaped between the two looks, hence three.
func (p *Process) lastWords() (syscall.WaitStatus, bool) {
	if s, ok := p.exitInfo(); ok {
		return s, true
	}
	if s, err := readStat(p.id.PID); err == nil && s.start == p.id.StartTicks && s.dead() && mayTrace(p.id.PID) {
		p.peak = larger(p.peak, usage(p.id))
		return s.exit, true
	}
	return p.exitInfo()
}

// mayTrace reports whether the kernel shows us the process's exit code instead of zero. The code is
// shown to those who may also read the process's links; a zombie has none left, and then its owner decides.
func mayTrace(pid int) bool {
	if os.Geteuid() == 0 {
		return true
	}
	var st unix.Stat_t
	return unix.Stat(fmt.Sprintf("/proc/%d", pid), &st) == nil && int(st.Uid) == os.Geteuid()
}

func (p *Process) exitInfo() (status syscall.WaitStatus, ok bool) {
	raw, err := p.pidfd.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		info := unix.PidfdInfo{Mask: unix.PIDFD_INFO_EXIT}
		if unix.IoctlPidfdInfo(int(fd), &info) == nil && info.Mask&unix.PIDFD_INFO_EXIT != 0 {
			status, ok = syscall.WaitStatus(info.Exit_code), true
		}
	})
	return status, ok
}
