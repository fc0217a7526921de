package http1

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// Bytes alone seldom make a message. These pieces do, and are wrong where they meet.
var (
	startLines = []string{
		"GET / HTTP/1.1\r\nHost: a\r\n", "POST /x HTTP/1.1\r\nHost: a.example:80\r\n", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 204 \r\n",
	}
	fieldLines = []string{
		"Host: b\r\n", "Content-Length: 5\r\n", "Content-Length: 0\r\n", "content_length: 5\r\n", "Transfer-Encoding: chunked\r\n",
		"Connection: close\r\n", "Connection: upgrade\r\n", "Connection: x-a, Cookie\r\n", "X-A: b\r\n", "x_b:\r\n", "X-Forwarded-For: 1\r\n", "X_Forwarded_For: 1\r\n",
		"Cookie: c\r\n", "Upgrade: websocket\r\n", "Upgrade: h2c\r\n", "Expect: 100-continue\r\n", "TE: trailers\r\n", "Trailer: X-A\r\n", "Date: d\r\n", "Via: v\r\n",
	}
	contents = []string{
		"hello", "5\r\nhello\r\n", "0\r\n\r\n", "0\r\n", "5;a=b\r\nhello\r\n", "0005 ; a = \"b\\\"c\"\r\nhello\r\n", "0;x\r\nX-A: b\r\nHost: a\r\n\r\n",
	}
	scraps = []string{
		"HTTP/1.1 ", "GET ", "HEAD ", "OPTIONS ", "TRACE ", "PRI ", "/", "*", "http://", "https://b", "a", "b.c", ":", ":80", "[::1]", "@", "?", "#", ".", "..",
		"/../", "%2e", "%2F", "%41", "%", "|", "{", "\\", " HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/2.0\r\n", "HTTP/1.0 200\r\n", "101", "103 x", "204",
		"304 ", "200", "099", "\r\n", "\r\n\r\n", "\r", "\n", " ", "\t", "\x00", "\x7f", "\x80", ",", ";", "=", "\"", "_", "-", "Host: ", "Content-Length: ",
		"Transfer-Encoding: ", "chunked", "gzip", "identity", "Connection: ", "close", "keep-alive", "upgrade", "X-A", "Forwarded", "Upgrade: ", "websocket", "Expect: ",
		"00000000000000005", "fffffffffffffff", "1", "x",
	}
	pieces = slices.Concat(startLines, fieldLines, contents, scraps)
)

func assemble(data []byte) (raw []byte) {
	for _, c := range data {
		if int(c) < len(pieces) {
			raw = append(raw, pieces[c]...)
		} else if raw = append(raw, pieces[int(c)%len(pieces)]...); c > 240 && len(raw) > 1 {
			raw = raw[:len(raw)-1] // a piece that broke off
		}
	}
	return raw[:min(len(raw), maxFuzz)]
}

func checkPieces(t *testing.T, raw []byte, response bool, variant uint8) {
	t.Helper()
	if !response {
		w := everySplit(t, wire{lim: Default, forward: Forward{ClientIP: []byte("192.0.2.7"), Via: "x", Upgrade: true, Trusted: variant&1 != 0}}, raw)
		reparses(t, w)
		want, ok := plainRequest(raw)
		agree(t, raw, w, want, ok)
		return
	}
	asked := Asked{Method: GET}
	if variant&2 != 0 {
		asked.Method = HEAD
	}
	if variant&4 != 0 {
		asked.Upgrade = []byte("WebSocket")
	}
	w := everySplit(t, wire{lim: DefaultResponse, response: true, asked: asked, answer: Answer{Method: asked.Method, Minor: variant & 1}}, raw)
	reparses(t, w)
	want, ok := plainResponse(raw, asked)
	agree(t, raw, w, want, ok)
}

func FuzzPieces(f *testing.F) {
	for i := range pieces {
		f.Add([]byte{byte(i % len(startLines)), byte(i), byte(slices.Index(pieces, "\r\n")), byte(len(startLines) + i)}, i%4 > 1, byte(i))
	}
	f.Fuzz(func(t *testing.T, data []byte, response bool, variant uint8) {
		if len(data) <= 64 {
			checkPieces(t, assemble(data), response, variant)
		}
	})
}

// TestPieces is what FuzzPieces begins with, on any machine: most messages end well or nearly so.
func TestPieces(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	count := 6000
	if testing.Short() || underRace {
		count = 600
	}
	accepted := 0
	any := func(from []string) string { return from[r.IntN(len(from))] }
	for i := range count {
		response := i%3 == 0
		raw := startLines[r.IntN(2)]
		if response {
			raw = startLines[2+r.IntN(2)]
		}
		for r.IntN(3) > 0 {
			raw += any(fieldLines)
		}
		if r.IntN(3) == 0 {
			raw += any(scraps) + any(scraps)
		}
		raw += "\r\n"
		for range r.IntN(4) {
			raw += any(contents)
		}
		if r.IntN(4) == 0 {
			raw += any(pieces)
		}
		checkPieces(t, []byte(raw), response, uint8(r.IntN(8)))
		_, request := plainRequest([]byte(raw))
		if _, ok := plainResponse([]byte(raw), Asked{}); ok || request {
			accepted++
		}
	}
	if accepted < count/20 || accepted > count*19/20 {
		t.Errorf("%d of %d messages are good: the pieces do not fit", accepted, count)
	}
}
