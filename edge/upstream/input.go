package upstream

import (
	"errors"
	"io"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/http1"
)

// bufferSize is that of a read: the head and the content of most responses fit together.
const bufferSize = 32 << 10

// buffers are held while data is in them, not while it is waited for: thousands of streams with nothing to say cost
// no memory here.
var buffers = sync.Pool{New: func() any { return new([bufferSize]byte) }}

// A stage is how far a response has come.
type stage uint8

const (
	atHead  stage = iota
	inBody        // its content is being read
	atEnd         // all of it was read
	atFault       // nothing more can be read
)

// An input is what has been received of a response, and how far it has been taken. It is the reader's alone.
type input struct {
	pooled *[bufferSize]byte // below buf; nil when that is of another size
	buf    []byte            // nil while there is nothing
	r, w   int               // what is in buf and not yet taken
	any    bool              // something has come in this use
	stage  stage
	keep   bool // the response leaves the connection open
	body   http1.Body
	wait   time.Duration // for more content
	armed  time.Time     // the read deadline

	n   int // of the last receive
	err error
}

func (in *input) begin() {
	in.any, in.stage, in.keep, in.r, in.w = false, atHead, false, 0, 0
}

// take makes room for a read.
func (in *input) take() {
	if in.buf == nil {
		in.pooled = buffers.Get().(*[bufferSize]byte) //nolint:errcheck // nothing else is put there
		in.buf = in.pooled[:]
	}
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
}

// free gives the buffer back, with whatever is in it.
func (in *input) free() {
	if in.pooled != nil {
		buffers.Put(in.pooled)
	}
	in.pooled, in.buf, in.r, in.w = nil, nil, 0, 0
}

// room makes room behind what has come of a head, which must stand in one piece.
func (in *input) room(limit int) {
	switch {
	case in.w < len(in.buf) || in.buf == nil:
	case in.r > 0:
		in.w = copy(in.buf, in.buf[in.r:in.w])
		in.r = 0
	default:
		larger := make([]byte, max(2*len(in.buf), min(limit, 4*len(in.buf))))
		n := copy(larger, in.buf[in.r:in.w])
		in.free()
		in.buf, in.w = larger, n
	}
}

// fill waits at most d for bytes and reads them. There is room.
func (c *Conn) fill(d time.Duration) error {
	in := &c.in
	arm(&in.armed, d, c.nc.SetReadDeadline)
	if c.raw != nil && c.nc == c.socket {
		if err := c.raw.Read(c.recv); err != nil {
			return err
		}
	} else {
		in.take()
		in.n, in.err = c.nc.Read(in.buf[in.w:])
	}
	in.w += in.n
	in.any = in.any || in.n > 0
	if in.n > 0 {
		return nil
	}
	return in.err
}

