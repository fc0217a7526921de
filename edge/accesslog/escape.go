package accesslog

import (
	"unicode"
	"unicode/utf8"
)

const hexDigits = "0123456789abcdef"

// plain are the bytes that stand for themselves in both formats.
var plain = func() (t [256]bool) {
	for c := ' '; c <= '~'; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

// run is how many bytes at the beginning of s stand for themselves.
func run(s []byte) int {
	for i, c := range s {
		if !plain[c] {
			return i
		}
	}
	return len(s)
}

// appendJSON appends s as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func appendJSON(b, s []byte) []byte {
	b = append(b, '"')
	for {
		n := run(s)
		b = append(b, s[:n]...)
		if s = s[n:]; len(s) == 0 {
			return append(b, '"')
		}
		if c := s[0]; c < utf8.RuneSelf {
			s = s[1:]
			switch c {
			case '"', '\\':
				b = append(b, '\\', c)
			default:
				b = appendUnicode(b, rune(c))
			}
			continue
		}
		r, n := utf8.DecodeRune(s)
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, `\ufffd`...)
		case unicode.IsPrint(r):
			b = append(b, s[:n]...)
		case r > 0xffff: // as a pair of surrogates
			r -= 0x10000
			b = appendUnicode(appendUnicode(b, 0xd800+r>>10), 0xdc00+r&0x3ff)
		default:
			b = appendUnicode(b, r)
		}
		s = s[n:]
	}
}

func appendUnicode(b []byte, r rune) []byte {
	return append(b, '\\', 'u', hexDigits[r>>12&0xf], hexDigits[r>>8&0xf], hexDigits[r>>4&0xf], hexDigits[r&0xf])
}

// appendQuoted appends s in quotes, as Apache and nginx do: what is no printable ASCII as \xhh. An empty string is a dash.
func appendQuoted(b, s []byte) []byte {
	if len(s) == 0 {
		return append(b, `"-"`...)
	}
	b = append(b, '"')
	b = appendEscaped(b, s)
	return append(b, '"')
}

func appendEscaped(b, s []byte) []byte {
	for {
		n := run(s)
		b = append(b, s[:n]...)
		if s = s[n:]; len(s) == 0 {
			return b
		}
		switch c := s[0]; c {
		case '"', '\\':
			b = append(b, '\\', c)
		default:
			b = append(b, '\\', 'x', hexDigits[c>>4], hexDigits[c&0xf])
		}
		s = s[1:]
	}
}
