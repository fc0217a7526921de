package loop

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of the hot path go to the kernel without telling the scheduler: none of them can block, as every descriptor
// here is non-blocking. Each saves what leaving and entering the scheduler costs.

func recv(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

func peek(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

func send(fd int, p []byte) (int, syscall.Errno) {
	for {
		n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
			unix.MSG_NOSIGNAL, 0, 0)
		if e != unix.EINTR {
			return int(n), e
		}
	}
}

// accept takes one connection; e is EAGAIN when none waits.
func accept(fd int) (int, netip.AddrPort, error) {
	for {
		nfd, sa, err := unix.Accept4(fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
			continue
		}
		if err != nil {
			return -1, netip.AddrPort{}, err
		}
		switch sa := sa.(type) {
		case *unix.SockaddrInet4:
			return nfd, netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
		case *unix.SockaddrInet6:
			return nfd, netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port)), nil
		}
		return nfd, netip.AddrPort{}, nil
	}
}

// exhausted reports whether err is this process's own want, of descriptors or memory.
func exhausted(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) || errors.Is(err, unix.ENOBUFS) || errors.Is(err, unix.ENOMEM)
}

// connect begins a connection; done says that it stands already.
func connect(sa unix.Sockaddr) (fd int, done bool, err error) {
	family := unix.AF_UNIX
	switch sa.(type) {
	case *unix.SockaddrInet4:
		family = unix.AF_INET
	case *unix.SockaddrInet6:
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, false, err
	}
	if family != unix.AF_UNIX {
		noDelay(fd)
	}
	err = unix.Connect(fd, sa)
	if err == nil {
		return fd, true, nil
	}
	if errors.Is(err, unix.EINPROGRESS) {
		return fd, false, nil
	}
	unix.Close(fd) //nolint:errcheck // nothing was sent
	return -1, false, err
}

// noDelay: what is written is whole, and waits for nothing.
func noDelay(fd int) {
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) //nolint:errcheck // a socket without it is only slower
}

// sockaddr is the address of a target, which is never looked up by name: a look-up blocks.
func sockaddr(network, address string) (unix.Sockaddr, error) {
	if network == "unix" {
		return &unix.SockaddrUnix{Name: address}, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return nil, errName
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	if ip = ip.Unmap(); ip.Is4() {
		return &unix.SockaddrInet4{Port: int(n), Addr: ip.As4()}, nil
	}
	return &unix.SockaddrInet6{Port: int(n), Addr: ip.As16()}, nil
}

var errName = errors.New("the address of a target is a name, and a loop looks nothing up: give its IP address")

// poll is an epoll instance. Everything in it is edge-triggered and watched for both directions from the beginning: no
// call ever changes what is watched.
type poll struct {
	fd     int
	events [256]unix.EpollEvent
}

const watched = unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

func (p *poll) add(fd int, events uint32, slot int32, gen uint32) error {
	e := unix.EpollEvent{Events: events, Fd: slot, Pad: int32(gen)}
	return unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, fd, &e)
}

func (p *poll) remove(fd int) error { return unix.EpollCtl(p.fd, unix.EPOLL_CTL_DEL, fd, nil) }

// look takes what there is.
func (p *poll) look() int {
	n, _, e := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
	if e != 0 {
		return 0
	}
	return int(n)
}

// wait waits for ms milliseconds, or for ever when that is negative. It tells the scheduler.
func (p *poll) wait(ms int) int {
	n, err := unix.EpollWait(p.fd, p.events[:], ms)
	if err != nil {
		return 0
	}
	return n
}
