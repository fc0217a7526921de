package upstream

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A peer is an instance that does with each connection what a test says.
type peer struct {
	net.Listener
	accepted atomic.Int64
	open     atomic.Int64
}

// startPeer listens on a unix socket or on TCP. script is run once per connection, which is closed after it.
func startPeer(t testing.TB, network string, script func(c net.Conn, br *bufio.Reader)) *peer {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{Listener: l}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			p.accepted.Add(1)
			p.open.Add(1)
			wg.Go(func() {
				defer p.open.Add(-1)
				defer c.Close()
				script(c, bufio.NewReader(c))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	return p
}

func (p *peer) dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, p.Addr().Network(), p.Addr().String())
}

// newPool is a pool to p. Its end comes before that of p.
func newPool(t testing.TB, p *peer, change ...func(*Options)) *Pool {
	t.Helper()
	o := Options{Dial: p.dial}
	for _, f := range change {
		f(&o)
	}
	pool := New(o)
	t.Cleanup(pool.Close)
	return pool
}

// readHead reads a request's head as text; false when the connection ended.
func readHead(br *bufio.Reader) (string, bool) {
	var head []byte
	for {
		line, err := br.ReadSlice('\n')
		head = append(head, line...)
		if err != nil {
			return string(head), false
		}
		if string(line) == "\r\n" {
			return string(head), true
		}
	}
}

// answering answers each request on a connection with the next of some answers, and then holds it until it is closed.
func answering(answers ...string) func(net.Conn, *bufio.Reader) {
	return func(c net.Conn, br *bufio.Reader) {
		for _, a := range answers {
			if _, ok := readHead(br); !ok {
				return
			}
			io.WriteString(c, a)
		}
		io.Copy(io.Discard, br)
	}
}

func request(t testing.TB, method, body string) *http.Request {
	t.Helper()
	var r io.Reader
	if body != "" {
		r = io.MultiReader(bufio.NewReader(stringReader(body)))
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://backend/path?q=1", r)
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.ContentLength = int64(len(body))
	}
	return req
}

func stringReader(s string) io.Reader { return &oneByOne{s} }

// oneByOne reads a byte at a time.
type oneByOne struct{ s string }

func (r *oneByOne) Read(p []byte) (int, error) {
	if r.s == "" {
		return 0, io.EOF
	}
	n := copy(p[:min(1, len(p))], r.s)
	r.s = r.s[n:]
	return n, nil
}

// whole reads a response to its end.
func whole(resp *http.Response) (string, error) {
	b, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	return string(b), err
}

// eventually waits for something that another goroutine brings about.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
		tick := time.NewTimer(time.Millisecond)
		<-tick.C
	}
}

// fileConn is the connection behind a descriptor, which it takes over.
func fileConn(t testing.TB, fd int) net.Conn {
	t.Helper()
	f := os.NewFile(uintptr(fd), "socket")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve runs a server of net/http.
func serve(t testing.TB, network string, s *http.Server) *peer {
	t.Helper()
	address := "127.0.0.1:0"
	if network == "unix" {
		address = filepath.Join(t.TempDir(), "s")
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	one := &http.Server{Handler: s.Handler, Protocols: s.Protocols, TLSConfig: s.TLSConfig, ErrorLog: s.ErrorLog}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if one.TLSConfig != nil {
			one.ServeTLS(l, "", "")
		} else {
			one.Serve(l)
		}
	}()
	t.Cleanup(func() {
		one.Close()
		<-done
	})
	return &peer{Listener: l}
}
