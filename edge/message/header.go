// Package message prepares net/http's requests and responses for the next hop: what package http1 does for those that
// never were net/http's. What has no meaning behind this edge, or could steer an app without right, stays here.
package message

import (
	"cmp"
	"encoding/hex"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"encoding/binary"

	"semper/edge/route"
)

// The header fields this edge adds to every response it passes on or makes.
const (
	Release   = "X-Semper-Release" // which release answered: "r42"
	ErrorWord = "X-Semper-Error"   // the edge answered itself, and why
	RequestID = "X-Request-Id"
)

// Shadow marks the copy of a request whose answer nobody gets. Who has it copied says so himself: a client's is removed.
const Shadow = "Semper-Shadow"

// The header fields by which it tells an app of experiments: design.VariantField and design.KeyField.
const (
	VariantField = "Semper-Variant"
	KeyField     = "Semper-Variant-Key"
)

// Via is this edge's name in the field of that name (RFC 9110, 7.6.3).
const Via = "semper"

// Stamp says in a response which release made it and which request it is for. Where there are no releases the edge alone says
// nothing of them, and passes on nobody else's word.
func Stamp(h http.Header, release, id string) {
	if release == "" {
		delete(h, Release)
	} else {
		h[Release] = []string{release}
	}
	h[RequestID] = []string{id}
}

// hopByHop reports whether a field is about one connection only (RFC 9110, 7.6.1). k is canonical.
func hopByHop(k string) bool {
	switch k {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// RemoveHopByHop removes them, and what Connection names. Every line of Connection counts.
func RemoveHopByHop(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			if name = strings.Trim(name, " \t"); name != "" {
				h.Del(name)
			}
		}
	}
	for k := range h {
		if hopByHop(k) {
			delete(h, k)
		}
	}
}

// forwarded reports whether a field speaks of who asked: only a trusted peer may say so.
func forwarded(k string) bool {
	return strings.HasPrefix(k, "X-Forwarded-") || k == "Forwarded" || k == "X-Real-Ip" || k == RequestID
}

// assigned reports whether a field says which variants of experiments a request has: nobody but this edge may.
func assigned(k string) bool { return k == VariantField || k == KeyField }

// alias reports whether a field with underscores would be one of those that steer for an app that
// takes an underscore for a dash.
func alias(k string) bool {
	if strings.IndexByte(k, '_') < 0 {
		return false
	}
	switch k = http.CanonicalHeaderKey(strings.ReplaceAll(k, "_", "-")); k {
	case "Host", "Content-Length", "Expect", Shadow:
		return true
	default:
		return forwarded(k) || hopByHop(k) || assigned(k)
	}
}

// A Forward is what the edge says to a backend beside what the client said.
type Forward struct {
	Peer    string // the address at the other end of the client's connection; empty for none
	Trusted bool   // it may say who asked
	Via     string // this edge's name
	Upgrade string // the protocol that is asked for; empty for none
	ID      string // the request's, unless a trusted peer has given it one; empty: one is made up
}

// Outbound makes r's header what the backend gets. It works in place: the map is this request's alone. The result is the
// request's id.
func Outbound(r *http.Request, f Forward) (id string) {
	h := r.Header
	trailers := h.Get("Te") != "" && ListHas(h["Te"], "trailers")
	RemoveHopByHop(h)
	peer, trusted := f.Peer, f.Trusted
	for k := range h {
		if !trusted && forwarded(k) || assigned(k) || alias(k) {
			delete(h, k)
		}
	}
	delete(h, Shadow)
	delete(h, "Expect") // the edge itself says 100 Continue, when the backend begins to read
	if trailers {
		h["Te"], h["Connection"] = []string{"trailers"}, []string{"TE"}
	}
	if f.Upgrade != "" {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{f.Upgrade}
	}
	if peer != "" {
		if before := h["X-Forwarded-For"]; len(before) > 0 {
			peer = strings.Join(before, ", ") + ", " + peer
		}
		h["X-Forwarded-For"] = []string{peer}
	}
	setMissing(h, "X-Forwarded-Host", r.Host)
	h["Via"] = append(h["Via"], strings.TrimPrefix(r.Proto, "HTTP/")+" "+f.Via)
	proto := "http"
	if r.TLS != nil {
		proto = "https"
	}
	setMissing(h, "X-Forwarded-Proto", proto)
	if id = h.Get(RequestID); id == "" || len(id) > 128 {
		if id = f.ID; id == "" {
			id = NewID()
		}
		h[RequestID] = []string{id}
	}
	return id
}

