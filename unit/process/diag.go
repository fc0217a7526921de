package process

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listenersByDiag puts the listening TCP sockets of the caller's network namespace into found, by inode. It asks the kernel for
// those alone (sock_diag(7)). The tables in /proc hold every connection of the machine besides: reading them goes through all of them, and
// takes milliseconds where nothing at all is connected.
func listenersByDiag(found map[string]string) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd) //nolint:errcheck // only read from
	// The kernel answers at once or not at all; this bounds a kernel that does the latter.
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		if err := unix.Sendto(fd, diagRequest(family), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return os.NewSyscallError("sendto", err)
		}
		if err := readDiag(fd, found); err != nil {
			return err
		}
	}
	return nil
}

// Of linux/inet_diag.h: the request is struct inet_diag_req_v2, an answer struct inet_diag_msg.
const (
	tcpListening  = 10 // TCP_LISTEN
	diagRequestAt = unix.SizeofNlMsghdr
	diagRequestTo = diagRequestAt + 56
	diagPort      = 4  // in an answer: the socket's own port, in network order
	diagAddress   = 8  // and address
	diagInode     = 68 // and inode
	diagSize      = 72
)

// diagRequest asks for all listening TCP sockets of a family.
func diagRequest(family uint8) []byte {
	b := make([]byte, diagRequestTo)
	*(*unix.NlMsghdr)(unsafe.Pointer(&b[0])) = unix.NlMsghdr{
		Len: diagRequestTo, Type: unix.SOCK_DIAG_BY_FAMILY, Flags: unix.NLM_F_REQUEST | unix.NLM_F_DUMP,
	}
	b[diagRequestAt], b[diagRequestAt+1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[diagRequestAt+4:], 1<<tcpListening)
	return b
}

// readDiag reads to the end of one dump.
func readDiag(fd int, found map[string]string) error {
	buf := make([]byte, 32<<10) // the kernel's own size of a dump's parts
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return os.NewSyscallError("recvfrom", err)
		}
		for b := buf[:n]; len(b) >= unix.SizeofNlMsghdr; {
			size := int(binary.NativeEndian.Uint32(b))
			if size < unix.SizeofNlMsghdr || size > len(b) {
				return errors.New("malformed answer of sock_diag")
			}
			switch kind, body := binary.NativeEndian.Uint16(b[4:]), b[unix.SizeofNlMsghdr:size]; {
			case kind == unix.NLMSG_DONE:
				return nil
			case kind == unix.NLMSG_ERROR && len(body) >= 4:
				return os.NewSyscallError("sock_diag", unix.Errno(-int32(binary.NativeEndian.Uint32(body))))
			case kind == unix.SOCK_DIAG_BY_FAMILY && len(body) >= diagSize:
				inode, address := parseDiag(body)
				found[inode] = address
			}
			b = b[min(len(b), (size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
		}
	}
}

func parseDiag(b []byte) (inode, address string) {
	port := binary.BigEndian.Uint16(b[diagPort:])
	addr := netip.AddrFrom4([4]byte(b[diagAddress:]))
	if b[0] == unix.AF_INET6 {
		addr = netip.AddrFrom16([16]byte(b[diagAddress:])).Unmap()
	}
	return strconv.FormatUint(uint64(binary.NativeEndian.Uint32(b[diagInode:])), 10), netip.AddrPortFrom(addr, port).String()
}

// sameNetwork reports whether pid sees the connections that the caller sees.
func sameNetwork(pid int) bool {
	own, err := os.Readlink("/proc/self/ns/net")
	if err != nil {
		return false
	}
	its, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/net", pid))
	return err == nil && own == its
}
