// Package wsframe follows WebSocket frames (RFC 6455, section 5) in a stream of bytes it does not hold.
//
// A relay that only copies bytes cannot end a connection politely: a Close frame put into the middle of
// another frame is garbage. A [Tracker] tells where frames and messages end. It does no I/O, keeps no
// payload, and judges nothing but lengths: what it cannot follow, it calls broken, and never at a boundary.
package wsframe

import "encoding/binary"

// Status codes of a Close frame (RFC 6455, 7.4.1, and the registry).
const (
	GoingAway      = 1001
	ServiceRestart = 1012
)

// The opcodes that matter here.
const (
	opClose   = 0x8
	opControl = 0x8 // set in the opcode of every control frame
)

// A Tracker follows one direction of a connection. The zero Tracker stands at its beginning.
type Tracker struct {
	left     uint64 // bytes of payload to come
	messages uint64
	head     [14]byte // of the frame being read
	have     uint8    // bytes of head
	inside   bool     // of a message whose last frame has not come
	closed   bool
	broken   bool
}

// Next takes bytes from p up to the end of the first frame that ends in it, or all of them when none
// does, and reports how many it took.
func (t *Tracker) Next(p []byte) int {
	if t.broken {
		return len(p)
	}
	taken := 0
	for taken < len(p) {
		if t.left > 0 {
			n := min(t.left, uint64(len(p)-taken))
			t.left -= n
			taken += int(n)
			if t.left > 0 {
				break
			}
			t.finish()
			return taken
		}
		t.head[t.have] = p[taken]
		t.have++
		taken++
		if t.have < t.headLen() {
			continue
		}
		if t.left = t.payload(); t.left > 1<<62 {
			t.broken = true
			return len(p)
		}
		if t.left == 0 {
			t.finish()
			return taken
		}
	}
	return taken
}

// Feed takes all of p.
func (t *Tracker) Feed(p []byte) {
	for len(p) > 0 {
		p = p[t.Next(p):]
	}
}

// headLen is the length of the current head, as far as its first two bytes tell.
func (t *Tracker) headLen() uint8 {
	n := uint8(2)
	if t.have < n {
		return n
	}
	switch t.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if t.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

func (t *Tracker) payload() uint64 {
	switch n := t.head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(t.head[2:]))
	case 127:
		return binary.BigEndian.Uint64(t.head[2:])
	default:
		return uint64(n)
	}
}

func (t *Tracker) finish() {
	op, last := t.head[0]&0x0f, t.head[0]&0x80 != 0
	t.have = 0
	switch {
	case op == opClose:
		t.closed = true
	case op&opControl != 0: // between the frames of a message or not, it ends nothing
	case last:
		t.inside = false
		t.messages++
	default:
		t.inside = true
	}
}

// AtFrame reports whether the stream stands between two frames.
func (t *Tracker) AtFrame() bool { return !t.broken && t.have == 0 && t.left == 0 }

// AtMessage reports whether the stream stands between two messages.
func (t *Tracker) AtMessage() bool { return t.AtFrame() && !t.inside }

// Messages is how many whole text and binary messages have passed.
func (t *Tracker) Messages() uint64 { return t.messages }

// Closed reports whether a Close frame has passed: nothing may follow it.
func (t *Tracker) Closed() bool { return t.closed }

// Close is a Close frame with a code and a reason of at most 123 bytes. A frame to a server has to be
// masked: mask is then its key.
func Close(code uint16, reason string, mask *[4]byte) []byte {
	reason = reason[:min(len(reason), 123)]
	payload := append(binary.BigEndian.AppendUint16(nil, code), reason...)
	b := []byte{0x80 | opClose, byte(len(payload))}
	if mask != nil {
		b[1] |= 0x80
		b = append(b, mask[:]...)
		for i := range payload {
			payload[i] ^= mask[i%4]
		}
	}
	return append(b, payload...)
}
