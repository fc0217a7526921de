package conformance

import (
	"fmt"
	"strings"

	"semper/edge/conformance/wire"
)

// headRows are those about a request's line and fields, 27 to 49.
func headRows() []Row {
	return append(hostRows(), append(lineRows(), lineLengthRows()...)...)
}

func hostRows() []Row {
	host := func(value string) Case {
		return bad(fmt.Sprintf("%q", value), "GET /r HTTP/1.1\r\nHost:"+value+"\r\n\r\n")
	}
	absolute := served(with("Host", "{host}"), target("/r"))
	nowhere := declined(404, 421)
	return []Row{
		{27, "no Host in HTTP/1.1", "RFC 9112 3.2", []Case{bad("none", "GET /r HTTP/1.1\r\n\r\n"), bad("with a body", "POST /r HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello")}},
		{28, "two Host lines", "RFC 9112 3.2", []Case{
			bad("equal", head("GET /r", "Host: {host}")), bad("different", head("GET /r", "Host: evil.example")), bad("other case", head("GET /r", "hOST: {host}")),
			muxed("two over h2 and h3", get("/r", "host", "{host}", "host", "evil.example")),
		}},
		{29, "Host that is no host", "RFC 9112 3.2", []Case{host(" {host}, b"), host(" a@{host}"), host(" {host}/b"), host(" {host} b"), host(" {host}\x00"), host(" {host}\\"), host(" {host}?b"), host(" {host}:80:80"),
			muxed("over h2 and h3", []string{":method", "GET", ":scheme", "https", ":authority", "a@{host}", ":path", "/r"})}},
		{30, "target's host differs from Host", "RFC 9112 3.2.2", []Case{
			bad("good target", "GET http://{host}/r HTTP/1.1\r\nHost: evil.example\r\n\r\n", absolute, refused(400)),
			bad("good Host", "GET http://evil.example/r HTTP/1.1\r\nHost: {host}\r\n\r\n", nowhere, refused(400)),
			bad("with userinfo", "GET http://{host}@evil.example/r HTTP/1.1\r\nHost: {host}\r\n\r\n", nowhere, refused(400)),
		}},
		{31, "asterisk of another method than OPTIONS", "RFC 9112 3.2.4", []Case{bad("GET", head("GET *")),
			muxed("over h2 and h3", get("*"))}},
		{32, "CONNECT", "RFC 9110 9.3.6; SSRF", []Case{
			bad("to a host", "CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n", declined(405, 501, 400)),
			bad("to metadata", "CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254:80\r\n\r\n", declined(405, 501, 400)),
			muxed("over h2 and h3", []string{":method", "CONNECT", ":authority", "{host}:443"}, declined(405, 501, 400)),
		}},
		{33, "absolute target that leads elsewhere", "SSRF", []Case{
			bad("metadata", "GET http://169.254.169.254/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n", nowhere),
			bad("metadata, good Host", "GET http://169.254.169.254/ HTTP/1.1\r\nHost: {host}\r\n\r\n", nowhere, refused(400)),
			muxed("over h2 and h3", []string{":method", "GET", ":scheme", "http", ":authority", "169.254.169.254", ":path", "/"}, nowhere, malformed()),
		}},
	}
}

