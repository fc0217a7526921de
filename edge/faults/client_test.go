package faults

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"semper/edge"
)

// requests that clients break off after each byte.
var requests = []string{
	"GET /large?n=100 HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
	"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n0123456789",
	"POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2;x=y\r\nef\r\n0\r\nA: b\r\n\r\n",
	"GET /ok HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	"GET /ok HTTP/1.1\r\nHost: localhost\r\n\r\nGET /ok HTTP/1.1\r\nHost: localhost\r\n\r\n",
}

// end is how a client goes.
type end struct {
	name string
	do   func(c *net.TCPConn)
}

var ends = []end{
	{"reset", func(c *net.TCPConn) { c.SetLinger(0); c.Close() }},     //nolint:errcheck // it is gone then
	{"close", func(c *net.TCPConn) { c.Close() }},                     //
	{"half-close", func(c *net.TCPConn) { c.CloseWrite(); drain(c) }}, //nolint:errcheck // the same
}

func drain(c net.Conn) {
	io.Copy(io.Discard, c) //nolint:errcheck // its end is what is waited for
	c.Close()
}

// TestClientAbortsItsRequest has clients go at each byte of a request, in each way.
func TestClientAbortsItsRequest(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address})
		base := e.baseline(i)
		for _, request := range requests {
			for _, n := range steps(len(request), 9, 1) {
				for _, how := range ends {
					c := dial(t, e.plain)
					io.WriteString(c, request[:n]) //nolint:errcheck // the edge may have refused it before
					how.do(c)
				}
			}
		}
		e.settles(base)
	})
}

// TestClientAbortsTLS has clients go at each byte of the first record of a handshake, and behind the handshake at some of a
// request's.
func TestClientAbortsTLS(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address})
		base := e.baseline(i)
		hello := clientHello(t)
		for _, n := range steps(len(hello), 40, 1) {
			for _, how := range ends {
				c := dial(t, e.secure)
				io.WriteString(c, hello[:n]) //nolint:errcheck // the edge may have refused it before
				how.do(c)
			}
		}
		for _, request := range requests {
			for _, n := range steps(len(request), 30, 1) {
				for _, how := range ends[:2] {
					c := dial(t, e.secure)
					s := tls.Client(c, &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"})
					io.WriteString(s, request[:n]) //nolint:errcheck // the edge may have refused it before
					how.do(c)
				}
			}
		}
		e.settles(base)
	})
}

// clientHello is the first that a client of TLS sends.
func clientHello(t *testing.T) string {
	t.Helper()
	a, b := net.Pipe()
	defer b.Close()
	failed := make(chan error, 1)
	go func() {
		failed <- tls.Client(a, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true}).Handshake()
	}()
	buf := make([]byte, 16<<10)
	n, err := b.Read(buf)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	<-failed // it was not answered
	return string(buf[:n])
}

// TestClientAbortsItsAnswer has clients go when they have read so many bytes of an answer, small and large.
func TestClientAbortsItsAnswer(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address})
		base := e.baseline(i)
		take := func(path string, n int, how end) {
			c := dial(t, e.plain)
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path)
			io.CopyN(io.Discard, c, int64(n)) //nolint:errcheck // as many as there are
			how.do(c)
		}
		for _, n := range steps(250, 25, 1) {
			for _, how := range ends[:2] {
				take("/large?n=100", n, how)
			}
		}
		for _, path := range []string{"/large?n=8000000", "/endless"} {
			for _, n := range []int{0, 1, 200, 70_000, 300_000} {
				for _, how := range ends[:2] {
					take(path, n, how)
				}
			}
		}
		e.settles(base)
	})
}

// TestClientAbortsHTTP2 resets streams, and connections with streams on them, at several points of an answer.
func TestClientAbortsHTTP2(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address})
		base := e.baseline(i)
		for _, path := range []string{"/never", "/endless", "/large?n=8000000"} {
			for _, n := range []int64{0, 1, 100_000} {
				for _, streams := range []bool{true, false} {
					e.abortStreams(i, path, n, streams)
				}
			}
		}
		e.settles(base)
	})
}

