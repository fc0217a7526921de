package alone

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"semper/edge"
)

// Both messages of an ordinary exchange: what a browser or a client library would send for a small answer.
const (
	ask = "GET /path?q=1 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: bench\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\r\n"
	say = "HTTP/1.1 200 OK\r\nDate: Sat, 21 Nov 2026 09:00:00 GMT\r\nContent-Type: text/plain\r\nContent-Length: 13\r\n\r\nHello, world!"
)

// ordinary serves ordinary requests by an edge that runs in this process, and asks them over one connection. Neither end of
// it allocates: what is counted is the edge's.
type ordinary struct {
	conn net.Conn
	buf  []byte
}

func newOrdinary(tb testing.TB, driver edge.Driver) *ordinary {
	tb.Helper()
	dir, err := os.MkdirTemp("", "alone")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	instance := filepath.Join(dir, "app.sock")
	l, err := net.Listen("unix", instance)
	if err != nil {
		tb.Fatal(err)
	}
	var apps sync.WaitGroup
	apps.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			apps.Go(func() { answer(c) })
		}
	})
	path := filepath.Join(dir, "edge.yaml")
	if err := os.WriteFile(path, fmt.Appendf(nil, "listeners: 127.0.0.1:0\npools: {app: unix:%s}\nroutes: [{to: app}]\n", instance), 0o600); err != nil {
		tb.Fatal(err)
	}
	var at string
	s, err := start(tb.Context(), Options{Routes: path, Driver: driver}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	at = s.doors[s.plan.listeners[0].key].socket.Addr()
	o := &ordinary{buf: make([]byte, 4096)}
	if o.conn, err = net.Dial("tcp", at); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		o.conn.Close()
		if err := s.close(); err != nil {
			tb.Error(err)
		}
		l.Close()
		apps.Wait()
	})
	return o
}

// answer is an instance on one connection.
func answer(c net.Conn) {
	defer c.Close()
	buf, answer := make([]byte, 4096), []byte(say)
	have := 0
	for {
		n, err := c.Read(buf[have:])
		if err != nil {
			return
		}
		if have += n; bytes.HasSuffix(buf[:have], []byte("\r\n\r\n")) {
			have = 0
			if _, err := c.Write(answer); err != nil {
				return
			}
		}
	}
}

var errShort = errors.New("the answer is not the instance's")

var request = []byte(ask)

// exchange is one request and its answer.
func (o *ordinary) exchange() error {
	if _, err := o.conn.Write(request); err != nil {
		return err
	}
	have := 0
	for have == 0 || !bytes.HasSuffix(o.buf[:have], []byte("Hello, world!")) {
		n, err := o.conn.Read(o.buf[have:])
		if err != nil {
			return err
		}
		if have += n; have == len(o.buf) {
			return errShort
		}
	}
	if !bytes.HasPrefix(o.buf, []byte("HTTP/1.1 200 OK\r\n")) {
		return errShort
	}
	return nil
}

// BenchmarkOrdinaryRequest is a small request through the edge as semper edge run has it, with metrics, traces and ledger:
// bench/proxy tells of its allocations.
func BenchmarkOrdinaryRequest(b *testing.B) {
	for _, d := range []edge.Driver{edge.Loops, edge.Goroutines} {
		b.Run(string(d), func(b *testing.B) {
			o := newOrdinary(b, d)
			for range 100 { // connections, pools and free lists are there then
				if err := o.exchange(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := o.exchange(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// TestOrdinaryRequestsAllocateNothing is that benchmark with a verdict.
func TestOrdinaryRequestsAllocateNothing(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	for _, d := range []edge.Driver{edge.Loops, edge.Goroutines} {
		o := newOrdinary(t, d)
		const runs = 2000
		var failed error
		for range 200 {
			failed = errors.Join(failed, o.exchange())
		}
		// The mean, rounded down: what the edge does once a second in the background is not the requests'.
		if n := testing.AllocsPerRun(runs, func() {
			if err := o.exchange(); err != nil {
				failed = err
			}
		}); n > 0 || failed != nil {
			t.Errorf("driver %s: %v allocations per request, %v", d, n, failed)
		}
	}
}
