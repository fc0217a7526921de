package http1

import "math"

// A FramingKind is how the end of a message's content is found.
type FramingKind uint8

// The kinds of framing.
const (
	NoBody     FramingKind = iota // there is none: the message ends with its head
	Length                        // a number of bytes
	Chunked                       // chunks, the last of them empty, and trailers
	UntilClose                    // responses only: all until the connection ends
)

// A Framing is decided once, by the parser, and everything else follows it.
type Framing struct {
	Kind   FramingKind
	Length int64 // of Length
}

// declared is what Content-Length and Transfer-Encoding say together: Length, Chunked, or NoBody for nothing.
func (h *head) declared() (f Framing, d defect) {
	const both = 1<<ContentLength | 1<<TransferEncoding
	switch {
	case h.has&both == 0:
		return f, fine
	case h.has&both == both:
		return f, lengthAndCoding
	case h.twice.has(ContentLength):
		return f, manyLengths
	case h.twice.has(TransferEncoding):
		return f, manyCodings
	case h.has.has(TransferEncoding):
		return Framing{Kind: Chunked}, coding(h.Get(TransferEncoding))
	}
	f.Kind = Length
	f.Length, d = decimal(h.Get(ContentLength))
	return f, d
}

// decimal reads 1*DIGIT. What no int64 holds is a body too large, not a number misread.
func decimal(b []byte) (n int64, d defect) {
	if len(b) == 0 {
		return 0, badLength
	}
	for _, c := range b {
		if c < '0' || c > '9' {
			return 0, badLength
		}
		digit := int64(c - '0')
		if n > (math.MaxInt64-digit)/10 {
			n, d = math.MaxInt64/10, largeBody // and look at the rest
			continue
		}
		n = n*10 + digit
	}
	return n, d
}

// coding is what is wrong with a Transfer-Encoding.
func coding(v []byte) defect {
	if foldEqual(v, "chunked") {
		return fine
	}
	chunked := false
	for rest := v; rest != nil; {
		var e []byte
		e, rest = element(rest)
		switch {
		case !token(e):
			return badCoding
		case chunked: // something follows it, be it itself
			return badCoding
		}
		chunked = foldEqual(e, "chunked")
	}
	return unknownCoding
}
