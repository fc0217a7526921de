package conformance

import (
	"errors"
	"fmt"
	"strings"
)

// framingRows are those about where a request's body ends, 1 to 26.
func framingRows() []Row {
	return append(lengthRows(), append(codingRows(), chunkRows()...)...)
}

func lengthRows() []Row {
	const five = "hello"
	length := func(want []Outcome, values ...string) []Case {
		all := each(head("POST /r", "Content-Length:%s")+five, want, values...)
		for _, v := range values {
			all = append(all, posted(fmt.Sprintf("%.40q over h2 and h3", v), post("content-length", strings.TrimPrefix(v, " ")), malformed(413)))
		}
		return all
	}
	strict := []Outcome{refused(400)}
	alone := served(without("Content-Length"), body(""))
	alone.Name, alone.Close = "served by its Transfer-Encoding, and closed", true
	return []Row{
		{1, "Content-Length and Transfer-Encoding", "RFC 9112 6.1, 6.3", []Case{
			bad("length first", head("POST /r", "Content-Length: 5", "Transfer-Encoding: chunked")+"0\r\n\r\n", refused(400), alone),
			bad("coding first", head("POST /r", "Transfer-Encoding: chunked", "Content-Length: 5")+"0\r\n\r\n", refused(400), alone),
			bad("length 0", head("POST /r", "Content-Length: 0", "Transfer-Encoding: chunked")+"0\r\n\r\n", refused(400), alone),
		}},
		{2, "two Content-Length that differ", "RFC 9112 6.3", []Case{
			bad("two lines", head("POST /r", "Content-Length: 5", "Content-Length: 6")+five, strict...),
			bad("other case", head("POST /r", "Content-Length: 0", "content-length: 5")+five, strict...),
			posted("over h2 and h3", post("content-length", "5", "content-length", "6")),
		}},
		{3, "two equal Content-Length", "RFC 9110 8.6: refuse or merge", []Case{
			bad("two lines", head("POST /r", "Content-Length: 5", "Content-Length: 5")+five, refused(400), served(body(five))),
			bad("a list", head("POST /r", "Content-Length: 5, 5")+five, refused(400), served(body(five))),
			posted("over h2 and h3", post("content-length", "5", "content-length", "5"), malformed(), served(body(five))),
		}},
		{4, "Content-Length: 5, 6", "RFC 9110 8.6", length(strict, " 5, 6")},
		{5, "Content-Length with a plus", "RFC 9110 8.6: 1*DIGIT", length(strict, " +5")},
		{6, "Content-Length below zero", "RFC 9110 8.6", length(strict, " -1")},
		{7, "Content-Length in hexadecimal", "RFC 9110 8.6", length(strict, " 0x10", " 0x5")},
		{8, "Content-Length with a gap", "RFC 9110 8.6", length(strict, " 1_0", " 1 0", " 5;", " 5.0", " 5\x0b")},
		{9, "Content-Length empty", "RFC 9110 8.6; HAProxy CVE-2023-40225", length(strict, "", " ", "\t")},
		{10, "Content-Length that overflows", "RFC 9110 8.6", length([]Outcome{refused(400, 413)},
			" 99999999999999999999", " 18446744073709551621", " 9223372036854775813", " 4294967301000000000000")},
	}
}