// receive reads what is there; where nothing is, it reports false and holds no buffer for it. It runs within fill.
func (c *Conn) receive(fd uintptr) bool {
	in := &c.in
	in.take()
	in.n, in.err = 0, nil
	for {
		n, err := unix.Read(int(fd), in.buf[in.w:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			if in.r == in.w {
				in.free()
			}
			return false
		case err != nil:
			in.err = err
		case n == 0:
			in.err = io.EOF
		default:
			in.n = n
		}
		return true
	}
}

// ReadHead reads the head of a response into r, which it resets. Informational responses come one by one: after one of
// them ReadHead is called again. Byte slices of r are good until the next call that reads. An error is an *Error, which
// wraps an *http1.Error where the response is malformed.
func (c *Conn) ReadHead(r *http1.Response, asked http1.Asked) error {
	r.Reset()
	return c.readHead(r, asked, c.patience.Head)
}

// readHead goes on where it was, after a timeout too.
func (c *Conn) readHead(r *http1.Response, asked http1.Asked, d time.Duration) error {
	in, lim := &c.in, c.pool.o.Limits
	for {
		if in.r < in.w {
			n, err := r.Parse(in.buf[in.r:in.w], lim, asked)
			if err != nil {
				in.stage = atFault
				return c.fail(Await, err)
			}
			if n > 0 {
				in.r += n
				c.settle(r)
				return nil
			}
			in.room(lim.Head)
		}
		if err := c.fill(d); err != nil {
			return c.fail(Await, err)
		}
	}
}

// settle makes c ready for what follows the head of r.
func (c *Conn) settle(r *http1.Response) {
	in := &c.in
	switch {
	case r.Informational():
	case r.Status == 101:
		c.switched = true
		if c.nc.SetDeadline(time.Time{}) != nil {
			in.stage = atFault // it is closed; the next read says so
		}
	default:
		in.body.ResetResponse(r, c.pool.o.Limits)
		in.keep, in.wait = r.KeepAlive, c.patience.Body
		if r.EventStream() {
			in.wait = c.patience.Stream
		}
		in.stage = inBody
		if in.body.Left() == 0 {
			in.stage = atEnd
		}
	}
}

// Body is the state of the content, for http1.AppendLastChunk and the trailers. It is good until Release.
func (c *Conn) Body() *http1.Body { return &c.in.body }

// Ready is the next piece of the content that has come already; it does not read. done is true with the last one. Where
// piece is empty and done false, Next waits for more: before it, whatever was gathered should be on its way. piece is
// good until the next call that reads.
func (c *Conn) Ready() (piece []byte, done bool, err error) {
	in := &c.in
	for in.stage == inBody && in.r < in.w {
		p, n, end, err := in.body.Next(in.buf[in.r:in.w])
		if err != nil {
			in.stage = atFault
			return nil, false, c.fail(Receive, err)
		}
		in.r += n
		if end {
			in.stage = atEnd
		}
		if len(p) > 0 || end || n == 0 {
			return p, end, nil
		}
	}
	return nil, in.stage == atEnd, nil
}

// Next is the next piece of the content, for which it waits. done is true with the last one, which may be empty. piece
// is good until the next call that reads. Content that was cut short is an error, never an end.
func (c *Conn) Next() (piece []byte, done bool, err error) {
	for {
		if piece, done, err = c.Ready(); done || len(piece) > 0 || err != nil {
			return piece, done, err
		}
		if err = c.more(c.fill(c.in.wait)); err != nil {
			return nil, false, err
		}
		if c.in.stage == atEnd {
			return nil, true, nil
		}
	}
}

// more is what the outcome of a read within the content means.
func (c *Conn) more(err error) error {
	in := &c.in
	switch {
	case in.stage != inBody:
		return c.fail(Receive, errAbandoned)
	case err == nil:
		return nil
	case errors.Is(err, io.EOF) && in.body.Truncated() == nil && !c.killed(): // the end marks the end
		in.stage = atEnd
		return nil
	}
	in.stage = atFault
	return c.fail(Receive, err)
}

// Read reads what follows a change of protocol, or raw bytes where whoever calls knows what they are.
func (c *Conn) Read(p []byte) (int, error) {
	in := &c.in
	if in.r < in.w {
		n := copy(p, in.buf[in.r:in.w])
		if in.r += n; in.r == in.w {
			in.free()
		}
		return n, nil
	}
	return c.nc.Read(p)
}

// readInto reads content into p itself where it is long and its framing lets it; n is 0 where it is not.
func (c *Conn) readInto(p []byte) (n int, done bool, err error) {
	in := &c.in
	left := in.body.Left()
	if in.stage != inBody || in.r < in.w || left < bufferSize || len(p) < bufferSize/2 {
		return 0, false, nil
	}
	arm(&in.armed, in.wait, c.nc.SetReadDeadline)
	n, err = c.nc.Read(p[:min(int64(len(p)), left)])
	if n == 0 {
		return 0, false, c.more(err)
	}
	if _, _, done, err = in.body.Next(p[:n]); done {
		in.stage = atEnd
	}
	return n, done, err
}
