package conformance

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"semper/edge/conformance/wire"
)

// semanticsRows are those about what a well-formed request may ask for, 50 to 62.
func semanticsRows() []Row {
	return append([]Row{
		{50, "body over the limit", "RFC 9110 15.5.14", []Case{
			{Name: "by its length", Needs: wantsMaxBody, Run: overLength, Only: []Transport{Plain, TLS}},
			{Name: "by chunks", Needs: wantsMaxBody, Run: overChunks, Only: []Transport{Plain, TLS}},
			{Name: "by its length, over h2 and h3", Needs: wantsMaxBody, Want: []Outcome{declined(413)}, Mux: func(h mux) error {
				return errors.Join(h.open(1, false, post("content-length", strconv.FormatInt(h.asking().target.MaxBody+1, 10))...), h.answered(1), h.leave(1))
			}},
		}},
	}, append(hopRows(), expectRows()...)...)
}

func wantsMaxBody(t *Target) string {
	if t.MaxBody == 0 {
		return "the target states no limit for bodies"
	}
	return ""
}

// overLength announces one byte too many and sends none of it: the refusal must not wait for it.
func overLength(r *run) error {
	return r.with(Case{Name: r.c.Name, Want: []Outcome{declined(413)},
		Steps: []Step{send(head("POST /r", fmt.Sprintf("Content-Length: %d", r.target.MaxBody+1)))}})
}

func overChunks(r *run) error {
	piece := strings.Repeat("x", int(min(r.target.MaxBody+1, 64<<10)))
	chunk := fmt.Sprintf("%x\r\n%s\r\n", len(piece), piece)
	steps := []Step{send(chunked(""))}
	for sent := int64(0); sent <= r.target.MaxBody; sent += int64(len(piece)) {
		steps = append(steps, send(chunk))
	}
	return r.with(Case{Name: r.c.Name, Want: []Outcome{stopped(413)}, Steps: append(steps, send("0\r\n\r\n", probe)), Answers: 2})
}

// with runs another case in the place of this one.
func (r *run) with(c Case) error {
	was := r.c
	defer func() { r.c = was }()
	r.c = &c
	seen, err := r.send()
	if err != nil {
		return err
	}
	if err := r.settle(&seen); err != nil {
		return fmt.Errorf("%s: %w", &seen, err)
	}
	return nil
}

