package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"semper/edge/front"
	"semper/edge/http1"
)

// lost counts how often a request was.
type lost struct{ n atomic.Int64 }

func (l *lost) Lost() { l.n.Add(1) }

// handed is a request of which a driver has read n bytes behind the head, and what of them is left.
func handed(t *testing.T, head, content string, n int, story front.Story) (*front.Handover, []byte) {
	t.Helper()
	h := &front.Handover{Head: []byte(head), Story: story}
	var r http1.Request
	if n, err := r.Parse(h.Head, &http1.Default); n == 0 || err != nil {
		t.Fatal(n, err)
	}
	h.Body.ResetRequest(&r, &http1.Default)
	came := []byte(content[:n])
	for {
		piece, n, done, err := h.Body.Next(came)
		if err != nil {
			t.Fatal(err)
		}
		h.Content, came, h.Whole = append(h.Content, piece...), came[n:], done
		if done || n == 0 {
			return h, came
		}
	}
}

// TestHandedOver: wherever a driver stopped reading a request, it is whole to the handler, and the next one is found behind it.
func TestHandedOver(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if h, ok := w.(front.Heir); r.URL.Path == "/heir" && (!ok || h.Inherit() == nil || h.Inherit() != nil) {
			t.Error("its story is not there, or there twice")
		}
		io.WriteString(w, r.URL.Path+" "+string(b)+" "+r.Trailer.Get("X-Sum"))
	})})
	for _, tc := range []struct{ fields, content, want string }{
		{"", "", " "},
		{"Content-Length: 5\r\n", "hello", "hello "},
		{"Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", "2;x=\"y\"\r\nhe\r\n003\r\nllo\r\n0\r\nX-Sum: 5\r\n\r\n", "hello 5"},
	} {
		for n := range len(tc.content) + 1 {
			for path, losses := range map[string]int64{"/heir": 0, "/other": 1} {
				var l lost
				h, left := handed(t, "POST "+path+" HTTP/1.1\r\nHost: a\r\n"+tc.fields+"\r\n", tc.content, n, &l)
				here, there := net.Pipe()
				r.ServeIn(nil, here, left, h)
				go io.WriteString(there, tc.content[n:]+"GET /pass HTTP/1.1\r\nHost: a\r\n\r\n")
				in := bufio.NewReader(there)
				for _, want := range []string{path + " " + tc.want, "/pass  "} {
					resp, err := http.ReadResponse(in, nil)
					if err != nil {
						t.Fatal(n, err)
					}
					if b, err := io.ReadAll(resp.Body); err != nil || string(b) != want {
						t.Errorf("%q behind %d bytes: %q, %v, want %q", tc.content, n, b, err, want)
					}
				}
				if got := l.n.Load(); got != losses {
					t.Errorf("lost %d times, want %d", got, losses)
				}
				there.Close()
			}
		}
	}
}

// TestAHandedOverClientIsToldToContinue, if it still waits for that.
func TestAHandedOverClientIsToldToContinue(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{Handler: http.HandlerFunc(echo)})
	for _, expects := range []bool{true, false} {
		h, _ := handed(t, "POST /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n", "", 0, &lost{})
		h.Expects = expects
		here, there := net.Pipe()
		r.ServeIn(nil, here, nil, h)
		in := bufio.NewReader(there)
		if expects {
			if resp, err := http.ReadResponse(in, nil); err != nil || resp.StatusCode != http.StatusContinue {
				t.Fatal(resp, err)
			}
		}
		go io.WriteString(there, "hello")
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "hello" || err != nil {
			t.Errorf("%q %v", b, err)
		}
		there.Close()
	}
}

// TestHandedOverTooLate: a server that is closed tells that the request is lost, and so does one whose session cannot begin.
func TestHandedOverTooLate(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{})
	r.Close()
	var l lost
	h, left := handed(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", 0, &l)
	here, there := net.Pipe()
	defer there.Close()
	if r.ServeIn(nil, here, left, h); l.n.Load() != 1 {
		t.Errorf("lost %d times", l.n.Load())
	}
}

// TestWokenToPass: a request that waited is answered by the handler when its session says so, with what came of it meanwhile.
func TestWokenToPass(t *testing.T) {
	t.Parallel()
	r := prepare(t, Options{}, app(t, echo))
	r.edge.waits, r.edge.hands = make(chan func(), 1), true
	r.listen(t, func(l net.Listener) net.Listener { return l })
	for _, request := range []string{
		"Content-Length: 5\r\n\r\nhe|llo", "Content-Length: 5\r\n\r\n|hello", "Transfer-Encoding: chunked\r\n\r\n3\r\nhe|l\r\n2\r\nlo\r\n0\r\n\r\n",
		"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n|hello",
	} {
		c := dial(t, r.addr)
		before, after, _ := strings.Cut("POST /a HTTP/1.1\r\nHost: a\r\n"+request, "|")
		io.WriteString(c, before)
		wake := <-r.edge.waits
		if !strings.Contains(request, "Expect") {
			io.WriteString(c, after)
		}
		wake()
		in := bufio.NewReader(c)
		resp, err := http.ReadResponse(in, nil)
		if strings.Contains(request, "Expect") {
			if err != nil || resp.StatusCode != http.StatusContinue {
				t.Fatal(resp, err)
			}
			io.WriteString(c, after)
			resp, err = http.ReadResponse(in, nil)
		}
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "hello" || err != nil || resp.Header.Get("X-Path") != "/a" {
			t.Errorf("%q: %q %v %v", request, b, err, resp.Header)
		}
		c.Close()
	}
}
