package upstream

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A generated is a response that every client has to read alike.
type generated struct {
	method string
	wire   string
	ends   bool
}

var someStatus = []int{200, 200, 200, 201, 204, 206, 301, 304, 404, 500, 503}

// generate makes the i-th response.
func generate(i int) generated {
	r := rand.New(rand.NewPCG(4, uint64(i)))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	g := generated{method: pick("GET", "GET", "POST", "HEAD")}
	var b strings.Builder
	for range r.IntN(3) * r.IntN(2) {
		b.WriteString(pick("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n", "HTTP/1.1 102 Processing\r\n\r\n"))
	}
	status := someStatus[r.IntN(len(someStatus))]
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, pick("OK", "Some Reason", "x"))
	for range r.IntN(8) {
		name := pick("X-A", "x-lower", "Set-Cookie", "Content-Type", "ETAG", "Vary", "X-Empty", "Cache-Control")
		b.WriteString(name + pick(":", ": ", ":  \t") + pick("", "a", "text/plain; charset=utf-8", "a, b,c", "ünïcode", strings.Repeat("long ", 50)+"!") + pick("", " ", "\t") + "\r\n")
	}
	content := make([]byte, r.IntN(1<<r.IntN(18)))
	for i := range content {
		content[i] = "\r\n0123456789abcdef"[r.IntN(18)]
	}
	none := g.method == "HEAD" || status == 204 || status == 304
	switch framing := r.IntN(4); {
	case none && (framing == 0 || status == 204):
		b.WriteString("\r\n")
	case framing <= 1 || none:
		fmt.Fprintf(&b, "Content-Length: %d\r\n%s\r\n", len(content), pick("", "Connection: close\r\n", "Connection: keep-alive\r\n"))
		if !none {
			b.Write(content)
		}
	case framing == 2:
		trailer := pick("", "", "X-Sum: 1\r\n", "X-Sum: 1\r\nX-Two: 2\r\n")
		b.WriteString(pick("Transfer-Encoding: chunked\r\n", "transfer-encoding: Chunked\r\n") + pick("", "Trailer: X-Sum\r\n") + "\r\n")
		for len(content) > 0 {
			n := 1 + r.IntN(len(content))
			fmt.Fprintf(&b, "%s%x%s\r\n%s\r\n", pick("", "0", "000"), n, pick("", ";ext", ";a=b"), content[:n])
			content = content[n:]
		}
		b.WriteString("0\r\n" + trailer + "\r\n")
	default:
		b.WriteString("Connection: close\r\n\r\n")
		b.Write(content)
		g.ends = true
	}
	g.wire = b.String()
	return g
}

// playing answers the request for /i with the i-th response, in pieces.
func playing(c net.Conn, br *bufio.Reader) {
	for {
		head, ok := readHead(br)
		if !ok {
			return
		}
		var i int
		if _, err := fmt.Sscanf(head[strings.IndexByte(head, '/'):], "/%d", &i); err != nil {
			return
		}
		g, r := generate(i), rand.New(rand.NewPCG(5, uint64(i)))
		for rest := g.wire; rest != ""; {
			n := min(len(rest), 1+r.IntN(1+r.IntN(1<<14)))
			if _, err := io.WriteString(c, rest[:n]); err != nil {
				return
			}
			rest = rest[n:]
		}
		if g.ends || strings.Contains(g.wire, "Connection: close") {
			return
		}
	}
}

// A reading is what a client makes of a response.
type reading struct {
	Status  string
	Header  http.Header
	Length  int64
	Body    string
	Trailer http.Header
	Interim []string
	Err     bool
}

func read(t *testing.T, rt http.RoundTripper, i int) (got reading) {
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		got.Interim = append(got.Interim, fmt.Sprint(code, h))
		return nil
	}}
	req := request(t, generate(i).method, "").WithContext(httptrace.WithClientTrace(t.Context(), trace))
	req.URL.Path, req.URL.RawQuery = "/"+strconv.Itoa(i), ""
	resp, err := rt.RoundTrip(req)
	if err != nil {
		got.Err = true
		return got
	}
	got.Status, got.Header, got.Length = resp.Status, resp.Header, resp.ContentLength
	for _, k := range []string{"Connection", "Trailer", "Transfer-Encoding"} {
		delete(got.Header, k) // about the connection: ours are gone
	}
	body, err := whole(resp)
	got.Body, got.Err = body, err != nil
	if len(resp.Trailer) > 0 {
		got.Trailer = resp.Trailer
	}
	return got
}

// TestTheSameAsNetHTTP: valid responses are read as the standard library reads them.
func TestTheSameAsNetHTTP(t *testing.T) {
	t.Parallel()
	p := startPeer(t, "unix", playing)
	pool := newPool(t, p)
	std := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return p.dial(ctx) }}
	t.Cleanup(std.CloseIdleConnections)
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			for i := worker; i < 2000 && !t.Failed(); i += 2 {
				ours, theirs := read(t, pool, i), read(t, std, i)
				if diff := cmp.Diff(theirs, ours); diff != "" {
					t.Errorf("%d: %s %.300q\n%s", i, generate(i).method, generate(i).wire, diff)
				}
			}
		})
	}
	wg.Wait()
	if s := pool.Stats(); s.Reused < 500 {
		t.Errorf("%+v: connections are not kept", s)
	}
}

// descriptors is how many of them this process has open.
func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(runtime.GOOS, err)
	}
	return len(entries)
}

// TestNothingIsLeft of many exchanges that end in every way. It is not parallel: it counts descriptors.
func TestNothingIsLeft(t *testing.T) {
	before := descriptors(t)
	func() {
		p := startPeer(t, "unix", playing)
		pool := New(Options{Dial: p.dial, MaxIdle: 4})
		defer p.Close()
		defer pool.Close()
		for i := range 300 {
			req := request(t, generate(i).method, "")
			req.URL.Path, req.URL.RawQuery = "/"+strconv.Itoa(i), ""
			resp, err := pool.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if i%3 > 0 {
				io.CopyN(io.Discard, resp.Body, 10)
			} else {
				io.Copy(io.Discard, resp.Body)
			}
			resp.Body.Close()
		}
		if s := pool.Stats(); s.Open > 4 || s.Open != s.Idle {
			t.Errorf("%+v", s)
		}
	}()
	eventually(t, fmt.Sprintf("no more than the %d descriptors of before", before), func() bool { return descriptors(t) <= before })
}
