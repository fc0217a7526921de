package server

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"semper/edge/front"
	"semper/edge/http1"
)

const (
	// undecided is how much content is gathered before its framing is decided: what is shorter has a length.
	undecided = 2 << 10
	// gathered is how much is gathered before it is sent.
	gathered = 4 << 10
	// sniffed is how much of content its type is guessed from.
	sniffed = 512
)

var (
	errHandler = errors.New("the handler has not returned")
	errLength  = errors.New("the handler wrote less than its Content-Length, or more")
)

// A writer is the http.ResponseWriter of one request. Beside that it is what http.ResponseController asks for.
type writer struct {
	c      *conn
	req    *http.Request
	body   *content
	minor  uint8 // of the request's version
	noBody bool  // HEAD
	header http.Header
	story  front.Story // of a request that has begun elsewhere, until it is asked for

	mu       sync.Mutex // guards what follows, and what is sent
	status   int        // 0 before WriteHeader
	fields   fields
	written  int64  // content, by the handler
	pend     []byte // content while its framing is not decided
	started  bool   // it is: the head is in out, or sent
	framing  http1.Framing
	out      []byte // not sent yet
	closing  bool   // the connection takes no further request
	hijacked bool
	err      error // of the connection, for good
}

func newWriter(c *conn, req *http.Request, minor uint8, keepAlive bool) *writer {
	return &writer{
		c: c, req: req, minor: minor, noBody: req.Method == http.MethodHead, closing: !keepAlive, header: make(http.Header),
	}
}

func (w *writer) free() {
	w.mu.Lock()
	defer w.mu.Unlock()
	give(w.out)
	w.out = nil
}

// Inherit implements front.Heir.
func (w *writer) Inherit() front.Story {
	s := w.story
	w.story = nil
	return s
}

// lose ends the story of a request that the handler has not asked for.
func (w *writer) lose() {
	if s := w.Inherit(); s != nil {
		s.Lost()
	}
}

// Header implements http.ResponseWriter.
func (w *writer) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. Informational responses may come before, except to clients of HTTP/1.0. A
// status that is none is the handler's mistake, and panics.
func (w *writer) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("WriteHeader with %d, which is no status", status))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.hijacked || w.status != 0:
		w.c.server.o.Log.Debug("a second head, or one of a connection that was hijacked", "path", w.req.URL.Path, "status", status)
	case status < 200 && status != http.StatusSwitchingProtocols:
		w.earlyLocked(status)
	default:
		w.headLocked(status)
	}
}

// earlyLocked sends an informational response.
func (w *writer) earlyLocked(status int) {
	if w.minor == 0 {
		return
	}
	if status == http.StatusContinue {
		w.body.expects.Store(false)
	}
	var f fields
	f.set(w.header, w.c.server.o.Log)
	b := append(http1.AppendStatus(takeOut(), status), f.lines...)
	b = append(b, "\r\n"...)
	w.sendLocked(b)
	give(b)
}

// SetQueued says that the request waits for its turn: a client that sends no more has given up then.
func (w *writer) SetQueued(waits bool) { w.c.held.Store(waits) }

// sayContinue answers an expectation, unless the response has begun.
func (w *writer) sayContinue() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status == 0 && !w.hijacked {
		w.sendLocked([]byte(http1.Continue))
	}
}

// headLocked takes the head as it is now. What frames the content stands open until there is some.
func (w *writer) headLocked(status int) {
	w.status = status
	w.fields.set(w.header, w.c.server.o.Log)
	w.closing = w.closing || w.fields.closes
}

// allowed reports whether the response may have content.
func (w *writer) allowed() bool {
	return w.status >= 200 && w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) { return write(w, p) }

// WriteString implements io.StringWriter.
func (w *writer) WriteString(s string) (int, error) { return write(w, s) }

func write[B []byte | string](w *writer, p B) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hijacked {
		return 0, http.ErrHijacked
	}
	if w.status == 0 {
		w.headLocked(http.StatusOK)
	}
	switch {
	case len(p) == 0:
		return 0, w.err
	case !w.allowed():
		return 0, http.ErrBodyNotAllowed
	}
	if w.written += int64(len(p)); w.fields.length >= 0 && w.written > w.fields.length {
		return 0, http.ErrContentLength // and so is every further one: a part of it would be no better
	}
	if !w.started && len(w.pend)+len(p) <= undecided {
		w.pend = append(w.pend, p...)
		return len(p), nil
	}
	if !w.started {
		w.startLocked(false, []byte(p[:min(len(p), sniffed)]))
	}
	if w.putLocked([]byte(p)); w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// startLocked decides the framing. last says that all content there will be is pending, more is the beginning of what
