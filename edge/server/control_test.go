package server

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"semper/edge/front"
)

const plainGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// eventually waits for what happens soon, and that nobody tells.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("%s: not within 20 s", what)
		}
	}
}

// hanging is a target that says when a request is there and answers when it is told, or never.
func hanging(t testing.TB) (target *front.Target, began chan struct{}, answer chan string) {
	began, answer = make(chan struct{}, 16), make(chan string)
	over := make(chan struct{})
	target = raw(t, func(_ int, _ string, _ *bufio.Reader, c net.Conn) {
		began <- struct{}{}
		select {
		case s := <-answer:
			io.WriteString(c, s)
		case <-over:
		}
	})
	t.Cleanup(func() { close(over) }) // and then raw waits for its own
	return target, began, answer
}

func TestSweep(t *testing.T) {
	t.Parallel()
	for _, park := range []bool{false, true} {
		r := prepare(t, Options{}, app(t, echo))
		if park {
			r.settle = time.Millisecond
		}
		r.listen(t, func(l net.Listener) net.Listener { return l })
		c := dial(t, r.addr)
		io.WriteString(c, plainGet)
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if park {
			eventually(t, "parked", func() bool { return r.parked.Len() == 1 })
		}
		r.Sweep()
		if _, err := in.ReadByte(); err != io.EOF {
			t.Errorf("parked %v: %v", park, err)
		}
		late := dial(t, r.addr) // closed when it begins to wait
		if _, err := late.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("parked %v, after it: %v", park, err)
		}
	}
}

// A request that is there when the sweep comes is answered.
func TestSweepLeavesRequests(t *testing.T) {
	t.Parallel()
	target, began, answer := hanging(t)
	r := start(t, Options{}, target)
	c := dial(t, r.addr)
	io.WriteString(c, plainGet+plainGet)
	<-began
	r.Sweep()
	in := bufio.NewReader(c)
	for range 2 {
		answer <- "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
	}
	if _, err := in.ReadByte(); err != io.EOF {
		t.Error(err)
	}
}

func TestParked(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{}, app(t, echo))
	r.settle = time.Millisecond
	r.listen(t, func(l net.Listener) net.Listener { return l })
	c := dial(t, r.addr)
	in := bufio.NewReader(c)
	for i := range 5 {
		eventually(t, "parked", func() bool { return r.parked.Len() == 1 })
		io.WriteString(c, plainGet)
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(i, err)
		}
		resp.Body.Close()
	}
	eventually(t, "parked", func() bool { return r.parked.Len() == 1 })
	r.Close() // with one parked
}

// A parked connection ends when it has been idle for long enough, and when its client ends.
func TestParkedEnds(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{Head: 100 * time.Millisecond}, app(t, echo))
	r.settle = time.Millisecond
	r.listen(t, func(l net.Listener) net.Listener { return l })
	if _, err := dial(t, r.addr).Read(make([]byte, 1)); err != io.EOF {
		t.Error(err)
	}
	c := dial(t, r.addr)
	c.Close()
	eventually(t, "no connection", func() bool { return r.Connections() == 0 })
}

func TestCut(t *testing.T) {
	t.Parallel()
	target, began, _ := hanging(t)
	r := start(t, Options{}, target)
	c := dial(t, r.addr)
	io.WriteString(c, plainGet)
	<-began
	asked := make(chan struct{})
	r.Cut(func(front.Session) bool { close(asked); return false })
	<-asked
	r.Cut(func(front.Session) bool { return true })
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil || resp.StatusCode != 502 || resp.Close {
		t.Fatalf("%v %v", resp, err)
	}
	io.Copy(io.Discard, resp.Body)
	io.WriteString(c, "GET /refuse HTTP/1.1\r\nHost: a\r\n\r\n") // the connection goes on
	if resp, err = http.ReadResponse(in, nil); err != nil || resp.StatusCode != 404 {
		t.Fatalf("%v %v", resp, err)
	}
	r.Close()
	if f := r.edge.failures; len(f) != 1 || f[0].Kind != front.WasCut {
		t.Errorf("%v", f)
	}
}

// A response that is cut is no whole one, but an event stream ends in order: its client comes back.
func TestCutResponses(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]string{"text/plain": "", "text/event-stream": "0\r\n\r\n"} {
		target := raw(t, func(_ int, _ string, _ *bufio.Reader, c net.Conn) {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Type: %s\r\n\r\ndata: 1\n\n", kind)
			io.Copy(io.Discard, c)
		})
		r := start(t, Options{}, target)
		c := dial(t, r.addr)
		io.WriteString(c, plainGet)
		in := bufio.NewReader(c)
		if _, err := readHead(in); err != nil {
			t.Fatal(err)
		}
		in.ReadString('\n')
		in.ReadString('\n')
		r.Cut(func(front.Session) bool { return true })
		b, _ := io.ReadAll(in)
		if got := string(b); strings.TrimPrefix(got, "\n\r\n") != want {
			t.Errorf("%s: %q", kind, got)
		}
		r.Close()
		if got := r.edge.ends(); got != "[4]" {
			t.Errorf("%s: ended %s", kind, got)
		}
	}
}

