package capture

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"semper/verify/diff"
)

// A Request is what a client sent.
type Request struct {
	Method string
	// URL has the path and the query, and the scheme where it was recorded. Its host is empty.
	URL       *url.URL
	Authority string      // host and port as the client named them; empty: it was not recorded
	Header    http.Header // without Host
	Body      []byte
}

// An Exchange is a request and what it got.
type Exchange struct {
	Place string    // where it stands, in words: "shop.har:120: entry 7"
	At    time.Time // when the request was sent; zero: it was not recorded
	// Left says why the exchange cannot be sent again; empty: it can be. Then there is nothing else but Place.
	Left     Reason
	Request  Request
	Response *diff.Response // decoded; nil: there is none
}

// A Reason is why an exchange is left out.
type Reason string

// The reasons that a file has. Who sends exchanges may have others.
const (
	TooLarge  Reason = "too large"         // more than 16 MiB
	NotWhole  Reason = "not recorded"      // the request's content is not in the file, or not all of it
	NotHTTP   Reason = "not HTTP"          // a WebSocket, a tunnel, a data: URL, or nothing that could be read
	NoRequest Reason = "without a request" // a response whose request is not in the file
)

// Options say what is wanted of a file.
type Options struct {
	// Responses are wanted. Without them requests of a .gor file need not wait for theirs.
	Responses bool
	most      int // bytes of one exchange that are kept; 0 is maxExchange
}

// maxExchange bounds what is kept of one exchange, in bytes of the file.
const maxExchange = 16 << 20

// A Reader reads exchanges in the order of their requests. It is not safe for concurrent use.
type Reader struct{ next func() (Exchange, error) }

// Next is the next exchange; io.EOF: there is none.
func (r *Reader) Next() (Exchange, error) { return r.next() }

// NewReader reads what r holds; name is what it is called in errors.
func NewReader(name string, r io.Reader, o Options) (*Reader, error) {
	in, err := unpacked(name, bufio.NewReaderSize(r, 64<<10))
	if err != nil {
		return nil, err
	}
	s := &source{name: name, in: in, line: 1, most: cmp.Or(o.most, maxExchange)}
	if b, _ := in.Peek(3); bytes.Equal(b, []byte("\xef\xbb\xbf")) { // a byte order mark
		in.Discard(3) //nolint:errcheck // it was peeked
	}
	first, err := s.space()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%s is empty: there is nothing to replay", name)
	case err != nil:
		return nil, s.errorf(s.line, "%w", err)
	case first == '{' && isHAR(name, in):
		h := &har{source: s}
		return &Reader{h.next}, nil
	case first == '{':
		l := &jsonLines{source: s}
		return &Reader{l.next}, nil
	case first >= '1' && first <= '3':
		g := &gor{source: s, responses: o.Responses, waiting: map[string]*message{}}
		return &Reader{g.next}, nil
	}
	return nil, s.errorf(s.line, "it begins with %q: a HAR file or lines of JSON begin with {, a .gor file with 1", first)
}

// unpacked is in, or what is compressed in it.
func unpacked(name string, in *bufio.Reader) (*bufio.Reader, error) {
	if b, _ := in.Peek(2); !bytes.Equal(b, []byte("\x1f\x8b")) {
		return in, nil
	}
	z, err := gzip.NewReader(in)
	if err != nil {
		return nil, fmt.Errorf("%s begins as if it were compressed: %w", name, err)
	}
	return bufio.NewReaderSize(z, 64<<10), nil
}

// isHAR reports whether a document that begins with { is one whole HAR, and not the first of many lines. Those begin with a key that
// they may have; before log a HAR may have any.
func isHAR(name string, in *bufio.Reader) bool {
	if strings.HasSuffix(strings.TrimSuffix(name, ".gz"), ".har") {
		return true
	}
	b, _ := in.Peek(4 << 10)
	key, rest, _ := strings.Cut(string(bytes.TrimLeft(b[1:], " \t\r\n")), ":")
	return rest == "" || !slices.Contains(lineKeys, strings.Trim(key, "\" \t\r\n"))
}

