// Package dial connects to an instance: patiently where the kernel is not, and with a word about the client where that is
// wanted.
package dial

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
)

// Timeout is how long a connection may take to come about, where nobody says.
const Timeout = 3 * time.Second

// A Call is what a connection is made for.
type Call struct {
	Client, Here netip.AddrPort // of the client's connection
}

type callKey struct{}

// With says in ctx what the connections are made for that are made with it.
func With(ctx context.Context, c Call) context.Context { return context.WithValue(ctx, callKey{}, c) }

// Dial connects to address, host:port or unix:/path. Where proxy is a version of the PROXY protocol the connection begins
// with who the client is. It takes until the deadline of ctx, or Timeout if there is none.
func Dial(ctx context.Context, address string, proxy int) (net.Conn, error) {
	call, _ := ctx.Value(callKey{}).(Call) //nolint:errcheck // the zero one will do
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, Timeout)
		defer cancel()
	}
	network, address := Network(address)
	c, err := patiently(ctx, network, address)
	if err != nil || proxy == 0 {
		return c, err
	}
	if err := introduce(c, proxy, call); err != nil {
		c.Close() //nolint:errcheck // nothing is to be saved
		return nil, err
	}
	return c, nil
}

// introduce says to a backend who the client is.
func introduce(c net.Conn, version int, call Call) error {
	var head []byte
	var err error
	if version == 1 {
		head = proxyproto.AppendV1(nil, call.Client, call.Here)
	} else {
		h := proxyproto.Header{Source: call.Client, Destination: call.Here}
		h.Local = !call.Client.IsValid()
		if head, err = proxyproto.AppendV2(nil, h); err != nil {
			return err
		}
	}
	_, err = c.Write(head)
	return err
}

// Host is the host of an instance's address, for TLS.
func Host(address string) string {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return "localhost" // a Unix socket
	}
	return host
}

// Network is an instance's address as package net has it.
func Network(address string) (network, addr string) {
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		return "unix", path
	}
	return "tcp", address
}

// patiently waits where a unix socket's backlog is full: there the kernel does not, as it does for
// TCP.
func patiently(ctx context.Context, network, address string) (net.Conn, error) {
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

// Exhausted reports whether a failed dial means that this process has no descriptor, or the machine no memory, for a
// connection: that says nothing of the instance.
func Exhausted(err error) bool {
	for _, e := range []syscall.Errno{unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Refused reports whether a failed dial means that no process listens. A full backlog, a timeout
// or a lack of descriptors on this side say nothing of the kind.
func Refused(err error) bool {
	for _, e := range []syscall.Errno{unix.ECONNREFUSED, unix.ENOENT, unix.ECONNRESET, unix.EHOSTUNREACH, unix.ENETUNREACH} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}
