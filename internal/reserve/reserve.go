// Package reserve keeps TCP ports of the loopback interface for those who are to listen on them.
//
// Whoever takes a port that is free, closes it and gives the number to another process loses it now and then: the kernel
// hands it to the next who asks for any port, be it for a listener or for a connection of its own. A reserved port is
// bound all the time, so that the kernel gives it to nobody who does not ask for it by number. It is bound with
// SO_REUSEADDR and never listens, and so it does not stand in the way of a listener that sets SO_REUSEADDR too, which
// package net and every server of note do. Nobody answers there until somebody listens: connections are refused.
package reserve

import (
	"net"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Port is reserved until it is closed.
type Port struct {
	Number int
	fd     int
}

// Open reserves a port of 127.0.0.1 that nobody has.
func Open() (*Port, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	p := &Port{fd: fd}
	if p.Number, err = bind(fd); err != nil {
		_ = unix.Close(fd) // it was not used
		return nil, err
	}
	return p, nil
}

func bind(fd int) (port int, err error) {
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return 0, os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return 0, os.NewSyscallError("bind", err)
	}
	at, err := unix.Getsockname(fd)
	if err != nil {
		return 0, os.NewSyscallError("getsockname", err)
	}
	return at.(*unix.SockaddrInet4).Port, nil
}

// Address is where to listen: "127.0.0.1:40123".
func (p *Port) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Number)) }

// Close gives the port back. Who listens there goes on.
func (p *Port) Close() error { return os.NewSyscallError("close", unix.Close(p.fd)) }

// A Test is a testing.TB as far as it is needed.
type Test interface {
	Helper()
	Fatal(args ...any)
	Cleanup(f func())
}

// For is a port that is reserved until the end of t.
func For(t Test) *Port {
	t.Helper()
	p, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	})
	return p
}
