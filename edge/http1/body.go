package http1

import "math"

// A Body finds the end of a message's content, and the content in it. It holds no content: what it yields are parts of
// what it is given. Its zero value is that of a message without content.
type Body struct {
	framing Framing
	lim     *Limits
	errors  *[numDefects]*Error

	failed defect // what follows the piece that was yielded last
	state  uint8
	digits uint8
	inExt  uint8
	left   int64 // of the content, or of the chunk
	total  int64 // of the chunks that have begun
	ext    int   // bytes of extensions of this chunk
	exts   int   // bytes of extensions of all chunks
	tail   *tail // the trailer section, when there is one
}

// ResetRequest makes b that of r, which is settled. lim must live as long as the content is read.
func (b *Body) ResetRequest(r *Request, lim *Limits) {
	*b = Body{framing: r.Framing, left: r.Framing.Length, lim: lim, errors: &requestErrors}
}

// ResetResponse makes b that of r, which is settled. lim must live as long as the content is read.
func (b *Body) ResetResponse(r *Response, lim *Limits) {
	*b = Body{framing: r.Framing, left: r.Framing.Length, lim: lim, errors: &responseErrors}
}

// Next takes the next bytes of the message from buf. n bytes of it are of this message, and done with; piece is what of
// them is content. done is true when the message has ended, exactly n bytes from the beginning of buf: what follows is
// of the next message, and untouched. It is called again with what follows until done, or until it takes nothing:
// then it wants more bytes. A message without content is done at once, with nothing in buf.
//
// An error is always an *Error; nothing may be taken after it.
func (b *Body) Next(buf []byte) (piece []byte, n int, done bool, err error) {
	switch b.framing.Kind {
	case Length:
		n = int(min(int64(len(buf)), b.left))
		b.left -= int64(n)
		return buf[:n:n], n, b.left == 0, nil
	case UntilClose:
		return buf, len(buf), false, nil
	case NoBody:
		return nil, 0, true, nil
	}
	piece, n, d := b.next(buf)
	if d != fine {
		return nil, 0, false, b.errors[d]
	}
	return piece, n, b.state == inEnd, nil
}

// Left is how many bytes of content are still to come, where the head said so; negative where nobody knows.
func (b *Body) Left() int64 {
	if b.framing.Kind == Length || b.framing.Kind == NoBody {
		return b.left
	}
	return -1
}

// Skip is Next for n bytes that went where nobody looks at them. They are content: n is at most Left.
func (b *Body) Skip(n int64) { b.left -= n }

// Truncated is what it means that the connection ends now: nil if the message is complete.
func (b *Body) Truncated() error {
	switch b.framing.Kind {
	case Length:
		if b.left == 0 {
			return nil
		}
	case Chunked:
		if b.state == inEnd {
			return nil
		}
	default:
		return nil
	}
	return b.errors[truncated]
}

// The states within chunks: what comes next.
const (
	inSize uint8 = iota // the size's first digit
	inDigits
	inExt     // behind a semicolon, or white space behind the size
	inSizeLF  // LF
	inData    //
	inDataCR  // CR behind data
	inDataLF  // LF
	inTrailer // the first byte of a trailer section, or the CR that ends the message
	inTrailers
	inLastLF // LF
	inEnd
)

// maxDigits bounds a chunk's size. More digits can only be zeros before it, or too many for any number.
const maxDigits = 16

// next reads up to the second piece, or the end.
func (b *Body) next(buf []byte) (piece []byte, n int, d defect) {
	if b.failed != fine {
		return nil, 0, b.failed
	}
	for n < len(buf) && b.state != inEnd {
		c := buf[n]
		switch b.state {
		case inData:
			if piece != nil {
				return piece, n, fine
			}
			m := int(min(int64(len(buf)-n), b.left))
			piece = buf[n : n+m : n+m]
			n += m
			if b.left -= int64(m); b.left == 0 {
				b.state = inDataCR
			}
			continue
		case inTrailers:
			var m int
			if m, d = b.tail.take(buf[n:], b.lim); d != fine {
				return b.before(piece, n, d)
			}
			if n += m; b.tail.whole {
				b.state = inEnd
			}
			continue
		case inTrailer:
			if c != '\r' {
				b.tail, b.state = &tail{}, inTrailers
				continue
			}
			b.state = inLastLF
		default:
			if d = b.step(c); d != fine {
				return b.before(piece, n, d)
			}
		}
		n++
	}
	return piece, n, fine
}

// before is the outcome where a fault follows a piece: first the piece, and the fault when it is met again. So what is
// yielded before a fault does not depend on the pieces the bytes came in.
func (b *Body) before(piece []byte, n int, d defect) ([]byte, int, defect) {
	if piece != nil {
		b.failed = d
		return piece, n, fine
	}
	return nil, 0, d
}

// step takes one byte of what frames chunks.
func (b *Body) step(c byte) defect {
	switch b.state {
	case inSize, inDigits:
		return b.size(c)
	case inExt:
		return b.extension(c)
	case inDataCR:
		if c != '\r' {
			return badChunkEnd
		}
		b.state = inDataLF
	default:
		if c != '\n' {
			return badChunkEnd
		}
		b.line()
	}
	return fine
}

// line is at the end of a line.
func (b *Body) line() {
	switch {
	case b.state == inLastLF:
		b.state = inEnd
	case b.state == inDataLF:
		b.state, b.digits, b.ext = inSize, 0, 0
	case b.left == 0:
		b.state = inTrailer
	default:
		b.state = inData
	}
}

// size takes one byte of a chunk's size, or the one behind it.
func (b *Body) size(c byte) defect {
	if class[c]&isHex != 0 {
		if b.digits == maxDigits || b.left > math.MaxInt64>>4 {
			return longChunkSize
		}
		b.left = b.left<<4 | int64(unhex(c))
		b.digits++
		b.state = inDigits
		return fine
	}
	switch {
	case b.state == inSize:
		return badChunkSize
	case c == '\r':
		b.state = inSizeLF
	case c == ';' || c == ' ' || c == '\t':
		b.state, b.inExt = inExt, extSpace
		if d := b.extension(c); d != fine {
			return d
		}
	case c == '\n':
		return badChunkEnd
	default:
		return badChunkSize
	}
	if b.total > math.MaxInt64-b.left {
		return longChunkSize
	}
	b.total += b.left
	if b.errors == &requestErrors && b.lim.Body > 0 && b.total > b.lim.Body {
		return largeBody
	}
	return fine
}
