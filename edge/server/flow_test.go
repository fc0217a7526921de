package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/front"
	"semper/internal/reserve"
)

func TestRequestsGoThere(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, app(t, echo))
	c := client(t)
	for _, path := range []string{"/a?b=1", "/pass?b=1"} {
		for i, body := range []string{"", "x", strings.Repeat("0123456789", 10_000), strings.Repeat("abc", 1<<20)} {
			for _, chunked := range []bool{false, true} {
				var in io.Reader = strings.NewReader(body)
				if chunked {
					in = struct{ io.Reader }{in}
				}
				resp, err := c.Post("http://"+r.addr+path, "text/plain", in)
				if err != nil {
					t.Fatal(path, i, chunked, err)
				}
				got, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if err != nil || string(got) != body || resp.Header.Get("X-Path") != path {
					t.Errorf("%s, %d, chunked %v: %d of %d bytes, %v, %v", path, i, chunked, len(got), len(body), resp.Header, err)
				}
			}
		}
	}
	resp, err := c.Get("http://" + r.addr + "/refuse")
	if err != nil || resp.StatusCode != 404 || resp.Header.Get("X-Semper-Error") != "no-route" {
		t.Errorf("%v %v", resp, err)
	}
	resp.Body.Close()
	if n := r.edge.opened.Load(); n != 1 {
		t.Errorf("%d connections for requests that came one after the other", n)
	}
}

// Requests that stand one behind the other are answered in their order, however their bytes come, and whichever way each
// of them goes.
func TestPipelined(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, app(t, echo))
	forms := []string{
		"POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc",
		"POST /pass%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
		"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /pass%d HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nabcd",
		"POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n0\r\nX-T: 1\r\n\r\n",
		"GET /pass%d HTTP/1.1\r\nHost: a\r\n\r\n",
	}
	want := []string{"abc", "hello", "", "abcd", "h", ""}
	var all string
	for i := range 12 {
		all += fmt.Sprintf(forms[i%6], i)
	}
	for _, step := range []int{len(all), 1, 7, 100} {
		c := dial(t, r.addr)
		go func() {
			for p := all; len(p) > 0; {
				n := min(step, len(p))
				c.Write([]byte(p[:n]))
				p = p[n:]
			}
		}()
		in := bufio.NewReader(c)
		for i := range 12 {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(step, i, err)
			}
			b, _ := io.ReadAll(resp.Body)
			if string(b) != want[i%6] || !strings.HasSuffix(resp.Header.Get("X-Path"), fmt.Sprint(i)) {
				t.Errorf("by %d, %d: %q %v", step, i, b, resp.Header)
			}
		}
	}
}

// A request is the same wherever it is cut in two.
func TestEverySplit(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, app(t, echo))
	for _, path := range []string{"/a", "/pass"} {
		request := "POST " + path + " HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n3;a=b\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
		c := dial(t, r.addr)
		in := bufio.NewReader(c)
		for i := 1; i < len(request); i++ {
			io.WriteString(c, request[:i])
			io.WriteString(c, request[i:])
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(path, i, err)
			}
			if b, err := io.ReadAll(resp.Body); string(b) != "abcde" || err != nil {
				t.Errorf("%s, %d: %q %v", path, i, b, err)
			}
		}
	}
}

// A client that sends no more after its request is answered all the same.
func TestHalfClosedClientsAreAnswered(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, app(t, echo))
	for _, path := range []string{"/", "/pass"} {
		if got := exchange(t, r.addr, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("%q", got)
		}
	}
}

// Whatever a target does with the end of its response, the client is not told of a whole one that is none.
func TestResponses(t *testing.T) {
	t.Parallel()
	const get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	for name, c := range map[string]struct {
		answer, want string
		outcome      front.Outcome
	}{
		"until close":   {"HTTP/1.1 200 OK\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\nabc0", front.Answered},
		"chunks":        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "\r\n\r\nabcde0", front.Answered},
		"no content":    {"HTTP/1.1 204 No Content\r\n\r\n", "HTTP/1.1 204 No Content\r\n", front.Answered},
		"early hints":   {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\n", front.Answered},
		"cut short":     {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "\r\n\r\nabc", front.BrokenOff},
		"bad chunk":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcXX", "\r\n\r\nabc", front.BrokenOff},
		"no response":   {"", "HTTP/1.1 502 ", front.Refused},
		"no head":       {"HTTP/1.1 200 OK\r\nA: b", "HTTP/1.1 502 ", front.Refused},
		"two lengths":   {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "HTTP/1.1 502 ", front.Refused},
		"unasked 101":   {"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "HTTP/1.1 502 ", front.Refused},
		"flood of 103s": {strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100), "HTTP/1.1 502 ", front.Refused},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, Options{}, raw(t, func(_ int, _ string, _ *bufio.Reader, conn net.Conn) {
				for p := c.answer; len(p) > 0; p = p[1:] { // in the smallest pieces
					io.WriteString(conn, p[:1])
				}
				conn.Close()
			}))
			got := exchange(t, r.addr, get)
			if strings.Contains(got, "Transfer-Encoding") {
				got = joined(got)
			}
			if !strings.Contains(got, c.want) {
				t.Errorf("got %q", got)
			}
			if c.outcome == front.BrokenOff && strings.HasSuffix(got, "0") {
				t.Errorf("it ends as if whole: %q", got)
			}
			r.Close()
			if !slices.Equal(r.edge.outcomes, []front.Outcome{c.outcome}) {
				t.Errorf("ended %v, want %v", r.edge.outcomes, c.outcome)
			}
		})
	}
}

