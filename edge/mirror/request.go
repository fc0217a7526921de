package mirror

import (
	"bufio"
	stdbytes "bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/edge/message"
	"semper/edge/replay"
	"semper/edge/route"
	"semper/edge/trace"
)

// Driven is a copy of a driver's request that is given to an instance as f says; nil where it is not copied. aside makes the copies; nil:
// goroutines do.
func (m *Mirror) Driven(r *http1.Request, f *http1.Forward, which route.Shadowed, aside front.Runner) *Copy {
	if which == route.ShadowOff || !m.picks() {
		return nil
	}
	m.tally.sampled.Add(1)
	c := &Copy{m: m}
	if why := unfit(r, which); why != none {
		c.spoil(why)
		return nil
	}
	if !m.roomy(c) {
		return nil
	}
	c.asked = string(r.Path())
	c.endpoint = endpoint(string(r.MethodName()), c.asked)
	marked := *f
	marked.Shadow = true
	c.method, c.aside = r.Method, aside
	c.head = http1.AppendRequest(make([]byte, 0, len(r.Head())+512), r, &marked)
	return c
}

// roomy reports whether a copy could be sent now, before anything is made for it.
func (m *Mirror) roomy(c *Copy) bool {
	switch {
	case m.flying.Load() >= int64(m.o.Concurrency):
		c.spoil(busy)
	case m.kept.Load() >= m.o.Bytes:
		c.spoil(bytes)
	default:
		return true
	}
	return false
}

// unfit is why a driver's request is not copied. One with content that is copied is none of a driver's.
func unfit(r *http1.Request, which route.Shadowed) reason {
	switch {
	case which != route.ShadowAll && !r.Method.Safe():
		return method
	case r.Framing.Kind == http1.Chunked || r.Framing.Kind == http1.Length && r.Framing.Length > 0:
		return content
	case r.Has(http1.Range):
		return ranged
	}
	for i := range r.Fields() {
		if _, name, _ := r.Field(i); conditional(string(name)) {
			return condition
		}
	}
	return none
}

// conditional reports whether a field makes its request conditional (RFC 9110, 13.1).
func conditional(name string) bool {
	return len(name) > 3 && strings.EqualFold(name[:3], "If-") &&
		(strings.EqualFold(name, "If-Match") || strings.EqualFold(name, "If-None-Match") || strings.EqualFold(name, "If-Modified-Since") ||
			strings.EqualFold(name, "If-Unmodified-Since") || strings.EqualFold(name, "If-Range"))
}

// A Request is one of net/http's, as an instance gets it.
type Request struct {
	*http.Request
	Host    string       // instead of Request.Host; empty: that
	Path    []byte       // as its client sent it
	Content *replay.Body // nil: it has none
	Upgrade bool         // it asks for another protocol
	Which   route.Shadowed
}

// HTTP is a copy of r; nil where it is not copied.
func (m *Mirror) HTTP(r Request) *Copy {
	if r.Which == route.ShadowOff || !m.picks() {
		return nil
	}
	m.tally.sampled.Add(1)
	c := &Copy{m: m}
	if why := unfitHTTP(&r); why != none {
		c.spoil(why)
		return nil
	}
	if !m.roomy(c) {
		return nil
	}
	c.asked = string(r.Path)
	c.endpoint = endpoint(r.Method, c.asked)
	c.content = r.Content
	u := *r.URL
	c.request = &http.Request{Method: r.Method, URL: &u, Host: cmp.Or(r.Host, r.Request.Host), Header: r.Header.Clone()}
	return c
}

func unfitHTTP(r *Request) reason {
	switch {
	case r.Upgrade || r.Method == http.MethodConnect:
		return upgrade
	case r.Which != route.ShadowAll && !message.Safe(r.Method):
		return method
	case r.Header["Range"] != nil:
		return ranged
	}
	for name := range r.Header {
		if conditional(name) {
			return condition
		}
	}
	return none
}

// outgoing is one of the copies.
func (c *Copy) outgoing() (*http.Request, error) {
	r := c.request
	if r == nil {
		var err error
		if r, err = http.ReadRequest(bufio.NewReader(stdbytes.NewReader(c.head))); err != nil {
			return nil, fmt.Errorf("a head that net/http does not read: %w", err)
		}
		r.RequestURI = ""
	}
	u := *r.URL
	u.Scheme, u.Host, u.User, u.Opaque, u.Fragment = "http", "backend", (*url.Userinfo)(nil), "", ""
	out := &http.Request{Method: r.Method, URL: &u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: cmp.Or(r.Host, "localhost"), Header: r.Header.Clone()}
	h := out.Header
	trailers := message.ListHas(h["Te"], "trailers") // gRPC wants to be told
	message.RemoveHopByHop(h)
	if trailers {
		h["Te"], h["Connection"] = []string{"trailers"}, []string{"TE"}
	}
	h[message.Shadow] = []string{"1"}
	if parent, ok := trace.Parse([]byte(h.Get("Traceparent"))); ok {
		binary.BigEndian.PutUint64(parent.Parent[:], rand.Uint64()|1)
		h["Traceparent"] = []string{string(parent.Append(nil))}
	}
	if len(c.body) > 0 {
		out.ContentLength, out.Body = int64(len(c.body)), io.NopCloser(stdbytes.NewReader(c.body))
	}
	return out.WithContext(c.ctx), nil
}

const (
	maxSegments = 8
	maxSegment  = 24
)

// endpoint is what a request is of: the method and the path, in which whatever looks like a number, an identifier or a name of a
// person is {}. So there are few of them, and none tells who asked.
func endpoint(method, path string) string {
	var b strings.Builder
	b.WriteString(method)
	b.WriteByte(' ')
	n := 0
	for s := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		if n++; n > maxSegments {
			b.WriteString("/…")
			break
		}
		b.WriteByte('/')
		if !named(s) {
			s = "{}"
		}
		b.WriteString(s)
	}
	return b.String()
}

// named reports whether a segment is a word of the app's.
func named(s string) bool {
	if len(s) > maxSegment {
		return false
	}
	digits := 0
	for i := range len(s) {
		switch c := s[i]; {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '-', c == '_', c == '.':
		default:
			return false
		}
	}
	return digits == 0 || digits <= 2 && digits < len(s) // v1, oauth2
}
