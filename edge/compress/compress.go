// Package compress compresses responses on their way out, piece by piece, for clients that take it.
//
// A response is left as it is when compressing it would be wrong or of no use: it is encoded already, a part of something
// (a range), an event stream, without content, small, of a type that nobody said is worth it, or forbids to be transformed
// (Cache-Control: no-transform). What is compressed says so: Content-Encoding; no Content-Length and no Accept-Ranges, which
// were of other bytes; a weak entity tag, for what has it now is equivalent and not identical (RFC 9110, 8.8.1). Whatever could have
// been compressed for another client says Vary.
//
// Nothing is held back: each Flush brings all that was written to the client.
package compress

import (
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The codings.
const (
	Zstd = "zstd"
	Gzip = "gzip"
)

// A Policy says what is compressed, and how.
type Policy struct {
	Codings []string // in the order of preference among what a client takes equally
	Types   []string // media types; none: text, JSON, XML, SVG, JavaScript and WebAssembly
	Minimum int64    // of a response's length, in bytes, where that is known
}

// A Writer is a response that is compressed if its header, the request and the policy allow it. It belongs to the
// request's goroutine. Close or Abandon ends it.
type Writer struct {
	http.ResponseWriter
	policy  Policy
	r       *http.Request
	decided bool
	coding  string
	encoder encoder // nil: passed through
	sent    int64
}

// New is the writer of the response to r.
func New(w http.ResponseWriter, r *http.Request, p Policy) *Writer {
	return &Writer{ResponseWriter: w, policy: p, r: r}
}

// WriteHeader implements http.ResponseWriter.
func (w *Writer) WriteHeader(status int) {
	if status >= 200 && !w.decided {
		w.decided = true
		w.decide(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *Writer) decide(status int) {
	h := w.Header()
	if status == http.StatusNotModified {
		w.weakenKnown(h)
		return
	}
	if !w.eligible(status, h) {
		return
	}
	addVary(h)
	if w.coding = Choose(w.r.Header["Accept-Encoding"], w.policy.Codings); w.coding == "" {
		return
	}
	h.Set("Content-Encoding", w.coding)
	h.Del("Content-Length")
	h.Del("Accept-Ranges")
	h.Del("Content-Md5")
	if tag := h.Get("Etag"); strings.HasPrefix(tag, `"`) {
		h.Set("Etag", "W/"+tag)
	}
	if w.r.Method != http.MethodHead {
		w.encoder = take(w.coding, counted{w})
	}
}

// weakenKnown makes the tag of a 304 the one that the client has, if that was made weak here.
func (w *Writer) weakenKnown(h http.Header) {
	tag := h.Get("Etag")
	if !strings.HasPrefix(tag, `"`) {
		return
	}
	for _, line := range w.r.Header["If-None-Match"] {
		if strings.Contains(line, "W/"+tag) {
			h.Set("Etag", "W/"+tag)
			return
		}
	}
}

// eligible reports whether the response may be compressed for somebody.
func (w *Writer) eligible(status int, h http.Header) bool {
	switch status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusPartialContent:
		return false
	}
	if h.Get("Content-Encoding") != "" || h.Get("Content-Range") != "" || h.Get("Upgrade") != "" {
		return false
	}
	for _, line := range h["Cache-Control"] {
		if strings.Contains(strings.ToLower(line), "no-transform") {
			return false
		}
	}
	if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n < max(w.policy.Minimum, 1) {
		return false
	}
	return w.policy.worth(h.Get("Content-Type"))
}

// worth reports whether responses of a type are compressed.
func (p *Policy) worth(contentType string) bool {
	t, _, err := mime.ParseMediaType(contentType)
	switch {
	case err != nil, t == "text/event-stream": // what it sends is read at once, by itself
		return false
	case len(p.Types) > 0:
		return slices.Contains(p.Types, t)
	case strings.HasPrefix(t, "text/"), strings.HasSuffix(t, "+json"), strings.HasSuffix(t, "+xml"):
		return true
	}
	switch t {
	case "application/json", "application/javascript", "application/xml", "application/wasm", "application/x-ndjson", "application/manifest+json":
		return true
	}
	return false
}

// addVary says that the response depends on Accept-Encoding.
func addVary(h http.Header) {
	for _, line := range h["Vary"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.TrimSpace(name); name == "*" || strings.EqualFold(name, "Accept-Encoding") {
				return
			}
		}
	}
	h.Add("Vary", "Accept-Encoding")
}

// Write implements http.ResponseWriter.
func (w *Writer) Write(p []byte) (int, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.encoder == nil {
		return counted{w}.Write(p)
	}
	return w.encoder.Write(p)
}

// Sent is how many bytes of content the client was given, as they are in its coding. After Close or Abandon it is all of them.
func (w *Writer) Sent() int64 { return w.sent }

// counted is what stands below the encoder.
type counted struct{ *Writer }

// Write counts what is written.
func (c counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent += int64(n)
	return n, err
}

// FlushError is for http.ResponseController: all that was written goes to the client.
func (w *Writer) FlushError() error {
	if w.encoder != nil {
		if err := w.encoder.Flush(); err != nil {
			return err
		}
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap is for http.ResponseController.
func (w *Writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Close ends a response that is whole.
func (w *Writer) Close() error {
	if w.encoder == nil {
		return nil
	}
	err := w.encoder.Close()
	w.Abandon()
	return err
}

// Abandon gives up a response that is not whole: what the client has got of it does not end as a whole one does.
func (w *Writer) Abandon() {
	if w.encoder != nil {
		give(w.coding, w.encoder)
		w.encoder = nil
	}
}

// An encoder makes a stream of a coding.
type encoder interface {
	io.WriteCloser
	Flush() error
	Reset(w io.Writer)
}

// windowSize bounds how far back a zstd stream refers: memory of both sides, for each response under way.
const windowSize = 256 << 10

// encoders are kept from response to response, by coding.
var encoders = map[string]*sync.Pool{
	Gzip: {New: func() any {
		e, err := gzip.NewWriterLevel(nil, gzip.DefaultCompression)
		if err != nil {
			panic(err) // the level is one
		}
		return e
	}},
	Zstd: {New: func() any {
		e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(windowSize), zstd.WithLowerEncoderMem(true))
		if err != nil {
			panic(err) // the options are ours
		}
		return e
	}},
}

func take(coding string, to io.Writer) encoder {
	e := encoders[coding].Get().(encoder) //nolint:errcheck,forcetypeassert // nothing else is put there
	e.Reset(to)
	return e
}

func give(coding string, e encoder) {
	e.Reset(nil)
	encoders[coding].Put(e)
}
