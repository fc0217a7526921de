package http3

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"

	"github.com/quic-go/quic-go"
	"golang.org/x/sys/unix"
)

// slots is how many processes may have connections on a port at a time.
const slots = 4

// A connection id of ours begins with mark and the slot of its process in four bytes, and is idLen long. The mark is that of a
// client's first packet, whose id is random, once in 2^30: it may reach a process that takes no connections then, and is sent again.
const (
	mark  = 0x73706c70 &^ (slots - 1)
	idLen = 12
)

// ids makes the connection ids of a slot.
type ids uint32

// GenerateConnectionID implements quic.ConnectionIDGenerator.
func (slot ids) GenerateConnectionID() (quic.ConnectionID, error) {
	var b [idLen]byte
	binary.BigEndian.PutUint32(b[:], mark|uint32(slot))
	rand.Read(b[4:]) //nolint:errcheck // it never fails
	return quic.ConnectionIDFromBytes(b[:]), nil
}

// ConnectionIDLen implements quic.ConnectionIDGenerator.
func (ids) ConnectionIDLen() int { return idLen }

// program finds the slot of a packet, and says newest where its connection id names none. A long header has the id behind its
// first byte, a version and the id's length; a short one behind its first byte (RFC 9000, 17).
func program(newest int) []unix.SockFilter {
	const (
		short = 1
		long  = 1 + 4 + 1
	)
	return []unix.SockFilter{
		0:  {Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 0},
		1:  {Code: unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K, Jt: 2, Jf: 0, K: 0x80},
		2:  {Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: short},
		3:  {Code: unix.BPF_JMP | unix.BPF_JA, K: 1},
		4:  {Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: long},
		5:  {Code: unix.BPF_ST, K: 0},
		6:  {Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: ^uint32(slots - 1)},
		7:  {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 3, K: mark},
		8:  {Code: unix.BPF_LD | unix.BPF_MEM, K: 0},
		9:  {Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: slots - 1},
		10: {Code: unix.BPF_RET | unix.BPF_A},
		11: {Code: unix.BPF_RET | unix.BPF_K, K: uint32(newest)}, //nolint:gosec // a slot
	}
}

// steer has new connections go to slot newest, of the sockets that fd is one of.
func steer(fd, newest int) error {
	p := program(newest)
	err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: uint16(len(p)), Filter: &p[0]}) //nolint:gosec // it fits
	if err != nil {
		return fmt.Errorf("say which process gets the packets of HTTP/3: %w", err)
	}
	return nil
}
