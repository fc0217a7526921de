// Package proxyproto reads and writes the PROXY protocol, versions 1 and 2: the line or block a load balancer puts in
// front of a connection to say who is at its other end.
//
// [Parse], [AppendV1] and [AppendV2] are pure functions on byte slices, for whoever reads the socket itself.
// [Listener] is the same for users of net.Listener: it reads the header in the connection's own goroutine.
//
// What is written here is the specification of HAProxy (doc/proxy-protocol.txt), strictly: what does not match it to the
// byte is an error, and the connection is to be closed. Nothing is repaired and nothing skipped unread, but for what the
// specification says to ignore: all that follows UNKNOWN in version 1, and the block of a LOCAL command in version 2.
//
// A header is believed only when it comes from a source that is trusted; anybody else could name any address. Whether
// to believe is the caller's decision, and [Listener]'s task.
package proxyproto

import (
	"iter"
	"net/netip"
)

// MaxLen is the most bytes a header may have. The specification allows 64 KiB more in version 2; no sender comes near,
// and whoever waits for a header keeps what has come of it.
const MaxLen = 4096

// MaxV1 is the most bytes a header of version 1 may have, with its CRLF.
const MaxV1 = 107

// Protocol is what carries the connection from the client to whoever sent the header.
type Protocol byte

// The protocols; the values are those of version 2's 14th byte. All but [Unspec] and the Unix ones have addresses.
const (
	Unspec       Protocol = 0x00 // not said: version 1's UNKNOWN
	TCP4         Protocol = 0x11
	UDP4         Protocol = 0x12
	TCP6         Protocol = 0x21
	UDP6         Protocol = 0x22
	UnixStream   Protocol = 0x31
	UnixDatagram Protocol = 0x32
)

// Header is one PROXY header.
type Header struct {
	Version  byte // 1 or 2
	Local    bool // version 2: the sender speaks for itself, as in a health check; there are no addresses
	Protocol Protocol
	// Source is the client and Destination where it connected to. They are valid for TCP and UDP only; an IPv6 one may be
	// an IPv4 address mapped into it. The names of Unix sockets are not kept: they say nothing outside their machine.
	Source, Destination netip.AddrPort
	// Checksum: the header carries a CRC32c, which is right; in one to be written: add one. Version 2 only.
	Checksum bool
	// Extensions are the TLVs as they are on the wire, of version 2 only; see [Header.TLVs] and [AppendTLV]. Of a parsed
	// header they are a part of the bytes given to Parse.
	Extensions []byte
}

// HasAddresses reports whether Source and Destination are to be used instead of the connection's own.
func (h Header) HasAddresses() bool { return h.Source.IsValid() && h.Destination.IsValid() }

// Type of a TLV.
type Type byte

// The registered types.
const (
	ALPN      Type = 0x01 // as in TLS (RFC 7301)
	Authority Type = 0x02 // the name the client asked for: TLS's server name
	CRC32C    Type = 0x03 // of the whole header, the four bytes of the value taken as zeros
	NoOp      Type = 0x04 // padding
	UniqueID  Type = 0x05 // of the connection, up to 128 bytes
	SSL       Type = 0x20 // flags, a result and TLVs of its own
	NetNS     Type = 0x30
)

// TLVs are the extensions in their order. Values are a part of h.Extensions. It ends early where those are not well
// formed, which Parse does not let happen.
func (h Header) TLVs() iter.Seq2[Type, []byte] {
	return func(yield func(Type, []byte) bool) {
		for b := h.Extensions; len(b) > 0; {
			t, v, rest, ok := cutTLV(b)
			if !ok || !yield(t, v) {
				return
			}
			b = rest
		}
	}
}

// TLV is the value of the first extension of type t.
func (h Header) TLV(t Type) (value []byte, ok bool) {
	for got, v := range h.TLVs() {
		if got == t {
			return v, true
		}
	}
	return nil, false
}

func cutTLV(b []byte) (t Type, value, rest []byte, ok bool) {
	if len(b) < 3 {
		return 0, nil, nil, false
	}
	end := 3 + (int(b[1])<<8 | int(b[2]))
	if end > len(b) {
		return 0, nil, nil, false
	}
	return Type(b[0]), b[3:end:end], b[end:], true
}
