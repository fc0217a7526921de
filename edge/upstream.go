package edge

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	dialTimeout = 3 * time.Second
	// idlePerBackend is how many idle connections are kept to one backend.
	idlePerBackend = 256
	idleTimeout    = 60 * time.Second
	// maxUpstreamHead bounds a response's head, informational ones included.
	maxUpstreamHead = 256 << 10
)

// newTransport is the pool of connections to one incarnation: another life of the instance never sees
// a request that was written for this one.
func (b *backend) newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            b.dial,
		DisableCompression:     true,
		MaxIdleConnsPerHost:    idlePerBackend,
		IdleConnTimeout:        idleTimeout,
		MaxResponseHeaderBytes: maxUpstreamHead,
	}
}

// dial connects to the backend. A refusal ejects it at once: nobody is there.
func (b *backend) dial(ctx context.Context, _, _ string) (net.Conn, error) {
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
	u := &upstreamConn{Conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		u.raw, _ = sc.SyscallConn() //nolint:errcheck // without it only the check for a closed peer is missing
	}
	return u, nil
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

// errPeerClosed: the connection was closed by the backend while it was idle; nothing was written to it.
var errPeerClosed = errors.New("backend closed the idle connection")

// An upstreamConn knows how much was written to it: what was not sent may be sent elsewhere, whatever
// its method.
type upstreamConn struct {
	net.Conn
	raw     syscall.RawConn
	written atomic.Int64
	check   atomic.Bool // look before the next write whether the peer is still there
}

// Write counts. The first write of a request that must not be sent twice looks first whether the peer
// has closed an idle connection: between that and the transport's own notice lies a moment in which
// the request would be lost without need.
func (c *upstreamConn) Write(p []byte) (int, error) {
	if c.check.Swap(false) && c.peerClosed() {
		return 0, errPeerClosed
	}
	n, err := c.Conn.Write(p)
	c.written.Add(int64(n))
	return n, err
}

func (c *upstreamConn) peerClosed() bool {
	if c.raw == nil {
		return false
	}
	closed := false
	var one [1]byte
	err := c.raw.Control(func(fd uintptr) {
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		switch {
		case err == nil:
			closed = n == 0
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		default:
			closed = true
		}
	})
	return err != nil || closed
}

// CloseWrite ends what is sent and leaves what is received.
func (c *upstreamConn) CloseWrite() error { return closeWrite(c.Conn) }

// closeWrite half-closes c where it can.
func closeWrite(c net.Conn) error {
	if h, ok := c.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return nil
}
