package edge

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"semper"
	"semper/edge/trace"
)

// TestWhatTheBackendSees sends bytes and compares the head that reaches the backend, line by line.
func TestWhatTheBackendSees(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, line, head, want string
		trusted                bool
	}{
		{name: "plain", line: "GET /a?b=c;d&%zz HTTP/1.1"},
		{name: "query and path byte for byte", line: "GET /%7Euser/a%2Fb//c;x?q=%GG&a=1&&b HTTP/1.1"},
		{name: "dots resolved", line: "GET /a/./b/../c HTTP/1.1", want: "GET /a/c HTTP/1.1"},
		{name: "absolute form", line: "GET http://shop.example:8080/x?y HTTP/1.1", want: "GET /x?y HTTP/1.1"},
		{name: "spoofed", line: "GET / HTTP/1.1",
			head: "X-Forwarded-For: 1.2.3.4\r\nx-forwarded-proto: https\r\nX-Forwarded-Prefix: /x\r\nForwarded: for=1.2.3.4\r\nX-Real-IP: 1.2.3.4\r\nX-Request-Id: mine\r\nX_Forwarded_Proto: https\r\nX-Forwarded_For: 1.2.3.4\r\nTransfer_Encoding: chunked\r\nContent_Length: 5\r\n"},
		{name: "hop by hop", line: "GET / HTTP/1.1",
			head: "Connection: close, X-Mine\r\nConnection: X-Other , X-Forwarded-For\r\nX-Mine: 1\r\nX-Other: 2\r\nKeep-Alive: 300\r\nProxy-Connection: keep-alive\r\nTE: gzip\r\nTrailer: X\r\nUpgrade: foo\r\nProxy-Authorization: x\r\nX-Kept: 3\r\n",
			want: "X-Kept: 3\r\n"},
		{name: "empty connection line first", line: "GET / HTTP/1.1", head: "Connection:\r\nConnection: X-Foo\r\nX-Foo: 1\r\n"},
		{name: "te trailers", line: "GET / HTTP/1.1", head: "TE: gzip, trailers;q=1\r\n", want: "Connection: TE\r\nTe: trailers\r\n"},
		{name: "own names", line: "GET / HTTP/1.1", head: "X_Custom: 1\r\nUser-Agent: me\r\nAccept-Encoding: br\r\nCookie: a=b\r\nAuthorization: x\r\n",
			want: "Accept-Encoding: br\r\nAuthorization: x\r\nCookie: a=b\r\nUser-Agent: me\r\nX_custom: 1\r\n"},
		{name: "trusted", line: "GET / HTTP/1.1", trusted: true,
			head: "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: outer\r\nX-Request-Id: theirs\r\nForwarded: for=1.2.3.4\r\nX_Forwarded_Proto: gopher\r\n",
			want: "= Forwarded: for=1.2.3.4\r\nHost: shop.example:8080\r\nTraceparent: *\r\nVia: 1.1 semper\r\nX-Forwarded-For: 1.2.3.4, 127.0.0.1\r\nX-Forwarded-Host: outer\r\nX-Forwarded-Proto: https\r\nX-Request-Id: theirs\r\n"},
		{name: "expect", line: "POST / HTTP/1.1", head: "Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi", want: "Content-Length: 2\r\n"},
		{name: "get with a body", line: "GET / HTTP/1.1", head: "Content-Length: 2\r\n\r\nhi", want: "Content-Length: 2\r\n"},
		{name: "chunked", line: "POST / HTTP/1.1", head: "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", want: "Transfer-Encoding: chunked\r\n"},
		{name: "post without body", line: "POST / HTTP/1.1", want: "Content-Length: 0\r\n"},
		{name: "http/1.0", line: "GET / HTTP/1.0", want: ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var options []func(*Options)
			if tc.trusted {
				options = append(options, trust("127.0.0.0/8"))
			}
			f := newFixture(t, options...)
			seen := make(chan string, 1)
			f.table(1, nil, recorder(t, seen))
			_, br := rawRequest(t, f, tc.line+"\r\nHost: shop.example:8080\r\n"+tc.head+"\r\n")
			resp, err := http.ReadResponse(br, nil)
			for err == nil && resp.StatusCode == http.StatusContinue {
				resp, err = http.ReadResponse(br, nil)
			}
			if err != nil || resp.StatusCode != 200 || resp.Header.Get("X-Request-Id") == "" {
				t.Fatalf("%v %v", resp, err)
			}
			line, want := tc.line, tc.want
			if strings.HasPrefix(want, "GET ") {
				line, want = want, ""
			}
			line = strings.Replace(line, "HTTP/1.0", "HTTP/1.1", 1)
			if own, ok := strings.CutPrefix(want, "= "); ok {
				want = own
			} else {
				want = withOwn(want)
			}
			if strings.HasSuffix(tc.line, "1.0") {
				want = strings.Replace(want, "1.1 semper", "1.0 semper", 1)
			}
			if got := <-seen; got != sorted(line+"\r\n"+want) {
				t.Errorf("the backend saw\n%s\nwant\n%s", got, sorted(line+"\r\n"+want))
			}
		})
	}
}

