package conformance

import (
	"errors"
	"fmt"
	"strings"
)

// upstreamRows are those in which the backend is at fault, 56, 57 and 63 to 68.
func upstreamRows() []Row {
	return append(upgradeRows(), append(answerRows(), bodyRows()...)...)
}

const (
	ok      = "HTTP/1.1 200 OK\r\nContent-Type: text/x\r\n"
	upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	accept  = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)

func upgradeRows() []Row {
	tunnel := func(protocol string) Reply {
		return Reply{Raw: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n\r\n", Tunnel: true}
	}
	// The second request may be answered or not; it must never be bytes in a tunnel.
	noTunnel := Outcome{Name: "both, as requests", Status: []int{200}, Reach: Whole}
	return []Row{
		{56, "Upgrade that the backend declines, a request behind it", "Pingora CVE-2026-2833, RFC 9110 7.8", []Case{
			bad("200", head("GET /r", upgrade), noTunnel),
			{Name: "200, in two writes", Answers: 2, Want: []Outcome{noTunnel}, Steps: []Step{send(head("GET /r", upgrade)), {Do: AwaitRequest}, send(probe)}},
		}},
		{57, "101 that nobody asked for", "RFC 9110 15.2.2", []Case{
			{Name: "no Upgrade", Reply: tunnel("websocket"), Steps: []Step{send(head("GET /r"), probe)}, Answers: 2, Want: []Outcome{{Name: "502", Status: []int{502}, Close: true, Reach: Repeated, Check: abandoned}},
				Mux: func(h mux) error { return h.open(1, true, get("/r")...) }},
			{Name: "another protocol", Reply: tunnel("smtp"), Steps: []Step{send(head("GET /r", upgrade))}, Want: []Outcome{{Name: "502", Status: []int{502}, Close: true, Reach: Repeated, Check: abandoned}}},
			{Name: "no protocol", Reply: Reply{Raw: "HTTP/1.1 101 Switching Protocols\r\n\r\n", Tunnel: true}, Steps: []Step{send(head("GET /r", upgrade))}, Want: []Outcome{{Name: "502", Status: []int{502}, Close: true, Reach: Repeated, Check: abandoned}}},
		}},
	}
}

func answerRows() []Row {
	raw := func(name, raw string, want ...Outcome) Case {
		if want == nil {
			want = []Outcome{badGateway()}
		}
		return gets(name, Reply{Raw: raw}, want...)
	}
	begun := []Outcome{badGateway(), cutOff()}
	clean := Outcome{Name: "cleaned", Status: []int{200}, Reach: Repeated, Check: visible}
	value := func(name, line string) Case {
		return raw(name, ok+"Content-Length: 2\r\n"+line+"\r\n\r\nok", badGateway(), clean)
	}
	return []Row{
		{63, "answer with two framings or a bad chunk", "RFC 9112 6.3", []Case{
			raw("both", ok+"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
			raw("two lengths", ok+"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
			raw("length is no number", ok+"Content-Length: five\r\n\r\nhello"),
			raw("negative length", ok+"Content-Length: -1\r\n\r\nhello"),
			raw("unknown coding", ok+"Transfer-Encoding: xchunked\r\n\r\nhello"),
			raw("coding twice", ok+"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
			raw("chunk size", ok+"Transfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n0\r\n\r\n", begun...),
			raw("chunk size 0x", ok+"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", begun...),
			raw("chunk without CRLF", ok+"Transfer-Encoding: chunked\r\n\r\n5\r\nhelloXX0\r\n\r\n", begun...),
			raw("chunk line with LF", ok+"Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", begun...),
		}},
		{64, "answer with bytes that split it", "RFC 9112 5.1, 11.1", []Case{
			value("CR", "X-A: a\rX-B: b"), value("NUL", "X-A: a\x00b"), value("LF", "X-A: a\nX-B: b"), value("space before the colon", "X-A : a"), value("folded", "X-A: a\r\n b"),
			value("control character", "X-A: a\x01b"), value("name that is no token", "X A: b"), value("no colon", "X-A"), value("empty name", ": b"),
			raw("status line", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), raw("version", "HTTP/3.0 200 OK\r\nContent-Length: 0\r\n\r\n"), raw("no HTTP", "hello, world\r\n\r\n"),
		}},
		{68, "endless interim answers", "RFC 9110 15.2", []Case{
			{Name: "103", Reply: Reply{Raw: strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 5000) + ok + "Content-Length: 2\r\n\r\nok"}, Want: []Outcome{badGateway(), cutOff()},
				Steps: []Step{send(head("GET /r"))}, Mux: func(h mux) error { return h.open(1, true, get("/r")...) }},
		}},
	}
}

// visible checks that nothing of a field that was not well-formed came through.
func visible(s *Seen) error {
	for _, f := range s.Answers[0].Fields {
		if strings.ContainsAny(f.Value, "\r\n\x00\x01") || strings.ContainsAny(f.Name, " \t:") || f.Name == "" {
			return fmt.Errorf("the client got %q: %q", f.Name, f.Value)
		}
	}
	return nil
}

func bodyRows() []Row {
	poison := "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"
	own := Outcome{Name: "each request has its own answer", Status: []int{200, 204, 304}, Reach: Anything, Check: unpoisoned}
	twice := func(name string, reply Reply, first string, methods ...string) Case {
		method := append(methods, "GET")[0]
		return Case{Name: name, Reply: reply, Methods: methods, Answers: 2, Want: []Outcome{own},
			Steps: []Step{send(first), {Do: AwaitResponse}, {Do: Release}, {Do: AwaitGone}, send(probe)},
			Mux: func(h mux) error {
				if err := errors.Join(h.open(1, true, asks(method, "/r")...), h.answered(1)); err != nil {
					return err
				}
				h.asking().backendStep(Release)
				h.asking().backendStep(AwaitGone)
				return h.open(3, true, asks("GET", "/probe")...)
			}}
	}
	short := []Outcome{badGateway(), cutOff()}
	return []Row{
		{65, "answer longer than it says", "RFC 9112 9.2", []Case{
			twice("at once", Reply{Raw: ok + "Content-Length: 2\r\n\r\nok" + poison, End: Hang}, head("GET /r")),
			twice("later", Reply{Raw: ok + "Content-Length: 2\r\n\r\nok", Late: poison, End: Hang}, head("GET /r")),
			twice("behind chunks", Reply{Raw: ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + poison, End: Hang}, head("GET /r")),
		}},
		{66, "answer shorter than it says", "RFC 9112 8", []Case{
			gets("length", Reply{Raw: ok + "Content-Length: 100\r\n\r\nhello", End: Close}, short...),
			gets("chunk", Reply{Raw: ok + "Transfer-Encoding: chunked\r\n\r\nff\r\nhello", End: Close}, short...),
			gets("between chunks", Reply{Raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", End: Close}, short...),
			gets("before the trailer ends", Reply{Raw: ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-T: a\r\n", End: Close}, short...),
			gets("reset", Reply{Raw: ok + "Content-Length: 100\r\n\r\nhello", End: Reset}, append(short, cutOff())...),
			gets("in its head", Reply{Raw: ok + "Content-Le", End: Close}, badGateway()),
			gets("nothing at all", Reply{Raw: " ", End: Close}, badGateway()),
		}},
		{67, "body where there is none", "RFC 9112 6.3", []Case{
			twice("HEAD", Reply{Raw: ok + "Content-Length: 6\r\n\r\npoison", End: Hang}, head("HEAD /r"), "HEAD"),
			twice("HEAD, a message", Reply{Raw: ok + "Content-Length: 2\r\n\r\n" + poison, End: Hang}, head("HEAD /r"), "HEAD"),
			twice("204", Reply{Raw: "HTTP/1.1 204 No Content\r\n\r\n" + poison, End: Hang}, head("GET /r")),
			twice("304", Reply{Raw: "HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\npoison", End: Hang}, head("GET /r")),
		}},
	}
}

// unpoisoned checks that no answer has what the recorder wrote behind another, and that no connection that has is kept.
func unpoisoned(s *Seen) error {
	for i, a := range s.Answers {
		if strings.Contains(string(a.Body), "poison") || i > 0 && string(a.Body) != "GET /probe\n" {
			return fmt.Errorf("answer %d is %q", i+1, a.Body)
		}
	}
	return abandoned(s)
}
