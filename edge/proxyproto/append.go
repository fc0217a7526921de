package proxyproto

import (
	"encoding/binary"
	"net/netip"
	"strconv"
)

// AppendV1 appends the line that says that a TCP connection from src to dst goes on here. Addresses of two families are
// both written as IPv6; where one is missing the line says UNKNOWN.
func AppendV1(b []byte, src, dst netip.AddrPort) []byte {
	s, d, p := family(src.Addr(), dst.Addr(), TCP4, TCP6)
	b = append(b, prefixV1...)
	switch p {
	case TCP4:
		b = append(b, "TCP4 "...)
	case TCP6:
		b = append(b, "TCP6 "...)
	default:
		return append(b, "UNKNOWN\r\n"...)
	}
	b = append(s.AppendTo(b), ' ')
	b = append(d.AppendTo(b), ' ')
	b = append(strconv.AppendUint(b, uint64(src.Port()), 10), ' ')
	b = strconv.AppendUint(b, uint64(dst.Port()), 10)
	return append(b, '\r', '\n')
}

// family brings both addresses to one family: IPv4 if both are that, or mapped, else IPv6; [Unspec] where one is missing.
func family(src, dst netip.Addr, four, six Protocol) (netip.Addr, netip.Addr, Protocol) {
	src, dst = src.Unmap().WithZone(""), dst.Unmap().WithZone("")
	switch {
	case !src.IsValid() || !dst.IsValid():
		return src, dst, Unspec
	case src.Is4() && dst.Is4():
		return src, dst, four
	}
	return netip.AddrFrom16(src.As16()), netip.AddrFrom16(dst.As16()), six
}

// AppendV2 appends h as a block of version 2. The family follows from the addresses, as in AppendV1; h.Protocol says
// whether they are of UDP, and TCP is meant where it says nothing. Without addresses, and for Local, the block has none.
// A checksum in h.Extensions is refused: h.Checksum adds it. The error is an [*Error], and b is then returned as it was.
func AppendV2(b []byte, h Header) ([]byte, error) {
	four, six := TCP4, TCP6
	if h.Protocol == UDP4 || h.Protocol == UDP6 {
		four, six = UDP4, UDP6
	}
	s, d, p := family(h.Source.Addr(), h.Destination.Addr(), four, six)
	command := byte(0x21)
	if h.Local {
		command, p = 0x20, Unspec
	}
	for rest := h.Extensions; len(rest) > 0; {
		t, v, next, ok := cutTLV(rest)
		switch {
		case !ok || !wellFormed(t, v):
			return b, errV2TLV
		case t == CRC32C:
			return b, errV2Twice
		}
		rest = next
	}
	size, _ := addressBytes(p)
	size += len(h.Extensions)
	if h.Checksum {
		size += 3 + 4
	}
	if fixedV2+size > MaxLen {
		return b, errV2Long
	}
	start := len(b)
	b = append(b, signatureV2...)
	b = append(b, command, byte(p))
	b = binary.BigEndian.AppendUint16(b, uint16(size)) //nolint:gosec // less than MaxLen
	if p != Unspec {
		b = appendAddr(appendAddr(b, s), d)
		b = binary.BigEndian.AppendUint16(b, h.Source.Port())
		b = binary.BigEndian.AppendUint16(b, h.Destination.Port())
	}
	b = append(b, h.Extensions...)
	if h.Checksum {
		b = append(b, byte(CRC32C), 0, 4, 0, 0, 0, 0)
		binary.BigEndian.PutUint32(b[len(b)-4:], checksum(b[start:], len(b)-start-4))
	}
	return b, nil
}

// AppendTLV appends one extension, for Header.Extensions. A value over 65535 bytes is an [*Error], and b is returned as
// it was.
func AppendTLV(b []byte, t Type, value []byte) ([]byte, error) {
	if len(value) > 0xffff {
		return b, errV2Long
	}
	b = append(b, byte(t), byte(len(value)>>8), byte(len(value)))
	return append(b, value...), nil
}

func appendAddr(b []byte, a netip.Addr) []byte {
	if a.Is4() {
		four := a.As4()
		return append(b, four[:]...)
	}
	sixteen := a.As16()
	return append(b, sixteen[:]...)
}
