package server

import "sync"

// The sizes of pooled buffers. Most heads fit the smallest, a response's head and what the target's connection reads at
// once the largest.
const (
	smallBuffer = 4 << 10
	largeBuffer = 32 << 10
	outBuffer   = 48 << 10
)

var (
	smalls = sync.Pool{New: func() any { return new([smallBuffer]byte) }}
	larges = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
	outs   = sync.Pool{New: func() any { return new([outBuffer]byte) }}
)

// takeOut is an empty buffer to write from.
func takeOut() []byte { return outs.Get().(*[outBuffer]byte)[:0] } //nolint:errcheck // nothing else is put there

// give gives a buffer back. One of another size is for the collector.
func give(b []byte) {
	switch cap(b) {
	case smallBuffer:
		smalls.Put((*[smallBuffer]byte)(b[:smallBuffer]))
	case largeBuffer:
		larges.Put((*[largeBuffer]byte)(b[:largeBuffer]))
	case outBuffer:
		outs.Put((*[outBuffer]byte)(b[:outBuffer]))
	}
}

// An input is what was read of a connection and not taken yet. It belongs to whoever reads.
type input struct {
	buf  []byte // nil while there is nothing
	r, w int    // what is in buf and not taken
	wide bool   // content comes: it is read in large pieces
}

func (in *input) bytes() []byte { return in.buf[in.r:in.w] }
func (in *input) empty() bool   { return in.r == in.w }

// skip takes n bytes. What they were stays where it is until room is made.
func (in *input) skip(n int) { in.r += n }

// room makes room behind what is there, which stays in one piece. It takes at most limit bytes to be in one piece.
func (in *input) room(limit int) {
	switch {
	case in.buf == nil:
		in.buf, in.r, in.w = in.first(), 0, 0
	case in.r == in.w:
		in.r, in.w = 0, 0
		if in.wide && len(in.buf) < largeBuffer {
			in.free()
			in.buf = in.first()
		}
	case in.w < len(in.buf):
	case in.r > 0:
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	default:
		old, wide := in.buf, in.wide
		if in.wide = true; len(old) < largeBuffer {
			in.buf = in.first()
		} else {
			in.buf = make([]byte, max(2*len(old), min(limit, 4*len(old))))
		}
		in.wide = wide
		in.w = copy(in.buf, old)
		give(old)
	}
}

func (in *input) first() []byte {
	if in.wide {
		return larges.Get().(*[largeBuffer]byte)[:] //nolint:errcheck // nothing else is put there
	}
	return smalls.Get().(*[smallBuffer]byte)[:] //nolint:errcheck // nothing else is put there
}

// rest gives the buffer back when there is nothing in it.
func (in *input) rest() {
	if in.r == in.w {
		in.free()
	}
}

func (in *input) free() {
	give(in.buf)
	in.buf, in.r, in.w = nil, 0, 0
}
