package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"semper/internal/handoff"
	"semper/internal/steer"
)

// A Port is the UDP side of an address.
type Port struct {
	sockets   []handoff.Socket // by slot
	slot      int              // this process's
	reset     *quic.StatelessResetKey
	conn      *net.UDPConn // a copy of its socket
	transport *quic.Transport
	terms     atomic.Pointer[terms] // of new connections

	mu   sync.Mutex     // guards what follows
	quic *quic.Listener // nil while nobody wants connections
	last *Listener      // that was made
}

// terms are what quic-go asks for when a connection begins.
type terms struct {
	tls  *tls.Config
	quic *quic.Config
}

// Bind binds the UDP side of address, which has a port.
func Bind(address string) (*Port, error) {
	group, err := steer.Bind(context.Background(), address)
	if err != nil {
		return nil, err
	}
	return Open(group, 0, nil)
}

// Open makes the Port of a group of sockets (see package steer) in which this process has a slot. The sockets are the Port's
// then, also where there is an error. Where a process that had the slot has been killed, reset, if it was the same there, tells
// its clients at once that their connections are gone (RFC 9000, 10.3); nil: they find out by their own time limits.
func Open(group []handoff.Socket, slot int, reset *[32]byte) (*Port, error) {
	p := &Port{sockets: group, slot: slot, reset: (*quic.StatelessResetKey)(reset)}
	err := fmt.Errorf("take over the sockets of HTTP/3: there are %d, and the slot is %d; there should be %d", len(group), slot, steer.Slots)
	if len(group) == steer.Slots && slot >= 0 && slot < steer.Slots {
		err = p.open()
	}
	if err != nil {
		handoff.Close(group)
		return nil, err
	}
	return p, nil
}

// Group is the sockets of the port, by slot. They stay the port's.
func (p *Port) Group() []handoff.Socket { return p.sockets }

// Sockets are those of the port, for the next process: it makes a Port of them by Inherit, under the same key.
func (p *Port) Sockets(key string) []handoff.Socket {
	out := make([]handoff.Socket, len(p.sockets))
	for i, s := range p.sockets {
		out[i] = handoff.NewSocket(Name(key)+"/"+strconv.Itoa(p.slot), s.FD())
	}
	return out
}

// Name is what the names of sockets under key begin with; a slash and a number follow.
func Name(key string) string { return "h3 " + key }

// Inherit makes the Port of the process before, by what its Sockets were; it takes the next slot. The sockets are the Port's
// then, also where there is an error.
func Inherit(sockets []handoff.Socket) (*Port, error) {
	if len(sockets) == 0 {
		return nil, errors.New("take over the sockets of HTTP/3: there are none")
	}
	name := sockets[0].Name
	before, err := strconv.Atoi(name[strings.LastIndexByte(name, '/')+1:])
	if err != nil || before < 0 || before >= steer.Slots {
		handoff.Close(sockets)
		return nil, fmt.Errorf("take over the sockets of HTTP/3: %q names no slot", name)
	}
	return Open(sockets, (before+1)%steer.Slots, nil)
}

// open makes what reads this process's slot.
func (p *Port) open() error {
	f, err := p.sockets[p.slot].File()
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // a copy
	c, err := net.FilePacketConn(f)
	if err != nil {
		return fmt.Errorf("listen for HTTP/3: %w", err)
	}
	var ok bool
	if p.conn, ok = c.(*net.UDPConn); !ok {
		c.Close() //nolint:errcheck // it is of no use
		return fmt.Errorf("listen for HTTP/3: a %T is no UDP socket", c)
	}
	if err := quiet(); err != nil {
		return errors.Join(err, p.conn.Close())
	}
	p.transport = &quic.Transport{Conn: p.conn, ConnectionIDGenerator: ids(p.slot), StatelessResetKey: p.reset}
	return nil
}

// quiet keeps quic-go from writing to standard error what the kernel's limit for buffers is.
func quiet() error { return os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") }

// ids makes the connection ids of a slot.
type ids int

// GenerateConnectionID implements quic.ConnectionIDGenerator.
func (slot ids) GenerateConnectionID() (quic.ConnectionID, error) {
	id := steer.ID(int(slot))
	return quic.ConnectionIDFromBytes(id[:]), nil
}

// ConnectionIDLen implements quic.ConnectionIDGenerator.
func (ids) ConnectionIDLen() int { return steer.IDLen }

// Lead has new connections come to this process.
func (p *Port) Lead() error { return steer.Lead(p.sockets, p.slot) }

// Addr is the address, as bound.
func (p *Port) Addr() net.Addr { return p.conn.LocalAddr() }

// altMaxAge is for how many seconds clients may believe that there is HTTP/3.
const altMaxAge = 86400

// Alternative is what answers over TCP say of the port: the value of Alt-Svc (RFC 7838).
func (p *Port) Alternative() string {
	a, ok := p.Addr().(*net.UDPAddr)
	if !ok {
		return ""
	}
	return fmt.Sprintf(`h3=":%d"; ma=%d`, a.Port, altMaxAge)
}

// listen makes what takes connections on the terms of now, unless there is one. p.mu is held.
func (p *Port) listen() (err error) {
	if p.quic != nil {
		return nil
	}
	whole := &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c := p.terms.Load().tls
		if c.GetConfigForClient == nil {
			return c, nil
		}
		return c.GetConfigForClient(hello)
	}, NextProtos: []string{http3.NextProtoH3}, MinVersion: tls.VersionTLS13}
	p.quic, err = p.transport.Listen(whole, &quic.Config{GetConfigForClient: func(*quic.ClientInfo) (*quic.Config, error) {
		return p.terms.Load().quic, nil
	}})
	return err
}

// leave is called when l takes no more connections. If nobody does, they are refused, and those that wait to be taken are told
// to go.
func (p *Port) leave(l *Listener) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.last != l || p.quic == nil {
		return nil
	}
	q := p.quic
	p.quic = nil
	err := q.Close()
	for {
		c, over := q.Accept(context.Background()) // a closed one does not wait
		if over != nil {
			return err
		}
		err = errors.Join(err, c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), ""))
	}
}

// Close gives this process's sockets back. Connections that are left are lost.
func (p *Port) Close() error {
	err := errors.Join(p.transport.Close(), p.conn.Close())
	handoff.Close(p.sockets)
	return err
}
