package process

import (
	"fmt"
	"syscall"

	"semper"

	"golang.org/x/sys/unix"
)

// ending is everything known about one end of a main process.
type ending struct {
	status  syscall.WaitStatus
	known   bool           // status was seen
	asked   bool           // Shutdown came before
	killed  bool           // Kill came before
	because *semper.Reason // what KillFor gave
	grouped bool           // groupOOM is counted by its own cgroup
	// Processes killed for memory: in its cgroup, and on the machine while it ran.
	groupOOM, machineOOM int
}

// reason is the one cause of an end.
func (e ending) reason() semper.Reason {
	switch {
	case !e.known:
		return e.unseen()
	case e.status.Signaled():
		return e.bySignal()
	case e.asked:
		r := semper.Reason{Kind: semper.ReasonShutdown}
		if code := e.status.ExitStatus(); code != 0 && code < 128 {
			r.Detail = fmt.Sprintf("with exit code %d", code)
		}
		return r
	case e.status.ExitStatus() == 0:
		return semper.Reason{Kind: semper.ReasonNormal}
	}
	r := semper.Reason{Kind: semper.ReasonExit, Code: e.status.ExitStatus()}
	if e.groupOOM > 0 {
		r.Detail = "a process it had started was killed for memory before"
	}
	return r
}

// unseen is the reason where nobody could see the status: what semper itself did is known still.
func (e ending) unseen() semper.Reason {
	switch {
	case e.because != nil:
		return *e.because
	case e.killed:
		return semper.Reason{Kind: semper.ReasonKilled, Signal: "SIGKILL"}
	case e.asked:
		return semper.Reason{Kind: semper.ReasonShutdown}
	case e.groupOOM > 0:
		return semper.Reason{Kind: semper.ReasonOOM, Detail: "its exit status was not seen, but its cgroup counts a kill for memory"}
	}
	return semper.Reason{Kind: semper.ReasonUnknown}
}

func (e ending) bySignal() semper.Reason {
	sig := e.status.Signal()
	r := semper.Reason{Kind: semper.ReasonSignal, Signal: signalName(sig)}
	if e.status.CoreDump() {
		r.Detail = "core dumped"
	}
	if sig == syscall.SIGKILL {
		return e.bySIGKILL(r)
	}
	if e.asked && !crashes(sig) {
		r = semper.Reason{Kind: semper.ReasonShutdown}
	}
	return r
}

// bySIGKILL tells apart the hands a SIGKILL can come from. Semper's own is believed first.
func (e ending) bySIGKILL(r semper.Reason) semper.Reason {
	switch {
	case e.because != nil:
		return *e.because
	case e.killed:
		return semper.Reason{Kind: semper.ReasonKilled, Signal: r.Signal}
	case e.groupOOM > 0:
		return semper.Reason{Kind: semper.ReasonOOM}
	case !e.grouped && e.machineOOM > 0:
		return semper.Reason{
			Kind:   semper.ReasonOOM,
			Detail: "probably: it was killed, and this machine ran out of memory while it ran",
		}
	}
	return r
}

// crashes tells the signals a program brings on itself; asked to end or not, they are a fault of it.
func crashes(s syscall.Signal) bool {
	switch s {
	case unix.SIGSEGV, unix.SIGABRT, unix.SIGBUS, unix.SIGILL, unix.SIGFPE, unix.SIGSYS, unix.SIGTRAP:
		return true
	}
	return false
}

func signalName(s syscall.Signal) string {
	if name := unix.SignalName(s); name != "" {
		return name
	}
	const realtimeMin = 34
	if s >= realtimeMin {
		return fmt.Sprintf("SIGRTMIN+%d", int(s)-realtimeMin)
	}
	return fmt.Sprintf("%d", int(s))
}
