package wire

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func reader(s string) *bufio.Reader {
	return bufio.NewReader(iotest.OneByteReader(strings.NewReader(s)))
}

func TestRequests(t *testing.T) {
	t.Parallel()
	r := reader("POST /a?b HTTP/1.1\r\nHost: h\r\nX:  y \r\nContent-Length: 3\r\n\r\nabc" +
		"POST /%2f HTTP/1.1\r\nhost: h:1\r\ntransfer-encoding: Chunked\r\n\r\n3;x=\"y\"\r\nabc\r\n0A\r\n0123456789\r\n0\r\nT: u\r\n\r\n" +
		"GET / HTTP/1.0\r\n\r\n")
	want := []*Request{
		{Method: "POST", Target: "/a?b", Minor: 1, Fields: Fields{{"Host", "h"}, {"X", "y"}, {"Content-Length", "3"}}, Framing: Length, Length: 3, Body: []byte("abc")},
		{Method: "POST", Target: "/%2f", Minor: 1, Fields: Fields{{"host", "h:1"}, {"transfer-encoding", "Chunked"}}, Framing: Chunked, Body: []byte("abc0123456789"), Trailer: Fields{{"T", "u"}}},
		{Method: "GET", Target: "/"},
	}
	for _, w := range want {
		got, err := ReadRequest(r)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(w, got); d != "" {
			t.Error(d)
		}
	}
	if !want[2].Close() || want[0].Close() {
		t.Error("HTTP/1.0 closes and HTTP/1.1 does not")
	}
	if _, err := ReadRequest(r); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestEveryCutIsTruncated(t *testing.T) {
	t.Parallel()
	for _, whole := range []string{
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n",
	} {
		for n := 1; n < len(whole); n++ {
			if _, err := ReadRequest(reader(whole[:n])); !errors.Is(err, ErrTruncated) {
				t.Errorf("%q: %v", whole[:n], err)
			}
		}
	}
}

func TestNoRequests(t *testing.T) {
	t.Parallel()
	const head = "POST / HTTP/1.1\r\nHost: h\r\n"
	for _, in := range []string{
		"GET / HTTP/1.1\nHost: h\r\n\r\n", "GET  / HTTP/1.1\r\nHost: h\r\n\r\n", "GET / HTTP/1.2\r\nHost: h\r\n\r\n", "GET /\r\n",
		"\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", "G(T / HTTP/1.1\r\nHost: h\r\n\r\n", "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /#a HTTP/1.1\r\nHost: h\r\n\r\n", "GET /%2 HTTP/1.1\r\nHost: h\r\n\r\n", "GET /\x80 HTTP/1.1\r\nHost: h\r\n\r\n", "GET * HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
		head + "X : y\r\n\r\n", head + ": y\r\n\r\n", head + "X\r\n\r\n", head + "X: y\r\n z\r\n\r\n", head + "X: a\x00b\r\n\r\n", head + "X: a\rb\r\n\r\n",
		head + "X: a\x01b\r\n\r\n", head + "X: a\nY: b\r\n\r\n",
		head + "Content-Length: +5\r\n\r\nhello", head + "Content-Length: 5, 5\r\n\r\nhello", head + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
		head + "Content-Length:\r\n\r\n", head + "Content-Length: 99999999999999999999\r\n\r\n",
		head + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", head + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		head + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		head + "Transfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", head + "Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
		head + "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", head + "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
		head + "Transfer-Encoding: chunked\r\n\r\n10000000000000001\r\na\r\n0\r\n\r\n", head + "Transfer-Encoding: chunked\r\n\r\n-1\r\na\r\n0\r\n\r\n",
		head + "Transfer-Encoding: chunked\r\n\r\n0\r\nbad\r\n\r\n",
	} {
		var s *SyntaxError
		if q, err := ReadRequest(reader(in)); !errors.As(err, &s) {
			t.Errorf("%q: %v, %v", in, q, err)
		}
	}
}

func TestResponses(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		method, in string
		want       Framing
		body       string
	}{
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", Length, "abc"},
		{"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", NoBody, ""},
		{"GET", "HTTP/1.1 304 \r\nContent-Length: 3\r\n\r\n", NoBody, ""},
		{"GET", "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", NoBody, ""},
		{"GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", Chunked, "a"},
		{"GET", "HTTP/1.1 200 OK\r\n\r\nabc", UntilClose, "abc"},
	} {
		p, err := ReadResponse(reader(tc.in), tc.method)
		if err != nil || p.Framing != tc.want || string(p.Body) != tc.body {
			t.Errorf("%q: %+v, %v", tc.in, p, err)
		}
	}
	for _, in := range []string{
		"HTTP/1.1 200\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 600 OK\r\n\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "hello\r\n",
	} {
		var s *SyntaxError
		if _, err := ReadResponse(reader(in), "GET"); !errors.As(err, &s) {
			t.Errorf("%q: %v", in, err)
		}
	}
	if _, err := ReadResponse(reader("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"), "GET"); !errors.Is(err, ErrTruncated) {
		t.Errorf("a body cut short: %v", err)
	}
}
