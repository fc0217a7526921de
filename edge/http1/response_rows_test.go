package http1

import (
	"strings"
	"testing"
)

const (
	okHead = "HTTP/1.1 200 OK\r\n"
	hello  = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
)

// The rows of edge.md, 3.3, in which the instance is at fault, and what must pass.
var responseRows = []struct {
	row
	asked  Asked
	client uint8 // 1 for a client of HTTP/1.0
	rest   int   // bytes behind the message, which must be left
}{
	{row: row{name: "57 unasked switch", raw: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", status: 502}},
	{row: row{name: "57 other protocol", raw: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", status: 502}, asked: Asked{Upgrade: []byte("websocket")}},
	{row: row{name: "57 switch without connection", raw: "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n", status: 502}, asked: Asked{Upgrade: []byte("websocket")}},
	{row: row{name: "57 switch without protocol", raw: "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\r\n", status: 502}, asked: Asked{Upgrade: []byte("websocket")}},
	{row: row{name: "57 switch", raw: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: x\r\n\r\nframes",
		sent: []string{"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"}}, asked: Asked{Upgrade: []byte("websocket")}, rest: 6},
	{row: row{name: "56 no switch", raw: hello, sent: []string{"hello"}}, asked: Asked{Upgrade: []byte("websocket")}},
	{row: row{name: "63 length and coding", raw: okHead + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 502}},
	{row: row{name: "63 two lengths", raw: okHead + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", status: 502}},
	{row: row{name: "63 list of lengths", raw: okHead + "Content-Length: 5, 5\r\n\r\nhello", status: 502}},
	{row: row{name: "63 overflow", raw: okHead + "Content-Length: 99999999999999999999\r\n\r\nhello", status: 502}},
	{row: row{name: "63 bad chunk", raw: okHead + "Transfer-Encoding: chunked\r\n\r\nx\r\n", status: 502}},
	{row: row{name: "63 bare lf in chunk", raw: okHead + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", status: 502}},
	{row: row{name: "63 gzip coding", raw: okHead + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", status: 502}},
	{row: row{name: "63 coding in 1.0", raw: "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 502}},
	{row: row{name: "63 bad length beside HEAD", raw: okHead + "Content-Length: x\r\n\r\n", status: 502}, asked: Asked{Method: HEAD}},
	{row: row{name: "64 bare cr", raw: okHead + "X: a\rb\r\n\r\n", status: 502}},
	{row: row{name: "64 bare lf", raw: okHead + "X: a\nY: b\r\n\r\n", status: 502}},
	{row: row{name: "64 nul", raw: okHead + "X: a\x00b\r\n\r\n", status: 502}},
	{row: row{name: "64 space before colon", raw: okHead + "X : a\r\n\r\n", status: 502}},
	{row: row{name: "64 folded", raw: okHead + "X: a\r\n b\r\n\r\n", status: 502}},
	{row: row{name: "64 nul in reason", raw: "HTTP/1.1 200 O\x00K\r\n\r\n", status: 502}},
	{row: row{name: "64 bare lf behind status", raw: "HTTP/1.1 200 OK\nX: a\r\n\r\n", status: 502}},
	{row: row{name: "65 more than the length", raw: hello + "HTTP/1.1 200 OK\r\n", sent: []string{"\r\n\r\nhello"}}, rest: 17},
	{row: row{name: "66 short", raw: okHead + "Content-Length: 6\r\n\r\nhello", status: 502}},
	{row: row{name: "66 short chunks", raw: okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", status: 502}},
	{row: row{name: "67 HEAD with content", raw: hello, sent: []string{"Content-Length: 5\r\n"}, not: []string{"hello"}}, asked: Asked{Method: HEAD}, rest: 5},
	{row: row{name: "67 204 with content", raw: "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", not: []string{"length", "hello"}}, rest: 5},
	{row: row{name: "67 304 with content", raw: "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: \"x\"\r\n\r\nhello", sent: []string{"etag", "Content-Length: 5\r\n"}, not: []string{"hello"}}, rest: 5},
	{row: row{name: "67 204 with chunks", raw: "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", not: []string{"chunked"}}, rest: 5},
	{row: row{name: "68 early hints", raw: "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: x\r\nX: y\r\nContent-Length: 5\r\n\r\n" + hello, count: 3,
		sent: []string{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\n"}, not: []string{"x: y"}}},
	{row: row{name: "no http", raw: "SSH-2.0-x\r\n", status: 502}},
	{row: row{name: "http 0.9", raw: "<html>", status: 502}},
	{row: row{name: "http 2", raw: "HTTP/2.0 200 OK\r\n\r\n", status: 502}},
	{row: row{name: "http 1.2", raw: "HTTP/1.2 200 OK\r\n\r\n", status: 502}},
	{row: row{name: "status of two digits", raw: "HTTP/1.1 20 OK\r\n\r\n", status: 502}},
	{row: row{name: "status of four digits", raw: "HTTP/1.1 2000 OK\r\n\r\n", status: 502}},
	{row: row{name: "status 600", raw: "HTTP/1.1 600 OK\r\n\r\n", status: 502}},
	{row: row{name: "status 099", raw: "HTTP/1.1 099 OK\r\n\r\n", status: 502}},
	{row: row{name: "two spaces", raw: "HTTP/1.1  200 OK\r\n\r\n", status: 502}},
	{row: row{name: "empty line first", raw: "\r\n" + hello, status: 502}},
	{row: row{name: "long head", raw: okHead + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 70) + "\r\n", status: 502}},
	{row: row{name: "long reason", raw: "HTTP/1.1 200 " + strings.Repeat("x", 40<<10) + "\r\n\r\n", status: 502}},
	{row: row{name: "no reason", raw: "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", sent: []string{"HTTP/1.1 200 \r\nContent-Length: 0\r\n"}}},
	{row: row{name: "empty reason", raw: "HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", sent: []string{"HTTP/1.1 200 \r\nContent-Length: 0\r\n"}}},
	{row: row{name: "no fields, no reason", raw: "HTTP/1.1 200\r\n\r\n", sent: []string{"HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n"}}},
	{row: row{name: "until close", raw: okHead + "\r\nhello", sent: []string{"transfer-encoding: chunked\r\n", "\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}}},
	{row: row{name: "until close to 1.0", raw: okHead + "\r\nhello", sent: []string{"connection: close\r\n", "\r\n\r\nhello"}, not: []string{"chunked"}}, client: 1},
	{row: row{name: "chunks to 1.0", raw: okHead + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n", sent: []string{"connection: close\r\n", "\r\n\r\nhello"}, not: []string{"chunked", "x: y"}}, client: 1},
	{row: row{name: "from 1.0", raw: "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello", sent: []string{"HTTP/1.1 200 OK\r\n", "hello"}, not: []string{"keep-alive"}}},
	{row: row{name: "trailers", raw: okHead + "Trailer: X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\nSet-Cookie: z\r\n\r\n",
		sent: []string{"trailer: x\r\n", "\r\n0\r\nX: y\r\n\r\n"}, not: []string{"set-cookie"}}},
	{row: row{name: "hop by hop", raw: okHead + "Connection: X-Secret, close\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nProxy-Authenticate: x\r\nX-Semper-Error: no\r\nUpgrade: h2c\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n",
		sent: []string{"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n"}, not: []string{"secret", "keep-alive", "proxy", "semper-error", "h2c", "connection"}}},
	{row: row{name: "own date", raw: okHead + "Date: today\r\nContent-Length: 0\r\n\r\n", sent: []string{"date: today\r\n"}, not: []string{"1994"}}},
	{row: row{name: "no date", raw: okHead + "Content-Length: 0\r\n\r\n", sent: []string{"date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"}}},
}

func TestResponseRows(t *testing.T) {
	t.Parallel()
	for _, tc := range responseRows {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := everySplit(t, wire{lim: DefaultResponse, response: true, asked: tc.asked,
				answer: Answer{Method: tc.asked.Method, Minor: 1 - tc.client, Date: []byte("Sun, 06 Nov 1994 08:49:37 GMT")}}, []byte(tc.raw))
			if len(w.in) != tc.rest && tc.status == 0 {
				t.Fatalf("%d bytes are left, want %d: %q", len(w.in), tc.rest, w.in)
			}
			tc.check(t, w)
		})
	}
}