func codingRows() []Row {
	coding := func(values ...string) []Case {
		return each(head("POST /r", "Transfer-Encoding:%s")+"0\r\n\r\n", []Outcome{refused(400, 501)}, values...)
	}
	unaliased := served(without("Transfer_Encoding", "Content_Length", "Content-Length"), body(""))
	return []Row{
		{11, "Transfer-Encoding unknown", "RFC 9112 6.1", coding(" xchunked", " foo", " gzip", " identity", " chunkedx", " cow, chunked")},
		{12, "chunked is not the last coding", "RFC 9112 6.3", coding(" chunked, identity", " chunked, gzip")},
		{13, "chunked twice", "RFC 9112 6.1", append(coding(" chunked, chunked"),
			bad("two lines", head("POST /r", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked")+"0\r\n\r\n", refused(400, 501)),
			bad("identity first", head("POST /r", "Transfer-Encoding: identity", "Transfer-Encoding: chunked")+"0\r\n\r\n", refused(400, 501)))},
		{14, "Transfer-Encoding with empty members", "HTTP Garden proxy bugs 9 and 18", coding(" ,chunked", " chunked,", " ,", "")},
		{15, "Transfer-Encoding with stray bytes", "RFC 9110 5.5, RFC 9112 6.1", coding(" \x0bchunked", " chunked\x00", ` "chunked"`, " chunked\x0b", " chunked;a=b", " chun\rked")},
		{16, "space before the colon", "RFC 9112 5.1", []Case{
			bad("space", head("POST /r", "Transfer-Encoding : chunked")+"0\r\n\r\n"),
			bad("tab", head("POST /r", "Transfer-Encoding\t: chunked")+"0\r\n\r\n"),
			bad("of a length", head("POST /r", "Content-Length : 5")+"hello"),
		}},
		{17, "Transfer-Encoding folded", "RFC 9112 5.2", []Case{
			bad("all of it", head("POST /r", "Transfer-Encoding:\r\n chunked")+"0\r\n\r\n"),
			bad("its end", head("POST /r", "Transfer-Encoding: chunked\r\n\t, identity")+"0\r\n\r\n"),
		}},
		{18, "Transfer-Encoding in HTTP/1.0", "RFC 9112 6.1", []Case{
			bad("plain", "POST /r HTTP/1.0\r\nHost: {host}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)),
			bad("keep-alive", "POST /r HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", refused(400)),
		}},
		{19, "underscores for dashes", "instances that map _ to -", []Case{
			bad("Transfer_Encoding", head("POST /r", "Transfer_Encoding: chunked", "Content-Length: 0"), refused(400), served(without("Transfer_Encoding"))),
			bad("Content_Length", head("GET /r", "Content_Length: 5"), refused(400), unaliased),
			muxed("over h2 and h3", get("/r", "transfer_encoding", "chunked", "content_length", "5"), malformed(), unaliased),
		}},
	}
}

func chunkRows() []Row {
	strict := []Outcome{stopped(400)}
	chunk := func(want []Outcome, values ...string) []Case { return each(chunked("%s"), want, values...) }
	many := strings.Repeat("1;"+strings.Repeat("e", 800)+"\r\na\r\n", 100)
	return []Row{
		{20, "chunk size with a sign or a prefix", "RFC 9112 7.1", chunk(strict, "0x5\r\nhello\r\n0\r\n\r\n", "+5\r\nhello\r\n0\r\n\r\n", "-1\r\nhello\r\n0\r\n\r\n",
			"5_\r\nhello\r\n0\r\n\r\n", " 5\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n", "\r\n5\r\nhello\r\n0\r\n\r\n", "g\r\nhello\r\n0\r\n\r\n", ";\r\nhello\r\n0\r\n\r\n")},
		{21, "chunk size of more than 16 digits", "RFC 9112 7.1", chunk(strict, "10000000000000005\r\nhello\r\n0\r\n\r\n",
			"fffffffffffffffff\r\nhello\r\n0\r\n\r\n", "00000000000000005\r\nhello\r\n0\r\n\r\n", "ffffffffffffffff\r\nhello\r\n0\r\n\r\n")},
		{22, "chunk lines that end with a bare LF", "RFC 9112 7.1; Go CVE-2025-22871", chunk(strict, "5\nhello\r\n0\r\n\r\n", "5\r\nhello\n0\r\n\r\n", "5\r\nhello\r\n0\n\r\n", "5\r\nhello\r\n0\r\n\n")},
		{23, "chunk extensions", "RFC 9112 7.1.1; fasthttp#1899", append(chunk(strict, "5;a\nb\r\nhello\r\n0\r\n\r\n", "5;a\rb\r\nhello\r\n0\r\n\r\n", "5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n", "5;a\x00\r\nhello\r\n0\r\n\r\n"),
			bad("one of 80 KB", chunked("5;"+strings.Repeat("e", 80<<10)+"\r\nhello\r\n0\r\n\r\n"), strict...),
			bad("80 KB in all", chunked(many+"0\r\n\r\n"), strict...))},
		{24, "chunk data without CRLF behind", "RFC 9112 7.1", chunk(strict, "5\r\nhelloXX0\r\n\r\n", "5\r\nhello0\r\n\r\n", "4\r\nhello\r\n0\r\n\r\n", "6\r\nhello\r\n0\r\n\r\n")},
		{25, "the client closes before the last chunk", "RFC 9112 8", []Case{
			{Name: "between chunks", Steps: []Step{send(chunked("5\r\nhello\r\n")), {Do: HalfClose}}, Want: []Outcome{stopped(400), dropped()}},
			{Name: "in a chunk", Steps: []Step{send(chunked("5\r\nhel")), {Do: HalfClose}}, Want: []Outcome{stopped(400), dropped()}},
			{Name: "behind 0", Steps: []Step{send(chunked("5\r\nhello\r\n0\r\n")), {Do: HalfClose}}, Want: []Outcome{stopped(400), dropped()}},
			{Name: "over h2 and h3", Want: []Outcome{stopped(400), dropped()}, Mux: func(h mux) error {
				err := errors.Join(h.open(1, false, post()...), h.data(1, false, "hello"))
				if err == nil {
					h.asking().backendStep(AwaitRequest)
					err = h.leave(1)
				}
				return err
			}},
			{Name: "in a length", Steps: []Step{send(head("POST /r", "Content-Length: 9"), "hello"), {Do: HalfClose}}, Want: []Outcome{stopped(400), dropped()}},
		}},
		{26, "trailers that would steer", "RFC 9110 6.5.1", trailerCases()},
	}
}

// trailerCases are good requests but for one field in the trailer.
func trailerCases() []Case {
	var all []Case
	for _, f := range []string{"Content-Length: 9", "Transfer-Encoding: evil", "Host: evil", "Authorization: evil", "Connection: evil", "X-Forwarded-For: evil"} {
		name, value, _ := strings.Cut(f, ": ")
		clean := served(body("hello"), untrailed(name), lacking("evil"))
		c := bad(name, head("POST /r", "Transfer-Encoding: chunked", "Trailer: "+name)+"5\r\nhello\r\n0\r\n"+f+"\r\n\r\n", clean, stopped(400))
		c.Mux = func(h mux) error {
			if err := h.open(1, false, post("trailer", strings.ToLower(name))...); err != nil {
				return err
			}
			if err := h.data(1, false, "hello"); err != nil {
				return err
			}
			return h.open(1, true, strings.ToLower(name), value)
		}
		c.Want = append(c.Want, malformed())
		all = append(all, c)
	}
	return all
}
