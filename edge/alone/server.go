package alone

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"reflect"
	"sync"
	"sync/atomic"

	"semper/edge"
	"semper/edge/certs"
	"semper/edge/witness"
)

// A server is one edge with its sockets and certificates. What is not atomic belongs to the goroutine that calls Run.
type server struct {
	o   Options
	log *slog.Logger
	exe string // as it was when this process began

	edge      *edge.Edge
	plan      *plan // in force
	doors     map[string]*door
	manager   *certs.Manager         // nil without TLS
	tls       atomic.Pointer[common] // nil without TLS
	reloads   int
	successor bool // one is being started
	succeeded bool // it has the sockets

	running  sync.WaitGroup // accept loops, and the wait for a successor
	failed   chan error     // of the first accept loop that ended by itself
	upgraded chan upgraded
	stop     chan struct{} // closed by close
}

// start serves the file.
func start(o Options) (_ *server, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{o: o, log: o.Log, doors: map[string]*door{}, failed: make(chan error, 1), upgraded: make(chan upgraded, 1), stop: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if s.exe, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("find the program for upgrades: %w", err)
	}
	inherited, err := inherit()
	if err != nil {
		return nil, err
	}
	defer inherited.close()
	p, err := read(o, nil)
	if err != nil {
		return nil, err
	}
	moved, err := s.bind(p.listeners, inherited)
	if err != nil {
		return nil, err
	}
	s.doors = moved.doors // for close
	if s.manager, err = open(p.tls, s.log); err != nil {
		return nil, err
	}
	s.edge, err = edge.New(edge.Options{
		ID: "edge", Log: s.log, Driver: o.Driver, Trusted: p.fixed.trusted, Belongs: s.belongs,
		Witness: witness.Options{Log: accessLog(p.fixed.log), Report: s.log},
	})
	if err != nil {
		return nil, err
	}
	return s, s.enforce(p, s.manager, moved)
}

// enforce puts p in force: what else may fail was done before.
func (s *server) enforce(p *plan, m *certs.Manager, moved *move) error {
	if err := s.edge.Configure(p.config); err != nil {
		return err
	}
	s.plan = p
	if m != nil {
		s.tls.Store(&common{m.TLSConfig(), m})
	}
	if old := s.manager; old != m {
		s.manager = m
		if old != nil {
			s.running.Go(old.Close)
		}
	}
	before := s.doors
	s.doors = moved.doors
	for _, a := range moved.accepts {
		s.accept(a)
	}
	for key, d := range before {
		if s.doors[key] != d {
			if d.leave != nil {
				d.leave()
			}
			d.remove()
		}
	}
	return nil
}

// reload makes a change of the file's, or tells why it cannot.
func (s *server) reload() {
	if err := s.change(); err != nil {
		s.refused("reloaded", err)
		return
	}
	s.reloads++
	s.say()
}

func (s *server) change() (err error) {
	p, err := read(s.o, s.plan)
	if err != nil {
		return err
	}
	if err := p.changes(s.plan); err != nil {
		return err
	}
	manager := s.manager
	switch {
	case !reflect.DeepEqual(p.tls, s.plan.tls):
		if manager, err = open(p.tls, s.log); err != nil {
			return err
		}
		defer func() {
			if err != nil && manager != nil {
				manager.Close()
			}
		}()
	case manager != nil:
		if err := manager.Reload(); err != nil {
			return err
		}
	}
	moved, err := s.bind(p.listeners, nil)
	if err != nil {
		return err
	}
	if err := s.enforce(p, manager, moved); err != nil {
		moved.undo(s.doors)
		return err
	}
	return nil
}

// open makes what TLS comes from; nil where there is none.
func open(o *certs.Options, log *slog.Logger) (*certs.Manager, error) {
	if o == nil {
		return nil, nil //nolint:nilnil // no TLS is no fault
	}
	with := *o
	with.Log = log
	return certs.New(with)
}

// reopen opens the access log anew, after it was renamed.
func (s *server) reopen() {
	if err := s.edge.Witness().Reopen(); err != nil {
		s.refused("logging anew", err)
	}
}

// say tells whoever wants to know what is in force.
func (s *server) say() {
	if s.o.Ready == nil {
		return
	}
	said := Serving{Routes: len(s.plan.config.Rules.Rules()), Reloads: s.reloads}
	for _, l := range s.plan.listeners {
		said.Addresses = append(said.Addresses, l.kind()+" "+s.doors[l.key].socket.Addr())
	}
	s.o.Ready(said)
}

// refused tells that something was not done.
func (s *server) refused(what string, err error) {
	if s.o.Refused != nil {
		s.o.Refused(what, err)
		return
	}
	s.log.Error("not "+what+": the edge goes on as before", "error", err)
}

// close ends everything at once.
func (s *server) close() error {
	close(s.stop)
	s.leave(func(listener) bool { return true })
	var err error
	if s.edge != nil {
		err = s.edge.Close()
	}
	s.running.Wait()
	if s.manager != nil {
		s.manager.Close()
	}
	for _, d := range s.doors {
		if s.succeeded {
			d.close()
		} else {
			d.remove()
		}
	}
	return err
}
