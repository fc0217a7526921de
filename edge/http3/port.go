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
	"syscall"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"golang.org/x/sys/unix"

	"semper/internal/handoff"
)

// A Port is the UDP side of an address.
type Port struct {
	sockets   []handoff.Socket // by slot
	slot      int              // this process's
	conn      *net.UDPConn     // a copy of its socket
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
func Bind(address string) (_ *Port, err error) {
	p := &Port{}
	defer func() {
		if err != nil {
			handoff.Close(p.sockets)
		}
	}()
	c := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		cerr := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(cerr, err)
	}}
	for range slots {
		u, err := c.ListenPacket(context.Background(), "udp", address)
		if err != nil {
			return nil, err
		}
		address = u.LocalAddr().String()
		s, err := handoff.FromConn("", u.(syscall.Conn)) //nolint:errcheck,forcetypeassert // a *net.UDPConn
		if err = errors.Join(err, u.Close()); err != nil {
			return nil, err
		}
		p.sockets = append(p.sockets, s)
	}
	return p, p.open()
}

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
// then.
func Inherit(sockets []handoff.Socket) (*Port, error) {
	if len(sockets) != slots {
		return nil, fmt.Errorf("take over the sockets of HTTP/3: there are %d, and not %d", len(sockets), slots)
	}
	name := sockets[0].Name
	before, err := strconv.Atoi(name[strings.LastIndexByte(name, '/')+1:])
	if err != nil || before < 0 || before >= slots {
		return nil, fmt.Errorf("take over the sockets of HTTP/3: %q names no slot", name)
	}
	p := &Port{sockets: sockets, slot: (before + 1) % slots}
	return p, p.open()
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
	p.transport = &quic.Transport{Conn: p.conn, ConnectionIDGenerator: ids(p.slot)} //nolint:gosec // a slot
	return nil
}

// quiet keeps quic-go from writing to standard error what the kernel's limit for buffers is.
func quiet() error { return os.Setenv("QUIC_GO_DISABLE_RECEIVE_BUFFER_WARNING", "true") }

// Lead has new connections come to this process.
func (p *Port) Lead() error { return steer(p.sockets[p.slot].FD(), p.slot) }

// Addr is the address, as bound.
func (p *Port) Addr() net.Addr { return p.conn.LocalAddr() }

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
