package edge

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/proxyproto"
	"semper/edge/upstream"
)

const (
	dialTimeout = 3 * time.Second
	// idlePerBackend is how many idle connections are kept to one backend.
	idlePerBackend = 256
	idleTimeout    = 60 * time.Second
)

// newPool is the pool of connections to b: another life of the instance never sees a request that was written for this one.
func (b *backend) newPool() *upstream.Pool {
	s := &b.speech
	o := upstream.Options{Dial: b.dial, Protocol: s.protocol, TLS: s.tls, MaxIdle: s.idle, IdleTimeout: s.rest}
	if s.idle == 0 {
		o.MaxIdle, o.IdleTimeout = b.edge.o.Connections.Kept, b.edge.o.Connections.KeptFor
	}
	if s.proxy > 0 {
		o.MaxIdle = -1
	}
	if s.tls != nil && s.tls.ServerName == "" {
		o.TLS = s.tls.Clone()
		o.TLS.ServerName = hostOf(b.address)
	}
	return upstream.New(o)
}

// A calling is what a connection to a backend is made for. It comes with the context of a dial.
type calling struct {
	client, here netip.AddrPort // of the client's connection
	within       time.Duration  // 0: as usual
}

type callingKey struct{}

// dial connects to the backend. A refusal ejects it at once: nobody is there.
func (b *backend) dial(ctx context.Context) (net.Conn, error) {
	network, address := network(b.address)
	call, _ := ctx.Value(callingKey{}).(calling) //nolint:errcheck // the zero one will do
	if call.within <= 0 {
		call.within = dialTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, call.within)
	defer cancel()
	c, err := dialPatiently(ctx, network, address)
	if err != nil {
		if nobodyThere(err) {
			b.eject("it does not accept connections", err)
		}
		return nil, err
	}
	if b.speech.proxy > 0 {
		if err := introduce(c, b.speech.proxy, call); err != nil {
			c.Close() //nolint:errcheck // nothing is to be saved
			return nil, err
		}
	}
	return c, nil
}

// introduce says to a backend who the client is.
func introduce(c net.Conn, version int, call calling) error {
	var head []byte
	var err error
	if version == 1 {
		head = proxyproto.AppendV1(nil, call.client, call.here)
	} else {
		h := proxyproto.Header{Source: call.client, Destination: call.here}
		h.Local = !call.client.IsValid()
		if head, err = proxyproto.AppendV2(nil, h); err != nil {
			return err
		}
	}
	_, err = c.Write(head)
	return err
}

// network is an instance's address as package net has it.
func network(address string) (network, addr string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", path
	}
	return "tcp", address
}

// dialPatiently waits where a unix socket's backlog is full: there the kernel does not, as it does for
// TCP.
func dialPatiently(ctx context.Context, network, address string) (net.Conn, error) {
	var d net.Dialer
	for pause := time.Millisecond; ; pause = min(2*pause, 20*time.Millisecond) {
		c, err := d.DialContext(ctx, network, address)
		if !errors.Is(err, unix.EAGAIN) {
			return c, err
		}
		t := time.NewTimer(pause)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return nil, err
		}
	}
}

// nobodyThere reports whether a failed dial means that no process listens. A full backlog, a timeout
// or a lack of descriptors on this side say nothing of the kind.
func nobodyThere(err error) bool {
	for _, e := range []syscall.Errno{unix.ECONNREFUSED, unix.ENOENT, unix.ECONNRESET, unix.EHOSTUNREACH, unix.ENETUNREACH} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// closeWrite half-closes c where it can.
func closeWrite(c net.Conn) error {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return nil
}
