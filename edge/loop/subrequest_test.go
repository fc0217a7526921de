package loop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"semper/edge/front"
	"semper/edge/http1"
)

// heard is what came of a subrequest.
type heard struct {
	status  int
	content strings.Builder
	heads   int
	most    int // of content that is wanted; 0: all
	over    chan error
}

func (h *heard) Head(r *http1.Response) { h.status, h.heads = r.Status, h.heads+1 }

func (h *heard) Content(piece []byte) bool {
	h.content.Write(piece)
	return h.most == 0 || h.content.Len() < h.most
}

func (h *heard) End(err error) { h.over <- err } // room for one: a second call would stand still, and the test with it

// subrequest has the first loop of d make a subrequest.
func subrequest(t *testing.T, d *Driver, to *front.Target, m http1.Method, within time.Duration) (*heard, front.Running) {
	t.Helper()
	h := &heard{over: make(chan error, 1)}
	return h, request(t, d, to, m, within, h)
}

func request(t *testing.T, d *Driver, to *front.Target, m http1.Method, within time.Duration, h *heard) (r front.Running) {
	t.Helper()
	name := map[http1.Method]string{http1.GET: "GET", http1.HEAD: "HEAD", http1.POST: "POST"}[m]
	if !d.loops[0].sync(func(l *loop) {
		r = l.Run(&front.Subrequest{Target: to, Method: m, Head: []byte(name + " / HTTP/1.1\r\nHost: a\r\n\r\n"), Within: within, To: h})
	}) {
		t.Fatal("the loop has ended")
	}
	return r
}

// conversation is a server whose nth connection does as the nth of says does, and the last one for ever.
func conversation(t *testing.T, says ...func(net.Conn)) (*front.Target, *atomic.Int64) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var n atomic.Int64
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			says[min(int(n.Add(1)), len(says))-1](c)
			c.Close() //nolint:errcheck // a test
		}
	}()
	t.Cleanup(func() {
		l.Close() //nolint:errcheck // a test
		<-over
	})
	return targetOf(l.Addr()), &n
}

// asked reads one request's head.
func asked(c net.Conn) bool {
	var got []byte
	var b [1]byte
	for !strings.HasSuffix(string(got), "\r\n\r\n") {
		if _, err := c.Read(b[:]); err != nil {
			return false
		}
		got = append(got, b[0])
	}
	return true
}

// TestWhatASubrequestHears, in one piece and byte by byte.
func TestWhatASubrequestHears(t *testing.T) {
	t.Parallel()
	const early = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
	for _, c := range []struct {
		name, says string
		method     http1.Method
		status     int
		content    string
		err        bool
	}{
		{name: "a length", says: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", status: 200, content: "hello"},
		{name: "chunks", says: "HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\nA: b\r\n\r\n", status: 404, content: "hello"},
		{name: "until the end", says: "HTTP/1.1 200 OK\r\n\r\nhello", status: 200, content: "hello"},
		{name: "nothing", says: "HTTP/1.1 204 No Content\r\n\r\n", status: 204},
		{name: "no content for HEAD", says: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method: http1.HEAD, status: 200},
		{name: "early hints before it", says: early + early + "HTTP/1.1 500 Oh\r\nContent-Length: 2\r\n\r\nno", status: 500, content: "no"},
		{name: "hints without end", says: strings.Repeat(early, maxEarly+1), err: true},
		{name: "something behind it", says: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi, you", status: 200, content: "hi"},
		{name: "a part of a head", says: "HTTP/1.1 200 OK\r\nConte", err: true},
		{name: "a part of a content", says: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", status: 200, content: "hel", err: true},
		{name: "a chunk that is none", says: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", status: 200, err: true},
		{name: "no HTTP", says: "SSH-2.0-OpenSSH_9.2\r\n", err: true},
		{name: "silence", says: "", err: true},
	} {
		if c.method == 0 {
			c.method = http1.GET
		}
		for _, pieces := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", c.name, pieces), func(t *testing.T) {
				t.Parallel()
				to, _ := conversation(t, func(conn net.Conn) {
					if !asked(conn) {
						return
					}
					step := max(len(c.says), 1)
					if pieces {
						step = 1
					}
					for at := 0; at < len(c.says); at += step {
						io.WriteString(conn, c.says[at:min(at+step, len(c.says))]) //nolint:errcheck // who hears enough closes
					}
				})
				r := start(t, Options{Loops: 1}, to)
				h, _ := subrequest(t, r.Driver, to, c.method, 20*time.Second)
				err := <-h.over
				if (err != nil) != c.err || h.status != c.status || h.content.String() != c.content {
					t.Errorf("%d %q, %v", h.status, h.content.String(), err)
				}
			})
		}
	}
}

// TestSubrequestsShareConnections with one another, and one that its target has closed meanwhile costs none of them.
func TestSubrequestsShareConnections(t *testing.T) {
	t.Parallel()
	const answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
	gone := make(chan struct{})
	to, n := conversation(t, func(c net.Conn) {
		for range 3 {
			if asked(c) {
				io.WriteString(c, answer) //nolint:errcheck // a test
			}
		}
		asked(c) // the fourth, and then no word
		close(gone)
	}, func(c net.Conn) {
		if asked(c) {
			io.WriteString(c, answer) //nolint:errcheck // a test
		}
		asked(c)
	})
	r := start(t, Options{Loops: 1}, to)
	for i := range 4 {
		h, _ := subrequest(t, r.Driver, to, http1.GET, 20*time.Second)
		if err := <-h.over; err != nil || h.content.String() != "hi" || h.heads != 1 {
			t.Fatalf("number %d: %d %q, %v", i, h.status, h.content.String(), err)
		}
	}
	if <-gone; n.Load() != 2 {
		t.Errorf("%d connections were made", n.Load())
	}
}

// TestASubrequestIsNotMadeTwice where that could do something twice.
func TestASubrequestIsNotMadeTwice(t *testing.T) {
	t.Parallel()
	to, n := conversation(t, func(c net.Conn) {
		if asked(c) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi") //nolint:errcheck // a test
		}
		asked(c)
	})
	r := start(t, Options{Loops: 1}, to)
	for i, wrong := range []bool{false, true} {
		h, _ := subrequest(t, r.Driver, to, http1.POST, 20*time.Second)
		if err := <-h.over; (err != nil) != wrong {
			t.Errorf("number %d: %v", i, err)
		}
	}
	if n.Load() != 1 {
		t.Errorf("%d connections were made", n.Load())
	}
}

