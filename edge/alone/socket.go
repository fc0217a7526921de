package alone

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"semper"
	"semper/edge"
	"semper/edge/proxyproto"
	"semper/internal/handoff"
	"semper/supervise"
)

// A door is one address that is listened at: the socket, which stays as long as the file names the address, and the
// listener on a copy of it that the edge accepts from now.
type door struct {
	socket   handoff.Socket
	path     string // of a unix socket's file
	settings listener
	accepts  bool // there is a part that takes connections
	lent     bool // by the process before, which may go on: its file stays
}

// id is that of the part that takes connections.
func (d *door) id() string { return d.settings.kind() + " " + d.settings.key }

// An acceptance is what a door is to accept by from now on.
type acceptance struct {
	door     *door
	settings listener
	listener net.Listener
}

// A move is what becomes of the doors. Nobody notices it before it is made.
type move struct {
	doors   map[string]*door
	accepts []acceptance
}

// bind gives each listener its door: the one it has, an inherited one, or a new one. When it fails nothing has changed.
func (s *server) bind(listeners []listener, from *inheritance) (*move, error) {
	m := &move{doors: map[string]*door{}}
	for _, l := range listeners {
		err := m.add(l, s.doors[l.key], from)
		if err == nil && l.HTTP3 {
			err = s.bindPort(m.doors[l.key], l.key, from)
		}
		if err != nil {
			m.undo(s.doors)
			return nil, err
		}
	}
	return m, nil
}

// add finds the door of l, which is d if it has one.
func (m *move) add(l listener, d *door, from *inheritance) error {
	if d == nil {
		socket, ok := from.take(l.key)
		if !ok {
			var err error
			if socket, err = bindNew(l); err != nil {
				return err
			}
		}
		d = &door{socket: socket, path: l.Unix, lent: ok}
	}
	m.doors[l.key] = d
	if d.accepts && d.settings.same(l) {
		return nil
	}
	ln, err := d.socket.Listen()
	if err != nil {
		return err
	}
	m.accepts = append(m.accepts, acceptance{d, l, ln})
	return nil
}

// undo gives back what was bound for m and is not in use. A nil move has nothing.
func (m *move) undo(inUse map[string]*door) {
	if m == nil {
		return
	}
	for _, a := range m.accepts {
		a.listener.Close() //nolint:errcheck // a copy
	}
	for key, d := range m.doors {
		if inUse[key] != d {
			d.remove()
		}
	}
}

func bindNew(l listener) (handoff.Socket, error) {
	network := "tcp"
	if l.Unix != "" {
		network = "unix"
		if err := removeStale(l.Unix); err != nil {
			return handoff.Socket{}, err
		}
	}
	var c net.ListenConfig
	ln, err := c.Listen(context.Background(), network, l.address())
	if err != nil {
		return handoff.Socket{}, &semper.Error{Code: semper.Unavailable, Op: "listen at " + l.address(), Err: cause(err), Hint: hintOf(err, l.address())}
	}
	if u, ok := ln.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
	socket, err := handoff.FromListener(l.key, ln)
	return socket, errors.Join(err, ln.Close())
}

// cause is err without the address, which is told already.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

func hintOf(err error, name string) string {
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		return "somebody else listens there: ss -ltnp shows who"
	case errors.Is(err, unix.EACCES) && port(name) > 0 && port(name) < 1024:
		return "ports below 1024 want a privilege: setcap cap_net_bind_service=+ep on the program, AmbientCapabilities= in a systemd unit, or a port above"
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return "no interface of this machine has the address: ip addr"
	}
	return ""
}

// removeStale removes the file of a socket that nobody listens at any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode()&os.ModeSocket == 0 {
		return &semper.Error{Code: semper.Conflict, Message: path + " is there, and is no socket", Hint: "remove it, or listen elsewhere"}
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close() //nolint:errcheck // nothing was said
		return &semper.Error{Code: semper.Conflict, Message: "somebody else listens at " + path, Hint: "end it, or listen elsewhere"}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("remove a socket that nobody has: %w", err)
	}
	return nil
}

// place is the supervisor of the part that takes connections by l.
func (s *server) place(l *listener) *supervise.Supervisor {
	if l.metrics { // without which the edge serves all the same
		return s.helpers
	}
	return s.listeners
}

