package upstream

import (
	"errors"
	"io"
	"sync"
	"time"

	"semper/edge/http1"
)

// The states of an upload, in their order.
const (
	sending     uint8 = iota
	sendingLast       // all of the content has been read, and is being written
	sent
	broken
)

// An upload sends the content of a request while its response may come already. It and the exchange's reader end each
// on their own: the connection is released by whoever is last, or by the reader if the request is not whole by then.
type upload struct {
	exchange *exchange
	use      uint64
	chunked  bool
	left     int64 // of content that is not chunked

	mu    sync.Mutex // guards what follows
	state uint8
	err   error
	at    time.Time // when it ended
	heir  bool      // the reader is done, and has left the release to the upload
	gone  bool      // the reader is done, and the connection closed
}

// Before the data of a chunk there is room for its size and CR LF, behind it for CR LF and the last chunk.
const (
	chunkBefore = 10
	chunkBehind = 16
)

// begin appends to a head what can be read of the content without waiting. It runs before the upload's goroutine does.
func (u *upload) begin(head []byte) ([]byte, error) {
	b, ok := u.exchange.req.Body.(interface{ Buffered() int })
	if !ok {
		return head, nil
	}
	n := min(b.Buffered(), bufferSize-len(head)-chunkBefore-chunkBehind)
	if n <= 0 {
		return head, nil
	}
	p := make([]byte, n)
	n, last, err := u.read(p)
	if err != nil {
		return head, err
	}
	if u.chunked {
		head = http1.AppendChunk(head, p[:n])
	} else {
		head = append(head, p[:n]...)
	}
	if last {
		u.state = sent
		return u.appendEnd(head)
	}
	return head, nil
}

// run sends the rest.
func (u *upload) run() {
	defer u.exchange.pool.own.Done()
	defer closeBody(u.exchange.req)
	buf := buffers.Get().(*[bufferSize]byte) //nolint:errcheck // nothing else is put there
	defer buffers.Put(buf)
	for last := false; !last; {
		var n int
		var err error
		if n, last, err = u.read(buf[chunkBefore : bufferSize-chunkBehind]); err != nil {
			u.end(err)
			u.exchange.conn.Kill(u.use) // the request must not be taken for whole
			return
		}
		piece := buf[chunkBefore : chunkBefore+n]
		if u.chunked {
			piece = frameChunk(buf, n)
		}
		if last {
			if piece, err = u.appendEnd(piece); err != nil {
				u.end(err)
				u.exchange.conn.Kill(u.use)
				return
			}
		}
		if !u.goesOn(last) {
			return
		}
		if _, err = u.exchange.conn.Write(piece); err != nil {
			u.end(err)
			if !ended(err) { // else a response may have come before that
				u.exchange.conn.Kill(u.use)
			}
			return
		}
	}
	u.end(nil)
}

// read reads content; last says that it was the last of it.
func (u *upload) read(p []byte) (n int, last bool, err error) {
	if !u.chunked {
		p = p[:min(int64(len(p)), u.left)]
	}
	n, err = u.exchange.req.Body.Read(p)
	over := errors.Is(err, io.EOF)
	u.left -= int64(n)
	switch {
	case !u.chunked && u.left == 0: // the end is known: nobody has to wait for it to be said
		return n, true, nil
	case over && !u.chunked:
		return n, false, errShortBody
	case over:
		return n, true, nil
	}
	return n, false, err
}

// appendEnd appends what ends the content.
func (u *upload) appendEnd(dst []byte) ([]byte, error) {
	if !u.chunked {
		return dst, nil
	}
	return appendEnd(dst, u.exchange.req.Trailer)
}

// frameChunk makes a chunk around the n bytes of data in buf: one write for all of it.
func frameChunk(buf *[bufferSize]byte, n int) []byte {
	if n == 0 {
		return buf[chunkBefore:chunkBefore]
	}
	var line [chunkBefore]byte
	size := http1.AppendChunkSize(line[:0], n)
	from := chunkBefore - len(size)
	copy(buf[from:], size)
	return append(buf[from:chunkBefore+n], "\r\n"...)
}

// goesOn reports whether what was read is still to be sent.
func (u *upload) goesOn(last bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if last && !u.gone {
		u.state = sendingLast
	}
	return !u.gone
}

// end is the writer's end. err says that the request is not whole.
func (u *upload) end(err error) {
	u.mu.Lock()
	u.state, u.err, u.at = sent, err, time.Now()
	if err != nil {
		u.state = broken
	}
	heir := u.heir
	u.mu.Unlock()
	if heir {
		u.exchange.conn.Release(err == nil)
	}
}

// leave is the reader's end. whole says that the response is. The instance may have answered before it had all of the
// request: if all that is missing is on its way, the connection is the upload's to release; else nobody needs the rest.
func (u *upload) leave(whole bool) {
	u.mu.Lock()
	state := u.state
	u.heir = whole && state == sendingLast
	u.gone = !u.heir
	heir := u.heir
	u.mu.Unlock()
	if !heir {
		u.exchange.conn.Release(whole && state == sent)
	}
}

// ended is when the upload ended, if it has.
func (u *upload) ended() (at time.Time, over bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.at, u.state >= sent
}

// failure is why the request is not whole; nil while it may still become that.
func (u *upload) failure() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.err
}