// withOwn adds what the edge always does.
func withOwn(more string) string {
	return "Host: shop.example:8080\r\nTraceparent: *\r\nVia: 1.1 semper\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Host: shop.example:8080\r\nX-Forwarded-Proto: http\r\nX-Request-Id: *\r\n" + more
}

// sorted is a head with its fields in order, and what is random blanked out.
func sorted(head string) string {
	line, rest, _ := strings.Cut(head, "\r\n")
	h, err := textproto.NewReader(bufio.NewReader(strings.NewReader(rest + "\r\n"))).ReadMIMEHeader()
	if err != nil {
		return fmt.Sprintf("%s\n%v in %q", line, err, rest)
	}
	if parent := h.Get("Traceparent"); len(parent) == trace.Size {
		h.Set("Traceparent", "*")
	}
	if id := h.Get("X-Request-Id"); len(id) == 32 {
		h.Set("X-Request-Id", "*")
	}
	var b strings.Builder
	b.WriteString(line + "\n")
	http.Header(h).Write(&b) //nolint:errcheck // memory
	return b.String()
}

// recorder is a backend that tells the head of each request as it came.
func recorder(t *testing.T, seen chan string) semper.Backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			br := bufio.NewReader(c)
			var head strings.Builder
			for {
				line, err := br.ReadString('\n')
				if err != nil || line == "\r\n" {
					break
				}
				head.WriteString(line)
			}
			if head.Len() > 0 {
				seen <- sorted(head.String())
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") //nolint:errcheck // the client checks
			}
			c.Close() //nolint:errcheck // a test's
		}
	}()
	t.Cleanup(func() {
		l.Close() //nolint:errcheck // a test's
		<-done
	})
	return semper.Backend{ID: "bar/rec.r1.1", Address: l.Addr().String()}
}

// TestWhatTheClientSees of an answer's head.
func TestWhatTheClientSees(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.table(7, nil, startRaw(t, func(c net.Conn, _ *bufio.Reader) {
		io.WriteString(c, "HTTP/1.1 200 OK\r\nConnection: X-Secret\r\nX-Secret: 1\r\nKeep-Alive: 5\r\nX-Semper-Release: r99\r\nX-Semper-Error: no\r\nX-Request-Id: theirs\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nhi") //nolint:errcheck // the client checks
	}))
	resp, body := get(t, client(t), f.url("/"))
	h := resp.Header
	h.Del("Date")
	id := h.Get("X-Request-Id")
	h.Del("X-Request-Id")
	if got, want := fmt.Sprint(h), "map[Content-Length:[2] Set-Cookie:[a=1 b=2] X-Semper-Release:[r7]]"; got != want || body != "hi" || len(id) != 32 {
		t.Errorf("got %s (%q, id %q), want %s", got, body, id, want)
	}
}

