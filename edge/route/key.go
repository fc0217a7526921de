package route

import (
	"fmt"
	"math/bits"
	"net/textproto"
	"strings"
)

// A Key names what of a request tells one client, user or thing from another. The zero value is nothing at all.
type Key struct {
	From Source
	Name string // of the field, cookie or parameter
}

// Source is where a key is taken from.
type Source uint8

// The sources.
const (
	FromNothing Source = iota
	FromClient         // its address; of IPv6 the network of 64 bits, within which anybody can have any
	FromHost
	FromPath
	FromField
	FromCookie
	FromQuery
)

var sources = [...]string{FromClient: "client", FromHost: "host", FromPath: "path", FromField: "header", FromCookie: "cookie", FromQuery: "query"}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return k.From == FromNothing }

// String is the key as it is written: "client", "header:X-User".
func (k Key) String() string {
	if k.Name == "" {
		return sources[k.From]
	}
	return sources[k.From] + ":" + k.Name
}

// UnmarshalText reads a key as String writes it.
func (k *Key) UnmarshalText(text []byte) error {
	word, name, named := strings.Cut(string(text), ":")
	for i, s := range sources {
		from := Source(i)
		if from == FromNothing || s != word {
			continue
		}
		wants := from >= FromField
		switch {
		case wants && name == "":
			return fmt.Errorf("%q does not say which %s: write %s:NAME", text, word, word)
		case !wants && named:
			return fmt.Errorf("%q says too much: write %s", text, word)
		case (from == FromField || from == FromCookie) && !isToken(name):
			return fmt.Errorf("%q is not the name of a %s: letters, digits and dashes", name, word)
		}
		if from == FromField {
			name = textproto.CanonicalMIMEHeaderKey(name)
		}
		*k = Key{from, name}
		return nil
	}
	return fmt.Errorf("%q is not a key: it is client, host, path, header:NAME, cookie:NAME or query:NAME", text)
}

// Hash is the same for requests with equal keys, on every machine and after every restart, and otherwise spread evenly. salt
// makes hashes of one key for two purposes independent of each other. ok is false for a request that has no such key.
func (k Key) Hash(q *Query, salt uint64) (h uint64, ok bool) {
	switch k.From {
	case FromClient:
		if !q.Client.IsValid() {
			return 0, false
		}
		a := q.Client.Unmap()
		if a.Is4() {
			b := a.As4()
			return Hash(b[:], salt), true
		}
		b := a.As16()
		return Hash(b[:8], salt), true
	case FromHost:
		return hashFolded(q.Host, salt), len(q.Host) > 0
	case FromPath:
		return Hash(q.Path, salt), true
	}
	v, ok := k.value(q)
	return Hash(v, salt), ok
}

// value is the key's bytes where it has a name.
func (k Key) value(q *Query) (v []byte, ok bool) {
	switch k.From {
	case FromField:
		return q.field(k.Name)
	case FromCookie:
		return q.cookie(k.Name)
	case FromQuery:
		return q.parameter(k.Name)
	}
	return nil, false
}

// FNV-1a in 64 bits.
const (
	fnvOffset = 14695981039346656037
	fnvPrime  = 1099511628211
)

// Hash is FNV-1a over b, begun at salt, its bits then spread by the finalizer of MurmurHash3: FNV alone leaves the high
// ones of short inputs alike. It is no defence against somebody who looks for keys that collide.
func Hash(b []byte, salt uint64) uint64 {
	h := salt ^ fnvOffset
	for _, c := range b {
		h = (h ^ uint64(c)) * fnvPrime
	}
	return spread(h)
}

// hashFolded is Hash of b in lower case.
func hashFolded(b []byte, salt uint64) uint64 {
	h := salt ^ fnvOffset
	for _, c := range b {
		h = (h ^ uint64(lower(c))) * fnvPrime
	}
	return spread(h)
}

func spread(h uint64) uint64 {
	h = (h ^ h>>33) * 0xff51afd7ed558ccd
	h = (h ^ h>>33) * 0xc4ceb9fe1a85ec53
	return h ^ h>>33
}

// mulHigh scales h to a number below n, in proportion.
func mulHigh(h, n uint64) uint64 {
	high, _ := bits.Mul64(h, n)
	return high
}