func TestWait(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{}, app(t, echo))
	r.edge.waits = make(chan func(), 1)
	r.listen(t, func(l net.Listener) net.Listener { return l })
	c := dial(t, r.addr)
	in := bufio.NewReader(c)
	var last func()
	for i := range 3 {
		io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel")
		let := <-r.edge.waits
		if last != nil {
			last() // a wake that comes late is for nobody
		}
		go let()
		io.WriteString(c, "lo")
		resp, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if b, _ := io.ReadAll(resp.Body); string(b) != "hello" {
			t.Errorf("%d: %q", i, b)
		}
		last = let
	}
	// One that is cut does not wait on.
	io.WriteString(c, plainGet)
	<-r.edge.waits
	r.Cut(func(front.Session) bool { return true })
	if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != 502 {
		t.Errorf("%v %v", resp, err)
	}
	r.Close()
	if f := r.edge.failures; len(f) != 1 || f[0].Kind != front.WasCut {
		t.Errorf("%v", f)
	}
}

// reset ends a connection so that the other side learns it at once.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// A client that resets its connection is noticed while its request is under way, by either way, and while it waits.
func TestClientGone(t *testing.T) {
	t.Parallel()
	target, began, _ := hanging(t)
	ended := make(chan error, 1)
	r := prepare(t, Options{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
		ended <- r.Context().Err()
	})}, target)
	r.listen(t, func(l net.Listener) net.Listener { return l })
	for _, path := range []string{"/", "/pass"} {
		c := dial(t, r.addr)
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		<-began
		reset(c)
		eventually(t, path, func() bool { return r.Connections() == 0 })
	}
	if err := <-ended; err == nil {
		t.Error("the context has no error")
	}
	line := prepare(t, Options{}, target)
	line.edge.waits = make(chan func(), 1)
	line.listen(t, func(l net.Listener) net.Listener { return l })
	c := dial(t, line.addr)
	io.WriteString(c, plainGet)
	<-line.edge.waits
	reset(c)
	eventually(t, "while it waits", func() bool { return line.Connections() == 0 })
	if got := r.edge.ends() + line.edge.ends(); got != "[2][2]" {
		t.Errorf("ended %s", got)
	}
}

// Close ends whatever is under way.
func TestClose(t *testing.T) {
	t.Parallel()
	target, began, _ := hanging(t)
	r := start(t, Options{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})}, target)
	for _, request := range []string{
		plainGet, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc", "GET /pass HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST /pass HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc",
	} {
		io.WriteString(dial(t, r.addr), request)
		<-began
	}
	io.WriteString(dial(t, r.addr), "GET / HT")
	dial(t, r.addr)
	eventually(t, "all are there", func() bool { return r.Connections() == 6 })
	r.Close()
	if n := r.Connections(); n != 0 {
		t.Errorf("%d connections", n)
	}
	c, _ := net.Pipe()
	r.ServeConn(c, nil)
	if n := r.Connections(); n != 0 {
		t.Errorf("%d connections after it", n)
	}
}

// A connection that another driver gives is served from what was read of it on.
func TestServeConn(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{}, app(t, echo))
	here, there := net.Pipe()
	r.ServeConn(here, []byte("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /pass"))
	go io.WriteString(there, "/b HTTP/1.1\r\nHost: a\r\n\r\n")
	in := bufio.NewReader(there)
	for _, want := range []string{"/a", "/pass/b"} {
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.Header.Get("X-Path") != want {
			t.Errorf("%s: %v %v", want, resp, err)
		}
		io.Copy(io.Discard, resp.Body)
	}
	there.Close()
}

// A client that takes nothing of its answer is not waited for; one that takes a little is.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/pass"} {
		big := func(w http.ResponseWriter, _ *http.Request) {
			b := make([]byte, 64<<10)
			for range 1 << 12 {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		}
		r := start(t, Options{Write: 100 * time.Millisecond, Handler: http.HandlerFunc(big)}, app(t, big))
		c := dial(t, r.addr)
		raw, _ := c.SyscallConn()
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
		io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n")
		eventually(t, path, func() bool { return r.edge.opened.Load() == 1 && r.Connections() == 0 })
	}
}
