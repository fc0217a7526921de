package message

import (
	"net/url"
	"strings"
)

// CanonicalHost is a host without port, trailing dot and capitals.
func CanonicalHost(h string) string {
	if i := strings.LastIndexByte(h, ':'); i >= 0 && strings.IndexByte(h[i:], ']') < 0 {
		h = h[:i]
	}
	return strings.ToLower(strings.TrimSuffix(h, "."))
}

// CanonicalPath is the path that is matched and forwarded. An encoded slash is no segment boundary, and
// stays encoded; a literal dot segment is resolved; one that hides behind an encoding is refused, as are
// NUL and backslash: what an app behind would make of them nobody knows.
func CanonicalPath(u *url.URL) (match string, ok bool) {
	if strings.ContainsAny(u.Path, "\x00\\") {
		return "", false
	}
	if u.RawPath != "" && u.EscapedPath() != u.RawPath {
		u.RawPath = encodeStrays(u.RawPath)
	}
	if strings.Contains(u.Path, "/.") {
		if ok := resolveDots(u); !ok {
			return "", false
		}
	}
	if u.Path == "" {
		u.Path = "/"
	}
	if u.RawPath == "" {
		return u.Path, true
	}
	raw := strings.NewReplacer("%2f", "%00", "%2F", "%00").Replace(u.RawPath)
	match, err := url.PathUnescape(raw)
	return match, err == nil
}

// encodeStrays encodes the bytes of an encoded path that should be encoded and are not (RFC 3986, 3.3).
// Left to net/url, the whole path would be encoded anew, and an encoded slash come out as a slash.
func encodeStrays(raw string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(raw) {
		c := raw[i]
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~!$&'()*+,;=:@/%[]", c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.Write([]byte{'%', hex[c>>4], hex[c&15]})
	}
	return b.String()
}

// resolveDots removes literal dot segments (RFC 3986, 5.2.4).
func resolveDots(u *url.URL) bool {
	segments := strings.Split(u.EscapedPath(), "/")
	out := make([]string, 0, len(segments))
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
			if last {
				out = append(out, "")
			}
			continue
		case "..":
			if len(out) > 1 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
			continue
		}
		for _, part := range strings.FieldsFunc(strings.NewReplacer("%2f", "/", "%2F", "/", "%2e", ".", "%2E", ".").Replace(s), func(r rune) bool { return r == '/' }) {
			if part == "." || part == ".." {
				return false
			}
		}
		out = append(out, s)
	}
	raw := strings.Join(out, "/")
	path, err := url.PathUnescape(raw)
	if err != nil {
		return false
	}
	u.Path, u.RawPath = path, raw
	return true
}

// ValidHost reports whether h is a name or address with an optional port. An empty one is an HTTP/1.0
// client's.
func ValidHost(h string) bool {
	for i := range len(h) {
		switch c := h[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return true
}

// SetPath makes an encoded path that of u. It reports false for one that is none.
func SetPath(u *url.URL, encoded string) bool {
	path, err := url.PathUnescape(encoded)
	if err != nil {
		return false
	}
	u.Path, u.RawPath = path, encoded
	return u.EscapedPath() == encoded
}
