// Package sticky makes and reads the cookie that brings a client back to the instance or the release it was at.
//
// # Problem
//
// The edge must know where a client was without keeping a table of clients, over its own restarts, on each of several
// edges. So the client keeps it, in a cookie. A client may then write whatever it likes there: it must not reach an instance
// or a release of its choice by that, learn how instances are named or addressed, or cost more than a look.
//
// # The value
//
// 64 characters of base64url for 48 bytes, always:
//
//	version (1) | expiry, seconds since 1970 (7) | release (8) | instance (8) | HMAC-SHA256 of these, its first 24 bytes
//
// Release and instance are tags: the first 8 bytes of an HMAC of their names. Whoever knows the pool compares them with
// the tags of those in it; who does not know the key learns no name and no address.
//
// # Keys
//
// There is a current key, which signs, and may be a previous one, which is still believed. To change the key, make it the
// previous one, wait for as long as a cookie lasts, and drop it. Tags depend on the key as well; a [Tag] holds both. A scope
// is part of all of it, so that a cookie of one pool says nothing at another that shares the key.
//
// # Cost
//
// An HMAC is what a request would pay most for here. So a signer remembers the values that it believed last, in a table of a fixed
// size: what comes again is compared with what was signed, in a time that does not depend on how much of it is right, and its expiry is
// looked at each time. There is one signer for each scope and keys in a process, so that what it remembers outlives the routes it was
// made for, and goes with the keys.
//
// It does not protect against somebody who takes another's cookie: it tells where a client was, not who it is.
package sticky

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// What is wrong with a value. None of them says anything about keys, or about what a right value would be. A client with such
// a cookie is treated as one without.
var (
	ErrMalformed = errors.New("not a sticky cookie")
	ErrForged    = errors.New("the sticky cookie was not signed by a key that is known here")
	ErrExpired   = errors.New("the sticky cookie has expired")
)

const (
	version   = 1
	bodySize  = 24
	macSize   = 24
	valueSize = (bodySize + macSize) / 3 * 4
	minKey    = 32
)

// A Signer makes and reads values for one scope. Any number of goroutines may use it; it allocates nothing per value.
type Signer struct {
	scope string
	keys  [2]*sync.Pool         // of *mac; current and previous, which may be nil
	known atomic.Pointer[known] // nil until a value was believed
}

// A mac is one HMAC with room for its results.
type mac struct {
	hash.Hash
	sum, buffer []byte
}

// New is a signer: the same one as before where somebody has one with these arguments. Keys are secret, random and have at least 32
// bytes; previous may be nil. They are copied.
func New(scope string, current, previous []byte) (*Signer, error) {
	for i, key := range [][]byte{current, previous} {
		if len(key) < minKey && (i == 0 || key != nil) {
			return nil, fmt.Errorf("a key of %d bytes for sticky cookies is too short: take at least %d random ones, as of openssl rand -base64 %d", len(key), minKey, minKey)
		}
	}
	return interned(idOf(scope, current, previous), func() *Signer {
		s := &Signer{scope: scope}
		for i, key := range [][]byte{current, previous} {
			if key != nil {
				key = append([]byte(nil), key...)
				s.keys[i] = &sync.Pool{New: func() any { return &mac{Hash: hmac.New(sha256.New, key)} }}
			}
		}
		return s
	}), nil
}

// What an HMAC is of: its first byte, so that a tag is never a signature.
const (
	ofTag   = 't'
	ofValue = 'v'
)

// sum is the HMAC of kind, scope and b, in m and valid while m is not used again.
func (s *Signer) sum(m *mac, kind byte, b []byte) []byte {
	m.Reset()
	m.buffer = append(m.buffer[:0], kind)
	m.buffer = binary.BigEndian.AppendUint32(m.buffer, uint32(len(s.scope)))
	m.buffer = append(append(m.buffer, s.scope...), b...)
	m.Write(m.buffer) // never fails (hash.Hash)
	return m.Sum(m.sum[:0])
}

// A Tag stands for the name of an instance or release, under the current and the previous key.
type Tag [2]uint64

// Tag is the tag of a name. Make it when a pool changes, not for a request.
func (s *Signer) Tag(name string) (t Tag) {
	for i := range s.keys {
		if s.keys[i] != nil {
			m := s.keys[i].Get().(*mac)
			m.sum = s.sum(m, ofTag, []byte(name))
			t[i] = binary.BigEndian.Uint64(m.sum)
			s.keys[i].Put(m)
		}
	}
	return t
}

