package alone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"semper/edge"
	"semper/edge/accesslog"
	"semper/edge/certs"
	"semper/edge/http3"
	"semper/edge/witness"
	"semper/supervise"
)

// A server is one edge with its sockets and certificates. What is not atomic belongs to control, and to the goroutine that
// calls Run before control begins and after it has ended.
type server struct {
	o       Options
	log     *slog.Logger
	exe     string          // as it was when this process began
	ctx     context.Context // its end is asked for
	signals <-chan os.Signal

	tree, helpers, listeners *supervise.Supervisor

	edge      *edge.Edge
	plan      *plan // in force
	doors     map[string]*door
	ports     map[string]*http3.Port // that ever were, by the keys of doors
	manager   *certs.Manager         // nil without TLS
	managers  int                    // there were so far
	tls       atomic.Pointer[common] // nil without TLS
	reloads   int
	draining  bool
	successor bool // one is being started
	succeeded bool // it has the sockets

	upgraded chan upgraded
	cut      chan struct{} // closed when what is in flight is to be cut
}

// start serves the file. The end of ctx, and signals, are what control will go by.
func start(ctx context.Context, o Options, signals <-chan os.Signal) (_ *server, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	s := &server{o: o, log: o.Log, ctx: ctx, signals: signals, doors: map[string]*door{}, ports: map[string]*http3.Port{}, upgraded: make(chan upgraded, 1), cut: make(chan struct{})}
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
	manager, err := open(p.tls, s.log)
	if err != nil {
		moved.undo(nil)
		return nil, err
	}
	c := &change{server: s, plan: p, moved: moved, manager: manager, options: accessLog(p.log)}
	defer c.end()
	if err := s.plant(edge.Options{
		ID: name, Log: s.log, Driver: o.Driver, Belongs: s.belongs, Challenges: s.challenges, Witness: witness.Options{Log: c.options, Report: s.log},
	}); err != nil {
		return nil, err
	}
	return s, c.enforce()
}

// A change is a plan on its way into force, with what was opened for it. Until enforce has done its work, end gives all of it back.
type change struct {
	*server
	plan    *plan
	moved   *move
	manager *certs.Manager
	options accesslog.Options
	target  *accesslog.Target // nil: the log stays as it is, or there is to be none
	done    bool
}

// end undoes what was prepared, unless it is in force.
func (c *change) end() {
	if c.done {
		return
	}
	c.moved.undo(c.doors)
	if c.manager != nil && c.manager != c.server.manager {
		c.manager.Close()
	}
	c.target.Close() //nolint:errcheck // nothing was written to it
}

// prepare opens what c needs beside what there is. All that may go wrong with a file does so here.
func (c *change) prepare() (err error) {
	if c.manager = c.server.manager; !sameCertificates(c.plan.tls, c.server.plan.tls) {
		if c.manager, err = open(c.plan.tls, c.log); err != nil {
			return err
		}
	}
	if c.moved, err = c.bind(c.plan.listeners, nil); err != nil {
		return err
	}
	if c.plan.log != c.server.plan.log {
		if c.target, err = c.edge.Witness().OpenLog(c.options); err != nil {
			return err
		}
	}
	if c.manager != nil && c.manager == c.server.manager {
		return c.manager.Reload()
	}
	return nil
}

// enforce puts c in force. Requests go by it as a whole once Configure has returned; that alone may still refuse it.
func (c *change) enforce() error {
	s := c.server
	if err := s.edge.Configure(c.plan.config); err != nil {
		return err
	}
	c.done = true
	before := s.plan
	s.plan = c.plan
	if before != nil && c.plan.log != before.log {
		if err := s.edge.Witness().LogTo(c.target); err != nil {
			s.log.Warn("the access log before was not closed well", "error", err)
		}
	}
	errs := []error{s.secure(c.manager)}
	old := s.doors
	s.doors = c.moved.doors
	for _, a := range c.moved.accepts {
		errs = append(errs, s.accept(a))
	}
	for key, d := range old {
		if s.doors[key] != d {
			s.lastCall(d)
			d.remove()
		}
	}
	return errors.Join(errs...)
}

// secure has handshakes go by m.
func (s *server) secure(m *certs.Manager) error {
	old := s.manager
	if old == m {
		return nil
	}
	s.manager = m
	var err error
	if m == nil {
		s.tls.Store(nil)
	} else {
		s.tls.Store(&common{m.TLSConfig(), m})
		s.managers++
		err = s.tree.StartChild(context.WithoutCancel(s.ctx), supervise.ChildSpec{
			ID: fmt.Sprintf("certificates %d", s.managers), Supervisor: true, Restart: supervise.Temporary,
			Start: func(context.Context) (supervise.Child, error) { return m.Background(), nil },
		})
	}
	if old == nil {
		return err
	}
	return errors.Join(err, s.helpers.StartChild(context.WithoutCancel(s.ctx), supervise.ChildSpec{
		ID: fmt.Sprintf("end of certificates before %d", s.managers+1), Restart: supervise.Temporary, Shutdown: supervise.Infinity,
		Start: supervise.Serve(func(context.Context) error { // it may take half a minute
			old.Close()
			return nil
		}),
	}))
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

func (s *server) change() error {
	p, err := read(s.o, s.plan)
	if err != nil {
		return err
	}
	c := &change{server: s, plan: p, options: accessLog(p.log)}
	defer c.end()
	if err := c.prepare(); err != nil {
		return err
	}
	return c.enforce()
}

// open makes what TLS comes from; nil where there is none.
func open(o *certs.Options, log *slog.Logger) (*certs.Manager, error) {
	if o == nil {
		return nil, nil //nolint:nilnil // no TLS is no fault
	}
	with := *o
	with.Log, with.Supervised = log, observe(log).Observe
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
		if l.HTTP3 {
			said.Addresses = append(said.Addresses, "http3 "+s.ports[l.key].Addr().String())
		}
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
	var err error
	if s.edge != nil {
		err = s.edge.Close()
	}
	if s.tree != nil {
		err = errors.Join(err, s.tree.Stop(context.Background()))
	}
	if s.manager != nil {
		s.manager.Close()
	}
	for _, p := range s.ports {
		err = errors.Join(err, p.Close())
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
