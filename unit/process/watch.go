package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// watch waits for the next write to one file. It is told once per arming, so a writer pays for one event however
// much it writes. Its inotify instance may be refused (a user has 128 of them): then
// arm says so and the owner has to look by itself.
type watch struct {
	events *os.File // nil when refused
	target string
}

func newWatch(f *os.File) *watch {
	w := &watch{target: fmt.Sprintf("/proc/self/fd/%d", f.Fd())}
	if fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK); err == nil {
		w.events = os.NewFile(uintptr(fd), "inotify")
	}
	return w
}

// arm makes the next write wake wait, and reports whether it can.
func (w *watch) arm() bool {
	if w.events == nil {
		return false
	}
	armed := false
	if raw, err := w.events.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_, err := unix.InotifyAddWatch(int(fd), w.target, unix.IN_MODIFY|unix.IN_ONESHOT)
			armed = err == nil
		})
	}
	return armed
}

// wait returns true after a write since arm, false when ctx ends. A true without a write is possible.
func (w *watch) wait(ctx context.Context) bool {
	if ctx.Err() != nil {
		return false
	}
	stop := context.AfterFunc(ctx, func() { _ = w.events.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var buf [512]byte
	_, err := w.events.Read(buf[:])
	return err == nil || (ctx.Err() == nil && !errors.Is(err, os.ErrClosed))
}

func (w *watch) close() {
	if w.events != nil {
		_ = w.events.Close()
	}
}
