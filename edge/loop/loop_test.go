package loop

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/front"
	"semper/edge/http1"
	"semper/internal/reserve"
)

// fixed is an edge with one target after the other.
type fixed struct {
	targets []*front.Target
	opened  atomic.Int64
	begun   atomic.Int64
	ended   atomic.Int64
	lost    atomic.Int64
	keep    int

	mu       sync.Mutex
	outcomes []front.Outcome
	failures []front.Failure
}

func (f *fixed) Open(front.Connection) front.Session {
	f.opened.Add(1)
	return &session{edge: f}
}

type session struct {
	edge  *fixed
	tries int
	minor uint8
	meth  http1.Method
	head  []byte // of what goes the other way when it is woken
}

func (s *session) Begin(x *front.Exchange) front.Action {
	r := x.Request
	switch {
	case r.Unusual != 0:
		return front.Pass
	case string(r.Path()) == "/wait", string(r.Path()) == "/leave":
		s.begin(x)
		if s.head = nil; string(r.Path()) == "/leave" {
			s.head = bytes.Clone(r.Head())
		}
		go x.Waker.Wake(x.Ticket)
		return front.Wait
	case string(r.Path()) == "/refuse":
		s.edge.begun.Add(1)
		x.Refusal = http1.Refusal{Status: 404, Word: "no-route", Text: "No app answers here."}
		return front.Refuse
	}
	s.begin(x)
	return front.Forward
}

func (s *session) begin(x *front.Exchange) {
	r := x.Request
	s.edge.begun.Add(1)
	s.tries, s.minor, s.meth = 0, r.Minor, r.Method
	x.Target, x.Keep = s.edge.targets[0], s.edge.keep
	x.Forward = http1.Forward{Proto: "http", ClientIP: []byte("192.0.2.1"), Via: "semper"}
}

func (s *session) Failed(x *front.Exchange, f front.Failure) front.Action {
	s.edge.mu.Lock()
	s.edge.failures = append(s.edge.failures, f)
	s.edge.mu.Unlock()
	s.tries++
	if f.Replayable && (f.Unsent || s.meth.Idempotent()) && f.Kind != front.WasCut && s.tries < 4 {
		x.Target = s.edge.targets[s.tries%len(s.edge.targets)]
		return front.Forward
	}
	x.Refusal = http1.Refusal{Status: 502, Word: "bad-gateway", Text: "The app broke off before it answered."}
	return front.Refuse
}

func (s *session) Woken(x *front.Exchange) front.Action {
	if s.head == nil {
		return front.Forward
	}
	s.edge.ended.Add(1) // here
	x.Handover = &front.Handover{Head: s.head, Story: s}
	return front.Pass
}

func (s *session) Lost() { s.edge.lost.Add(1) }

func (s *session) Head(x *front.Exchange) {
	x.Answer = http1.Answer{Method: s.meth, Minor: s.minor}
	x.Stream = x.Response.EventStream()
}

func (s *session) End(_ *front.Exchange, how front.Outcome) {
	s.edge.ended.Add(1)
	s.edge.mu.Lock()
	defer s.edge.mu.Unlock()
	s.edge.outcomes = append(s.edge.outcomes, how)
}

func (s *session) Close() {}

// A rig is a driver over an edge, with its address.
type rig struct {
	*Driver
	edge   *fixed
	addr   string
	passed chan []byte
	handed chan *front.Handover
}

func targetOf(l net.Addr) *front.Target {
	return &front.Target{Network: l.Network(), Address: l.String()}
}

func start(t testing.TB, o Options, targets ...*front.Target) *rig {
	t.Helper()
	e := &fixed{targets: targets, keep: 64 << 10}
	return startEdge(t, o, e, e)
}

