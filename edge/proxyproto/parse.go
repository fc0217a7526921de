package proxyproto

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"net/netip"
)

// Error is why bytes are no header that can be believed. The connection they came on is to be closed: there is no way
// to tell where what follows begins.
type Error struct {
	Version byte // of the header; 0 if there is none at all
	Problem string
}

func (e *Error) Error() string {
	switch e.Version {
	case 1:
		return "PROXY protocol version 1: " + e.Problem
	case 2:
		return "PROXY protocol version 2: " + e.Problem
	}
	return "PROXY protocol: " + e.Problem
}

// The errors Parse may return. ErrAbsent is apart: the bytes are the beginning of something else.
var (
	ErrAbsent = &Error{0, "no header"}

	errV1Long     = &Error{1, "no CRLF within 107 bytes"}
	errV1End      = &Error{1, "a CR or LF that is not of the CRLF at the end"}
	errV1Protocol = &Error{1, "protocol is not TCP4, TCP6 or UNKNOWN"}
	errV1Fields   = &Error{1, "not two addresses and two ports, with one space between each"}
	errV1Address  = &Error{1, "an address is not one of its protocol, in its canonical form"}
	errV1Port     = &Error{1, "a port is not a decimal number up to 65535 without leading zeros"}
	errV2Version  = &Error{2, "version is not 2"}
	errV2Command  = &Error{2, "command is not LOCAL or PROXY"}
	errV2Protocol = &Error{2, "unassigned address family or transport protocol"}
	errV2Long     = &Error{2, "longer than 4096 bytes"}
	errV2Short    = &Error{2, "shorter than the addresses of its protocol"}
	errV2TLV      = &Error{2, "a TLV is longer than the header, or not as long as its type says"}
	errV2Twice    = &Error{2, "more than one checksum"}
	errV2Checksum = &Error{2, "wrong checksum"}
)

const (
	prefixV1    = "PROXY "
	signatureV2 = "\r\n\r\n\x00\r\nQUIT\n"
	fixedV2     = len(signatureV2) + 4
)

// Parse reads the header at the beginning of b and returns it with its length n. With n = 0 and no error b is only the
// beginning of one: read more, to at most [MaxLen] bytes, and parse again from the start. The error is an [*Error],
// [ErrAbsent] as soon as b cannot become a header. It does not keep b, but for h.Extensions, and allocates at most the
// texts of version 1's two addresses.
func Parse(b []byte) (h Header, n int, err error) {
	switch {
	case begins(b, signatureV2):
		return parseV2(b)
	case begins(b, prefixV1):
		return parseV1(b)
	}
	return Header{}, 0, ErrAbsent
}

// begins reports whether b is the beginning of prefix or goes on after it.
func begins(b []byte, prefix string) bool {
	n := min(len(b), len(prefix))
	return string(b[:n]) == prefix[:n]
}

func parseV1(b []byte) (Header, int, error) {
	line := b[:min(len(b), MaxV1)]
	end := bytes.IndexAny(line, "\r\n")
	switch {
	case end < 0 && len(line) == MaxV1:
		return Header{}, 0, errV1Long
	case end < 0:
		return Header{}, 0, nil
	case line[end] == '\n':
		return Header{}, 0, errV1End
	case end+1 == MaxV1:
		return Header{}, 0, errV1Long
	case end+1 == len(line):
		return Header{}, 0, nil
	case line[end+1] != '\n':
		return Header{}, 0, errV1End
	}
	h, err := fieldsV1(line[len(prefixV1):end])
	if err != nil {
		return Header{}, 0, err
	}
	return h, end + 2, nil
}

// fieldsV1 reads what is between "PROXY " and CRLF.
func fieldsV1(line []byte) (Header, error) {
	h := Header{Version: 1}
	name, rest, more := bytes.Cut(line, space)
	switch string(name) {
	case "UNKNOWN":
		return h, nil // and whatever follows is to be ignored
	case "TCP4":
		h.Protocol = TCP4
	case "TCP6":
		h.Protocol = TCP6
	default:
		return h, errV1Protocol
	}
	var field [4][]byte
	for i := range field {
		if !more {
			return h, errV1Fields
		}
		field[i], rest, more = bytes.Cut(rest, space)
	}
	if more {
		return h, errV1Fields
	}
	src, ok1 := address(field[0], h.Protocol)
	dst, ok2 := address(field[1], h.Protocol)
	if !ok1 || !ok2 {
		return h, errV1Address
	}
	sport, ok1 := port(field[2])
	dport, ok2 := port(field[3])
	if !ok1 || !ok2 {
		return h, errV1Port
	}
	h.Source, h.Destination = netip.AddrPortFrom(src, sport), netip.AddrPortFrom(dst, dport)
	return h, nil
}

