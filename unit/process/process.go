package process

import (
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"semper"
	"semper/unit/process/internal/cgroup"

	"golang.org/x/sys/unix"
)

// ErrGone tells that the process an [Identity] names does not run any more.
var ErrGone = errors.New("the process is gone")

// Credential is the user a process runs as. Only root may run one as somebody else.
type Credential struct {
	UID, GID int
	Groups   []int // supplementary groups; nil for none
}

// Options is everything about how to run one incarnation. Only Argv is required.
type Options struct {
	Name       string         // for messages
	Argv       []string       // Argv[0] is looked up in Env's PATH; with a slash it is relative to Dir
	Dir        string         // working directory; "" is the caller's
	Env        []string       // the whole environment, "KEY=value"
	Exe        string         // optional: the file executed while argv[0] stays Argv[0]
	Output     string         // append-only log file, made with mode 0640; "" is the caller's standard error
	Errors     string         // the same for standard error alone; "" is Output's
	ExtraFiles []*os.File     // become descriptors 3, 4, … as they are (one that is non-blocking stays so); the caller's to close
	Credential *Credential    // nil is the caller's user
	NoNewPrivs bool           // no setuid program can give it more than it has
	ReadOnly   []string       // absolute paths it sees read-only; where the machine forbids that, Warning tells
	Limits     semper.Limits  // Memory, CPU and PIDs are set on the cgroup; Log is not this package's (see LogBound)
	Cgroup     string         // name of the cgroup made for it below semper's own; "" for none
	Marker     string         // unique value for SEMPER_INCARNATION; "" leaves strays outside group and cgroup unfound
	StopSignal syscall.Signal // what Shutdown sends; 0 is SIGTERM
	Yields     bool           // it begins behind everybody else who wants a processor, until [Process.Compete]; see there
	PreStart   func() error   // the last word before the fork; its error is Start's
	Reaper     *Reaper        // the caller's, when it has one; required then
}

// Identity names a process for ever. It is a value made to be written down, and read by the [Adopt] of
// a later program.
type Identity struct {
	PID        int    `json:"pid"`
	StartTicks uint64 `json:"start_ticks"` // field 22 of /proc/PID/stat
	Marker     string `json:"marker,omitempty"`
	Cgroup     string `json:"cgroup,omitempty"` // opaque: where its cgroups are
}

// Process is one incarnation: the main process and everything it starts. Its methods may be called
// from any goroutine, at any time.
type Process struct {
	id         Identity
	startedAt  time.Time
	stopSignal syscall.Signal
	child      bool // of the calling process, so that its status is ours to take
	pidfd      *os.File
	group      *cgroup.Group
	reaper     *Reaper
	oomBefore  int // kills for memory on this machine when it started
	exited     chan struct{}
	done       chan struct{}

	mu      sync.Mutex // guards the following
	asked   bool       // Shutdown was called
	killed  bool       // Kill or KillFor was called
	because *semper.Reason
	reaped  bool // the pid may name another process by now
	reason  semper.Reason
	peak    semper.ResourcePeaks
	warning string
}

// Start runs o. An error is a [*semper.Error] that says what is wrong with the command, its files or
// its user; nothing is left behind then. The process is already past exec when Start returns.
func Start(o Options) (*Process, error) {
	c, err := o.prepare()
	if err != nil {
		return nil, err
	}
	defer c.close()
	p := &Process{
		stopSignal: o.StopSignal,
		child:      true,
		group:      c.group,
		reaper:     o.Reaper,
		oomBefore:  machineOOMKills(),
		exited:     make(chan struct{}),
		done:       make(chan struct{}),
	}
	err = o.Reaper.adding(func() (int, error) {
		l, err := c.launch()
		if err != nil {
			return 0, err
		}
		p.id = Identity{PID: l.pid, StartTicks: l.startTicks, Marker: o.Marker, Cgroup: c.group.String()}
		p.pidfd = l.pidfd
		return l.pid, nil
	})
	if err != nil {
		c.group.Remove()
		return nil, c.explain(err)
	}
	p.startedAt = time.Now()
	p.warning = c.warnings()
	if o.Yields {
		p.yield()
	}
	go p.watch()
	return p, nil
}

