package http1

import (
	"iter"
	"strconv"
)

// Where in a chunk's extensions a byte stands (RFC 9112, 7.1.1).
const (
	extNone    uint8 = iota // the byte cannot stand there
	extSpace                // white space behind the size, or a value
	extSemi                 // behind a semicolon
	extName                 // in a name
	extNameEnd              // white space behind a name
	extEqual                // behind an equals sign
	extValue                // in a token
	extQuoted               // in a quoted string
	extEscaped              // behind its backslash
	extClosed               // behind its end
	extEnd                  // CR
	numExt
)

// What a byte is to an extension.
const (
	extIsSpace = iota
	extIsSemi
	extIsEqual
	extIsQuote
	extIsBackslash
	extIsCR
	extIsToken
	extIsOther // what only a quoted string can have
	numExtIs
)

// extTable leads from where a byte stands, by what the next one is, to where that stands.
var extTable = [numExt][numExtIs]uint8{
	extSpace:   {extIsSpace: extSpace, extIsSemi: extSemi},
	extSemi:    {extIsSpace: extSemi, extIsToken: extName},
	extName:    {extIsSpace: extNameEnd, extIsSemi: extSemi, extIsEqual: extEqual, extIsCR: extEnd, extIsToken: extName},
	extNameEnd: {extIsSpace: extNameEnd, extIsSemi: extSemi, extIsEqual: extEqual},
	extEqual:   {extIsSpace: extEqual, extIsQuote: extQuoted, extIsToken: extValue},
	extValue:   {extIsSpace: extSpace, extIsSemi: extSemi, extIsCR: extEnd, extIsToken: extValue},
	extQuoted: {extIsSpace: extQuoted, extIsSemi: extQuoted, extIsEqual: extQuoted, extIsQuote: extClosed, extIsBackslash: extEscaped,
		extIsToken: extQuoted, extIsOther: extQuoted},
	extEscaped: {extIsSpace: extQuoted, extIsSemi: extQuoted, extIsEqual: extQuoted, extIsQuote: extQuoted, extIsBackslash: extQuoted,
		extIsToken: extQuoted, extIsOther: extQuoted},
	extClosed: {extIsSpace: extSpace, extIsSemi: extSemi, extIsCR: extEnd},
}

// extension takes one byte of a chunk's extensions, the first of them behind the size. They are bounded, checked and
// dropped.
func (b *Body) extension(c byte) defect {
	b.ext++
	b.exts++
	if b.ext > b.lim.ChunkExt || b.exts > b.lim.ChunkExtTotal {
		return longChunkExt
	}
	is := extIsOther
	switch {
	case c == ' ' || c == '\t':
		is = extIsSpace
	case c == ';':
		is = extIsSemi
	case c == '=':
		is = extIsEqual
	case c == '"':
		is = extIsQuote
	case c == '\\':
		is = extIsBackslash
	case c == '\r':
		is = extIsCR
	case class[c]&isToken != 0:
		is = extIsToken
	case class[c]&isValue == 0:
		return badChunkExt
	}
	switch b.inExt = extTable[b.inExt][is]; b.inExt {
	case extNone:
		return badChunkExt
	case extEnd:
		b.state = inSizeLF
	}
	return fine
}

// A tail is a trailer section that is being collected: it is small, and wanted whole.
type tail struct {
	head  head
	raw   []byte
	whole bool
}

// take takes what of buf is of the section.
func (t *tail) take(buf []byte, lim *Limits) (n int, d defect) {
	before := len(t.raw)
	t.raw = append(t.raw, buf[:min(len(buf), max(lim.Trailer-before, 1))]...)
	as := *lim
	as.Head = lim.Trailer
	end, d := t.head.scan(t.raw, &as)
	if d != fine {
		return 0, d
	}
	if end == 0 {
		return len(t.raw) - before, fine
	}
	t.whole = true
	t.head.bytes = t.raw[:end]
	return end - before, fine
}

// Trailers are the trailer fields that may go further, once the message is done: names as they came, and values.
// Fields that frame, route, authorise or describe a message are left out (RFC 9110, 6.5.1).
func (b *Body) Trailers() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		if b.tail == nil || !b.tail.whole {
			return
		}
		h := &b.tail.head
		for i := range h.fields {
			f := &h.fields[i]
			if !notTrailers.has(f.kind) && !f.drop && !yield(h.bytes[f.start:f.name], h.value(f)) {
				return
			}
		}
	}
}

// AppendChunk appends data as one chunk; nothing when there is none, for that would be the last chunk.
func AppendChunk(dst, data []byte) []byte {
	if len(data) == 0 {
		return dst
	}
	dst = AppendChunkSize(dst, len(data))
	dst = append(dst, data...)
	return append(dst, "\r\n"...)
}

// AppendChunkSize appends the line before n bytes of data, n above 0. Behind the data CR LF must follow.
func AppendChunkSize(dst []byte, n int) []byte {
	dst = strconv.AppendUint(dst, uint64(n), 16)
	return append(dst, "\r\n"...)
}

// AppendContent appends the content of what AppendChunk, and AppendLastChunk at its end, have made.
func AppendContent(dst, chunks []byte) []byte {
	b := Body{framing: Framing{Kind: Chunked}, lim: &Default, errors: &responseErrors} // of a response: their content has no bound
	for {
		piece, n, done, err := b.Next(chunks)
		dst = append(dst, piece...)
		if chunks = chunks[n:]; done || n == 0 || err != nil {
			return dst
		}
	}
}

// AppendLastChunk appends the last chunk and the trailer fields of b that may go further. b may be nil.
func AppendLastChunk(dst []byte, b *Body) []byte {
	dst = append(dst, "0\r\n"...)
	if b != nil && b.tail != nil && b.tail.whole {
		dst = b.tail.head.appendKept(dst, notTrailers, nil)
	}
	return append(dst, "\r\n"...)
}