func lineRows() []Row {
	value := func(values ...string) []Case { return each(head("GET /r", "X-A: a%sb"), nil, values...) }
	name := func(values ...string) []Case { return each(head("GET /r", "%s"), nil, values...) }
	line := func(want []Outcome, values ...string) []Case {
		return each("%s\r\nHost: {host}\r\n\r\n", want, values...)
	}
	version := []Outcome{refused(400, 505)}
	return []Row{
		{34, "bare LF in the head", "RFC 9112 2.2", []Case{
			bad("request line", "GET /r HTTP/1.1\nHost: {host}\r\n\r\n"), bad("field line", head("GET /r", "X-A: a\nX-B: b")),
			bad("the end", "GET /r HTTP/1.1\r\nHost: {host}\r\n\n"), bad("all", "GET /r HTTP/1.1\nHost: {host}\n\n"),
		}},
		{35, "bare CR in a value", "RFC 9112 2.2, RFC 9110 5.5", value("\r", "\rX-B: ", "\r\r")},
		{36, "NUL in a value", "RFC 9110 5.5", value("\x00")},
		{37, "control characters in a value", "RFC 9110 5.5", append(value("\x01", "\x07", "\x0b", "\x0c", "\x1b", "\x7f"),
			muxed("0x01 over h2 and h3", get("/r", "x-a", "a\x01b")), muxed("0x7f over h2 and h3", get("/r", "x-a", "a\x7fb")))},
		{38, "empty field name", "RFC 9110 5.1; HAProxy CVE-2023-25725", name(": x", ":", ":: x")},
		{39, "field name that is no token", "RFC 9110 5.1", name("X\x85: v", "X@Y: v", "X Y: v", "X(Y): v", "X\tY: v", "\"X\": v", "X\x00: v", "X/Y: v", "X{Y}: v")},
		{40, "line without a colon", "RFC 9112 5", name("X-A", "GET /other HTTP/1.1")},
		{41, "whitespace before the first field", "RFC 9112 2.2", []Case{
			bad("space", "GET /r HTTP/1.1\r\n Host: {host}\r\nHost: {host}\r\n\r\n"), bad("tab", "GET /r HTTP/1.1\r\n\tX-A: b\r\nHost: {host}\r\n\r\n"),
		}},
		{42, "folded field", "RFC 9112 5.2", []Case{
			bad("space", head("GET /r", "X-A: a\r\n b")), bad("tab", head("GET /r", "X-A: a\r\n\tb")), bad("empty first", head("GET /r", "X-A:\r\n b")), bad("only space", head("GET /r", "X-A: a\r\n ")),
		}},
		{43, "version that is none", "RFC 9112 2.3", line(version, "GET /r HTTP/1.32", "GET /r http/1.1", "GET /r HTTP/01.1", "GET /r HTTP/1.1 ", "GET /r HTTP/1.", "GET /r HTTP/1,1",
			"GET /r HTTP/2.0", "GET /r HTTP/11", "GET /r HTTP/-1.1", "GET /r HTTP/1.1\x00", "GET /r XTTP/1.1", "GET /r HTTP/9.9", "GET /r HTTP/1.2")},
		{44, "HTTP/0.9", "RFC 9112 3", []Case{bad("GET", "GET /r\r\n"), bad("with an empty line", "GET /r\r\n\r\n"), bad("with fields", "GET /r\r\nHost: {host}\r\n\r\n")}},
		{45, "other whitespace in the request line", "RFC 9112 3", line([]Outcome{refused(400, 501, 505)}, "GET  /r HTTP/1.1", "GET /r  HTTP/1.1", "GET\t/r HTTP/1.1", "GET /r\tHTTP/1.1", "GET\x0b/r HTTP/1.1",
			"GET /r\x0cHTTP/1.1", " GET /r HTTP/1.1", "GET\r/r HTTP/1.1", "\tGET /r HTTP/1.1")},
		{46, "method that is no token, or endless", "RFC 9112 3", append(line([]Outcome{refused(400, 501)}, "G\x00T /r HTTP/1.1", "G(T /r HTTP/1.1", "G\x80T /r HTTP/1.1", "G@T /r HTTP/1.1", "\"GET\" /r HTTP/1.1", "GET: /r HTTP/1.1"),
			bad("10 KB", head(strings.Repeat("M", 10<<10)+" /r"), refused(400, 501, 414, 431), unknownMethod(10<<10)),
			muxed("over h2 and h3", []string{":method", "G T", ":scheme", "https", ":authority", "{host}", ":path", "/r"}))},
	}
}

// unknownMethod: forwarded as it is.
func unknownMethod(length int) Outcome {
	return served(func(_ *Target, q *wire.Request) error {
		if len(q.Method) != length {
			return fmt.Errorf("a method of %d bytes came as %d", length, len(q.Method))
		}
		return nil
	})
}

func lineLengthRows() []Row {
	long := strings.Repeat("a", 256<<10)
	tooLong := []Outcome{refused(414), dropped()}
	var block, count strings.Builder
	for i := range 300 {
		fmt.Fprintf(&block, "X-Block-%d: %s\r\n", i, long[:1000])
	}
	for i := range 20_000 {
		fmt.Fprintf(&count, "X%d: \r\n", i)
	}
	tooLarge := []Outcome{refused(431)}
	return []Row{
		{47, "target over the limit", "RFC 9112 3", []Case{
			bad("path", head("GET /"+long), tooLong...), bad("query", head("GET /?"+long), tooLong...),
			muxed("over h2 and h3", get("/"+long), Outcome{Name: "refused", Status: []int{414, 431, 400}, Reset: true, Reach: NothingWhole}),
		}},
		{48, "stray bytes in the target", "RFC 9112 3.2, RFC 3986", append(each(head("GET /r%sx"), []Outcome{refused(400, 505)}, " ", "\x00", "<", "\x80", "#", "\t", "\x7f", "\xc3\xa9", ">", "\x01", "\r", "\""),
			muxed("NUL over h2 and h3", get("/r\x00x")), muxed("fragment over h2 and h3", get("/r#x")), muxed("raw byte over h2 and h3", get("/r\x80x")))},
		{49, "head over the limits", "RFC 9110 5.4, RFC 6585", []Case{
			bad("one line", head("GET /r", "X-Long: "+long), tooLarge...), bad("one name", head("GET /r", long+": x"), tooLarge...),
			bad("many lines", head("GET /r", strings.TrimSuffix(block.String(), "\r\n")), tooLarge...),
			bad("20,000 lines", head("GET /r", strings.TrimSuffix(count.String(), "\r\n")), tooLarge...),
			muxed("over h2 and h3", get("/r", "x-long", long), malformed(431)),
		}},
	}
}
