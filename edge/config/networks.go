package config

import (
	"bytes"
	"net/netip"
	"slices"
	"unsafe"
)

// Networks are those of peers that are believed.
type Networks []netip.Prefix

// With is n and more. The same pointer comes back where there is no more.
func (n *Networks) With(more []netip.Prefix) *Networks {
	if len(more) == 0 {
		return n
	}
	both := slices.Concat(*n, more)
	return &both
}

// Has reports whether a is in one of them. a is unmapped and has no zone.
func (n Networks) Has(a netip.Addr) bool {
	for _, p := range n {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Client is who asks according to a peer in one of them, whose X-Forwarded-For is list: the last that is in none itself.
func (n Networks) Client(list []byte) (client netip.Addr, ok bool) {
	for len(list) > 0 {
		i := bytes.LastIndexByte(list, ',')
		last := bytes.TrimSpace(list[i+1:])
		a, err := netip.ParseAddr(unsafe.String(unsafe.SliceData(last), len(last))) // nothing keeps it: an error is not looked at
		if err != nil {
			break
		}
		client, ok = a.Unmap().WithZone(""), true
		if i < 0 || !n.Has(client) {
			break
		}
		list = list[:i]
	}
	return client, ok
}
