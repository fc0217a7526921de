package http1

// Limits bound what one message may ask of this process. They are read, never written, and may be shared. All are in
// bytes but Fields. A value below what a message needs refuses every message: there is no value for "without bound"
// except where it says so.
type Limits struct {
	Target int // a request's target; more is 414
	Line   int // one field line with its end; more is 431
	Head   int // the whole head with its end; more is 431
	Fields int // field lines in a head or a trailer section; more is 431

	// Body bounds a request's content, as declared or as it comes in chunks; more is 413. Zero is without bound. It
	// says nothing about responses.
	Body int64

	ChunkExt      int // the extensions of one chunk; more is 400
	ChunkExtTotal int // the extensions of all chunks of a body; more is 400
	Trailer       int // the whole trailer section with its end; more is 431
}

// Default suits requests from anywhere. A head fits the buffer of an event loop; a listener of its own may allow 64 KiB.
var Default = Limits{
	Target: 8 << 10, Line: 8 << 10, Head: 16 << 10, Fields: 100, Body: 1 << 30,
	ChunkExt: 1 << 10, ChunkExtTotal: 64 << 10, Trailer: 8 << 10,
}

// DefaultResponse suits responses of instances: their cookies and policies are longer than what clients say.
var DefaultResponse = Limits{
	Target: 8 << 10, Line: 32 << 10, Head: 64 << 10, Fields: 200,
	ChunkExt: 1 << 10, ChunkExtTotal: 64 << 10, Trailer: 16 << 10,
}
