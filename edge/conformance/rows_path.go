package conformance

import (
	"fmt"
	"net/url"
	"strings"

	"semper/edge/conformance/wire"
)

// pathRows are 69, and 84: what else arrives at a port for HTTP/1.1.
func pathRows() []Row {
	var all []Case
	for _, p := range []struct {
		path  string
		forms []string // what may be forwarded; refusing is always right
	}{
		{"/a/../guarded", []string{"/guarded"}}, {"/a/./b", []string{"/a/b"}}, {"/guarded/../../r", []string{"/r"}}, {"/../r", []string{"/r"}},
		{"/%2e%2e/guarded", []string{"/guarded"}}, {"/a/%2e%2e/guarded", []string{"/guarded"}}, {"/a/..%2fguarded", nil}, {"/a/%2e%2e%2fguarded", nil},
		{"/a%2fb", []string{"/a%2fb", "/a%2Fb"}}, {"//guarded", []string{"//guarded", "/guarded"}}, {"/guarded;x", []string{"/guarded;x"}},
		{"/guarded../x", []string{"/guarded../x"}}, {"/%67uarded", []string{"/guarded", "/%67uarded"}}, {"/a/..;/guarded", []string{"/a/..;/guarded"}},
		{"/%00", nil}, {"/a%00b", nil}, {"/a%5cb", nil}, {`/a\b`, nil}, {"/%zz", nil}, {"/r%", nil}, {"/r?a=/../b&c;d=%25&e", []string{"/r?a=/../b&c;d=%25&e"}},
	} {
		want := []Outcome{declined(400, 404)}
		if p.forms != nil {
			o := served(target(p.forms...))
			o.Check = both(o.Check, placed)
			want = append(want, o)
		}
		all = append(all, Case{Name: p.path, Steps: []Step{send(head("GET "+p.path), probe)}, Answers: 2, Want: want,
			Mux: func(h mux) error { return h.open(1, true, get(p.path)...) }})
	}
	return []Row{
		{69, "paths with two readings", "RFC 3986 6.2.2; Traefik CVE-2026-48020", all},
		{84, "another protocol", "RFC 9112 3", []Case{
			bad("HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00", refused(400, 505), dropped()),
			bad("TLS", "\x16\x03\x01\x00\x2f\x01\x00\x00\x2b\x03\x03"+strings.Repeat("r", 32)+"\x00\x00\x04\x13\x01\x13\x02\x01\x00\r\n\r\n", refused(400), dropped()),
			bad("SSH", "SSH-2.0-OpenSSH_9.6\r\n\r\n", refused(400), dropped()),
			bad("SMTP", "EHLO x\r\n\r\n", refused(400), dropped()),
		}},
	}
}

func both(a, b func(*Seen) error) func(*Seen) error {
	return func(s *Seen) error {
		if err := a(s); err != nil {
			return err
		}
		return b(s)
	}
}

// placed checks that what was matched is what was forwarded: only the guarded backend gets paths below /guarded, and it
// gets no other.
func placed(s *Seen) error {
	if s.target.Guarded == nil {
		return nil
	}
	for _, m := range s.Messages {
		if guarded(m.Request) {
			return fmt.Errorf("%s came past the route of /guarded", m.Request.Target)
		}
	}
	for _, m := range s.Guarded {
		if !guarded(m.Request) {
			return fmt.Errorf("%s came by the route of /guarded", m.Request.Target)
		}
	}
	return nil
}

// guarded reads a target as an origin server does: query off, decoded once, an encoded slash no boundary.
func guarded(q *wire.Request) bool {
	p, _, _ := strings.Cut(q.Target, "?")
	p = strings.NewReplacer("%2f", "%00", "%2F", "%00").Replace(p)
	p, err := url.PathUnescape(p)
	return err == nil && (p == "/guarded" || strings.HasPrefix(p, "/guarded/"))
}
