package edge

import (
	"context"
	"errors"
	"net"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dialTimeout = 3 * time.Second
	// idlePerBackend is how many idle connections are kept to one backend.
	idlePerBackend = 256
	idleTimeout    = 60 * time.Second
)

// dial connects to the backend. A refusal ejects it at once: nobody is there.
func (b *backend) dial(ctx context.Context) (net.Conn, error) {
	network, address := network(b.address)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := dialPatiently(ctx, network, address)
	if err != nil {
		if nobodyThere(err) {
			b.eject("it does not accept connections", err)
		}
		return nil, err
	}
	return c, nil
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