// Adopt watches the living process id names, whether its parent is the calling process (it executed
// another program in place) or not any more. Of o it uses StopSignal and Reaper. When the
// process is gone, what it left running is killed first and the error is [ErrGone].
func Adopt(id Identity, o Options) (*Process, error) {
	if id.PID <= 1 || id.StartTicks == 0 {
		return nil, ErrGone // names no process that was ever started here
	}
	p := &Process{
		id:         id,
		stopSignal: o.StopSignal,
		group:      cgroup.Parse(id.Cgroup),
		reaper:     o.Reaper,
		oomBefore:  machineOOMKills(),
		exited:     make(chan struct{}),
		done:       make(chan struct{}),
	}
	fd, err := unix.PidfdOpen(id.PID, unix.PIDFD_NONBLOCK)
	if err != nil && !errors.Is(err, unix.ESRCH) && !errors.Is(err, unix.EINVAL) {
		return nil, &semper.Error{Code: semper.Internal, Op: "adopt process", Err: err}
	}
	// The pidfd is opened before the start time is read: equal times then prove it is the right one.
	st, statErr := readStat(id.PID)
	if err != nil || statErr != nil || st.start != id.StartTicks {
		if err == nil {
			_ = unix.Close(fd)
		}
		p.sweep()
		p.group.Remove()
		return nil, ErrGone
	}
	// A journal may be older than the process it names; where that is now, the kernel knows best.
	if g := cgroup.Of(id.PID); len(g.Dirs()) > 0 {
		p.group, p.id.Cgroup = g, g.String()
	}
	p.pidfd = os.NewFile(uintptr(fd), "pidfd")
	p.child = st.ppid == os.Getpid()
	p.startedAt = st.startedAt()
	p.reaper.add(id.PID)
	go p.watch()
	return p, nil
}

// watch is the only goroutine of a Process. It ends when the process has, by closing done.
func (p *Process) watch() {
	awaitPidfd(p.pidfd)
	p.collect()
	close(p.exited)
	left := p.sweep()
	peak := p.group.Peak()
	p.group.Remove()
	p.mu.Lock()
	p.peak = grouped(p.peak, peak)
	if left != "" {
		p.warning = strings.TrimPrefix(p.warning+"; "+left, "; ")
	}
	p.mu.Unlock()
	_ = p.pidfd.Close()
	close(p.done)
}

// Identity is what [Adopt] needs to find the process again.
func (p *Process) Identity() Identity { return p.id }

// PID of the main process.
func (p *Process) PID() int { return p.id.PID }

// StartedAt is when the process began.
func (p *Process) StartedAt() time.Time { return p.startedAt }

// Exited is closed as soon as the main process has ended.
func (p *Process) Exited() <-chan struct{} { return p.exited }

// Done is closed when the main process has ended and everything it started is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Reason is why the main process ended; the zero Reason before Exited is closed.
func (p *Process) Reason() semper.Reason {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reason
}

// Peak is the most it has used up to now. Memory is that of its cgroup, or without one the largest
// resident size of a single process. Without a cgroup that is at least the caller's own at the
// time of the start, because the kernel counts the moment before exec.
func (p *Process) Peak() semper.ResourcePeaks {
	p.mu.Lock()
	peak, over := p.peak, p.reaped
	p.mu.Unlock()
	if !over {
		peak = larger(peak, usage(p.id))
	}
	return grouped(peak, p.group.Peak())
}

// Warning names the protections this machine could not give, "" for none, and what of it could not be killed.
func (p *Process) Warning() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.warning
}

// Signal sends s to the main process, [os.ErrProcessDone] when it has ended.
func (p *Process) Signal(s syscall.Signal) error {
	return signalPidfd(p.pidfd, s)
}

// Shutdown asks the main process to end with its stop signal. What it then exits with is its own
// affair: the reason is [semper.ReasonShutdown]. It does not wait and sets no deadline; whoever
// asks follows with Kill when one has passed.
func (p *Process) Shutdown() {
	p.mu.Lock()
	p.asked = true
	p.mu.Unlock()
	s := p.stopSignal
	if s == 0 {
		s = syscall.SIGTERM
	}
	if p.Signal(s) == nil {
		// A stopped process would otherwise not hear it.
		_ = p.Signal(syscall.SIGCONT)
	}
}

// Kill ends all of it at once with SIGKILL: [semper.ReasonKilled]. It does not wait.
func (p *Process) Kill() { p.kill(nil) }

// KillFor is Kill for a cause of semper's own, such as [semper.ReasonHealth]: when the main process
// dies of it, r is its reason.
func (p *Process) KillFor(r semper.Reason) { p.kill(&r) }

func (p *Process) kill(because *semper.Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.reaped {
		return // the sweep after the end kills whatever is left
	}
	p.killed = true
	if p.because == nil {
		p.because = because
	}
	_ = p.Signal(syscall.SIGKILL)
	p.killGroupLocked()
	p.group.Kill()
}

// killGroupLocked kills the process group. Only an unreaped child surely keeps the group's number
// its own; the group of an adopted process is left to the sweep.
func (p *Process) killGroupLocked() {
	if p.child && !p.reaped {
		_ = unix.Kill(-p.id.PID, unix.SIGKILL)
	}
}