func hopRows() []Row {
	spoofed := []string{"X-Forwarded-For: 192.0.2.66", "X-Forwarded-Proto: evil192.0.2.66", "X-Forwarded-Host: 192.0.2.66", "Forwarded: for=192.0.2.66", "X-Real-IP: 192.0.2.66", "X_Forwarded_Proto: 192.0.2.66", "X-Forwarded-Prefix: /192.0.2.66"}
	var spoofed2 []string
	for _, f := range spoofed {
		name, value, _ := strings.Cut(f, ": ")
		spoofed2 = append(spoofed2, strings.ToLower(name), value)
	}
	noUpgrade := served(without("Upgrade", "HTTP2-Settings"))
	return []Row{
		{51, "Connection names what must stay", "RFC 9110 7.6.1", []Case{
			bad("a body's length", head("POST /r", "Content-Length: 5", "X-Forwarded-For: 192.0.2.66", "Cookie: a=b", "X-Hop: h", "Connection: X-Forwarded-For, Host, Content-Length, Cookie, X-Hop")+"hello",
				served(with("Host", "{host}"), body("hello"), without("X-Hop"), lacking("192.0.2.66")), refused(400)),
			bad("a coding", head("POST /r", "Transfer-Encoding: chunked", "X-Hop: h", "Connection: Transfer-Encoding, X-Hop")+"5\r\nhello\r\n0\r\n\r\n", served(body("hello"), without("X-Hop")), refused(400)),
			bad("the proxy's own", head("GET /r", "Connection: X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto, X-Real-IP"), served(ownFieldsStay), refused(400)),
		}},
		{52, "Connection empty, and again", "RFC 9110 7.6.1; Go CVE-2021-33197", []Case{
			bad("empty first", head("GET /r", "Connection:", "Connection: X-Foo", "X-Foo: h"), served(without("X-Foo")), refused(400)),
			bad("empty last", head("GET /r", "Connection: X-Foo", "Connection:", "X-Foo: h"), served(without("X-Foo")), refused(400)),
			bad("two lines", head("GET /r", "Connection: ,, X-Bar", "X-Bar: h", "Connection: x-foo", "X-Foo: h"), served(without("X-Foo", "X-Bar")), refused(400)),
		}},
		{53, "fields of one hop", "RFC 9110 7.6.1", []Case{
			bad("all of them", head("GET /r", "Proxy-Connection: keep-alive", "Keep-Alive: timeout=5", "TE: gzip", "Trailer: X-T"), served(without("Proxy-Connection", "Keep-Alive", "Trailer"), noTE), refused(400)),
			bad("TE", head("GET /r", "Connection: TE", "TE: gzip;q=0.5, trailers"), served(noTE)),
		}},
		{54, "fields that only a proxy may set", "Traefik GHSA-5m6w-wvh7-57vm", []Case{
			bad("one line each", head("GET /r", spoofed...), served(lacking("192.0.2.66")), refused(400)),
			bad("two lines", head("GET /r", "X-Forwarded-For: 192.0.2.66", "x-forwarded-for: 192.0.2.66", "X-FORWARDED-FOR: 192.0.2.66"), served(lacking("192.0.2.66")), refused(400)),
			muxed("over h2 and h3", get("/r", spoofed2...), served(lacking("192.0.2.66")), malformed()),
		}},
		{55, "Upgrade: h2c", "golang/go#80416", []Case{
			bad("as RFC 7540 had it", head("GET /r", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA"), noUpgrade, refused(400)),
			bad("in a list", head("GET /r", "Connection: Upgrade", "Upgrade: websocket, h2c"), served(noH2C), refused(400)),
			bad("in capitals", head("GET /r", "Connection: upgrade", "Upgrade: H2C"), noUpgrade, refused(400)),
		}},
		{58, "Upgrade that is none", "RFC 9110 7.8", []Case{
			bad("without Connection", head("GET /r", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), served(without("Upgrade"))),
			{Name: "in HTTP/1.0", Want: []Outcome{served(without("Upgrade"))},
				Steps: []Step{send("GET /r HTTP/1.0\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")}},
		}},
	}
}

func expectRows() []Row {
	final := func(c *Case) Case {
		c.Reply = Reply{Early: true, Raw: "HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"}
		return *c
	}
	refusal := Outcome{Name: "the final answer, and the body is no request", Status: []int{401}, Reach: Anything, Check: func(s *Seen) error {
		for _, a := range s.Answers[1:] {
			if string(a.Body) != "GET /probe\n" {
				return fmt.Errorf("an answer that nobody asked for: %d %q", a.Status, a.Body)
			}
		}
		return nil
	}}
	return []Row{
		{59, "Expect: 100-continue, refused at once", "RFC 9110 10.1.1; Go CVE-2024-24791", []Case{
			final(&Case{Name: "the body follows", Steps: []Step{send(head("POST /r", "Expect: 100-continue", "Content-Length: 5")), {Do: AwaitResponse}, send("hello", probe)}, Answers: 2, Want: []Outcome{refusal}}),
			final(&Case{Name: "the body never comes", Steps: []Step{send(head("POST /r", "Expect: 100-continue", "Content-Length: 100000")), {Do: AwaitResponse}}, Want: []Outcome{refusal}}),
			final(&Case{Name: "the body never comes, over h2 and h3", Want: []Outcome{refusal}, Mux: func(h mux) error {
				err := h.open(1, false, post("expect", "100-continue", "content-length", "100000")...)
				return errors.Join(err, h.answered(1), h.leave(1))
			}}),
			{Name: "accepted", Steps: []Step{send(head("POST /r", "Expect: 100-continue", "Content-Length: 5")), {Do: AwaitResponse}, send("hello", probe)}, Answers: 2, Want: []Outcome{served(body("hello"))}},
		}},
		{60, "Expect that is unknown", "RFC 9110 10.1.1", []Case{
			bad("foo", head("GET /r", "Expect: foo"), declined(417), served(), refused(417, 400)),
			muxed("over h2 and h3", get("/r", "expect", "foo"), declined(417), served()),
		}},
		{61, "GET with a body", "RFC 9110 9.3.1, RFC 9112 11.2", []Case{
			bad("length", head("GET /r", "Content-Length: 5")+"hello", served(body("hello")), refused(400)),
			bad("chunked", head("GET /r", "Transfer-Encoding: chunked")+"5\r\nhello\r\n0\r\n\r\n", served(body("hello")), refused(400)),
			bad("a request as body", head("GET /r", fmt.Sprintf("Content-Length: %d", len("GET /probe-inside HTTP/1.1\r\nHost: x\r\n\r\n")))+"GET /probe-inside HTTP/1.1\r\nHost: x\r\n\r\n",
				served(body("GET /probe-inside HTTP/1.1\r\nHost: x\r\n\r\n")), refused(400)),
			posted("over h2 and h3", get("/r", "content-length", "5"), served(body("hello")), malformed()),
			{Name: "HEAD", Methods: []string{"HEAD"}, Steps: []Step{send(head("HEAD /r", "Content-Length: 5")+"hello", probe)}, Answers: 2, Want: []Outcome{served(body("hello")), refused(400)}},
		}},
		{62, "a request behind one that ended in an error", "RFC 9112 9.3.2, 9.6", []Case{
			bad("in one write", head("POST /r", "Content-Length: x")), bad("two behind", head("GET /r", "X-A: a\x00")+probe),
			{Name: "in a write of its own", Answers: 2, Want: []Outcome{refused(400)}, Steps: []Step{send(head("POST /r", "Content-Length: x")), {Do: AwaitResponse}, send(probe)}},
		}},
	}
}

// ownFieldsStay checks that the client is still named to the backend.
func ownFieldsStay(_ *Target, q *wire.Request) error {
	if !q.Fields.Has("X-Forwarded-For") && !q.Fields.Has("Forwarded") && !q.Fields.Has("X-Real-IP") {
		return fmt.Errorf("the backend is not told who asks")
	}
	return nil
}

func noTE(_ *Target, q *wire.Request) error {
	if slices.ContainsFunc(q.Fields.List("TE"), func(m string) bool { return m != "trailers" }) {
		return fmt.Errorf("the backend got TE: %q", q.Fields.Get("TE"))
	}
	return nil
}

func noH2C(_ *Target, q *wire.Request) error {
	if slices.Contains(q.Fields.List("Upgrade"), "h2c") {
		return fmt.Errorf("the backend got Upgrade: %q", q.Fields.Get("Upgrade"))
	}
	return nil
}
