package alone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"semper/edge"
	"semper/internal/notify"
	"semper/internal/trim"
)

// Options are the command line.
type Options struct {
	Routes      string      // the file
	HTTP, HTTPS []string    // addresses to listen at, beside those of the file
	Metrics     string      // address to serve metrics at, instead of the file's
	Driver      edge.Driver // of plaintext connections
	// Dir is for what is made here and kept: certificates and accounts of ACME, self-signed certificates, keys of session
	// tickets. It is made when it is needed.
	Dir string
	Log *slog.Logger // nil discards
	// Args start this program anew, without its name; for an upgrade.
	Args []string
	// Ready, if set, is told each time the file is in force: when the edge accepts, and after each reload.
	Ready func(Serving)
	// Refused, if set, is told why a reload or an upgrade was not done; else the log is. The edge goes on as before.
	Refused func(what string, err error)
}

// Serving is what an edge serves, for people.
type Serving struct {
	Addresses []string // "http 127.0.0.1:8080", as bound
	Routes    int
	Reloads   int // before this one came into force
}

// String is a line without its end.
func (s Serving) String() string {
	word := "routes"
	if s.Routes == 1 {
		word = "route"
	}
	return fmt.Sprintf("%s, %d %s, pid %d", strings.Join(s.Addresses, ", "), s.Routes, word, os.Getpid())
}

// drainTimeout bounds how long an edge finishes what it has, as for the edges of a server.
const drainTimeout = 10 * time.Minute

// Check reads the file and everything it names, and binds nothing. The error is routefile.Problems where the file is wrong.
func Check(o Options) error {
	_, err := read(o, nil)
	return err
}

// Run serves until ctx ends, or a signal ends it, and returns when nothing is left. The error is routefile.Problems where the
// first file is wrong.
func Run(ctx context.Context, o Options) error {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGTERM, os.Interrupt)
	defer signal.Stop(signals)
	successor, err := heir()
	if err != nil {
		return err
	}
	s, err := start(o)
	if err != nil {
		return errors.Join(err, successor.Close())
	}
	var watch sync.WaitGroup
	idle, stop := context.WithCancel(ctx)
	watch.Go(func() { trim.Watch(idle, nil) })
	defer watch.Wait()
	defer stop()
	s.say()
	if err := errors.Join(successor.ready(), notify.Send(notify.Ready)); err != nil {
		s.log.Warn("nobody was told that the edge is ready", "error", err)
	}
	err = s.rule(ctx, signals)
	return errors.Join(err, s.close())
}

// rule does what signals and the end of ctx ask for, until everything has its answer.
func (s *server) rule(ctx context.Context, signals <-chan os.Signal) error {
	drained := make(chan struct{})
	draining := false
	drain := func() {
		if draining {
			return
		}
		draining = true
		go func() { // ends with the drain, which close ends
			defer close(drained)
			limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
			defer cancel()
			if err := s.edge.Drain(limit); err != nil {
				s.log.Warn("drained in part", "error", err)
			}
		}()
	}
	ended := ctx.Done()
	for {
		select {
		case <-drained:
			return nil
		case err := <-s.failed:
			if !draining {
				return err
			}
		case up := <-s.upgraded:
			s.successor = false
			if up.err != nil {
				s.refused("upgraded", up.err)
				break
			}
			s.log.Info("the new process is ready: draining", "pid", up.pid)
			s.succeeded = true
			s.leave(func(l listener) bool { return l.metrics }) // from now on those of the new process are asked for
			drain()
		case <-ended:
			ended = nil
			drain()
		case sig := <-signals:
			switch {
			case sig == syscall.SIGHUP && !draining:
				s.reload()
			case sig == syscall.SIGUSR1:
				s.reopen()
			case sig == syscall.SIGUSR2 && !draining:
				s.upgrade(ctx)
			case sig != syscall.SIGTERM && sig != os.Interrupt:
			case draining:
				s.log.Warn("ended by a second signal: what is in flight is cut")
				return nil
			default:
				if err := notify.Send(notify.Stopping); err != nil {
					s.log.Debug("the service manager was not told of the end", "error", err)
				}
				drain()
			}
		}
	}
}
