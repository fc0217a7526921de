package wire

import "strings"

const methodOptions = "OPTIONS"

func version(s string) (minor int, err error) {
	switch s {
	case "HTTP/1.1":
		return 1, nil
	case "HTTP/1.0":
		return 0, nil
	}
	return 0, syntax("version %q", clip(s))
}

// checkTarget takes the origin-form and, of OPTIONS, the asterisk: all that a proxy sends to an origin server.
func (q *Request) checkTarget() error {
	t := q.Target
	if t == "*" && q.Method == methodOptions {
		return nil
	}
	if !strings.HasPrefix(t, "/") {
		return syntax("target %q is not in origin-form", clip(t))
	}
	for i := 0; i < len(t); i++ {
		switch c := t[i]; {
		case c == '%':
			if i+2 >= len(t) || !hex(t[i+1:i+3]) {
				return syntax("target %q has a %% that encodes nothing", clip(t))
			}
		case alnum(c), strings.IndexByte("-._~!$&'()*+,;=:@/?", c) >= 0:
		case strings.IndexByte(`[]{}|^"`+"`", c) >= 0: // not of RFC 3986, but sent by browsers, and nowhere ambiguous
		default:
			return syntax("target %q has the byte %q", clip(t), c)
		}
	}
	return nil
}

// checkHost takes exactly one Host of HTTP/1.1 and at most one of HTTP/1.0, a name or an address with a port.
func (q *Request) checkHost() error {
	h := q.Fields.Values("Host")
	if len(h) > 1 || len(h) == 0 && q.Minor == 1 {
		return syntax("%d Host fields", len(h))
	}
	for _, v := range h {
		for i := range len(v) {
			if c := v[i]; !alnum(c) && strings.IndexByte("-._~:[]", c) < 0 {
				return syntax("Host %q", clip(v))
			}
		}
	}
	return nil
}

func token(s string) bool {
	for i := range len(s) {
		if !alnum(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// text is field-content and OWS: anything visible, space, tab and obs-text.
func text(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

func hex(s string) bool { return s != "" && strings.Trim(s, "0123456789abcdefABCDEF") == "" }

func alnum(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// clip keeps messages short.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "..."
	}
	return s
}
