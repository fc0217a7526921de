package alone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"semper/edge"
	"semper/internal/notify"
	"semper/internal/trim"
	"semper/supervise"
)

// Options are the command line.
type Options struct {
	Routes      string      // the file
	HTTP, HTTPS []string    // addresses to listen at, beside those of the file
	HTTP3       bool        // at all addresses of HTTPS
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

	check time.Duration // how often certificates of an authority are looked at; 0: as package certs does
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
	s, err := start(ctx, o, signals)
	if err != nil {
		return errors.Join(err, successor.Close())
	}
	s.say()
	if err := errors.Join(successor.ready(), notify.Send(notify.Ready)); err != nil {
		s.log.Warn("nobody was told that the edge is ready", "error", err)
	}
	return errors.Join(s.rule(), s.close())
}

// trimming gives memory back in idle moments.
var trimming = supervise.ChildSpec{ID: "trim", Shutdown: supervise.Infinity, Backoff: gently, Start: supervise.Serve(func(ctx context.Context) error {
	trim.Watch(ctx, nil)
	return ctx.Err()
})}

// rule has control do what is asked for, until there is nothing left to be asked.
func (s *server) rule() error {
	for _, d := range s.doors {
		d.lent = false // the process before has been told
	}
	for _, part := range []supervise.ChildSpec{s.controlling(), trimming} {
		if err := s.helpers.StartChild(context.WithoutCancel(s.ctx), part); err != nil {
			return err
		}
	}
	select {
	case <-s.edge.Done(): // drained
		return nil
	case <-s.cut:
		return nil
	case <-s.tree.Done():
		return fmt.Errorf("the edge gave up: %w", s.tree.Reason().Err)
	}
}
