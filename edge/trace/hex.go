package trace

import "encoding/binary"

// Eight digits are read and written at once, as the bytes of one word: a traceparent is read for each request.

const (
	ones  = 0x0101010101010101
	zeros = '0' * 0x0000010101010000 // four digits amid a word
)

// digits is the eight lower-case hex digits of v, the first in the highest byte.
func digits(v uint32) uint64 {
	x := uint64(v)
	x = (x | x<<16) & 0x0000ffff0000ffff
	x = (x | x<<8) & 0x00ff00ff00ff00ff
	x = (x | x<<4) & 0x0f0f0f0f0f0f0f0f
	letters := (x + 6*ones) >> 4 & ones
	return x + '0'*ones + letters*('a'-'9'-1)
}

// number is the value of eight digits. bad is zero if all are lower-case hex digits. In each byte of the sums the highest bit
// says whether the digit is at or above a bound; none carries into the next byte while the digits are below 0x80.
func number(d uint64) (v uint32, bad uint64) {
	const high = 0x80 * ones
	c := d &^ high
	digit := (c + (0x80-'0')*ones) &^ (c + (0x7f-'9')*ones)
	letter := (c + (0x80-'a')*ones) &^ (c + (0x7f-'f')*ones) & high
	bad = (digit|letter)&high ^ high | d&high
	x := c&(0xf*ones) + letter>>7*9
	x = (x | x>>4) & 0x00ff00ff00ff00ff
	x = (x | x>>8) & 0x0000ffff0000ffff
	return uint32(x | x>>16), bad
}

// appendHex appends the digits of id, whose length is a multiple of four.
func appendHex(b, id []byte) []byte {
	for ; len(id) >= 4; id = id[4:] {
		b = binary.BigEndian.AppendUint64(b, digits(binary.BigEndian.Uint32(id)))
	}
	return b
}

// unhex fills to from the 16 digits at the beginning of v. What it returns is zero if all were digits.
func unhex(to *[8]byte, v []byte) uint64 {
	v = v[:16]
	high, bad := number(binary.BigEndian.Uint64(v))
	low, worse := number(binary.BigEndian.Uint64(v[8:]))
	binary.BigEndian.PutUint64(to[:], uint64(high)<<32|uint64(low))
	return bad | worse
}
