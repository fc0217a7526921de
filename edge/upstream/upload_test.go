package upstream

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"testing"
)

// TestBothWaysAtOnce: the response streams while the request does, whole, and the connection goes on after both.
func TestBothWaysAtOnce(t *testing.T) {
	t.Parallel()
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(200)
		http.NewResponseController(w).Flush()
		io.Copy(w, r.Body)
	})}
	for _, network := range []string{"tcp", "unix"} {
		pool := newPool(t, serve(t, network, server))
		const size = 3<<20 + 17
		for _, known := range []bool{true, false, true} {
			req := request(t, "POST", "x")
			req.Body, req.ContentLength = io.NopCloser(io.LimitReader(rand.NewChaCha8([32]byte{1}), size)), -1
			if known {
				req.ContentLength = size
			}
			resp, err := pool.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			got, want := sha256.New(), sha256.New()
			n, err := io.Copy(got, resp.Body)
			resp.Body.Close()
			io.Copy(want, io.LimitReader(rand.NewChaCha8([32]byte{1}), size))
			if err != nil || n != size || !bytes.Equal(got.Sum(nil), want.Sum(nil)) {
				t.Errorf("%d bytes, %v", n, err)
			}
			eventually(t, "idle", func() bool { return pool.Stats().Idle == 1 })
		}
		if s := pool.Stats(); s.Dialled != 1 || s.Reused != 2 {
			t.Errorf("%s: %+v", network, s)
		}
	}
}

// A pipe is a request's body that a test feeds. It says when it was closed.
type pipe struct {
	*io.PipeReader
	closed chan struct{}
}

func newPipe() (*pipe, *io.PipeWriter) {
	r, w := io.Pipe()
	return &pipe{r, make(chan struct{})}, w
}

func (p *pipe) Close() error {
	close(p.closed) // twice would panic
	return p.PipeReader.Close()
}

// TestAnEarlyAnswer: row 59. It is passed on, and the connection takes no further request.
func TestAnEarlyAnswer(t *testing.T) {
	t.Parallel()
	for _, wire := range []string{"HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno", "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"} {
		p := startPeer(t, "unix", answering(wire))
		pool := newPool(t, p)
		body, feed := newPipe()
		req := request(t, "POST", "x")
		req.Body, req.ContentLength = body, 100
		req.Header.Set("Expect", "100-continue")
		resp, err := pool.RoundTrip(req)
		if err != nil || resp.StatusCode < 400 {
			t.Fatal(resp, err)
		}
		if text, err := whole(resp); err != nil || !strings.HasSuffix(wire, "\r\n"+text) {
			t.Errorf("%q %v", text, err)
		}
		if s := pool.Stats(); s.Open != 0 {
			t.Errorf("%+v", s)
		}
		feed.Write([]byte("too late")) // it is taken from the pipe, and goes nowhere
		<-body.closed
		feed.Close()
	}
}

// TestABodyThatFails: the instance must not take the request for whole.
func TestABodyThatFails(t *testing.T) {
	t.Parallel()
	torn := errors.New("torn")
	for _, known := range []int64{100, -1} {
		seen := make(chan string, 1)
		pool := newPool(t, startPeer(t, "unix", func(_ net.Conn, br *bufio.Reader) {
			b, _ := io.ReadAll(br)
			seen <- string(b)
		}))
		body, feed := newPipe()
		req := request(t, "POST", "x")
		req.Body, req.ContentLength = body, known
		go func() {
			feed.Write([]byte("begin"))
			feed.CloseWithError(torn)
		}()
		_, err := pool.RoundTrip(req)
		var e *Error
		if !errors.Is(err, torn) || Unsent(err) || !errors.As(err, &e) || e.Op != Send {
			t.Errorf("%v", err)
		}
		<-body.closed
		if got := <-seen; strings.HasSuffix(got, "0\r\n\r\n") || !strings.Contains(got, "begin") {
			t.Errorf("the instance got %q", got)
		}
		feed.Close()
	}
	pool := newPool(t, startPeer(t, "unix", answering()))
	req := request(t, "POST", "short")
	req.ContentLength = 6
	if _, err := pool.RoundTrip(req); !errors.Is(err, errShortBody) {
		t.Errorf("%v", err)
	}
}

// buffered says that all of it is at hand.
type buffered struct {
	*strings.Reader
	closed bool
}

func (b *buffered) Buffered() int { return b.Len() }
func (b *buffered) Close() error  { b.closed = true; return nil }

// TestContentAtHandGoesWithTheHead in one write, without a goroutine.
func TestContentAtHandGoesWithTheHead(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		length int64
		want   string
	}{{5, "Content-Length: 5\r\n\r\nhello"}, {-1, "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}} {
		first := make(chan string, 1)
		p := startPeer(t, "unix", func(c net.Conn, _ *bufio.Reader) {
			b := make([]byte, 4096)
			n, _ := c.Read(b)
			for tc.length < 0 && !bytes.HasSuffix(b[:n], []byte("0\r\n\r\n")) {
				m, err := c.Read(b[n:])
				if err != nil {
					break
				}
				n += m
			}
			first <- string(b[:n])
			io.WriteString(c, okResponse)
			c.Read(b)
		})
		pool := newPool(t, p)
		body := &buffered{Reader: strings.NewReader("hello")}
		req := request(t, "PUT", "x")
		req.Body, req.ContentLength = body, tc.length
		resp, err := pool.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		whole(resp)
		if got := <-first; got != "PUT /path?q=1 HTTP/1.1\r\nHost: backend\r\n"+tc.want {
			t.Errorf("%q", got)
		}
		eventually(t, "idle", func() bool { return pool.Stats().Idle == 1 })
		if tc.length > 0 && !body.closed {
			t.Error("not closed")
		}
	}
}

// TestTheReaderIsDoneFirst: the response was read and closed while the last of the request was being written; the
// connection goes on once that is.
func TestTheReaderIsDoneFirst(t *testing.T) {
	t.Parallel()
	pool := newPool(t, startPeer(t, "unix", func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, okResponse)
		io.Copy(io.Discard, br)
	}))
	body, feed := newPipe()
	req := request(t, "POST", "x")
	req.Body, req.ContentLength = body, 1
	resp, err := pool.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	up := resp.Body.(*content).exchange.up
	if !up.goesOn(true) { // as the writer does when it has the last of it
		t.Fatal("given up")
	}
	if text, err := whole(resp); text != "ok" || err != nil {
		t.Errorf("%q %v", text, err)
	}
	if s := pool.Stats(); s.Open != 1 || s.Idle != 0 {
		t.Errorf("while it is written: %+v", s)
	}
	feed.Write([]byte("x"))
	<-body.closed
	if s := pool.Stats(); s.Open != 1 || s.Idle != 1 {
		t.Errorf("when it has been: %+v", s)
	}
	feed.Close()
}
