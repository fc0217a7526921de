package http1

import (
	"strings"
	"testing"
)

// A row is one of the bad inputs that edge.md, 3.3 lists, by its number there.
type row struct {
	name   string
	raw    string
	status int      // 0: forwarded
	sent   []string // in what is forwarded, whatever the case
	not    []string // not in it
	count  int      // messages that come to their end; 0 with status 0 is one
}

const (
	getA  = "GET / HTTP/1.1\r\nHost: a\r\n"
	postA = "POST / HTTP/1.1\r\nHost: a\r\n"
	next  = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
)

var requestRows = []row{
	{name: "1 length and coding", raw: postA + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + next, status: 400},
	{name: "1 coding and length", raw: postA + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + next, status: 400},
	{name: "2 two lengths", raw: postA + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello" + next, status: 400},
	{name: "3 two equal lengths", raw: postA + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", status: 400},
	{name: "3 list of equal lengths", raw: postA + "Content-Length: 5, 5\r\n\r\nhello", status: 400},
	{name: "4 list of lengths", raw: postA + "Content-Length: 5, 6\r\n\r\nhello", status: 400},
	{name: "5 plus", raw: postA + "Content-Length: +5\r\n\r\nhello", status: 400},
	{name: "6 minus", raw: postA + "Content-Length: -1\r\n\r\n", status: 400},
	{name: "7 hex", raw: postA + "Content-Length: 0x10\r\n\r\n", status: 400},
	{name: "8 underscore", raw: postA + "Content-Length: 1_0\r\n\r\n0123456789", status: 400},
	{name: "8 space", raw: postA + "Content-Length: 1 0\r\n\r\n0123456789", status: 400},
	{name: "9 empty", raw: postA + "Content-Length:\r\n\r\n", status: 400},
	{name: "9 blank", raw: postA + "Content-Length: \t \r\n\r\n", status: 400},
	{name: "10 overflow", raw: postA + "Content-Length: 99999999999999999999\r\n\r\n", status: 413},
	{name: "10 overflow of 64 bits to 5", raw: postA + "Content-Length: 18446744073709551621\r\n\r\nhello", status: 413},
	{name: "10 overflow and no number", raw: postA + "Content-Length: 99999999999999999999x\r\n\r\n", status: 400},
	{name: "11 xchunked", raw: postA + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", status: 501},
	{name: "11 foo", raw: postA + "Transfer-Encoding: foo\r\n\r\n", status: 501},
	{name: "11 gzip, chunked", raw: postA + "Transfer-Encoding: gzip, chunked\r\n\r\n", status: 501},
	{name: "12 not final", raw: postA + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", status: 400},
	{name: "13 twice in one", raw: postA + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "13 two lines", raw: postA + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "13 two lines, identity", raw: postA + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", status: 400},
	{name: "14 comma before", raw: postA + "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "14 comma behind", raw: postA + "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", status: 400},
	{name: "14 empty", raw: postA + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", status: 400},
	{name: "15 vertical tab", raw: postA + "Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "15 nul", raw: postA + "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n", status: 400},
	{name: "15 quoted", raw: postA + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", status: 400},
	{name: "15 parameter", raw: postA + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", status: 400},
	{name: "16 space before colon", raw: postA + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "16 tab before colon", raw: postA + "Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "17 folded", raw: postA + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "18 coding in 1.0", raw: "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", status: 400},
	{name: "19 alias of coding", raw: getA + "Transfer_Encoding: chunked\r\n\r\n", not: []string{"transfer"}},
	{name: "19 alias of length", raw: getA + "Content_Length: 5\r\nContent-Length: 0\r\n\r\n", sent: []string{"Content-Length: 0\r\n"}, not: []string{"_"}},
	{name: "20 hex prefix", raw: chunked("0x5\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "20 plus", raw: chunked("+5\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "20 minus", raw: chunked("-1\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "20 underscore", raw: chunked("5_\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "20 space before", raw: chunked(" 5\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "20 space behind", raw: chunked("5 \r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "20 empty", raw: chunked("\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "20 no hex", raw: chunked("g\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "21 17 digits", raw: chunked("00000000000000005\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "21 sign bit", raw: chunked("ffffffffffffffff\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "21 sum wraps", raw: chunked("5\r\nhello\r\n7fffffffffffffff\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "22 bare lf behind size", raw: chunked("5\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "22 bare lf behind data", raw: chunked("5\r\nhello\n0\r\n\r\n"), status: 400},
	{name: "22 bare lf behind last", raw: chunked("0\n\r\n"), status: 400},
	{name: "22 bare lf at the end", raw: chunked("0\r\n\n"), status: 400},
	{name: "22 cr cr lf", raw: chunked("5\r\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "23 extension", raw: chunked("5;a=b;c=\"d;\\\"\x80 e\" ; f\r\nhello\r\n0;x\r\n\r\n"), sent: []string{"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}},
	{name: "23 lf in extension", raw: chunked("5;a\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "23 lf in quotes", raw: chunked("5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "23 bare cr in extension", raw: chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "23 crlf in quotes", raw: chunked("5;a=\"\r\n\"\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "23 extension without name", raw: chunked("5;\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "23 extension without value", raw: chunked("5;a=\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "23 no extension", raw: chunked("5 a\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "23 quotes within", raw: chunked("5;a=b\"c\"\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "23 behind quotes", raw: chunked("5;a=\"b\"c\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "23 long extension", raw: chunked("5;" + strings.Repeat("a", 1025) + "\r\nhello\r\n0\r\n\r\n"), status: 400},
	{name: "23 extensions in sum", raw: chunked(strings.Repeat("1;"+strings.Repeat("a", 1000)+"\r\nx\r\n", 66) + "0\r\n\r\n"), status: 400},
	{name: "24 data longer than its size", raw: chunked("5\r\nhelloXX\r\n0\r\n\r\n"), status: 400},
	{name: "24 data without end", raw: chunked("5\r\nhello0\r\n\r\n"), status: 400},
	{name: "25 last chunk missing", raw: chunked("5\r\nhello\r\n"), status: 400},
	{name: "25 end of the last chunk missing", raw: chunked("5\r\nhello\r\n0\r\n"), status: 400},
	{name: "25 short body", raw: postA + "Content-Length: 6\r\n\r\nhello", status: 400},
	{name: "26 trailers", raw: chunked("0\r\nContent-Length: 5\r\nTransfer-Encoding: x\r\nHost: b\r\nAuthorization: c\r\nX-Kept: d\r\nX-Forwarded-For: e\r\nContent_Length: 6\r\n\r\n" + next),
		count: 2, sent: []string{"\r\n\r\n0\r\nX-Kept: d\r\n\r\nGET /next"}, not: []string{"host: b", "authorization", "content-length", "content_length", "x-forwarded-for: e"}},
	{name: "26 bad trailer", raw: chunked("0\r\nX : d\r\n\r\n"), status: 400},
	{name: "26 folded trailer", raw: chunked("0\r\nX: d\r\n e\r\n\r\n"), status: 400},
	{name: "26 long trailer", raw: chunked("0\r\nX: " + strings.Repeat("x", 9000) + "\r\n\r\n"), status: 431},
	{name: "26 trailers without end", raw: chunked("0\r\nX: d\r\n"), status: 400},
	{name: "27 no host", raw: "GET / HTTP/1.1\r\n\r\n", status: 400},
	{name: "28 two hosts", raw: "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", status: 400},
	{name: "28 two equal hosts", raw: "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", status: 400},
	{name: "29 list", raw: hosted("a, b"), status: 400},
	{name: "29 user", raw: hosted("a@b"), status: 400},
	{name: "29 path", raw: hosted("a/b"), status: 400},
	{name: "29 space", raw: hosted("a b"), status: 400},
	{name: "29 nul", raw: hosted("a\x00"), status: 400},
	{name: "29 empty", raw: hosted(""), status: 400},
	{name: "29 port only", raw: hosted(":80"), status: 400},
	{name: "29 bad port", raw: hosted("a:80x"), status: 400},
	{name: "29 large port", raw: hosted("a:65536"), status: 400},
	{name: "29 two ports", raw: hosted("a:80:80"), status: 400},
	{name: "29 empty label", raw: hosted("a..b"), status: 400},
	{name: "29 bare ipv6", raw: hosted("::1"), status: 400},
	{name: "29 no ipv6", raw: hosted("[a]"), status: 400},
	{name: "29 open bracket", raw: hosted("[::1"), status: 400},
	{name: "29 zone", raw: hosted("[fe80::1%25eth0]"), status: 400},
	{name: "29 ipv6", raw: hosted("[::1]:8080"), sent: []string{"Host: [::1]:8080\r\n"}},
	{name: "30 target's host", raw: "GET http://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n", sent: []string{"GET /x?y HTTP/1.1\r\nHost: b:81\r\n"}, not: []string{"host: a"}},
	{name: "30 target's host without path", raw: "GET HTTPS://b?y HTTP/1.1\r\nHost: a\r\n\r\n", sent: []string{"GET /?y HTTP/1.1\r\nHost: b\r\n"}},
	{name: "30 target's host, no field", raw: "GET http://b/ HTTP/1.1\r\n\r\n", status: 400},
	{name: "30 user in target", raw: "GET http://u@b/ HTTP/1.1\r\nHost: b\r\n\r\n", status: 400},
	{name: "30 other scheme", raw: "GET ftp://b/ HTTP/1.1\r\nHost: b\r\n\r\n", status: 400},
	{name: "30 another other scheme", raw: "GET httpx://b/ HTTP/1.1\r\nHost: b\r\n\r\n", status: 400},
	{name: "30 no authority", raw: "GET http:/b/ HTTP/1.1\r\nHost: b\r\n\r\n", status: 400},
	{name: "30 no slashes", raw: "GET http:xyb/ HTTP/1.1\r\nHost: b\r\n\r\n", status: 400},
	{name: "30 brace in the url's path", raw: "GET http://b/{x} HTTP/1.1\r\nHost: b\r\n\r\n", status: 400},
	{name: "30 backslash in the url's path", raw: "GET http://b/x\\y HTTP/1.1\r\nHost: b\r\n\r\n", status: 400},
	{name: "30 empty authority", raw: "GET http:///b HTTP/1.1\r\nHost: b\r\n\r\n", status: 400},
	{name: "31 asterisk", raw: "GET * HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "31 asterisk of options", raw: "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", sent: []string{"OPTIONS * HTTP/1.1\r\n"}},
	{name: "31 asterisk of options with more", raw: "OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "31 asterisk as a url", raw: "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n", sent: []string{"OPTIONS * HTTP/1.1\r\nHost: b\r\n"}},
	{name: "32 connect", raw: "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", status: 405},
	{name: "32 connect to a path", raw: "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", status: 405},
	{name: "33 internal address", raw: "GET http://169.254.169.254/ HTTP/1.1\r\nHost: a\r\n\r\n", sent: []string{"GET / HTTP/1.1\r\nHost: 169.254.169.254\r\n"}},
	{name: "34 bare lf", raw: "GET / HTTP/1.1\nHost: a\n\n", status: 400},
	{name: "34 bare lf behind a field", raw: "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", status: 400},
	{name: "34 bare lf at the end", raw: getA + "\n", status: 400},
	{name: "35 bare cr", raw: getA + "X: a\rb\r\n\r\n", status: 400},
	{name: "35 bare cr at the end", raw: getA + "X: a\r\r\n\r\n", status: 400},
	{name: "35 cr alone", raw: getA + "\rX: a\r\n\r\n", status: 400},
	{name: "36 nul", raw: getA + "X: a\x00b\r\n\r\n", status: 400},
	{name: "37 control", raw: getA + "X: a\x01b\r\n\r\n", status: 400},
	{name: "37 delete", raw: getA + "X: long enough for words: \x7f\r\n\r\n", status: 400},
	{name: "37 escape behind high bytes", raw: getA + "X: \xff\x80\xa0\x1f\r\n\r\n", status: 400},
	{name: "37 tabs and high bytes", raw: getA + "X:\ta\tb\xff\x80\x9f \r\n\r\n", sent: []string{"X:\ta\tb\xff\x80\x9f \r\n"}},
	{name: "38 empty name", raw: getA + ": x\r\n\r\n", status: 400},
	{name: "39 high byte in name", raw: getA + "X\x85: v\r\n\r\n", status: 400},
	{name: "39 at", raw: getA + "X@Y: v\r\n\r\n", status: 400},
	{name: "39 space", raw: getA + "X Y: v\r\n\r\n", status: 400},
	{name: "40 no colon", raw: getA + "XY\r\n\r\n", status: 400},
	{name: "41 space before fields", raw: "GET / HTTP/1.1\r\n Host: a\r\n\r\n", status: 400},
	{name: "41 tab before fields", raw: "GET / HTTP/1.1\r\n\tX: a\r\nHost: a\r\n\r\n", status: 400},
	{name: "42 folded", raw: getA + "X: a\r\n b\r\n\r\n", status: 400},
	{name: "42 folded blank", raw: getA + "X: a\r\n\t\r\n\r\n", status: 400},
	{name: "43 minor 32", raw: "GET / HTTP/1.32\r\nHost: a\r\n\r\n", status: 400},
	{name: "43 lower case", raw: "GET / http/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "43 leading zero", raw: "GET / HTTP/01.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "43 space behind", raw: "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", status: 400},
	{name: "43 major 2", raw: "GET / HTTP/2.0\r\nHost: a\r\n\r\n", status: 505},
	{name: "43 minor 2", raw: "GET / HTTP/1.2\r\nHost: a\r\n\r\n", status: 505},
	{name: "44 http 0.9", raw: "GET /\r\n", status: 400},
	{name: "45 two spaces before target", raw: "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "45 two spaces behind target", raw: "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "45 tab", raw: "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "45 vertical tab", raw: "GET /\x0bHTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "45 space first", raw: " GET / HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "46 bad method", raw: "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "46 long method", raw: strings.Repeat("G", 10<<10) + " / HTTP/1.1\r\nHost: a\r\n\r\n", status: 501},
	{name: "46 another method", raw: "MKCALENDAR / HTTP/1.1\r\nHost: a\r\n\r\n", sent: []string{"MKCALENDAR / HTTP/1.1\r\n"}},
	{name: "47 long path", raw: "GET /" + strings.Repeat("a", 8<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", status: 414},
	{name: "47 long query", raw: "GET /?" + strings.Repeat("a", 8<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", status: 414},
	{name: "47 long url", raw: "GET http://a/" + strings.Repeat("a", 8<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", status: 414},
	{name: "47 just not too long", raw: "GET /" + strings.Repeat("a", 8<<10-1) + " HTTP/1.1\r\nHost: a\r\n\r\n"},
	{name: "48 space in target", raw: "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "48 nul in target", raw: "GET /a\x00b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "48 angle in target", raw: "GET /a<b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "48 high byte in target", raw: "GET /a\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "48 high byte in query", raw: "GET /?\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "48 fragment", raw: "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "48 fragment in query", raw: "GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "48 bad encoding", raw: "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "48 half an encoding", raw: "GET /%2 HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "48 relative", raw: "GET a HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "49 long line", raw: getA + "X: " + strings.Repeat("x", 8<<10) + "\r\n\r\n", status: 431},
	{name: "49 long name", raw: getA + strings.Repeat("x", 300) + ": x\r\n\r\n", status: 431},
	{name: "49 long head", raw: getA + strings.Repeat("X: "+strings.Repeat("x", 1000)+"\r\n", 20) + "\r\n", status: 431},
	{name: "49 many fields", raw: getA + strings.Repeat("X: x\r\n", 100) + "\r\n", status: 431},
	{name: "49 just not too many", raw: getA + strings.Repeat("X: x\r\n", 99) + "\r\n"},
	{name: "50 long body", raw: postA + "Content-Length: 1073741825\r\n\r\n", status: 413},
	{name: "50 long chunk", raw: chunked("40000001\r\nhello"), status: 413},
	{name: "50 long chunks", raw: chunked("5\r\nhello\r\n3fffffff\r\n"), status: 413},
	{name: "51 named", raw: getA + "Connection: X-Forwarded-For, Host, Content-Length, Cookie, x-mine\r\nCookie: a=b\r\nX-Mine: c\r\nContent-Length: 0\r\n\r\n",
		sent: []string{"host: a\r\n", "content-length: 0\r\n", "x-forwarded-for: 192.0.2.7\r\n"}, not: []string{"cookie", "x-mine"}},
	{name: "51 many", raw: getA + "Connection: " + strings.Repeat("x, ", 33) + "\r\n\r\n", status: 400},
	{name: "52 empty connection first", raw: getA + "Connection:\r\nConnection: X-Foo\r\nX-Foo: 1\r\n\r\n", not: []string{"x-foo"}},
	{name: "53 hop by hop", raw: getA + "Proxy-Connection: keep-alive\r\nKeep-Alive: 5\r\nTE: gzip\r\nTrailer: X\r\nProxy-Authorization: x\r\nHTTP2-Settings: x\r\n\r\n",
		not: []string{"proxy-connection", "keep-alive", "te:", "trailer", "proxy-authorization", "http2-settings"}},
	{name: "53 te trailers", raw: getA + "TE: gzip;q=0.5, trailers\r\n\r\n", sent: []string{"te: trailers\r\n"}, not: []string{"gzip"}},
	{name: "54 provenance", raw: getA + "X-Forwarded-For: 1\r\nX-Forwarded-Anything: 2\r\nForwarded: for=3\r\nX-Real-IP: 4\r\nX_Forwarded_Proto: 5\r\nX-Forwarded_For: 6\r\nX-Request-Id: 7\r\nX_Forwarded_With_A_Long_Name_Indeed: 8\r\n\r\n",
		sent: []string{"x-forwarded-for: 192.0.2.7\r\n"}, not: []string{": 1\r", ": 2", ": for", ": 4", "_", ": 7"}},
	{name: "55 h2c", raw: getA + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n\r\n", not: []string{"upgrade", "h2c", "http2"}},
	{name: "55 h2c among others", raw: getA + "Connection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n", not: []string{"upgrade", "h2c"}},
	{name: "55 two protocols", raw: getA + "Connection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: x\r\n\r\n", not: []string{"upgrade"}},
	{name: "55 two versions", raw: getA + "Connection: Upgrade\r\nUpgrade: x/1/2\r\n\r\n", not: []string{"upgrade"}},
	{name: "55 version", raw: getA + "Connection: Upgrade\r\nUpgrade: x/1.2\r\n\r\n", sent: []string{"upgrade: x/1.2\r\n"}},
	{name: "56 upgrade with content", raw: postA + "Connection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello", not: []string{"upgrade"}},
	{name: "56 upgrade", raw: getA + "Connection: keep-alive, UPGRADE\r\nUpgrade: WebSocket\r\n\r\n", sent: []string{"connection: upgrade\r\nupgrade: websocket\r\n"}},
	{name: "58 upgrade in 1.0", raw: "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", not: []string{"upgrade"}},
	{name: "58 upgrade without connection", raw: getA + "Upgrade: websocket\r\n\r\n", not: []string{"upgrade"}},
	{name: "59 expect", raw: postA + "Expect: 100-Continue\r\nContent-Length: 5\r\n\r\nhello", sent: []string{"content-length: 5\r\n"}, not: []string{"expect"}},
	{name: "60 other expectation", raw: getA + "Expect: foo\r\n\r\n", status: 417},
	{name: "60 two expectations", raw: getA + "Expect: 100-continue\r\nExpect: 100-continue\r\n\r\n", status: 417},
	{name: "61 get with content", raw: getA + "Content-Length: 5\r\n\r\nhello" + next, count: 2, sent: []string{"content-length: 5\r\n", "hello", "GET /next"}},
	{name: "61 trace with content", raw: "TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", status: 400},
	{name: "62 close", raw: getA + "Connection: close\r\n\r\n" + next, count: 1, not: []string{"/next"}},
	{name: "62 1.0", raw: "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" + next, count: 1, not: []string{"/next"}},
	{name: "69 hidden dots", raw: "GET /a/%2e%2e/admin HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "69 half hidden dots", raw: "GET /a/.%2E/admin HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "69 dots behind an encoded slash", raw: "GET /a/x%2f..%2fadmin HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "69 nul", raw: "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "69 backslash", raw: "GET /a%5C..%5cb HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "69 plain backslash", raw: "GET /a\\b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "69 encoded slash", raw: "GET /a%2fb//c;x HTTP/1.1\r\nHost: a\r\n\r\n", sent: []string{"GET /a%2fb//c;x HTTP/1.1\r\n"}},
	{name: "69 url with hidden dots", raw: "GET http://a/%2e%2e/b HTTP/1.1\r\nHost: a\r\n\r\n", status: 400},
	{name: "84 http/2", raw: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status: 400},
	{name: "84 tls", raw: "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", status: 400},
	{name: "84 ssh", raw: "SSH-2.0-OpenSSH_9.2p1\r\n", status: 400},
	{name: "empty line first", raw: "\r\n" + next, sent: []string{"GET /next"}},
	{name: "two empty lines first", raw: "\r\n\r\n" + next, status: 400},
	{name: "bare lf first", raw: "\n" + next, status: 400},
	{name: "pipelined", raw: next + chunked("5\r\nhello\r\n0\r\n\r\n") + next, count: 3},
}

func chunked(body string) string { return postA + "Transfer-Encoding: Chunked\r\n\r\n" + body }

func hosted(host string) string { return "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n" }

func TestRequestRows(t *testing.T) {
	t.Parallel()
	for _, tc := range requestRows {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			w := everySplit(t, wire{lim: Default, forward: Forward{ClientIP: []byte("192.0.2.7"), Proto: "http", Upgrade: true}}, []byte(tc.raw))
			tc.check(t, w)
		})
	}
}

func (tc row) check(t *testing.T, w *wire) {
	t.Helper()
	if w.status() != tc.status {
		t.Fatalf("status %d, want %d\n%v", w.status(), tc.status, w)
	}
	done := 0
	for _, m := range w.messages {
		if m.done {
			done++
		}
	}
	want := tc.count
	if want == 0 && tc.status == 0 {
		want = 1
	}
	if done != want {
		t.Fatalf("%d messages came to their end, want %d\n%v", done, want, w)
	}
	sent := []byte(w.sent())
	for _, s := range tc.sent {
		if !has(sent, s) {
			t.Errorf("not sent %q\n%v", s, w)
		}
	}
	for _, s := range tc.not {
		if has(sent, s) {
			t.Errorf("sent %q\n%v", s, w)
		}
	}
	reparses(t, w)
}

// TestSmallLimits: each limit holds alone, also where another would have caught the message later.
func TestSmallLimits(t *testing.T) {
	t.Parallel()
	raw := []byte("\r\nGET /0123456789 HTTP/1.1\r\nHost: a\r\nX: 0123456789\r\n\r\n")
	for size := range len(raw) + 1 {
		lim := Default
		lim.Head = size
		if got, want := everySplit(t, wire{lim: lim}, raw).status(), map[bool]int{true: 0, false: 431}[size == len(raw)]; got != want {
			t.Errorf("a head of %d bytes where %d are allowed: %d", len(raw), size, got)
		}
		lim = Default
		lim.Line = size
		if got, want := everySplit(t, wire{lim: lim}, raw).status(), map[bool]int{true: 0, false: 431}[size >= len("X: 0123456789\r\n")]; got != want {
			t.Errorf("a line of 15 bytes where %d are allowed: %d", size, got)
		}
		lim = Default
		lim.Target = size
		if got, want := everySplit(t, wire{lim: lim}, raw).status(), map[bool]int{true: 0, false: 414}[size >= len("/0123456789")]; got != want {
			t.Errorf("a target of 11 bytes where %d are allowed: %d", size, got)
		}
	}
}
