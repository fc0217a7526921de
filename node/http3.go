package node

import (
	"errors"

	"semper/edge/certs/sealed"
	"semper/edge/http3"
	"semper/internal/handoff"
	"semper/internal/steer"
	"semper/keeper"
)

// openPorts makes a port of HTTP/3 of each group of sockets, in which this edge has slot. The sockets are the ports'.
func openPorts(d dirs, groups map[string][]handoff.Socket, slot int) (map[string]*http3.Port, error) {
	if len(groups) == 0 {
		return nil, nil //nolint:nilnil // no HTTP/3 is no fault
	}
	id, err := sealed.Identity(d.identity())
	if err != nil {
		return nil, err
	}
	reset, err := sealed.Key(id, "stateless resets of HTTP/3")
	if err != nil {
		return nil, err
	}
	ports := make(map[string]*http3.Port, len(groups))
	var errs []error
	for address, group := range groups {
		port, err := http3.Open(group, slot, &reset)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		ports[address] = port
	}
	if len(errs) > 0 {
		return nil, errors.Join(append(errs, closeAll(ports))...)
	}
	return ports, nil
}

func closeAll(ports map[string]*http3.Port) error {
	var errs []error
	for _, port := range ports {
		errs = append(errs, port.Close())
	}
	return errors.Join(errs...)
}

// closePorts is for when neither the edge nor who offers the sockets needs them any more.
func (p *plane) closePorts() {
	if err := closeAll(p.ports); err != nil {
		p.o.Log.Warn("sockets of HTTP/3 were not closed well", "error", err)
	}
}

// portOf is the UDP side of a listening socket; nil without one.
func (p *plane) portOf(s handoff.Socket) *http3.Port {
	if s.Name != "https" || len(p.ports) == 0 {
		return nil
	}
	return p.ports[s.Addr()]
}

// offered are all sockets, as a keeper that lost its own had them.
func (p *plane) offered() []handoff.Socket {
	all := p.sockets[:len(p.sockets):len(p.sockets)]
	for _, port := range p.ports {
		all = append(all, steer.Named(keeper.UDP, port.Group())...)
	}
	return all
}