// accept has the edge accept as a says, in place of how it did.
func (s *server) accept(a acceptance) error {
	ctx, d := context.WithoutCancel(s.ctx), a.door
	s.close3(ctx, d)
	if d.accepts {
		remove(ctx, s.place(&d.settings), d.id())
	}
	d.settings, d.accepts = a.settings, true
	err := replace(ctx, s.place(&d.settings), s.accepting(d.socket, a.settings, a.listener))
	if a.settings.HTTP3 {
		err = errors.Join(err, replace(ctx, s.listeners, s.accepting3(a.settings)))
	}
	return err
}

// accepting is the part that takes connections by l, at first by one listener. An ended one has closed it: the next takes them from
// the same socket by another.
func (s *server) accepting(socket handoff.Socket, l listener, first net.Listener) supervise.ChildSpec {
	terms := s.terms(&l)
	d := door{settings: l}
	return supervise.ChildSpec{ID: d.id(), Restart: supervise.Transient, Shutdown: supervise.Infinity, Backoff: gently,
		Start: func(ctx context.Context) (supervise.Child, error) {
			ln := first
			if first = nil; ln == nil {
				var err error
				if ln, err = socket.Listen(); err != nil {
					return nil, err
				}
			}
			return supervise.Serve(func(ctx context.Context) error {
				if l.metrics {
					return s.scrapes(ctx, ln)
				}
				return s.edge.ServeUntil(ctx, l.wrap(ln), terms)
			})(ctx)
		}}
}

// wrap has connections begin as l says.
func (l *listener) wrap(ln net.Listener) net.Listener {
	if !l.ProxyProtocol {
		return ln
	}
	return &proxyproto.Listener{Listener: ln, Trusted: l.trusted, Required: true}
}

// terms are those of the connections by l.
func (s *server) terms(l *listener) edge.Terms {
	t := l.terms()
	if l.HTTPS != "" {
		t.TLS = s.tlsConfig(l)
	}
	if l.HTTP3 {
		t.AltSvc = s.ports[l.key].Alternative()
	}
	return t
}

// lastCall takes the connections that wait at d, which is closed behind it: who came while it was open is served.
func (s *server) lastCall(d *door) {
	ctx := context.WithoutCancel(s.ctx)
	s.close3(ctx, d)
	if d.accepts {
		remove(ctx, s.place(&d.settings), d.id())
	}
	if d.settings.metrics {
		return
	}
	l, err := newLast(d.socket)
	if err == nil {
		err = s.edge.ServeUntil(ctx, d.settings.wrap(l), s.terms(&d.settings))
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		s.log.Warn("who waited at a listener that is gone was not served", "listener", d.settings.address(), "error", err)
	}
}

// close gives this process's socket back.
func (d *door) close() { handoff.Close([]handoff.Socket{d.socket}) }

// remove is close, and nobody can connect any more.
func (d *door) remove() {
	d.close()
	if d.path != "" && !d.lent {
		_ = os.Remove(d.path) // who removed it before wanted the same
	}
}

// An inheritance is the sockets that the process before has left, by the keys of listeners. Nil is none.
type inheritance struct{ sockets map[string][]handoff.Socket }

func inherit() (*inheritance, error) {
	sockets, err := handoff.Inherited()
	if err != nil {
		return nil, fmt.Errorf("take over listeners: %w", err)
	}
	i := &inheritance{map[string][]handoff.Socket{}}
	for _, s := range sockets {
		name, err := url.QueryUnescape(s.Name)
		if err != nil {
			name = s.Name
		}
		i.sockets[name] = append(i.sockets[name], s)
	}
	return i, nil
}

// take is the socket for a listener, if there is one.
func (i *inheritance) take(key string) (handoff.Socket, bool) {
	if i == nil || len(i.sockets[key]) == 0 {
		return handoff.Socket{}, false
	}
	s := i.sockets[key][0]
	i.sockets[key] = i.sockets[key][1:]
	return s, true
}

// close gives back what nobody took.
func (i *inheritance) close() {
	for _, sockets := range i.sockets {
		handoff.Close(sockets)
	}
}
