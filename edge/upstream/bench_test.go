package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"semper/edge/http1"
)

// quickPeer answers whatever it gets, on a goroutine that allocates nothing.
func quickPeer(tb testing.TB, answer string) *Pool {
	tb.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	near, far := fileConn(tb, fds[0]), fileConn(tb, fds[1])
	over := make(chan struct{})
	go func() {
		defer close(over)
		buf, out := make([]byte, 4096), []byte(answer)
		for {
			if _, err := far.Read(buf); err != nil {
				return
			}
			far.Write(out)
		}
	}()
	pool := New(Options{Dial: func(context.Context) (net.Conn, error) {
		if near == nil {
			return nil, errors.New("there is one connection")
		}
		c := near
		near = nil
		return c, nil
	}, HeadTimeout: defaultIdleTimeout, BodyTimeout: defaultIdleTimeout})
	tb.Cleanup(func() {
		pool.Close()
		<-over
		far.Close()
	})
	return pool
}

var errShort = errors.New("not the whole response")

// shot is one exchange of a driver.
func shot(pool *Pool, r *http1.Response, request []byte, want int) error {
	c, err := pool.Get(context.Background())
	if err != nil {
		return err
	}
	if _, err := c.Write(request); err != nil {
		return err
	}
	if err := c.ReadHead(r, http1.Asked{}); err != nil {
		return err
	}
	n := 0
	for {
		piece, done, err := c.Next()
		if err != nil {
			return err
		}
		n += len(piece)
		if done {
			break
		}
	}
	c.Release(true)
	if n != want {
		return errShort
	}
	return nil
}

const words = "hello, this is the content of a response as short as many are"

var shots = []struct{ name, answer string }{
	{"length", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Sat, 21 Nov 2026 10:00:00 GMT\r\nContent-Length: 61\r\n\r\n" + words},
	{"chunked", "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3d\r\n" + words + "\r\n0\r\n\r\n"},
}

func BenchmarkExchange(b *testing.B) {
	for _, s := range shots {
		b.Run(s.name, func(b *testing.B) {
			pool, request := quickPeer(b, s.answer), []byte(plainRequest)
			var r http1.Response
			b.ReportAllocs()
			for b.Loop() {
				if err := shot(pool, &r, request, len(words)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	pool := quickPeer(b, shots[0].answer)
	req := request(b, "GET", "")
	b.ReportAllocs()
	for b.Loop() {
		resp, err := pool.RoundTrip(req)
		if err != nil {
			b.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
}

func TestAnExchangeAllocatesNothing(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	for _, s := range shots {
		pool, request := quickPeer(t, s.answer), []byte(plainRequest)
		var r http1.Response
		var failed error
		n := testing.AllocsPerRun(2000, func() {
			if err := shot(pool, &r, request, len(words)); err != nil {
				failed = err
			}
		})
		if failed != nil || n != 0 {
			t.Errorf("%s: %v allocations in an exchange, %v", s.name, n, failed)
		}
	}
}
