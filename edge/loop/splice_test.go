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

	"golang.org/x/sys/unix"

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

// ways are those in which a long answer may go, by what makes a loop take them.
var ways = map[string]func(*testing.T, *loop){
	"spliced":  func(*testing.T, *loop) {},
	"copied":   func(_ *testing.T, l *loop) { l.tube.giveUp() },
	"in turns": func(_ *testing.T, l *loop) { l.share = 1 },
	"refused": func(t *testing.T, l *loop) { // as by a kernel that does not splice: this is no pipe
		null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		unix.Close(l.tube.write) //nolint:errcheck // another takes its place
		l.tube.write = null
	},
}

// TestLongAnswers has several of them at once through one loop, to clients that take them in pieces and to some that leave in the
// midst: nobody gets a byte of another's.
func TestLongAnswers(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		for way, prepare := range ways {
			if network == "unix" && way != "spliced" && way != "copied" {
				continue // no other than with tcp
			}
			t.Run(network+" "+way, func(t *testing.T) {
				t.Parallel()
				r := start(t, Options{Loops: 1}, longApp(t, network))
				r.loops[0].sync(func(l *loop) { prepare(t, l) })
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
				if some := spliced(r); some != (way == "spliced" || way == "in turns") {
					t.Errorf("something went through the pipe: %v", some)
				}
				r.loops[0].sync(func(l *loop) {
					if way == "refused" && !l.tube.useless || way == "in turns" && l.turns < longAnswer/bufferSize {
						t.Errorf("the loop gave up the pipe: %v; somebody waited for another turn %d times", l.tube.useless, l.turns)
					}
				})
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
	r.splicedAndEnded(t, front.BrokenOff)
}

// TestALongRequestInTurns comes whole, though each of its pieces waits for the next batch.
func TestALongRequestInTurns(t *testing.T) {
	t.Parallel()
	r := start(t, Options{Loops: 1}, app(t, func(w http.ResponseWriter, q *http.Request) {
		got, err := io.ReadAll(q.Body)
		fmt.Fprint(w, bytes.Equal(got, long(1)), " ", err)
	}))
	r.loops[0].sync(func(l *loop) { l.share = 1 })
	c := client(t)
	for range 2 { // on one connection
		resp, err := c.Post("http://"+r.addr, "", bytes.NewReader(long(1)))
		if err != nil {
			t.Fatal(err)
		}
		said, err := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // a test
		if string(said) != "true <nil>" || err != nil {
			t.Errorf("%q, %v", said, err)
		}
	}
	r.loops[0].sync(func(l *loop) {
		if l.turns < longAnswer/bufferSize {
			t.Errorf("it waited %d times for another turn", l.turns)
		}
	})
}

// TestAConnectionAfterALongAnswer is as good as before: the same one brings the next answer, long or short, and none for HEAD.
func TestAConnectionAfterALongAnswer(t *testing.T) {
	t.Parallel()
	r := start(t, Options{Loops: 1}, longApp(t, "tcp"))
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test
	in := bufio.NewReader(c)
	for n, method := range []string{"GET", "HEAD", "GET", "HEAD"} {
		fmt.Fprintf(c, "%s /%d HTTP/1.1\r\nHost: a\r\n\r\n", method, n) //nolint:errcheck // the answer tells
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // a test
		if err != nil || resp.ContentLength != longAnswer || method == "GET" && !bytes.Equal(got, long(uint64(n))) {
			t.Errorf("%s %d: %d bytes of %d, %v", method, n, len(got), resp.ContentLength, err)
		}
	}
	if opened := r.edge.opened.Load(); opened != 1 || !spliced(r) {
		t.Errorf("%d connections, and something went through the pipe: %v", opened, spliced(r))
	}
}

// TestLongAnswersThatAreCut in the midst end for their clients as what they are, and leave nothing in the pipe for the next.
func TestLongAnswersThatAreCut(t *testing.T) {
	t.Parallel()
	r := start(t, Options{Loops: 1}, raw(t, func(_ int, _ string, c net.Conn) {
		_, err := fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 1<<40)
		for err == nil { // more than there is room for on the way
			_, err = c.Write(long(1))
		}
		c.Close() //nolint:errcheck // a test
	}))
	for range 3 {
		c, resp := ask(t, r.addr, 1)
		got := make([]byte, 1<<20)
		if _, err := io.ReadFull(resp.Body, got); err != nil {
			t.Fatal(err)
		}
		r.Cut(func(front.Session) bool { return true })
		// What is on its way to it still comes, and its end.
		rest, err := io.ReadAll(resp.Body)
		got = append(got, rest...)
		if want := bytes.Repeat(long(1), len(got)/longAnswer+1)[:len(got)]; !errors.Is(err, io.ErrUnexpectedEOF) || !bytes.Equal(got, want) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		c.Close() //nolint:errcheck // a test
	}
	r.splicedAndEnded(t, front.CutOff)
}

// splicedAndEnded checks that contents went through the pipe, and that every exchange ended as want says.
func (r *rig) splicedAndEnded(t *testing.T, want front.Outcome) {
	t.Helper()
	if !spliced(r) {
		t.Error("nothing went through the pipe: this tests nothing")
	}
	r.edge.mu.Lock()
	defer r.edge.mu.Unlock()
	for _, how := range r.edge.outcomes {
		if how != want {
			t.Errorf("it ended as %v, want %v", how, want)
		}
	}
}
