package process

import (
	"context"
	"errors"
	"iter"
	"os"
	"syscall"
	"time"

	"semper"
)

// ErrGone tells that the process of an [Identity] does not run any more.
var ErrGone = errors.New("the process is gone")

// Credential is the user a process runs as.
type Credential struct {
	UID, GID int
	Groups   []int // supplementary; nil for none
}

// Options is everything about how to run one incarnation.
type Options struct {
	Name       string        // for messages
	Argv       []string      // Argv[0] is looked up in Env's PATH; with a slash it is relative to Dir
	Dir        string        // working directory; "" is the caller's
	Env        []string      // whole environment, "KEY=value"
	Exe        string        // optional: the file executed while argv[0] stays Argv[0]
	Output     string        // append-only log file; "" gives the process the caller's stderr
	ExtraFiles []*os.File    // become descriptors 3, 4, …; stay the caller's to close
	Credential *Credential   // nil: the caller's user
	NoNewPrivs bool          // no setuid program gives it more than it has
	ReadOnly   []string      // paths it sees read-only, where the machine allows it
	Limits     semper.Limits // memory, CPU and PIDs need a cgroup
	Cgroup     string        // name of the cgroup made for it below semper's own; "" = none
	Marker     string        // unique; put in its environment as SEMPER_INCARNATION
	StopSignal syscall.Signal
	PreStart   func() error
	Reaper     *Reaper // of the caller, if it has one
}

// Identity names a process for ever; keepers journal it.
type Identity struct {
	PID        int    `json:"pid"`
	StartTicks uint64 `json:"start_ticks"`
	Marker     string `json:"marker,omitempty"`
	Cgroup     string `json:"cgroup,omitempty"`
}

// Process is one incarnation.
type Process struct{}

// Start runs o.
func Start(o Options) (*Process, error) { return nil, errors.ErrUnsupported }

// Adopt watches the living process id names.
func Adopt(id Identity, o Options) (*Process, error) { return nil, ErrGone }

// Identity of the process.
func (p *Process) Identity() Identity { return Identity{} }

// Done is closed when the main process ended and everything it started is gone.
func (p *Process) Done() <-chan struct{} { return nil }

// Exited is closed as soon as the main process ended.
func (p *Process) Exited() <-chan struct{} { return nil }

// Reason it ended for.
func (p *Process) Reason() semper.Reason { return semper.Reason{} }

// Peak of what it used.
func (p *Process) Peak() semper.ResourcePeaks { return semper.ResourcePeaks{} }

// StartedAt is when it began.
func (p *Process) StartedAt() time.Time { return time.Time{} }

// PID of the main process.
func (p *Process) PID() int { return 0 }

// Signal sends s to the main process.
func (p *Process) Signal(s syscall.Signal) error { return nil }

// Shutdown asks the main process to end.
func (p *Process) Shutdown() {}

// Kill ends all of it.
func (p *Process) Kill() {}

// KillFor ends all of it, for a reason of semper's.
func (p *Process) KillFor(r semper.Reason) {}

// Warning names a protection that could not be given.
func (p *Process) Warning() string { return "" }

// Reaper reaps orphans.
type Reaper struct{}

// NewReaper makes the calling process the one its orphaned descendants fall to.
func NewReaper() (*Reaper, error) { return &Reaper{}, nil }

// Run reaps until ctx ends. Adopt first what lives.
func (r *Reaper) Run(ctx context.Context) { <-ctx.Done() }

// Bounder keeps a log file's disk use within a bound.
type Bounder struct{}

// LogBound begins to keep the file at path within max bytes of disk.
func LogBound(path string, max int64) *Bounder { return &Bounder{} }

// Close ends the bounding and waits for it.
func (b *Bounder) Close() {}

// Line of a log.
type Line struct {
	Text string
	End  int64 // offset after it: where to follow on from
}

// Tail is the last lines of the file.
func Tail(path string, lines int, maxBytes int64) ([]string, error) { return nil, nil }

// Follow yields the lines from offset on (negative: from the end) until ctx ends.
func Follow(ctx context.Context, path string, offset int64) iter.Seq2[Line, error] {
	return func(func(Line, error) bool) {}
}

// Reachable tells why that user cannot use path.
func Reachable(path string, uid, gid int) error { return nil }

// Listening is the addresses the process and what it started listen on.
func Listening(pid int) ([]string, error) { return nil, nil }