var space = []byte{' '}

// address wants what inet_pton takes. HAProxy writes an IPv4 address mapped into IPv6 with dots at its end, so that is
// taken for TCP6 too.
func address(b []byte, p Protocol) (netip.Addr, bool) {
	if len(b) == 0 || len(b) > len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") {
		return netip.Addr{}, false
	}
	a, err := netip.ParseAddr(string(b))
	if err != nil || a.Zone() != "" || a.Is4() != (p == TCP4) {
		return netip.Addr{}, false
	}
	return a, true
}

func port(b []byte) (uint16, bool) {
	if len(b) == 0 || len(b) > 5 || b[0] == '0' && len(b) > 1 {
		return 0, false
	}
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int(c-'0')
	}
	return uint16(n), n <= 65535 //nolint:gosec // checked beside it
}

func parseV2(b []byte) (Header, int, error) {
	h := Header{Version: 2}
	if len(b) > 12 && b[12]>>4 != 2 {
		return Header{}, 0, errV2Version
	}
	if len(b) > 12 && b[12]&0xf > 1 {
		return Header{}, 0, errV2Command
	}
	if len(b) < fixedV2 {
		return Header{}, 0, nil
	}
	h.Local = b[12]&0xf == 0
	n := fixedV2 + int(binary.BigEndian.Uint16(b[14:]))
	if n > MaxLen {
		return Header{}, 0, errV2Long
	}
	h.Protocol = Protocol(b[13])
	size, ok := addressBytes(h.Protocol)
	if h.Local {
		// "discard the protocol block including the family which is ignored"
		h.Protocol, size, ok = Unspec, n-fixedV2, true
	}
	switch {
	case !ok:
		return Header{}, 0, errV2Protocol
	case n < fixedV2+size:
		return Header{}, 0, errV2Short
	case len(b) < n:
		return Header{}, 0, nil
	}
	h.addresses(b[fixedV2:])
	h.Extensions = b[fixedV2+size : n : n]
	if err := h.checkTLVs(b[:n]); err != nil {
		return Header{}, 0, err
	}
	return h, n, nil
}

// addressBytes is how many bytes of addresses and ports p has in version 2.
func addressBytes(p Protocol) (n int, ok bool) {
	switch p {
	case Unspec:
		return 0, true
	case TCP4, UDP4:
		return 2*4 + 2*2, true
	case TCP6, UDP6:
		return 2*16 + 2*2, true
	case UnixStream, UnixDatagram:
		return 2 * 108, true
	}
	return 0, false
}

func (h *Header) addresses(b []byte) {
	switch h.Protocol {
	case TCP4, UDP4:
		h.Source = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b)), binary.BigEndian.Uint16(b[8:]))
		h.Destination = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:])), binary.BigEndian.Uint16(b[10:]))
	case TCP6, UDP6:
		h.Source = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)), binary.BigEndian.Uint16(b[32:]))
		h.Destination = netip.AddrPortFrom(netip.AddrFrom16([16]byte(b[16:])), binary.BigEndian.Uint16(b[34:]))
	}
}

// checkTLVs checks the lengths of the extensions, and the checksum of the header, which is all of b, if it has one.
func (h *Header) checkTLVs(b []byte) error {
	for rest := h.Extensions; len(rest) > 0; {
		t, v, next, ok := cutTLV(rest)
		if !ok || !wellFormed(t, v) {
			return errV2TLV
		}
		if t == CRC32C {
			if h.Checksum {
				return errV2Twice
			}
			h.Checksum = true
			at := len(b) - len(next) - len(v)
			if binary.BigEndian.Uint32(v) != checksum(b, at) {
				return errV2Checksum
			}
		}
		rest = next
	}
	return nil
}

// wellFormed reports whether v can be the value of a TLV of type t.
func wellFormed(t Type, v []byte) bool {
	switch t {
	case CRC32C:
		return len(v) == 4
	case UniqueID:
		return len(v) <= 128
	case SSL:
		if len(v) < 5 {
			return false
		}
		for rest := v[5:]; len(rest) > 0; {
			var ok bool
			if _, _, rest, ok = cutTLV(rest); !ok {
				return false
			}
		}
	}
	return true
}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	zeros      [4]byte
)

// checksum is the CRC32c of b with zeros for the four bytes at at.
func checksum(b []byte, at int) uint32 {
	c := crc32.Update(0, castagnoli, b[:at])
	c = crc32.Update(c, castagnoli, zeros[:])
	return crc32.Update(c, castagnoli, b[at+4:])
}