// follows that.
func (w *writer) startLocked(last bool, more []byte) {
	w.started = true
	f := &w.fields
	if last && f.length < 0 && !f.trailers && w.allowed() && (!w.noBody || len(w.pend) > 0) {
		f.length = int64(len(w.pend))
	}
	w.closing = w.closing || !w.body.drainable()
	out := append(http1.AppendStatus(takeOut(), w.status), f.lines...)
	if w.allowed() && !f.hasType && !f.encoded && len(w.pend)+len(more) > 0 {
		out, _ = http1.AppendField(out, "Content-Type", http.DetectContentType(w.beginning(more)))
	}
	switch {
	case w.status < 200 || w.status == http.StatusNoContent:
	case f.length >= 0:
		out = http1.AppendFraming(out, http1.Framing{Kind: http1.Length, Length: f.length})
		w.framing.Kind = http1.Length
	case w.noBody || !w.allowed():
	case w.minor == 0:
		w.closing, w.framing.Kind = true, http1.UntilClose
	default:
		w.framing.Kind = http1.Chunked
		out = http1.AppendFraming(out, w.framing)
	}
	if w.closing && w.status != http.StatusSwitchingProtocols {
		out = append(out, "Connection: close\r\n"...)
	}
	if !f.hasDate {
		out, _ = http1.AppendField(out, "Date", string(w.c.server.today()))
	}
	w.out = append(out, "\r\n"...)
	if len(w.pend) > 0 {
		w.putLocked(w.pend)
		w.pend = nil
	}
}

// beginning is that of all content.
func (w *writer) beginning(more []byte) []byte {
	return append(w.pend[:len(w.pend):len(w.pend)], more...)
}

// putLocked sends content, or keeps it with what goes out next.
func (w *writer) putLocked(p []byte) {
	if w.noBody || !w.allowed() {
		return
	}
	chunked := w.framing.Kind == http1.Chunked
	switch {
	case len(w.out)+len(p)+32 <= outBuffer && chunked:
		w.out = http1.AppendChunk(w.out, p)
	case len(w.out)+len(p)+32 <= outBuffer:
		w.out = append(w.out, p...)
	default:
		if chunked {
			w.out = http1.AppendChunkSize(w.out, len(p))
		}
		w.flushLocked()
		w.sendLocked(p)
		if chunked {
			w.out = append(w.out, "\r\n"...)
		}
	}
	if len(w.out) >= gathered {
		w.flushLocked()
	}
}

func (w *writer) flushLocked() {
	if len(w.out) > 0 {
		w.sendLocked(w.out)
		w.out = w.out[:0]
	}
}

func (w *writer) sendLocked(p []byte) {
	if w.err == nil {
		w.err = w.c.write(p)
	}
}

// Flush implements http.Flusher.
func (w *writer) Flush() { w.FlushError() } //nolint:errcheck // the next Write says so

// FlushError is what http.ResponseController asks for.
func (w *writer) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hijacked {
		return http.ErrHijacked
	}
	if w.status == 0 {
		w.headLocked(http.StatusOK)
	}
	if !w.started {
		w.startLocked(false, nil)
	}
	w.flushLocked()
	return w.err
}

// end ends the response, for the handler has returned, or not returned calmly. An error says that the connection cannot
// go on.
func (w *writer) end(calm bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !calm { // what was there to be sent is sent, and the client sees that it is not all
		w.flushLocked()
		return errHandler
	}
	if w.status == 0 {
		w.headLocked(http.StatusOK)
	}
	if !w.started {
		w.startLocked(true, nil)
	}
	if w.framing.Kind == http1.Chunked {
		w.out = w.appendEnd(w.out)
	}
	w.flushLocked()
	if w.err == nil && w.framing.Kind == http1.Length && w.written != w.fields.length && !w.noBody && w.allowed() {
		return errLength
	}
	return w.err
}

// appendEnd appends the last chunk, and the trailer fields that the handler has set.
func (w *writer) appendEnd(b []byte) []byte {
	b = append(b, "0\r\n"...)
	for name, value := range w.fields.end(w.header) {
		b, _ = http1.AppendField(b, name, value)
	}
	return append(b, "\r\n"...)
}

// SetReadDeadline takes the place of the rules for content that is slow, until it is set to the zero time.
func (w *writer) SetReadDeadline(t time.Time) error {
	at := int64(0)
	if !t.IsZero() {
		at = max(int64(t.Sub(w.c.server.start)), 1)
	}
	if w.c.user.Store(at); at == 0 {
		return nil // who reads now finds that out
	}
	return w.c.nc.SetReadDeadline(t)
}

// SetWriteDeadline takes the place of the rule for clients that take nothing, until it is set to the zero time.
func (w *writer) SetWriteDeadline(t time.Time) error {
	if w.c.userW.Store(!t.IsZero()); t.IsZero() {
		t = time.Now().Add(w.c.server.o.Write)
	}
	return w.c.nc.SetWriteDeadline(t)
}

// EnableFullDuplex is what http.ResponseController asks for: here content may always be read while the response goes out.
func (w *writer) EnableFullDuplex() error { return nil }

// lengthOf is what a handler says of its content's length; less than 0 for nothing.
func lengthOf(values []string) int64 {
	if len(values) == 0 {
		return -1
	}
	n, err := strconv.ParseInt(values[0], 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}