// A source is a file that is read, with the line one is in.
type source struct {
	name string
	in   *bufio.Reader
	line int
	most int // bytes of one exchange that are kept
}

func (s *source) errorf(line int, format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", s.name, line, fmt.Errorf(format, args...))
}

// byte is the next one.
func (s *source) byte() (byte, error) {
	b, err := s.in.ReadByte()
	if b == '\n' && err == nil {
		s.line++
	}
	return b, err
}

// space skips what is blank, and shows the byte behind it.
func (s *source) space() (byte, error) {
	for {
		b, err := s.in.Peek(1)
		if err != nil {
			return 0, err
		}
		if !blank(b[0]) {
			return b[0], nil
		}
		s.byte() //nolint:errcheck // it was peeked
	}
}

func blank(b byte) bool { return b == ' ' || b == '\t' || b == '\r' || b == '\n' }

// appendLine adds the rest of the line to b, its end included. Behind most bytes nothing more is added, and whole is false.
func (s *source) appendLine(b []byte, most int) (line []byte, whole bool, err error) {
	whole = true
	for {
		part, err := s.in.ReadSlice('\n')
		if whole = whole && len(b)+len(part) <= most; whole {
			b = append(b, part...)
		}
		switch {
		case err == nil:
			s.line++
			return b, whole, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return b, whole, err
		}
	}
}

// A field is one of a header, or a cookie, as HAR has them.
type field struct{ Name, Value string }

// header makes fields fit to be sent. Those of HTTP/2 that begin with a colon are no fields; Host stands by itself.
func header(fields []field) (h http.Header, authority string, err error) {
	h = make(http.Header, len(fields))
	for _, f := range fields {
		switch {
		case strings.EqualFold(f.Name, "host"), f.Name == ":authority":
			authority = f.Value
		case strings.HasPrefix(f.Name, ":"):
		case !token(f.Name):
			return nil, "", fmt.Errorf("a header field is named %q, which is no token of RFC 9110", f.Name)
		case strings.ContainsAny(f.Value, "\r\n\x00"):
			return nil, "", fmt.Errorf("the value of %s has a line break in it", f.Name)
		default:
			h.Add(f.Name, f.Value)
		}
	}
	return h, authority, nil
}

// token is that of RFC 9110, 5.6.2.
func token(s string) bool {
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0) {
			return false
		}
	}
	return s != ""
}

// request checks what was recorded of one. left is not empty when it is whole, but none that could be sent.
func request(method, target, authority string, h http.Header, body []byte) (r Request, left Reason, err error) {
	if !token(method) {
		return r, "", fmt.Errorf("method %q is none", method)
	}
	if method == http.MethodConnect || h.Get("Upgrade") != "" {
		return r, NotHTTP, nil
	}
	u, err := url.Parse(target)
	switch {
	case err != nil:
		return r, "", fmt.Errorf("its URL cannot be read: %w", errors.Unwrap(err)) // which names it, secrets and all
	case u.Scheme != "" && u.Scheme != "http" && u.Scheme != "https":
		return r, NotHTTP, nil
	case u.Scheme == "" && !strings.HasPrefix(target, "/") && target != "*":
		return r, "", errors.New("its URL has neither a scheme nor a path that begins with /")
	}
	if authority == "" {
		authority = u.Host
	}
	u.Host, u.User, u.Fragment, u.RawFragment = "", nil, "", ""
	return Request{Method: method, URL: u, Authority: authority, Header: h, Body: body}, "", nil
}

// response is one that was recorded, unpacked. It is nil when its coding is one that is not known here.
func response(status int, h http.Header, body []byte) *diff.Response {
	if coding := h.Get("Content-Encoding"); coding != "" {
		plain, err := Decode(coding, bytes.NewReader(body))
		if err == nil {
			b, err := io.ReadAll(io.LimitReader(plain, maxExchange))
			if err != nil || len(b) == maxExchange {
				return nil
			}
			body = b
		} else if !errors.Is(err, ErrPlain) {
			return nil
		}
		h.Del("Content-Encoding")
		h.Del("Content-Length")
	}
	r := diff.NewResponse(status, h, body)
	return &r
}