// startEdge is a rig over an edge that counts by counts.
func startEdge(t testing.TB, o Options, e front.Edge, counts *fixed) *rig {
	t.Helper()
	r := &rig{edge: counts, passed: make(chan []byte, 16), handed: make(chan *front.Handover, 16)}
	o.Edge = e
	o.Pass = func(c net.Conn, read []byte, h *front.Handover) {
		if h != nil {
			r.handed <- h
		}
		if c.RemoteAddr() == nil {
			t.Error("a connection from nobody was passed on")
		}
		c.Close() //nolint:errcheck // a test
		r.passed <- read
	}
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Driver = d
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- d.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		d.Close() //nolint:errcheck // it never fails
		l.Close() //nolint:errcheck // a test
		if n := d.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
		if b, e := r.edge.begun.Load(), r.edge.ended.Load(); b != e {
			t.Errorf("%d requests were begun, %d ended", b, e)
		}
	})
	return r
}

// app is a server that tells what it got.
func app(t testing.TB, h http.HandlerFunc) *front.Target {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return targetOf(s.Listener.Addr())
}

func echo(w http.ResponseWriter, r *http.Request) {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-Path", r.URL.RequestURI())
	w.Header().Set("X-For", r.Header.Get("X-Forwarded-For"))
	w.Header().Set("X-Te", strings.Join(r.TransferEncoding, ","))
	w.Write(b) //nolint:errcheck // the client tells
}

func client(t testing.TB) *http.Client {
	tr := &http.Transport{}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 20 * time.Second}
}

func TestRequestsGoThere(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, app(t, echo))
	c := client(t)
	for i, body := range []string{"", "x", strings.Repeat("0123456789", 10_000), strings.Repeat("abc", 1<<20)} {
		for _, chunked := range []bool{false, true} {
			var in io.Reader = strings.NewReader(body)
			if chunked {
				in = struct{ io.Reader }{in}
			}
			resp, err := c.Post("http://"+r.addr+"/a?b=1", "text/plain", in)
			if err != nil {
				t.Fatal(i, chunked, err)
			}
			got, err := io.ReadAll(resp.Body)
			resp.Body.Close() //nolint:errcheck // a test
			if err != nil || string(got) != body || resp.Header.Get("X-Path") != "/a?b=1" || resp.Header.Get("X-For") != "192.0.2.1" {
				t.Errorf("%d, chunked %v: %d of %d bytes, %v, %v", i, chunked, len(got), len(body), resp.Header, err)
			}
		}
	}
	for range 100 {
		resp, err := c.Post("http://"+r.addr+"/wait", "text/plain", strings.NewReader("held"))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // a test
		if string(b) != "held" {
			t.Errorf("%q", b)
		}
	}
	resp, err := c.Get("http://" + r.addr + "/refuse")
	if err != nil || resp.StatusCode != 404 || resp.Header.Get("X-Semper-Error") != "no-route" {
		t.Errorf("%v %v", resp, err)
	}
	resp.Body.Close() //nolint:errcheck // a test
}

// Requests that stand one behind the other are answered in their order, however their bytes come.
func TestPipelined(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, app(t, echo))
	one := "POST /%d HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
	two := "POST /%d HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
	three := "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"
	var all string
	for i := range 6 {
		all += fmt.Sprintf([]string{one, two, three}[i%3], i)
	}
	for _, step := range []int{len(all), 1, 7, 100} {
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for p := all; len(p) > 0; {
				n := min(step, len(p))
				c.Write([]byte(p[:n])) //nolint:errcheck // the reader tells
				p = p[n:]
			}
		}()
		in := bufio.NewReader(c)
		for i := range 6 {
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(step, i, err)
			}
			b, _ := io.ReadAll(resp.Body)
			if want := []string{"abc", "hello", ""}[i%3]; string(b) != want || resp.Header.Get("X-Path") != fmt.Sprint("/", i) {
				t.Errorf("by %d, %d: %q %v", step, i, b, resp.Header)
			}
		}
		c.Close() //nolint:errcheck // a test
	}
}