// Outgoing is r, without its content, as a backend is asked it: for the given host, or, without one, for that of r. It has r's
// header.
func Outgoing(r *http.Request, host string, secure bool) *http.Request {
	u := *r.URL
	u.Scheme, u.Host, u.User, u.Opaque, u.Fragment = "http", "backend", (*url.Userinfo)(nil), "", ""
	if secure {
		u.Scheme = "https"
	}
	return &http.Request{
		Method: r.Method, URL: &u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Header, Host: cmp.Or(host, r.Host, "localhost"), ContentLength: r.ContentLength,
	}
}

func setMissing(h http.Header, k, v string) {
	if len(h[k]) == 0 {
		h[k] = []string{v}
	}
}

// NewID is a request id: 128 random bits. It tells requests apart and guards nothing.
func NewID() string { return string(AppendID(nil)) }

// AppendID appends such an id.
func AppendID(dst []byte) []byte {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	return hex.AppendEncode(dst, b[:])
}

// ListHas reports whether a comma-separated field has a token, whatever its case.
func ListHas(lines []string, token string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if part, _, _ = strings.Cut(part, ";"); strings.EqualFold(strings.Trim(part, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// UpgradeOf is the protocol r asks to change to, empty when it does not, or may not. HTTP/2 over
// cleartext is never offered: behind it requests would pass by every rule of this edge. A request of HTTP/2 or HTTP/3 has
// such a field only from package stream.
func UpgradeOf(r *http.Request) string {
	up := r.Header["Upgrade"]
	if len(up) != 1 || !r.ProtoAtLeast(1, 1) || r.ContentLength != 0 || !ListHas(r.Header["Connection"], "upgrade") {
		return ""
	}
	if ListHas(up, "h2c") || strings.ContainsAny(up[0], ", ") || up[0] == "" {
		return ""
	}
	return up[0]
}

// Safe methods do not ask for a change (RFC 9110, 9.2.1).
func Safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// Idempotent methods may be sent twice (RFC 9110, 9.2.2).
func Idempotent(method string) bool {
	return Safe(method) || method == http.MethodPut || method == http.MethodDelete
}

// EventStream reports whether h is of an event stream.
func EventStream(h http.Header) bool {
	const name = "text/event-stream"
	v := h["Content-Type"]
	if len(v) == 0 || len(v[0]) < len(name) {
		return false
	}
	t, _, err := mime.ParseMediaType(v[0])
	return err == nil && t == name
}

// TrailerAllowed keeps what frames, routes or authorises a message out of its end (RFC 9110, 6.5.1).
func TrailerAllowed(k string) bool {
	switch k {
	case "Host", "Content-Length", "Content-Type", "Content-Encoding", "Content-Range", "Authorization", "Cookie", "Set-Cookie",
		"Expect", "Max-Forwards", "Range", "Cache-Control", "Age", "Date", "Location", "Retry-After", "Vary", "Www-Authenticate", "Proxy-Authenticate":
		return false
	}
	return !hopByHop(k) && !forwarded(k) && !assigned(k) && !alias(k)
}

// Edit changes the fields of h as a rule wants it. What it sets is h's own.
func Edit(h http.Header, e route.Edit) {
	for _, name := range e.Remove {
		h.Del(name)
	}
	for _, f := range e.Set {
		h.Set(f.Name, f.Value)
	}
	for _, f := range e.Add {
		h.Add(f.Name, f.Value)
	}
}

// Size is about how many bytes r's head had.
func Size(r *http.Request) int64 {
	n := len(r.Method) + len(r.RequestURI) + len(" HTTP/1.1\r\n\r\n") + len("Host: \r\n") + len(r.Host)
	for k, values := range r.Header {
		for _, v := range values {
			n += len(k) + len(v) + len(": \r\n")
		}
	}
	return int64(n)
}

// Fields reads the fields of a request for rules.
type Fields http.Header

// Value implements route.Reader.
func (f Fields) Value(name string, i int) (value []byte, ok bool) {
	v := f[name]
	if i >= len(v) {
		return nil, false
	}
	return []byte(v[i]), true
}

// WriteEarly passes an informational response on, and leaves the header of the final one as it was. It takes from.
func WriteEarly(w http.ResponseWriter, code int, from http.Header) {
	RemoveHopByHop(from)
	to := w.Header()
	before := to.Clone()
	maps.Copy(to, from)
	w.WriteHeader(code)
	clear(to)
	maps.Copy(to, before)
}
