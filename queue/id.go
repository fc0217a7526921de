package queue

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"

	"semper"
)

// ID names a job: a ULID, 48 bits of milliseconds and 80 random ones, of which an engine may give the first 16 to jobs together. Its order says roughly when a job was accepted
// and is not used to order anything.
type ID [16]byte

// crockford is the alphabet of ULIDs: base 32 without I, L, O and U.
const crockford = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

const idText = 26 // characters, of which the first carries three bits

// NewID is a new ID with the time of now.
func NewID(now time.Time) ID {
	id := IDAt(now)
	_, _ = rand.Read(id[6:]) // never fails
	return id
}

// IDAt is the least ID of a time: whatever was named before it is less.
func IDAt(t time.Time) (id ID) {
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(max(t.UnixMilli(), 0)))
	copy(id[:6], ms[2:])
	return id
}

// Time is when the ID was made, by the clock of whoever made it.
func (id ID) Time() time.Time {
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:])))
}

// String is the ID's 26 characters, which sort as the ID does.
func (id ID) String() string {
	var b [idText]byte
	hi, lo := binary.BigEndian.Uint64(id[:8]), binary.BigEndian.Uint64(id[8:])
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = crockford[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(b[:])
}

// ParseID reads what String writes, in either case. Anything else is no job's name: [ErrNotFound].
func ParseID(text string) (id ID, err error) {
	if len(text) != idText {
		return ID{}, badID(text)
	}
	var hi, lo uint64
	for i := range len(text) {
		v := digit(text[i])
		if v < 0 || i == 0 && v > 7 {
			return ID{}, badID(text)
		}
		hi = hi<<5 | lo>>59
		lo = lo<<5 | uint64(v)
	}
	binary.BigEndian.PutUint64(id[:8], hi)
	binary.BigEndian.PutUint64(id[8:], lo)
	return id, nil
}

func digit(c byte) int {
	if 'a' <= c && c <= 'z' {
		c -= 'a' - 'A'
	}
	for i := range len(crockford) {
		if crockford[i] == c {
			return i
		}
	}
	return -1
}

func badID(text string) error {
	if len(text) > 64 {
		text = text[:64] + "…"
	}
	return &semper.Error{Code: semper.NotFound, Op: "queue", Message: fmt.Sprintf("%q is not the id of a job", text),
		Hint: "an id has 26 characters, as in 01JD3Z8WQ0C4V6T9KX2M5N7P8R", Err: ErrNotFound}
}

// MarshalText is String.
func (id ID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is ParseID.
func (id *ID) UnmarshalText(text []byte) (err error) {
	*id, err = ParseID(string(text))
	return err
}
