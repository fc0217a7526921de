package loop

import "sync"

// bufferSize is that of the two buffers of a loop, the one it reads into and the one it writes from. A small message touches
// only their beginning. It is also the most that waits for a client, or for a target, that is slow.
const bufferSize = 256 << 10

// headroom lies before the buffer that is read into: the head of an answer goes there, right before the content that came with
// it, so that both are sent in one piece and the content is not copied.
const headroom = 4 << 10

// ahead puts head right before rest, if rest is the end of what was read last. Whatever stood there is gone.
func (l *loop) ahead(head, rest []byte) (joined []byte, ok bool) {
	at := headroom + l.filled - len(rest)
	if len(rest) == 0 || at < len(head) || &l.front[at] != &rest[0] {
		return nil, false
	}
	copy(l.front[at-len(head):], head)
	return l.front[at-len(head) : at+len(rest)], true
}

// What waits for somebody slow, or is kept for another attempt, stands in a buffer of its own: a small one, which its owner
// keeps, or a larger one, which goes back when it is not needed any more.
const (
	smallBuffer  = 16 << 10              // as it is asked for: append may make it somewhat larger
	mediumBuffer = 80 << 10              // content that is kept for another attempt, and its head
	largeBuffer  = bufferSize + headroom // all that was read at a time, and a head
)

var (
	medium = sync.Pool{New: func() any { return new([mediumBuffer]byte) }}
	large  = sync.Pool{New: func() any { return new([largeBuffer]byte) }}
)

// grown is p, whose bytes nobody else may have, with room for n more, in a larger buffer if that is what it takes.
func grown(p []byte, n int) []byte {
	want := len(p) + n
	var b []byte
	switch {
	case want <= cap(p) || want <= smallBuffer || want > largeBuffer:
		return p // append does what is left
	case want <= mediumBuffer:
		b = medium.Get().(*[mediumBuffer]byte)[:0] //nolint:errcheck,forcetypeassert // nothing else is put there
	default:
		b = large.Get().(*[largeBuffer]byte)[:0] //nolint:errcheck,forcetypeassert // the same
	}
	b = append(b, p...)
	recycle(p)
	return b
}

// recycle gives up p, and is what its owner keeps of it.
func recycle(p []byte) []byte {
	switch {
	case cap(p) <= 2*smallBuffer:
		return p[:0]
	case cap(p) == mediumBuffer:
		medium.Put((*[mediumBuffer]byte)(p[:mediumBuffer]))
	case cap(p) == largeBuffer:
		large.Put((*[largeBuffer]byte)(p[:largeBuffer]))
	}
	return nil
}
