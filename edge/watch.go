package edge

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/metrics"
	"semper/edge/procid"
	"semper/edge/upstream"
)

// watchProcess follows the backend's process by a pidfd, which the runtime's poller watches: its death
// ejects the backend before the first request fails. Where the kernel gives no pidfd, connecting tells.
func (b *backend) watchProcess() {
	fd, err := unix.PidfdOpen(b.pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		b.eject("its process is gone", nil)
		return
	}
	if err != nil {
		b.edge.log.Debug("process not watched", "instance", b.id, "pid", b.pid, "error", err)
		return
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	// The number may have gone to another process before the pidfd was opened.
	if ticks, err := procid.StartTicks(b.pid); b.ticks != 0 && (err != nil || ticks != b.ticks) {
		f.Close() //nolint:errcheck // never written
		b.eject("its process is gone", nil)
		return
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close() //nolint:errcheck // never written
		return
	}
	context.AfterFunc(b.ctx, func() { f.Close() }) //nolint:errcheck // never written
	b.edge.spawn(&b.edge.background.backends, "watch "+string(b.id), func(ctx context.Context) {
		defer context.AfterFunc(ctx, func() { f.Close() })() //nolint:errcheck // never written
		err := raw.Read(func(fd uintptr) bool {
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			n, err := unix.Poll(p, 0)
			return err == nil && n > 0
		})
		if err == nil {
			b.eject("its process ended", nil)
		}
	})
}

const (
	probeFirst = 50 * time.Millisecond
	probeLast  = time.Second
	// probeTimeout is for a check that names none.
	probeTimeout = time.Second
)

// probe asks an ejected backend until it answers, or is out of every table. Control may be away just
// now, and its next table with it: an instance that its keeper restarted has to get traffic all the same.
func (b *backend) probe(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(b.ctx, cancel)()
	pause := probeFirst
	timer := time.NewTimer(pause)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if b.answers(ctx, b.known()) {
			break
		}
		pause = min(pause*2, probeLast)
		timer.Reset(pause)
	}
	b.mu.Lock()
	b.probing = false
	b.balance.SetDown(false, b.edge.now())
	b.mu.Unlock()
	b.place.Count(metrics.Readmitted)
	b.edge.log.Info("backend answers again", "instance", b.id, "address", b.address)
	b.edge.wake()
}

// known is the backend's check.
func (b *backend) known() check {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.check
}

// answers runs the check c once. What only its keeper can judge is judged by whether it accepts.
func (b *backend) answers(ctx context.Context, c check) bool {
	if c.timeout <= 0 {
		c.timeout = probeTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if !c.http {
		nc, err := b.dial(ctx)
		if err != nil {
			return false
		}
		nc.Close() //nolint:errcheck // nothing was written
		return true
	}
	path, host := c.path, c.host
	if path == "" {
		path = "/"
	}
	if host == "" {
		host = hostOf(b.address)
	}
	scheme := "http://"
	if b.speech.tls != nil {
		scheme = "https://"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+host+path, nil)
	if err != nil {
		return false
	}
	req.Header.Set("User-Agent", "semper-edge")
	req.Close = b.speech.protocol == upstream.H1
	resp, err := b.pool.RoundTrip(req)
	if err != nil {
		return false
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	resp.Body.Close() //nolint:errcheck // only read
	return err == nil && resp.StatusCode >= 200 && resp.StatusCode < 400
}
