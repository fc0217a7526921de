package alone

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"semper/internal/handoff"
)

// A last listener gives the connections that wait at a socket, and then says that it is closed.
type last struct {
	net.Listener // on a copy of the socket, for its address and its end
	fd           int
}

func newLast(s handoff.Socket) (*last, error) {
	l, err := s.Listen()
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(s.FD(), true); err != nil { // as whoever bound it has it anyway
		return nil, errors.Join(fmt.Errorf("take the connections that wait: %w", err), l.Close())
	}
	return &last{l, s.FD()}, nil
}

// Accept gives the next one that is there already. It waits for none.
func (l *last) Accept() (net.Conn, error) {
	for {
		fd, _, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
			continue
		}
		if err != nil { // none waits, or none can be taken
			return nil, net.ErrClosed
		}
		f := os.NewFile(uintptr(fd), "connection")
		c, err := net.FileConn(f)
		f.Close() //nolint:errcheck // c has a copy
		if err == nil {
			return c, nil
		}
	}
}

// SetDeadline is for whoever serves listeners of package net.
func (*last) SetDeadline(time.Time) error { return nil }
