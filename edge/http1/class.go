package http1

import (
	"encoding/binary"
	"math/bits"
)

// What a byte may be part of.
const (
	isToken uint8 = 1 << iota // RFC 9110, 5.6.2
	isUnder                   // the underscore, which is a token's too
	isValue                   // a field's value: visible, space, tab, obs-text
	isPath                    // a path, as pathExtra widens it
	isQuery                   // a query, as queryExtra widens it
	isHost                    // a host's name or number, without colon and brackets
	isMark                    // a dot or percent sign: the path wants a second look
	isHex
)

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	alnum  = digits + lower + upper

	tokenMarks = "!#$%&'*+-.^_`|~"
	pchar      = "-._~" + "!$&'()*+,;=" + ":@" + "%" // RFC 3986, 3.3, beside alnum

	// Browsers leave these as they are, against RFC 3986 and by the URL standard they follow. They are forwarded as
	// they came: none of them means anything to a path or a query.
	pathExtra  = "[]|"
	queryExtra = pathExtra + "{}^`\\"
)

var class = func() (t [256]uint8) {
	mark := func(bit uint8, sets ...string) {
		for _, s := range sets {
			for i := range len(s) {
				t[s[i]] |= bit
			}
		}
	}
	mark(isToken, alnum, tokenMarks)
	mark(isUnder, "_")
	mark(isPath, alnum, pchar, "/", pathExtra)
	mark(isQuery, alnum, pchar, "/?", queryExtra)
	mark(isHost, alnum, "-._")
	mark(isMark, ".%")
	mark(isHex, digits, "abcdefABCDEF")
	for c := range t {
		if c == '\t' || c >= ' ' && c != 0x7f {
			t[c] |= isValue
		}
	}
	return t
}()

// Every byte of a word.
const (
	ones = 0x0101010101010101
	high = 0x80 * ones
)

// unhex is the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c | 0x20 - 'a' + 10
}

// skipValue is the index of the first byte of b at or after i that cannot stand in a field's value, len(b) when there
// is none.
func skipValue(b []byte, i int) int {
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		low := x &^ high
		// No sum of two bytes carries into the next: the high bit of low+0x60 says 0x20 or above, that of low+1 says
		// 0x7f, and that of x that it is neither.
		t := (^(low + 0x60*ones) | (low + ones)) &^ x & high
		if t == 0 {
			i += 8
			continue
		}
		if i += bits.TrailingZeros64(t) >> 3; b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) && class[b[i]]&isValue != 0 {
		i++
	}
	return i
}

// foldEqual reports whether a is b but for case. b is a token in lower case without marks but the dash; so a may be
// any token.
func foldEqual(a []byte, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(b) {
		if a[i]|0x20 != b[i] {
			return false
		}
	}
	return true
}

// sameToken reports whether two tokens are equal but for case.
func sameToken(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i, c := range a {
		if c != b[i] && toLower(c) != toLower(b[i]) {
			return false
		}
	}
	return true
}

func toLower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}

// element is the first element of a comma-separated list, without the white space around it, and what follows its
// comma. rest is nil after the last one.
func element(list []byte) (e, rest []byte) {
	e = list
	for i, c := range list {
		if c == ',' {
			e, rest = list[:i], list[i+1:]
			break
		}
	}
	return trim(e), rest
}

// trim removes spaces and tabs around b.
func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// token reports whether b is one.
func token(b []byte) bool {
	for _, c := range b {
		if class[c]&isToken == 0 {
			return false
		}
	}
	return len(b) > 0
}
