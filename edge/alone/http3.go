package alone

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"semper/edge/http3"
	"semper/edge/http3/accept"
	"semper/internal/handoff"
	"semper/supervise"
)

// bindPort finds the UDP side of d's address, for HTTP/3: the one it has had, an inherited one, or a new one. A port once bound
// stays until the process ends, for connections stay.
func (s *server) bindPort(d *door, key string, from *inheritance) error {
	if s.ports[key] != nil {
		return nil
	}
	var port *http3.Port
	var err error
	if sockets := from.takeAll(http3.Name(key) + "/"); len(sockets) > 0 {
		port, err = http3.Inherit(sockets)
	} else {
		port, err = http3.Bind(d.socket.Addr())
	}
	if err != nil {
		return fmt.Errorf("listen for HTTP/3: %w", cause(err))
	}
	s.ports[key] = port
	return nil
}

// has3 reports whether connections of HTTP/3 are taken by d.
func (d *door) has3() bool { return d.accepts && d.settings.HTTP3 }

// id3 is that of the part that takes them.
func (l *listener) id3() string { return "http3 " + l.key }

// accepting3 is the part that takes connections of HTTP/3 by l.
func (s *server) accepting3(l listener) supervise.ChildSpec {
	port := s.ports[l.key]
	return supervise.ChildSpec{ID: l.id3(), Restart: supervise.Transient, Shutdown: supervise.Infinity, Backoff: gently,
		Start: accept.Start(s.edge, port, s.terms(&l), s.log, port.Lead)}
}

// close3 takes no more of them by d. Those that are there stay.
func (s *server) close3(ctx context.Context, d *door) {
	if d.has3() {
		remove(ctx, s.listeners, d.settings.id3())
	}
}

// lead has new connections of HTTP/3 come to this process: the one that was to follow it does not.
func (s *server) lead() {
	for key, d := range s.doors {
		if !d.has3() {
			continue
		}
		if err := s.ports[key].Lead(); err != nil {
			s.log.Error("new connections of HTTP/3 get no answer", "error", err)
		}
	}
}

// portSockets are those of the ports that listeners have, for the next process.
func (s *server) portSockets() (all []handoff.Socket) {
	for key, d := range s.doors {
		if !d.has3() {
			continue
		}
		for _, socket := range s.ports[key].Sockets(key) {
			all = append(all, handoff.NewSocket(url.QueryEscape(socket.Name), socket.FD()))
		}
	}
	return all
}

// takeAll are the sockets whose names begin with prefix; nil for none.
func (i *inheritance) takeAll(prefix string) []handoff.Socket {
	if i == nil {
		return nil
	}
	for name, sockets := range i.sockets {
		if strings.HasPrefix(name, prefix) {
			delete(i.sockets, name)
			for n := range sockets {
				sockets[n].Name = name
			}
			return sockets
		}
	}
	return nil
}
