package http1

import (
	"strings"
	"testing"
)

// What a browser's request and an app's answer look like: eight fields each, about 480 and 300 bytes.
var (
	benchRequest = lines("GET /products/shoes?page=2&sort=price HTTP/1.1", "Host: shop.example.com",
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "Accept-Language: en-US,en;q=0.5",
		"Accept-Encoding: gzip, deflate, br, zstd", "Referer: https://shop.example.com/products",
		"Connection: keep-alive", "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark")
	benchResponse = lines("HTTP/1.1 200 OK", "Date: Sun, 06 Nov 1994 08:49:37 GMT", "Content-Type: text/html; charset=utf-8",
		"Content-Length: 128", "Cache-Control: private, max-age=0", "Vary: Accept-Encoding", "X-Frame-Options: DENY",
		"Set-Cookie: session=0123456789abcdef0123456789abcdef; Path=/; HttpOnly", "Connection: keep-alive")
	benchForward = Forward{ClientIP: []byte("192.0.2.7"), Proto: "http", RequestID: []byte("0123456789abcdef0123456789abcdef"), Via: "semper"}
	benchAnswer  = Answer{Method: GET, Minor: 1, Release: []byte("r42"), RequestID: []byte("0123456789abcdef0123456789abcdef")}
)

// A path is all that one exchange costs here, once its parts are warm.
type benchPath struct {
	req  Request
	resp Response
	body Body
	dst  []byte
	host []byte
	path []byte
}

func (p *benchPath) exchange() bool {
	p.req.Reset()
	n, err := p.req.Parse(benchRequest, &Default)
	if err != nil || n == 0 {
		return false
	}
	p.host = p.req.AppendHostName(p.host[:0])
	forward := benchForward
	forward.Path = p.req.CanonicalPath(p.path)
	p.dst = AppendRequest(p.dst[:0], &p.req, &forward)
	p.resp.Reset()
	if n, err = p.resp.Parse(benchResponse, &DefaultResponse, Asked{Method: p.req.Method}); err != nil || n == 0 {
		return false
	}
	p.dst = AppendResponse(p.dst[:0], &p.resp, &benchAnswer)
	return true
}

func BenchmarkExchange(b *testing.B) {
	b.ReportAllocs()
	var p benchPath
	for b.Loop() {
		if !p.exchange() {
			b.Fatal("refused")
		}
	}
}

func BenchmarkRequestParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(benchRequest)))
	var r Request
	for b.Loop() {
		r.Reset()
		if n, err := r.Parse(benchRequest, &Default); n == 0 || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequestAppend(b *testing.B) {
	b.ReportAllocs()
	var r Request
	if _, err := r.Parse(benchRequest, &Default); err != nil {
		b.Fatal(err)
	}
	var dst []byte
	for b.Loop() {
		dst = AppendRequest(dst[:0], &r, &benchForward)
	}
}

func BenchmarkResponseParse(b *testing.B) {
	b.ReportAllocs()
	b.SetBytes(int64(len(benchResponse)))
	var r Response
	for b.Loop() {
		r.Reset()
		if n, err := r.Parse(benchResponse, &DefaultResponse, Asked{Method: GET}); n == 0 || err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkResponseAppend(b *testing.B) {
	b.ReportAllocs()
	var r Response
	if _, err := r.Parse(benchResponse, &DefaultResponse, Asked{Method: GET}); err != nil {
		b.Fatal(err)
	}
	var dst []byte
	for b.Loop() {
		dst = AppendResponse(dst[:0], &r, &benchAnswer)
	}
}

// BenchmarkDribble: a head that comes byte by byte must not cost more per byte than one that comes whole.
func BenchmarkDribble(b *testing.B) {
	for _, size := range []int{1 << 10, 8 << 10} {
		raw := lines("GET / HTTP/1.1", "Host: a", "X: "+strings.Repeat("x", size-100))
		lim := Default
		lim.Line = 16 << 10
		b.Run(map[int]string{1 << 10: "1KiB", 8 << 10: "8KiB"}[size], func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(raw)))
			var r Request
			for b.Loop() {
				r.Reset()
				for i := range raw {
					if _, err := r.Parse(raw[:i+1], &lim); err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

func BenchmarkChunks(b *testing.B) {
	b.ReportAllocs()
	var raw []byte
	for range 16 {
		raw = AppendChunk(raw, []byte(strings.Repeat("x", 1000)))
	}
	raw = AppendLastChunk(raw, nil)
	b.SetBytes(int64(len(raw)))
	r := Request{Framing: Framing{Kind: Chunked}}
	var body Body
	var dst []byte
	for b.Loop() {
		body.ResetRequest(&r, &Default)
		dst = dst[:0]
		for rest, done := raw, false; !done; {
			piece, n, end, err := body.Next(rest)
			if err != nil {
				b.Fatal(err)
			}
			dst, rest, done = AppendChunk(dst, piece), rest[n:], end
		}
		dst = AppendLastChunk(dst, &body)
	}
}

// TestNoAllocation holds the ordinary path to what the benchmarks show.
func TestNoAllocation(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	var p benchPath
	if got := testing.AllocsPerRun(100, func() { p.exchange() }); got != 0 {
		t.Errorf("an exchange makes %v allocations", got)
	}
	bad := []byte("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
	var r Request
	if got := testing.AllocsPerRun(100, func() {
		r.Reset()
		_, err := r.Parse(bad, &Default)
		e := err.(*Error).Refusal()
		p.dst = AppendRefusal(p.dst[:0], &e)
	}); got != 0 {
		t.Errorf("a refusal makes %v allocations", got)
	}
	raw := []byte("5\r\nhello\r\n0\r\n\r\n")
	r = Request{Framing: Framing{Kind: Chunked}}
	if got := testing.AllocsPerRun(100, func() {
		p.body.ResetRequest(&r, &Default)
		for rest, done := raw, false; !done; {
			var n int
			_, n, done, _ = p.body.Next(rest)
			rest = rest[n:]
		}
		p.dst = AppendLastChunk(p.dst[:0], &p.body)
	}); got != 0 {
		t.Errorf("a body makes %v allocations", got)
	}
}