// What more comes than a response has is nobody's.
func TestMoreThanAResponse(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, raw(t, func(n int, _ string, _ *bufio.Reader, c net.Conn) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%dHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", n)
	}))
	c := client(t)
	for i := range 5 {
		resp, err := c.Get("http://" + r.addr)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if string(b) != fmt.Sprint(i+1) {
			t.Errorf("%q", b)
		}
	}
}

// An idle connection that its target has closed costs no request, and one that was not sent goes elsewhere.
func TestStaleConnections(t *testing.T) {
	t.Parallel()
	nobody := targetOf(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: reserve.For(t).Number})
	live := raw(t, func(_ int, head string, in *bufio.Reader, c net.Conn) {
		io.CopyN(io.Discard, in, 4)
		cork(t, c)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		c.Close() // without saying so
	})
	r := start(t, Options{}, nobody, live)
	c := client(t)
	for range 20 {
		resp, err := c.Post("http://"+r.addr, "text/plain", strings.NewReader("once"))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 200 || string(b) != "ok" {
			t.Errorf("%d %q", resp.StatusCode, b)
		}
	}
}

// cork has what is written to c leave with the end of it: a request that came between them could not be sent again.
func cork(t *testing.T, c net.Conn) {
	rc, err := c.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Error(err)
		return
	}
	if cerr := rc.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1) }); cerr != nil || err != nil {
		t.Error(cerr, err)
	}
}

// An answer may come before the request has ended. It ends the request, and the connection.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, raw(t, func(_ int, _ string, _ *bufio.Reader, c net.Conn) {
		io.WriteString(c, "HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno")
	}))
	c := dial(t, r.addr)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nabc")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 413 || !resp.Close {
		t.Fatalf("%v %v", resp, err)
	}
	if b, err := io.ReadAll(in); string(b) != "no" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	r.Close()
	if got := r.edge.ends(); got != "[0]" {
		t.Errorf("ended %v", got)
	}
}

// A request whose content is kept goes to another target when the first one breaks off; one that is too long does not.
func TestContentIsSentAgain(t *testing.T) {
	t.Parallel()
	var first atomic.Int64
	bad := raw(t, func(_ int, head string, in *bufio.Reader, c net.Conn) {
		first.Add(1)
		n := int64(1000)
		if strings.HasPrefix(head, "PUT /1048576 ") {
			n = 200_000 // more than is kept
		}
		io.CopyN(io.Discard, in, n)
		c.Close()
	})
	for size, want := range map[int]int{10_000: 200, 1 << 20: 502} {
		r := start(t, Options{}, bad, app(t, echo))
		c := client(t)
		body := strings.Repeat("x", size)
		req, _ := http.NewRequest("PUT", fmt.Sprint("http://", r.addr, "/", size), io.MultiReader(strings.NewReader(body[:100]), strings.NewReader(body[100:])))
		resp, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || want == 200 && string(b) != body {
			t.Errorf("%d bytes: %d, %d bytes back", size, resp.StatusCode, len(b))
		}
	}
	if first.Load() < 2 {
		t.Error("the first target was not tried")
	}
}

// What a client sends wrongly is answered as its own fault, and reaches nobody as a whole request.
func TestBadContent(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ content, want string }{
		"bad chunk": {"3\r\nabcXX", "HTTP/1.1 400 "},
		"bad size":  {"3\r\nabc\r\nx\r\n", "HTTP/1.1 400 "},
		"truncated": {"3\r\nabc\r\n", "HTTP/1.1 400 "},
	} {
		for _, split := range []bool{false, true} {
			t.Run(fmt.Sprint(name, split), func(t *testing.T) {
				t.Parallel()
				var whole atomic.Bool
				r := start(t, Options{}, app(t, func(_ http.ResponseWriter, r *http.Request) {
					if _, err := io.ReadAll(r.Body); err == nil {
						whole.Store(true)
					}
				}))
				conn := dial(t, r.addr)
				io.WriteString(conn, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
				if split {
					io.WriteString(conn, "1\r\nx\r\n")
				}
				io.WriteString(conn, c.content)
				conn.CloseWrite()
				b, _ := io.ReadAll(conn)
				if !strings.HasPrefix(string(b), c.want) || !strings.Contains(string(b), "Connection: close") {
					t.Errorf("%q", b)
				}
				r.Close()
				if got := r.edge.ends(); got != "[2]" || whole.Load() {
					t.Errorf("ended %v, whole: %v", got, whole.Load())
				}
			})
		}
	}
}

// A slow client and a fast target: what the client does not take waits in bounded memory.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	r := start(t, Options{}, app(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		b := make([]byte, 64<<10)
		for range size / len(b) {
			w.Write(b)
		}
	}))
	c := dial(t, r.addr)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
		t.Errorf("%d bytes of %d, %v", n, size, err)
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	const soon = 50 * time.Millisecond
	r := prepare(t, Options{Head: soon, Body: soon, Idle: soon},
		raw(t, func(_ int, head string, _ *bufio.Reader, c net.Conn) {
			if strings.Contains(head, "/answer") {
				io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			}
		}))
	r.head = soon
	r.listen(t, func(l net.Listener) net.Listener { return l })
	for request, want := range map[string]string{
		"": "", "GET / HTT": "HTTP/1.1 408 ", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab": "HTTP/1.1 408 ",
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n": "HTTP/1.1 502 ", "GET /answer HTTP/1.1\r\nHost: a\r\n\r\n": "HTTP/1.1 200 ",
	} {
		t.Run(strings.ReplaceAll(request, "/", "_"), func(t *testing.T) {
			t.Parallel()
			c := dial(t, r.addr)
			io.WriteString(c, request)
			b, _ := io.ReadAll(c)
			if !strings.HasPrefix(string(b), want) || want == "" && len(b) > 0 {
				t.Errorf("%q", b)
			}
		})
	}
}
