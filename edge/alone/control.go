package alone

import (
	"context"
	"os"
	"syscall"

	"semper/internal/notify"
	"semper/supervise"
)

// controlling is the part that makes every change. What it was doing when it broke is undone, and it goes on with the next
// signal.
func (s *server) controlling() supervise.ChildSpec {
	return supervise.ChildSpec{ID: "control", Restart: supervise.Transient, Shutdown: supervise.Infinity, Backoff: gently, Start: supervise.Serve(s.control)}
}

// control does what signals and the end of s.ctx ask for, until its own context ends.
func (s *server) control(ctx context.Context) error {
	for {
		ended := s.ctx.Done()
		if s.draining {
			ended = nil
		}
		select {
		case <-ctx.Done():
			return nil
		case up := <-s.upgraded:
			s.successor = false
			if up.err != nil {
				s.lead()
				s.refused("upgraded", up.err)
				break
			}
			s.log.Info("the new process is ready: draining", "pid", up.pid)
			s.succeeded = true
			for _, d := range s.doors {
				if d.settings.metrics { // from now on those of the new process are asked for
					remove(ctx, s.place(&d.settings), d.id())
				}
			}
			s.drain()
		case <-ended:
			s.drain()
		case sig := <-s.signals:
			if s.heed(ctx, sig) {
				return nil
			}
		}
	}
}

// heed does what a signal asks for. It reports whether that was the last thing to do.
func (s *server) heed(ctx context.Context, sig os.Signal) (last bool) {
	switch {
	case sig == syscall.SIGHUP && !s.draining:
		s.reload()
	case sig == syscall.SIGUSR1:
		s.reopen()
	case sig == syscall.SIGUSR2 && !s.draining:
		s.upgrade(ctx)
	case sig != syscall.SIGTERM && sig != os.Interrupt:
	case s.draining:
		s.log.Warn("ended by a second signal: what is in flight is cut")
		close(s.cut)
		return true
	default:
		if err := notify.Send(notify.Stopping); err != nil {
			s.log.Debug("the service manager was not told of the end", "error", err)
		}
		s.drain()
	}
	return false
}

// drain begins the end, once. That it is over is told by the edge.
func (s *server) drain() {
	if s.draining {
		return
	}
	s.draining = true
	if err := s.helpers.StartChild(context.WithoutCancel(s.ctx), supervise.ChildSpec{
		ID: "drain", Restart: supervise.Temporary, Shutdown: supervise.Infinity,
		Start: supervise.Serve(func(context.Context) error { // ends with the drain, which close ends
			limit, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), drainTimeout)
			defer cancel()
			if err := s.edge.Drain(limit); err != nil {
				s.log.Warn("drained in part", "error", err)
			}
			return nil
		}),
	}); err != nil {
		s.log.Error("the drain was not begun: what is in flight is cut", "error", err)
		close(s.cut)
	}
}
