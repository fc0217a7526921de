package trace

import (
	"encoding/binary"
	"math/rand/v2"
)

// An ID names a trace. The zero ID is none.
type ID [16]byte

// A SpanID names one piece of work in a trace. The zero SpanID is none.
type SpanID [8]byte

// Append appends the 32 hex digits of the id.
func (id ID) Append(b []byte) []byte { return appendHex(b, id[:]) }

// String is the id in hex.
func (id ID) String() string { return string(id.Append(nil)) }

// Append appends the 16 hex digits of the id.
func (id SpanID) Append(b []byte) []byte { return appendHex(b, id[:]) }

// String is the id in hex.
func (id SpanID) String() string { return string(id.Append(nil)) }

// Flags are the trace flags. Bits without a name here are carried on within a field that is forwarded, and nowhere else.
type Flags byte

// The flags that have a meaning.
const (
	Sampled Flags = 1 << iota // the caller may have recorded the trace
	Random                    // the low 56 bits of the trace id are random (Level 2)
)

// A Context is what traceparent says: of which trace a request is part, and of which span in it. The zero Context is none.
type Context struct {
	Trace  ID
	Parent SpanID
	Flags  Flags
}

// Size is the length of a traceparent of version 00.
const Size = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")

// New starts a trace, with random ids and the flag that says so.
func New() Context {
	c := Context{Flags: Random}
	for c.Trace == (ID{}) {
		binary.NativeEndian.PutUint64(c.Trace[:8], rand.Uint64())
		binary.NativeEndian.PutUint64(c.Trace[8:], rand.Uint64())
	}
	for c.Parent == (SpanID{}) {
		binary.NativeEndian.PutUint64(c.Parent[:], rand.Uint64())
	}
	return c
}

// A Starter starts traces at the cost of one random number each, with its traceparent written at once. The first half of
// the ids is that of the Starter, which is random; so are the other half, which sampling goes by, and with it the flag
// Random. It is safe for concurrent use.
type Starter struct {
	sampler Sampler
	half    [8]byte
	text    [Size]byte
}

// NewStarter makes a Starter whose traces are sampled if s says so.
func NewStarter(s Sampler) *Starter {
	t := &Starter{sampler: s}
	c := New()
	copy(t.half[:], c.Trace[:])
	c.Append(t.text[:0])
	return t
}

// Start starts a trace: c becomes its context, and text the traceparent. The id of the span that there is not is the second
// half of the trace's: ids of spans have to differ within their trace only.
func (t *Starter) Start(c *Context, text *[Size]byte) {
	id := rand.Uint64()
	for id == 0 {
		id = rand.Uint64()
	}
	flags := Random
	if t.sampler.picks(id) {
		flags |= Sampled
	}
	copy(c.Trace[:], t.half[:])
	binary.BigEndian.PutUint64(c.Trace[8:], id)
	binary.BigEndian.PutUint64(c.Parent[:], id)
	c.Flags = flags
	*text = t.text
	high, low := digits(uint32(id>>32)), digits(uint32(id))
	binary.BigEndian.PutUint64(text[19:], high)
	binary.BigEndian.PutUint64(text[27:], low)
	binary.BigEndian.PutUint64(text[36:], high)
	binary.BigEndian.PutUint64(text[44:], low)
	text[Size-1] = '0' + byte(flags)
}

// Append appends c as a traceparent of version 00.
func (c Context) Append(b []byte) []byte {
	b = append(b, "00-"...)
	b = c.Trace.Append(b)
	b = append(b, '-')
	b = c.Parent.Append(b)
	b = append(b, '-')
	return append(b, '0', '0'+byte(c.Flags&(Sampled|Random)))
}

// Parse reads the value of one traceparent field; whitespace around it is no part of it. Of a version after 00 it reads
// what version 00 has, as the specification demands of those who do not know it. ok is false for everything that the
// specification calls invalid, capitals and ids of zeros among it.
func Parse(v []byte) (c Context, ok bool) {
	v = trim(v)
	if len(v) < Size || v[2] != '-' || v[35] != '-' || v[52] != '-' {
		return Context{}, false
	}
	// The version and the flags are the ends of one word.
	ends, bad := number(uint64(v[0])<<56 | uint64(v[1])<<48 | zeros | uint64(v[53])<<8 | uint64(v[54]))
	bad |= unhex((*[8]byte)(c.Trace[:8]), v[3:]) | unhex((*[8]byte)(c.Trace[8:]), v[19:]) | unhex((*[8]byte)(&c.Parent), v[36:])
	version, flags := byte(ends>>24), byte(ends)
	switch {
	case bad != 0, version == 0xff:
		return Context{}, false
	case len(v) > Size && (version == 0 || v[Size] != '-'):
		return Context{}, false
	case c.Trace == ID{}, c.Parent == SpanID{}:
		return Context{}, false
	}
	c.Flags = Flags(flags)
	return c, true
}

// trim takes optional whitespace (RFC 9110, 5.6.3) off both ends.
func trim(v []byte) []byte {
	for len(v) > 0 && (v[0] == ' ' || v[0] == '\t') {
		v = v[1:]
	}
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == '\t') {
		v = v[:len(v)-1]
	}
	return v
}