// abortStreams asks for path on five streams of one connection, takes n bytes of each answer, and ends the streams, or the
// connection.
func (e *edgeProcess) abortStreams(i *instance, path string, n int64, streams bool) {
	e.t.Helper()
	client, address := e.client(secureH2)
	var below net.Conn
	client.Transport.(*http.Transport).DialContext = func(ctx context.Context, network, address string) (c net.Conn, err error) { //nolint:forcetypeassert // as client makes it
		below, err = new(net.Dialer).DialContext(ctx, network, address)
		return below, err
	}
	ctx, cancel := context.WithCancel(e.t.Context())
	defer cancel()
	var asking sync.WaitGroup
	for range 5 {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, address+path, nil)
		if err != nil {
			e.t.Fatal(err)
		}
		began := i.seen.Load()
		asking.Go(func() {
			resp, err := client.Do(req)
			if err != nil {
				return
			}
			io.CopyN(io.Discard, resp.Body, n) //nolint:errcheck // as many as there are
			<-ctx.Done()
			resp.Body.Close()
		})
		eventually(e.t, "the request is with the instance", func() bool { return i.seen.Load() > began })
	}
	if !streams {
		ends[0].do(below.(*net.TCPConn)) //nolint:forcetypeassert // as it was dialled
	}
	cancel()
	asking.Wait()
	below.Close() // of streams that were reset nothing is left but this
}

// TestBodiesArriveWhole sends and fetches bodies of many sizes past the bounds of every buffer, with a client that takes them at once
// and one that takes them slowly, and counts their bytes. It stands here for what it leaves: buffers are handed on and given back.
func TestBodiesArriveWhole(t *testing.T) {
	both(t, func(t *testing.T, driver edge.Driver) {
		i := newInstance(t)
		e := start(t, driver, "", []string{i.address})
		base := e.baseline(i)
		for _, size := range []int{0, 1, 16 << 10, 64 << 10, 128<<10 - 150, 128 << 10, 132<<10 + 1, 256<<10 - 100, 260<<10 + 1, 8 << 20} {
			for _, w := range ways {
				status, body, err := e.get(w, fmt.Sprint("/large?n=", size))
				if err != nil || status != http.StatusOK || !whole(body, size) {
					t.Errorf("by %s, of %d bytes came %d: %d, %v", w, size, len(body), status, err)
				}
				if n, err := e.upload(w, size); err != nil || n != fmt.Sprint(size) {
					t.Errorf("by %s, of %d bytes sent came %q: %v", w, size, n, err)
				}
			}
			if body, err := e.sip(fmt.Sprint("/large?n=", size)); err != nil || !whole(body, size) {
				t.Errorf("slowly, of %d bytes came %d: %v", size, len(body), err)
			}
		}
		e.settles(base)
	})
}

// whole reports whether body is what the instance sends of size bytes.
func whole(body string, size int) bool {
	for n := 0; n < len(body); n += len(piece) {
		if m := min(len(piece), len(body)-n); body[n:n+m] != string(piece[:m]) {
			return false
		}
	}
	return len(body) == size
}

// upload sends size bytes by w, and is what the instance says.
func (e *edgeProcess) upload(w way, size int) (string, error) {
	c, address := e.client(w)
	defer c.CloseIdleConnections()
	req, err := http.NewRequestWithContext(e.t.Context(), http.MethodPut, address+"/upload", strings.NewReader(strings.Repeat("x", size)))
	if err != nil {
		return "", err
	}
	req.Host = "localhost"
	resp, err := c.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return string(b), err
}

// sip fetches path in small pieces: the edge is faster, and has to wait.
func (e *edgeProcess) sip(path string) (string, error) {
	c := dial(e.t, e.plain)
	defer c.Close()
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", path)
	_, body, err := answer(bufio.NewReaderSize(c, 1<<10))
	return body, err
}
