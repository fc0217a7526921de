package sketch

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// version names the layout of the buckets and of the encoding. Counts of two versions do not add up.
const version = 1

// ErrEncoding is wrapped by the errors about bytes that no Counts was encoded to.
var ErrEncoding = errors.New("not an encoded sketch of this version")

// AppendBinary appends c's encoding: the version, and for each bucket that is not empty how many were skipped
// and its count, all but the version as varints. A few hundred bytes are usual.
func (c Counts) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, version)
	next := 0
	for i, n := range c.n {
		if n == 0 {
			continue
		}
		b = binary.AppendUvarint(b, uint64(i-next))
		b = binary.AppendUvarint(b, n)
		next = i + 1
	}
	return b, nil
}

// MarshalBinary is AppendBinary to nothing.
func (c Counts) MarshalBinary() ([]byte, error) { return c.AppendBinary(nil) }

// UnmarshalBinary sets c to what b encodes. c is unchanged when there is an error, which wraps [ErrEncoding].
func (c *Counts) UnmarshalBinary(b []byte) error {
	if len(b) == 0 || b[0] != version {
		return fmt.Errorf("decode sketch: %w: it begins with % x", ErrEncoding, b[:min(len(b), 1)])
	}
	r := reader{b: b[1:]}
	var d Counts
	for at := uint64(0); len(r.b) > 0 && !r.bad; at++ {
		gap, n := r.uvarint(), r.uvarint()
		if at += gap; gap >= Buckets || at >= Buckets || n == 0 || n > math.MaxUint64-d.count {
			r.bad = true
			break
		}
		d.add(int(at), n)
	}
	if r.bad {
		return fmt.Errorf("decode sketch: %w: cut short or out of range", ErrEncoding)
	}
	*c = d
	return nil
}

// MarshalText is the encoding in base64 (RFC 4648, 4), for JSON.
func (c Counts) MarshalText() ([]byte, error) {
	b, err := c.AppendBinary(nil)
	return base64.StdEncoding.AppendEncode(nil, b), err
}

// UnmarshalText is UnmarshalBinary of base64.
func (c *Counts) UnmarshalText(text []byte) error {
	b, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("decode sketch: %w: %w", ErrEncoding, err)
	}
	return c.UnmarshalBinary(b)
}

// IsZero reports whether nothing was counted.
func (c Counts) IsZero() bool { return c.count == 0 }

type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}
