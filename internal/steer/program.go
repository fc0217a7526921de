package steer

import (
	"crypto/rand"
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// Slots is how many processes may have connections on a port at a time.
const Slots = 4

// A connection id of ours begins with mark and the slot of its process in four bytes, and is IDLen long. The mark is that of a
// client's first packet, whose id is random, once in 2^30: it may reach a process that takes no connections then, and is sent again.
const (
	mark = 0x73706c70 &^ (Slots - 1)
	// IDLen is how many bytes a connection id has.
	IDLen = 12
)

// ID makes a connection id of the process that has slot.
func ID(slot int) [IDLen]byte {
	var b [IDLen]byte
	binary.BigEndian.PutUint32(b[:], mark|uint32(slot)) //nolint:gosec // a slot
	rand.Read(b[4:])                                    //nolint:errcheck // it never fails
	return b
}

// program finds the slot of a packet, and says leader where its connection id names none. A long header has the id behind its
// first byte, a version and the id's length; a short one behind its first byte (RFC 9000, 17).
func program(leader int) []unix.SockFilter {
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
		6:  {Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: ^uint32(Slots - 1)},
		7:  {Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 0, Jf: 3, K: mark},
		8:  {Code: unix.BPF_LD | unix.BPF_MEM, K: 0},
		9:  {Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: Slots - 1},
		10: {Code: unix.BPF_RET | unix.BPF_A},
		11: {Code: unix.BPF_RET | unix.BPF_K, K: uint32(leader)}, //nolint:gosec // a slot
	}
}