// raw is a target that answers each connection with what it is told.
func raw(t testing.TB, answer func(n int, head string, c net.Conn)) *front.Target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var works sync.WaitGroup
	var n atomic.Int64
	works.Add(1)
	go func() {
		defer works.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			works.Add(1)
			go func() {
				defer works.Done()
				defer c.Close() //nolint:errcheck // a test
				in := bufio.NewReader(c)
				for {
					var head bytes.Buffer
					for {
						line, err := in.ReadString('\n')
						if err != nil {
							return
						}
						if head.WriteString(line); line == "\r\n" {
							break
						}
					}
					answer(int(n.Add(1)), head.String(), c)
				}
			}()
		}
	}()
	t.Cleanup(func() { l.Close(); works.Wait() }) //nolint:errcheck // a test
	return targetOf(l.Addr())
}

func exchange(t testing.TB, addr, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()               //nolint:errcheck // a test
	io.WriteString(c, request)    //nolint:errcheck // the answer tells
	c.(*net.TCPConn).CloseWrite() //nolint:errcheck,forcetypeassert // it is one
	b, _ := io.ReadAll(c)
	return string(b)
}

// A client that sends no more after its request is answered all the same.
func TestHalfClosedClientsAreAnswered(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, app(t, echo))
	if got := exchange(t, r.addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("%q", got)
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
			r := start(t, Options{Loops: 1}, raw(t, func(_ int, _ string, conn net.Conn) {
				for p := c.answer; len(p) > 0; p = p[1:] { // in the smallest pieces
					io.WriteString(conn, p[:1]) //nolint:errcheck // the client tells
				}
				conn.Close() //nolint:errcheck // a test
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
			r.Close() //nolint:errcheck // it never fails
			if !slices.Equal(r.edge.outcomes, []front.Outcome{c.outcome}) {
				t.Errorf("ended %v, want %v", r.edge.outcomes, c.outcome)
			}
		})
	}
}

// joined puts the content of chunks together, whatever their sizes, with the 0 of the last one.
func joined(answer string) string {
	head, body, _ := strings.Cut(answer, "\r\n\r\n")
	var content string
	for lines := strings.Split(body, "\r\n"); len(lines) > 1; lines = lines[2:] {
		if content += lines[1]; lines[0] == "0" {
			content += "0"
		}
	}
	return head + "\r\n\r\n" + content
}

// What more comes than a response has is nobody's.
func TestMoreThanAResponse(t *testing.T) {
	t.Parallel()
	r := start(t, Options{Loops: 1}, raw(t, func(n int, _ string, c net.Conn) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%dHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil", n) //nolint:errcheck // the client tells
	}))
	c := client(t)
	for i := range 5 {
		resp, err := c.Get("http://" + r.addr)
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // a test
		if string(b) != fmt.Sprint(i+1) {
			t.Errorf("%q", b)
		}
	}
}

// An idle connection that its target has closed costs no request, and one that was not sent goes elsewhere.
func TestStaleConnections(t *testing.T) {
	t.Parallel()
	nobody := targetOf(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: reserve.For(t).Number})
	live := raw(t, func(_ int, _ string, c net.Conn) {
		cork(t, c)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") //nolint:errcheck // the client tells
		c.Close()                                                           //nolint:errcheck // without saying so
	})
	r := start(t, Options{Loops: 1}, nobody, live)
	c := client(t)
	for range 20 {
		resp, err := c.Post("http://"+r.addr, "text/plain", strings.NewReader("once"))
		if err != nil {
			t.Fatal(err)
		}
		b, _ := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // a test
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

func TestUnusualIsPassedOn(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, app(t, echo))
	const sent = "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\nGET /c HTTP/1.1\r\nHost: a\r\n\r\n"
	exchange(t, r.addr, sent)
	if got := <-r.passed; string(got) != sent {
		t.Errorf("%q", got)
	}
}

