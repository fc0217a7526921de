package loop

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"sync"
	"testing"

	"semper/edge/front"
)

const longAnswer = 6<<20 + 12345

// long is an answer whose bytes tell where they belong: that of n.
func long(n uint64) []byte {
	b := make([]byte, longAnswer)
	random := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8)})
	random.Read(b) //nolint:errcheck // it never fails
	return b
}

// ask asks for the long answer n, and returns where to read it.
func ask(t *testing.T, addr string, n uint64) (net.Conn, *http.Response) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	c.(*net.TCPConn).SetReadBuffer(64 << 10)                         //nolint:errcheck,forcetypeassert // it is one; a larger one tests less
	fmt.Fprintf(c, "GET /%d HTTP/1.1\r\nHost: a\r\n\r\n", n)         //nolint:errcheck // the answer tells
	resp, err := http.ReadResponse(bufio.NewReaderSize(c, 256), nil) //nolint:bodyclose // with c
	if err != nil {
		t.Fatal(err)
	}
	return c, resp
}

// spliced reports whether something went through the only loop's pipe.
func spliced(r *rig) (some bool) {
	r.loops[0].sync(func(l *loop) { some = l.tube.moved > 0 })
	return some
}

// TestLongAnswers has several of them at once through one loop, to clients that take them in pieces and to some that leave in the
// midst: nobody gets a byte of another's.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		for _, useless := range []bool{false, true} {
			t.Run(fmt.Sprint(network, " without a pipe ", useless), func(t *testing.T) {
				t.Parallel()
				r := start(t, Options{Loops: 1}, longApp(t, network))
				if useless {
					r.loops[0].sync(func(l *loop) { l.tube.close(); l.tube.useless = true })
				}
				var clients sync.WaitGroup
				for n := range uint64(6) {
					clients.Go(func() {
						c, resp := ask(t, r.addr, n)
						defer c.Close() //nolint:errcheck // a test
						want := long(n)
						if n%3 == 2 { // leaves
							want = want[:3<<20]
						}
						at, piece := 0, make([]byte, 100<<10)
						for at < len(want) {
							m, err := resp.Body.Read(piece[:1+(at*7)%len(piece)])
							if !bytes.Equal(piece[:m], want[at:min(at+m, len(want))]) && at+m <= len(want) {
								t.Errorf("answer %d is another behind byte %d", n, at)
								return
							}
							if at += m; err != nil && !errors.Is(err, io.EOF) {
								t.Errorf("answer %d ends after %d bytes: %v", n, at, err)
								return
							}
						}
					})
				}
				clients.Wait()
				if spliced(r) == useless {
					t.Errorf("something went through the pipe: %v", !useless)
				}
			})
		}
	}
}

// longApp answers with long(n) to /n.
func longApp(t *testing.T, network string) *front.Target {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n uint64
		fmt.Sscanf(r.URL.Path, "/%d", &n) //nolint:errcheck // the client compares
		w.Header().Set("Content-Length", fmt.Sprint(longAnswer))
		w.Write(long(n)) //nolint:errcheck // some clients leave
	}))
	if network == "unix" {
		s.Listener.Close() //nolint:errcheck // another takes its place
		var err error
		if s.Listener, err = net.Listen("unix", filepath.Join(t.TempDir(), "s")); err != nil {
			t.Fatal(err)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	return targetOf(s.Listener.Addr())
}

// TestALongAnswerThatBreaksOff ends for the client as what it is, and the loop goes on.
func TestALongAnswerThatBreaksOff(t *testing.T) {
	t.Parallel()
	r := start(t, Options{Loops: 1}, raw(t, func(_ int, _ string, c net.Conn) {
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", longAnswer) //nolint:errcheck // the client tells
		c.Write(long(1)[:longAnswer/2])                                             //nolint:errcheck // the same
		c.Close()                                                                   //nolint:errcheck // a test
	}))
	for range 2 {
		c, resp := ask(t, r.addr, 1)
		got, err := io.ReadAll(resp.Body)
		if !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(got, long(1)[:longAnswer/2]) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		c.Close() //nolint:errcheck // a test
	}
	if !spliced(r) {
		t.Error("nothing went through the pipe: this tests nothing")
	}
	r.edge.mu.Lock()
	defer r.edge.mu.Unlock()
	for _, how := range r.edge.outcomes {
		if how != front.BrokenOff {
			t.Errorf("it ended as %v", how)
		}
	}
}
