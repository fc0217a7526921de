package edge

import (
	"encoding/hex"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"encoding/binary"
)

// The headers this edge adds to every response it passes on or makes.
const (
	headerRelease   = "X-Semper-Release" // which release answered: "r42"
	headerError     = "X-Semper-Error"   // the edge answered itself, and why
	headerRequestID = "X-Request-Id"
)

// hopByHop reports whether a field is about one connection only (RFC 9110, 7.6.1). k is canonical.
func hopByHop(k string) bool {
	switch k {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade":
		return true
	}
	return false
}

// removeHopByHop removes them, and what Connection names. Every line of Connection counts.
func removeHopByHop(h http.Header) {
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
	return strings.HasPrefix(k, "X-Forwarded-") || k == "Forwarded" || k == "X-Real-Ip" || k == headerRequestID
}

// alias reports whether a field with underscores would be one of those that steer for an app that
// takes an underscore for a dash.
func alias(k string) bool {
	if strings.IndexByte(k, '_') < 0 {
		return false
	}
	switch k = http.CanonicalHeaderKey(strings.ReplaceAll(k, "_", "-")); k {
	case "Host", "Content-Length", "Expect":
		return true
	default:
		return forwarded(k) || hopByHop(k)
	}
}

// outbound makes r's header what the backend gets. It works in place: the map is this request's alone.
// The result is the request's id.
func (e *Edge) outbound(r *http.Request, upgrade string) (id string) {
	h := r.Header
	trailers := h.Get("Te") != "" && listHas(h["Te"], "trailers")
	removeHopByHop(h)
	peer, trusted := e.peer(r)
	for k := range h {
		if !trusted && forwarded(k) || alias(k) {
			delete(h, k)
		}
	}
	delete(h, "Expect") // the edge itself says 100 Continue, when the backend begins to read
	if trailers {
		h["Te"], h["Connection"] = []string{"trailers"}, []string{"TE"}
	}
	if upgrade != "" {
		h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{upgrade}
	}
	if peer != "" {
		if before := h["X-Forwarded-For"]; len(before) > 0 {
			peer = strings.Join(before, ", ") + ", " + peer
		}
		h["X-Forwarded-For"] = []string{peer}
	}
	setMissing(h, "X-Forwarded-Host", r.Host)
	h["Via"] = append(h["Via"], strings.TrimPrefix(r.Proto, "HTTP/")+" "+via)
	proto := "http"
	if r.TLS != nil {
		proto = "https"
	}
	setMissing(h, "X-Forwarded-Proto", proto)
	if id = h.Get(headerRequestID); id == "" || len(id) > 128 {
		id = newID()
		h[headerRequestID] = []string{id}
	}
	return id
}

func setMissing(h http.Header, k, v string) {
	if len(h[k]) == 0 {
		h[k] = []string{v}
	}
}

// peer is the address at the other end of the connection, and whether it is to be believed.
func (e *Edge) peer(r *http.Request) (ip string, trusted bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "", false
	}
	if len(e.o.Trusted) == 0 {
		return host, false
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return host, false
	}
	a = a.Unmap().WithZone("")
	for _, p := range e.o.Trusted {
		if p.Contains(a) {
			return host, true
		}
	}
	return host, false
}

// newID is a request id: 128 random bits. It tells requests apart and guards nothing.
func newID() string {
	var b [16]byte
	binary.NativeEndian.PutUint64(b[:], rand.Uint64())
	binary.NativeEndian.PutUint64(b[8:], rand.Uint64())
	return hex.EncodeToString(b[:])
}

// listHas reports whether a comma-separated field has a token, whatever its case.
func listHas(lines []string, token string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			if part, _, _ = strings.Cut(part, ";"); strings.EqualFold(strings.Trim(part, " \t"), token) {
				return true
			}
		}
	}
	return false
}

// upgradeOf is the protocol r asks to change to, empty when it does not, or may not. HTTP/2 over
// cleartext is never offered: behind it requests would pass by every rule of this edge.
func upgradeOf(r *http.Request) string {
	up := r.Header["Upgrade"]
	if len(up) != 1 || r.ProtoMajor != 1 || r.ProtoMinor != 1 || r.ContentLength != 0 || !listHas(r.Header["Connection"], "upgrade") {
		return ""
	}
	if listHas(up, "h2c") || strings.ContainsAny(up[0], ", ") || up[0] == "" {
		return ""
	}
	return up[0]
}

// safe methods do not ask for a change (RFC 9110, 9.2.1).
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// idempotent methods may be sent twice (RFC 9110, 9.2.2).
func idempotent(method string) bool {
	return safe(method) || method == http.MethodPut || method == http.MethodDelete
}