// TestASubrequestEnds though its target does not: by its time, by who asked, by who has heard enough, and with its loop.
func TestASubrequestEnds(t *testing.T) {
	t.Parallel()
	closed := make(chan struct{}, 8)
	says := func(text string) *front.Target {
		to, _ := conversation(t, func(c net.Conn) {
			if asked(c) {
				io.WriteString(c, text) //nolint:errcheck // a test
			}
			io.Copy(io.Discard, c) //nolint:errcheck // until it is closed
			closed <- struct{}{}
		})
		return to
	}
	mute, open := says(""), says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhello")
	r := start(t, Options{Loops: 1}, mute)
	h, _ := subrequest(t, r.Driver, mute, http1.GET, time.Millisecond)
	if err := <-h.over; !errors.Is(err, errNoResponse) {
		t.Errorf("late: %v", err)
	}
	<-closed
	h, running := subrequest(t, r.Driver, mute, http1.GET, time.Hour)
	running.Cancel()
	if err := <-h.over; !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	running.Cancel() // says nothing more
	<-closed
	h = &heard{most: 5, over: make(chan error, 1)}
	request(t, r.Driver, open, http1.GET, time.Hour, h)
	if err := <-h.over; err != nil || h.content.String() != "hello" {
		t.Errorf("enough: %q, %v", h.content.String(), err)
	}
	<-closed
	h, _ = subrequest(t, r.Driver, open, http1.GET, time.Hour)
	r.Driver.Close() //nolint:errcheck // it never fails
	if err := <-h.over; !errors.Is(err, errShut) {
		t.Errorf("shut: %v", err)
	}
	nobody := &heard{over: make(chan error, 1)}
	l := r.loops[0]
	if l.post(func(l *loop) { l.Run(&front.Subrequest{To: nobody}) }) {
		t.Error("a loop that has ended takes more")
	}
}

// TestASubrequestNeedsItsTarget: what cannot be reached is told.
func TestASubrequestNeedsItsTarget(t *testing.T) {
	t.Parallel()
	r := start(t, Options{Loops: 1})
	for _, to := range []*front.Target{
		{Network: "tcp", Address: "localhost:80"}, {Network: "unix", Address: t.TempDir() + "/none.sock"}, {Network: "tcp", Address: "127.0.0.1:1"},
	} {
		h, _ := subrequest(t, r.Driver, to, http1.GET, 20*time.Second)
		if err := <-h.over; err == nil || h.heads != 0 {
			t.Errorf("%s: %v", to.Address, err)
		}
	}
}
