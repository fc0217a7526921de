package procid

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Watch waits for the end of one process by a pidfd, which the runtime's poller watches.
type Watch struct {
	f   *os.File
	raw syscall.RawConn
}

// Follow watches process pid that started at ticks, 0 for whenever. The error is [os.ErrProcessDone] when that process does not run,
// whoever has its pid; any other says that the kernel gives no pidfd.
func Follow(pid int, ticks uint64) (*Watch, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil, os.ErrProcessDone
	}
	if err != nil {
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	w := &Watch{f: os.NewFile(uintptr(fd), "pidfd")}
	// The number may have gone to another process before the pidfd was opened.
	if now, err := StartTicks(pid); ticks != 0 && (err != nil || now != ticks) {
		w.Close()
		return nil, os.ErrProcessDone
	}
	if w.raw, err = w.f.SyscallConn(); err != nil {
		w.Close()
		return nil, fmt.Errorf("watch process %d: %w", pid, err)
	}
	return w, nil
}

// Ended returns true when the process has ended, and false when the Watch was closed before. It is for one goroutine at a time.
func (w *Watch) Ended() bool {
	return w.raw.Read(func(fd uintptr) bool {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(p, 0)
		return err == nil && n > 0
	}) == nil
}

// Close ends the Watch.
func (w *Watch) Close() { w.f.Close() } //nolint:errcheck // never written
