package http1

import (
	"bytes"
	"math"
	"net/netip"
)

// maxHost bounds a host's name, as DNS does.
const maxHost = 255

// splitHost is where in a host the colon of its port stands, or its length when it has none. ok is false when it is
// not a name, an IPv4 address, or an IPv6 address in brackets, with an optional port.
func splitHost(h []byte) (port int, ok bool) {
	if len(h) > 0 && h[0] == '[' {
		end := bytes.IndexByte(h, ']')
		if end < 0 || !isIPv6(h[1:end]) {
			return 0, false
		}
		port = end + 1
	} else {
		before := byte('.') // no label is empty but the one behind a last dot
		for port < len(h) && class[h[port]]&isHost != 0 {
			if h[port] == '.' && before == '.' {
				return 0, false
			}
			before = h[port]
			port++
		}
	}
	if port == 0 || port > maxHost {
		return 0, false
	}
	return port, port == len(h) || h[port] == ':' && isPort(h[port+1:])
}

// isPort reports whether b is a port's number. An empty one is the scheme's own (RFC 3986, 3.2.3).
func isPort(b []byte) bool {
	n := 0
	for _, c := range b {
		if c < '0' || c > '9' || len(b) > 5 {
			return false
		}
		n = n*10 + int(c-'0')
	}
	return n <= math.MaxUint16
}

// isIPv6 is rare enough to cost an allocation.
func isIPv6(b []byte) bool {
	if len(b) > len("ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255") || bytes.IndexByte(b, '%') >= 0 {
		return false
	}
	a, err := netip.ParseAddr(string(b))
	return err == nil && a.Is6()
}