// TestBadRequests: what must not reach a backend does not, and is answered as it should be.
func TestBadRequests(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	seen := make(chan string, 1)
	f.table(1, nil, recorder(t, seen))
	for _, tc := range []struct {
		name, raw string
		want      []int
	}{
		{"connect", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", []int{405}},
		{"asterisk", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", []int{400}},
		{"two hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", []int{400}},
		{"no host", "GET / HTTP/1.1\r\n\r\n", []int{400}},
		{"host list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", []int{400}},
		{"host with user", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", []int{400}},
		{"host with path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", []int{400}},
		{"two lengths", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", []int{400}},
		{"signed length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx", []int{400}},
		{"unknown coding", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", []int{400, 501}},
		{"space before colon", "GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n", []int{400}},
		{"bad name", "GET / HTTP/1.1\r\nHost: a\r\nX@Y: y\r\n\r\n", []int{400}},
		{"nul in value", "GET / HTTP/1.1\r\nHost: a\r\nX: \x00\r\n\r\n", []int{400}},
		{"hidden dots", "GET /a/%2e%2e/admin HTTP/1.1\r\nHost: a\r\n\r\n", []int{400}},
		{"hidden dots behind a slash", "GET /a/x%2f..%2fadmin HTTP/1.1\r\nHost: a\r\n\r\n", []int{400}},
		{"nul in path", "GET /a%00b HTTP/1.1\r\nHost: a\r\n\r\n", []int{400}},
		{"backslash in path", "GET /a%5c..%5cb HTTP/1.1\r\nHost: a\r\n\r\n", []int{400}},
		{"head too large", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", []int{431}},
	} {
		_, br := rawRequest(t, f, tc.raw)
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		ok := false
		for _, s := range tc.want {
			ok = ok || resp.StatusCode == s
		}
		if !ok {
			t.Errorf("%s: %s", tc.name, resp.Status)
		}
	}
	select {
	case head := <-seen:
		t.Errorf("a backend got %s", head)
	default:
	}
	if l := f.ledger(1); l != (semper.Ledger{}) {
		t.Errorf("counted %+v", l)
	}
}

// TestBodiesThatAreNone: a chunk that is not one reaches the backend as an aborted request, and the
// connection takes no other.
func TestBodiesThatAreNone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			t.Error("the app got a whole body")
		}
	}))
	f.table(1, nil, a.Backend)
	for _, chunks := range []string{"0x5\r\nhello\r\n0\r\n\r\n", "5\nhello\r\n0\r\n\r\n", "5\r\nhelloXX\r\n0\r\n\r\n", "fffffffffffffffff\r\nhello"} {
		_, br := rawRequest(t, f, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+chunks+"GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
		resp, err := http.ReadResponse(br, nil)
		if err != nil {
			continue // broken off: as good
		}
		drainBody(t, resp)
		if resp.StatusCode != 400 {
			t.Errorf("%q: %s", chunks, resp.Status)
		}
		if resp, err := http.ReadResponse(br, nil); err == nil {
			t.Errorf("%q: what followed was answered: %s", chunks, resp.Status)
		}
	}
	if l := f.settled(1); l.Gone != l.Accepted {
		t.Errorf("%+v", l)
	}
}

// TestHTTP10TakesOneRequest: its framing leaves too much to guess for a second one.
func TestHTTP10TakesOneRequest(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, nil, a.Backend)
	_, br := rawRequest(t, f, "POST / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhiGET /next HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%v %v", resp, err)
	}
	drainBody(t, resp)
	if resp, err := http.ReadResponse(br, nil); err == nil {
		t.Errorf("what followed was answered: %s", resp.Status)
	}
}

func TestOwnPages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	req, err := http.NewRequest(http.MethodGet, f.url("/<script>"), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*")
	resp, err := client(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if b := drainBody(t, resp); !strings.HasPrefix(b, "<!doctype html>") || strings.Contains(b, "<script>") || !strings.Contains(b, resp.Header.Get("X-Request-Id")) {
		t.Errorf("%s", b)
	}
	resp, err = client(t).Head(f.url("/"))
	if err != nil {
		t.Fatal(err)
	}
	drainBody(t, resp)
	if resp.StatusCode != 404 {
		t.Error(resp.Status)
	}
}
