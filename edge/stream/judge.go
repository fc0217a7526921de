package stream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"semper/edge/http1"
)

// A judge reads requests of HTTP/2 as they would stand in HTTP/1.1, so that one parser decides what a request is, whichever
// way it comes: package http2 takes what no instance should see.
type judge struct {
	draft  []byte
	parsed http1.Request
}

var judges = sync.Pool{New: func() any { return new(judge) }}

var (
	badField = http1.Refusal{Status: http.StatusBadRequest, Word: "bad-field", Text: "A field has a name or value that none can have."}
	badLine  = http1.Refusal{Status: http.StatusBadRequest, Word: "bad-target", Text: "The method or path has a byte that none can have."}
	badSum   = http1.Refusal{Status: http.StatusBadRequest, Word: "bad-length", Text: "Content-Length is not what the content has."}
	unknown  = http1.Refusal{Status: http.StatusNotImplemented, Word: "protocol", Text: "Of what a stream can become, this server knows WebSockets."}
	tunnel   = http1.Refusal{Status: http.StatusMethodNotAllowed, Word: "method", Text: "This server does not open tunnels."}
)

// examine makes r's URL that of its canonical path. It is the refusal when r is no request, nil when it is one.
func (s *Streams) examine(r *http.Request) *http1.Refusal {
	j := judges.Get().(*judge) //nolint:errcheck // nothing else is put there
	defer judges.Put(j)
	if bad := j.write(r); bad != nil {
		return bad
	}
	j.parsed.Reset()
	n, err := j.parsed.Parse(j.draft, s.o.Limits)
	var e *http1.Error
	switch {
	case errors.As(err, &e):
		bad := e.Refusal()
		return &bad
	case n != len(j.draft):
		return &badLine
	case r.ContentLength == 0 && j.parsed.Framing.Length > 0: // package http2 counts only what comes in frames of their own
		return &badSum
	}
	target := string(j.parsed.CanonicalPath(nil))
	if j.parsed.HasQuery {
		target += "?" + string(j.parsed.Query())
	}
	if r.URL, err = url.ParseRequestURI(target); err != nil {
		r.URL = new(url.URL)
		return &badLine
	}
	return nil
}

// write makes the draft.
func (j *judge) write(r *http.Request) *http1.Refusal {
	method, target := r.Method, r.RequestURI
	if method == http.MethodConnect {
		switch protocolOf(r) {
		case "":
			return &tunnel
		case "websocket":
		default:
			return &unknown
		}
		method = http.MethodGet // as a WebSocket begins in HTTP/1.1 (RFC 8441, 5)
		if target = r.URL.RequestURI(); r.URL.Path == "" {
			return &badLine
		}
	}
	if strings.IndexFunc(method+target, func(c rune) bool { return c <= ' ' || c >= 0x7f }) >= 0 {
		return &badLine
	}
	j.draft = append(append(append(append(j.draft[:0], method...), ' '), target...), " HTTP/1.1\r\n"...)
	var ok bool
	if j.draft, ok = http1.AppendField(j.draft, "Host", r.Host); !ok {
		return &badField
	}
	for k, values := range r.Header {
		for _, v := range values {
			if k == ":protocol" {
				continue
			}
			if j.draft, ok = http1.AppendField(j.draft, k, v); !ok || strings.Trim(v, " \t") != v {
				return &badField
			}
		}
	}
	j.draft = append(j.draft, "\r\n"...)
	return nil
}

// refuse answers a request of HTTP/2 as one of HTTP/1.1 is answered.
func (s *Streams) refuse(w http.ResponseWriter, r *http.Request, f http1.Refusal) {
	f.Date, f.NoContent = s.o.Date(), r.Method == http.MethodHead
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(http1.AppendRefusal(nil, &f))), r)
	if err != nil {
		panic(http.ErrAbortHandler) // it is our own
	}
	defer resp.Body.Close()
	for k, v := range resp.Header {
		if k != "Connection" {
			w.Header()[k] = v
		}
	}
	w.WriteHeader(f.Status)
	io.Copy(w, resp.Body) //nolint:errcheck // a client that is gone misses nothing
}

// A body says what is wrong with content in the words of HTTP/1.1's. The last piece of content whose length was told is kept
// until the client has ended its stream: more of it makes the request malformed (RFC 9113, 8.1.1; RFC 9114, 4.1.2), and a piece
// before would have made it whole at the instance.
type body struct {
	io.ReadCloser
	r    *http.Request
	left int64 // of the length that was told; below 0 where none was
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	told := b.left > 0
	if b.left -= int64(n); told && b.left <= 0 {
		switch {
		case b.left < 0:
			err = http1.ErrBodyTruncated
		case err == nil:
			err = b.over()
		}
		if !errors.Is(err, io.EOF) {
			n = 0
		}
	}
	if err != nil && !errors.Is(err, io.EOF) && b.r.Context().Err() == nil && !isTimeout(err) {
		err = http1.ErrBodyTruncated
	}
	return n, err
}

// over is io.EOF when no content is left.
func (b *body) over() error {
	var one [1]byte
	for {
		n, err := b.ReadCloser.Read(one[:])
		if n > 0 {
			return http1.ErrBodyTruncated
		}
		if err != nil {
			return err
		}
	}
}

func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