// A client that resets the connection while that is passed on has no address any more.
func TestResetWhilePassedOn(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, app(t, echo))
	ctx, cancel := context.WithCancel(context.Background())
	var takers sync.WaitGroup
	takers.Go(func() {
		for {
			select {
			case <-r.passed:
			case <-ctx.Done():
				return
			}
		}
	})
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			for range 500 {
				c, err := net.Dial("tcp", r.addr)
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(c, "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n") //nolint:errcheck // it is reset whatever comes
				c.(*net.TCPConn).SetLinger(0)                                //nolint:errcheck,forcetypeassert // the end is a reset
				c.Close()                                                    //nolint:errcheck // a test
			}
		})
	}
	clients.Wait()
	r.Close() //nolint:errcheck // nothing is passed on after that
	cancel()
	takers.Wait()
}

// A slow client and a fast target: what the client does not take waits in bounded memory.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	const size = 32 << 20
	var wrote atomic.Int64
	r := start(t, Options{Loops: 1}, app(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		b := make([]byte, 64<<10)
		for range size / len(b) {
			n, _ := w.Write(b)
			wrote.Add(int64(n))
		}
	}))
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()                                        //nolint:errcheck // a test
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") //nolint:errcheck // the answer tells
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, resp.Body)
	if n != size || err != nil {
		t.Errorf("%d bytes of %d, %v", n, size, err)
	}
}

func TestCut(t *testing.T) {
	t.Parallel()
	began := make(chan struct{}, 1)
	r := start(t, Options{Loops: 1}, app(t, func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
	}))
	done := make(chan string, 1)
	go func() { done <- exchange(t, r.addr, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") }()
	<-began
	r.Cut(func(front.Session) bool { return true })
	if got := <-done; !strings.HasPrefix(got, "HTTP/1.1 502 ") {
		t.Errorf("%q", got)
	}
	r.Close() //nolint:errcheck // it never fails
	if f := r.edge.failures; len(f) != 1 || f[0].Kind != front.WasCut {
		t.Errorf("%v", f)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	r := start(t, Options{}, app(t, echo))
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()                                        //nolint:errcheck // a test
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: a\r\n\r\n") //nolint:errcheck // the answer tells
	in := bufio.NewReader(c)
	if _, err := http.ReadResponse(in, nil); err != nil {
		t.Fatal(err)
	}
	r.Sweep()
	if _, err := in.ReadByte(); err != io.EOF {
		t.Errorf("%v", err)
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	const soon = 400 * time.Millisecond
	target := raw(t, func(_ int, head string, c net.Conn) {
		if strings.Contains(head, "/answer") {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") //nolint:errcheck // the client tells
		}
	})
	for _, c := range []struct {
		request, want string
		bounds        Options // no others: on a busy machine they may pass first
	}{
		{"", "", Options{Head: soon}},
		{"GET / HTT", "HTTP/1.1 408 ", Options{Head: soon}},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab", "HTTP/1.1 408 ", Options{Body: soon}},
		{"GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 502 ", Options{Response: soon, Idle: soon}},
		{"GET /answer HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 ", Options{Idle: soon}},
	} {
		t.Run(strings.ReplaceAll(c.request, "/", "_"), func(t *testing.T) {
			t.Parallel()
			c.bounds.Loops = 1
			conn, err := net.Dial("tcp", start(t, c.bounds, target).addr)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()              //nolint:errcheck // a test
			io.WriteString(conn, c.request) //nolint:errcheck // the answer tells
			b, _ := io.ReadAll(conn)
			if !strings.HasPrefix(string(b), c.want) || c.want == "" && len(b) > 0 {
				t.Errorf("%q", b)
			}
		})
	}
}

// A socket that two drivers share, as an edge and its successor do, is served by the one that still serves it.
func TestASharedSocket(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // a test
	r := start(t, Options{Loops: 2}, app(t, echo))
	for range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		served := make(chan error, 1)
		go func() { served <- r.Serve(ctx, l) }()
		c := client(t)
		for range 20 {
			resp, err := c.Get("http://" + l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close() //nolint:errcheck // a test
			c.CloseIdleConnections()
		}
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}
}