// Append appends a value that is good until expires, signed with the current key.
func (s *Signer) Append(dst []byte, release, instance Tag, expires time.Time) []byte {
	var raw [bodySize + macSize]byte
	body := raw[:bodySize]
	binary.BigEndian.PutUint64(body, uint64(max(0, expires.Unix()))&(1<<56-1))
	body[0] = version
	binary.BigEndian.PutUint64(body[8:], release[0])
	binary.BigEndian.PutUint64(body[16:], instance[0])
	m := s.keys[0].Get().(*mac)
	m.sum = s.sum(m, ofValue, body)
	copy(raw[bodySize:], m.sum)
	s.keys[0].Put(m)
	return base64.RawURLEncoding.AppendEncode(dst, raw[:])
}

// A Claim is what a value says.
type Claim struct {
	Expires           time.Time
	release, instance uint64
	key               int
}

// Open reads a value. The error is [ErrMalformed], [ErrForged] or [ErrExpired].
func (s *Signer) Open(value []byte, now time.Time) (Claim, error) {
	if len(value) != valueSize {
		return Claim{}, ErrMalformed
	}
	t := textOf(value)
	c, ok := Claim{}, false
	if k := s.known.Load(); k != nil {
		c, ok = k.find(&t)
	}
	if !ok {
		var err error
		if c, err = s.verify(value); err != nil {
			return Claim{}, err
		}
	}
	if !now.Before(c.Expires) {
		return Claim{}, ErrExpired
	}
	if !ok {
		s.remember(&t, &c)
	}
	return c, nil
}

// remember makes t known.
func (s *Signer) remember(t *text, c *Claim) {
	k := s.known.Load()
	if k == nil {
		s.known.CompareAndSwap(nil, new(known))
		k = s.known.Load()
	}
	k.keep(t, c)
}

// verify is what a value says, whenever it expires: signed by one of the keys, or an error.
func (s *Signer) verify(value []byte) (Claim, error) {
	var raw [bodySize + macSize]byte
	if n, err := base64.RawURLEncoding.Decode(raw[:], value); err != nil || n != len(raw) || raw[0] != version {
		return Claim{}, ErrMalformed
	}
	for i := range s.keys {
		if s.keys[i] == nil || !s.signed(i, raw[:bodySize], raw[bodySize:]) {
			continue
		}
		seconds := binary.BigEndian.Uint64(raw[:]) & (1<<56 - 1)
		return Claim{
			Expires: time.Unix(int64(seconds), 0), key: i,
			release: binary.BigEndian.Uint64(raw[8:]), instance: binary.BigEndian.Uint64(raw[16:]),
		}, nil
	}
	return Claim{}, ErrForged
}

// signed compares in a time that does not depend on how much of a signature is right.
func (s *Signer) signed(key int, body, signature []byte) bool {
	m := s.keys[key].Get().(*mac)
	m.sum = s.sum(m, ofValue, body)
	ok := hmac.Equal(m.sum[:macSize], signature)
	s.keys[key].Put(m)
	return ok
}

// IsRelease reports whether the claim is for the release with tag t.
func (c Claim) IsRelease(t Tag) bool { return c.release == t[c.key] }

// IsInstance reports whether the claim is for the instance with tag t.
func (c Claim) IsInstance(t Tag) bool { return c.instance == t[c.key] }

// Number is what the claim has in the place of a release: for values, of a scope of their own, that say who a client is, by a
// Tag{number}, and not where it was.
func (c Claim) Number() uint64 { return c.release }

// Stale reports whether a new value should be set: this one was signed with the previous key, or half of its age is over.
func (c Claim) Stale(now time.Time, age time.Duration) bool {
	return c.key != 0 || c.Expires.Sub(now) < age/2
}

// A Cookie says how the value is handed out. It is always HttpOnly, with Path=/.
type Cookie struct {
	Name     string
	Age      time.Duration
	SameSite string // "lax", "strict" or "none", which makes it Secure
	Secure   bool   // the request came over TLS
}

// AppendSetCookie appends the value of a Set-Cookie field that sets the cookie to value.
func (c Cookie) AppendSetCookie(dst, value []byte) []byte {
	dst = append(append(append(dst, c.Name...), '='), value...)
	dst = append(dst, "; Path=/; Max-Age="...)
	dst = strconv.AppendInt(dst, int64(c.Age/time.Second), 10)
	dst = append(dst, "; HttpOnly; SameSite="...)
	switch c.SameSite {
	case "strict":
		dst = append(dst, "Strict"...)
	case "none":
		dst = append(dst, "None"...)
	default:
		dst = append(dst, "Lax"...)
	}
	if c.Secure || c.SameSite == "none" {
		dst = append(dst, "; Secure"...)
	}
	return dst
}
