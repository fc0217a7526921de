package server

import (
	"errors"
	"io"
	"net/http"
	"net/textproto"
	"sync"
	"sync/atomic"
	"time"

	"semper/edge/front"
	"semper/edge/http1"
)

const (
	// drainBytes and drainFor bound what is read of content that a handler has left, so that the connection can go on.
	drainBytes = 256 << 10
	drainFor   = 5 * time.Second
)

// content is a request's content, as a handler reads it. It may be read and closed from any goroutine, in one at a time.
type content struct {
	c     *conn
	req   *http.Request // for its trailers
	w     *writer
	began int64
	// The client waits for 100 Continue. It is set when there is nobody else yet.
	expects atomic.Bool

	mu       sync.Mutex // guards what follows, and the connection's input; held during a read
	body     http1.Body
	piece    []byte // of the input, not read by the handler yet
	whole    bool   // it has ended
	err      error  // for good
	received int64
}

// goOn has the content go on where somebody else has stopped reading it. There is no reader yet.
func (b *content) goOn(h *front.Handover) {
	b.body, b.piece, b.whole, b.received = h.Body, h.Content, h.Whole, int64(len(h.Content))
	if b.expects.Store(h.Expects); b.whole {
		b.trailersLocked()
	}
}

// Read implements io.Reader. Content that is cut short is io.ErrUnexpectedEOF, what is none an *http1.Error.
func (b *content) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(p) == 0 {
		return 0, nil
	}
	if err := b.waitLocked(); err != nil {
		return 0, err
	}
	n := copy(p, b.piece)
	b.piece = b.piece[n:]
	if len(b.piece) == 0 && b.whole {
		return n, io.EOF
	}
	return n, nil
}

// Close implements io.Closer. What is left is read away when the handler has returned.
func (b *content) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = http.ErrBodyReadAfterClose
	}
	return nil
}

// Buffered is how many bytes a Read would bring without waiting.
func (b *content) Buffered() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil && len(b.piece) == 0 && !b.whole {
		b.err = b.parseLocked()
	}
	return len(b.piece)
}

// waitLocked makes b.piece something to read, or says why there is nothing.
func (b *content) waitLocked() error {
	for {
		switch {
		case b.err != nil:
			return b.err
		case len(b.piece) > 0:
			return nil
		case b.whole:
			return io.EOF
		}
		if b.err = b.parseLocked(); b.err != nil || len(b.piece) > 0 || b.whole {
			continue
		}
		if b.expects.Swap(false) {
			b.w.sayContinue()
		}
		if err := b.c.fill(b.patienceLocked()); err != nil {
			b.err = b.sense(err)
		}
	}
}

// parseLocked looks for content in what has come.
func (b *content) parseLocked() error {
	in := &b.c.in
	for !in.empty() && len(b.piece) == 0 && !b.whole {
		piece, n, done, err := b.body.Next(in.bytes())
		if err != nil {
			return err
		}
		in.skip(n)
		b.received += int64(len(piece))
		b.piece = piece
		b.expects.Store(false)
		if b.whole = done; done {
			b.trailersLocked()
		}
		if n == 0 {
			return nil
		}
	}
	return nil
}

func (b *content) trailersLocked() {
	for name, value := range b.body.Trailers() {
		key := textproto.CanonicalMIMEHeaderKey(string(name))
		b.req.Trailer[key] = append(b.req.Trailer[key], string(value))
	}
}

// patienceLocked is until when the next bytes have to come, unless the handler has set a deadline.
func (b *content) patienceLocked() int64 {
	o := &b.c.server.o
	at := b.c.server.now() + int64(o.Body)
	return min(at, b.began+int64(o.Body)+b.received*1e9/max(o.Rate, 1))
}

func (b *content) sense(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	case errors.Is(err, errStopped) && b.c.marked(markHalt):
		return http.ErrBodyReadAfterClose
	case errors.Is(err, errStopped):
		return errClientGone
	}
	return err
}

// drainable reports whether what the handler may leave can be read away, as far as that is known now.
func (b *content) drainable() bool {
	if !b.mu.TryLock() {
		return true // somebody reads
	}
	defer b.mu.Unlock()
	if b.err == nil && len(b.piece) == 0 && !b.whole {
		b.err = b.parseLocked()
	}
	return b.whole || !b.expects.Load() && b.remains() <= drainBytes && (b.err == nil || errors.Is(b.err, http.ErrBodyReadAfterClose))
}

// remains says how much of the content has not come: 0 when nothing, less when nobody knows.
func (b *content) remains() int64 {
	if b.whole {
		return 0
	}
	if left := b.body.Left(); left >= 0 {
		return left
	}
	return -1
}

// close ends every Read, for the handler has returned. After it the input is the connection's again.
func (b *content) close() {
	if !b.mu.TryLock() {
		c := b.c
		c.mu.Lock()
		c.marks.Or(markHalt)
		c.mu.Unlock()
		c.nc.SetReadDeadline(past) //nolint:errcheck // a closed connection wakes it too
		b.mu.Lock()
		c.mu.Lock()
		c.marks.And(^markHalt)
		c.mu.Unlock()
		c.armed = 0
	}
	if b.err == nil || errors.Is(b.err, io.EOF) {
		b.err = http.ErrBodyReadAfterClose
	}
	b.mu.Unlock()
}

// drain reads what the handler has left, and reports whether the next request begins where the input stands. Where the
// client still waits for 100 Continue, or the connection is to close anyway, nothing is read.
func (b *content) drain(wanted bool) bool {
	fault := b.fault()
	b.close()
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.whole || fault != nil || b.expects.Load() || !wanted || b.remains() > drainBytes {
		return b.whole
	}
	b.c.user.Store(0)
	at, most := b.c.server.now()+int64(b.c.server.drain), b.received+drainBytes
	for !b.whole && b.received <= most {
		b.piece = nil
		if b.parseLocked() != nil || !b.whole && b.c.in.empty() && b.c.fill(at) != nil {
			return false
		}
	}
	return b.whole
}

// fault is what is wrong with the content.
func (b *content) fault() error {
	if !b.mu.TryLock() {
		return nil // somebody still reads
	}
	defer b.mu.Unlock()
	if errors.Is(b.err, http.ErrBodyReadAfterClose) || errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}
