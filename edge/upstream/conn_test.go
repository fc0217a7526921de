package upstream

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"semper/edge/http1"
)

const plainRequest = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

// exchangeOnce is what a driver does: a request, and the response in place.
func exchangeOnce(p *Pool, c *Conn, r *http1.Response, asked http1.Asked, into []byte) ([]byte, error) {
	if _, err := c.Write([]byte(plainRequest)); err != nil {
		return into, err
	}
	for {
		if err := c.ReadHead(r, asked); err != nil {
			return into, err
		}
		if !r.Informational() {
			break
		}
		into = append(append(into, r.Reason()...), '|')
	}
	into = append(append(into, r.Head()...), '|')
	for {
		piece, done, err := c.Next()
		into = append(into, piece...)
		if done || err != nil {
			return into, err
		}
	}
}

// responses are of every framing, with what the reader makes of them and whether the connection may go on.
var responses = []struct {
	wire, body string
	method     http1.Method
	again      bool
	ends       bool // the end of the connection is part of it
}{
	{wire: "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", body: "hello", again: true},
	{wire: "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", again: true},
	{wire: "HTTP/1.1 204 No Content\r\n\r\n", again: true},
	{wire: "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", again: true},
	{wire: "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", method: http1.HEAD, again: true},
	{wire: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nX-Sum: 1\r\n\r\n", body: "hello", again: true},
	{wire: "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", body: "ok", again: true},
	{wire: "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", body: "ok"},
	{wire: "HTTP/1.1 200 OK\r\n\r\nuntil the end", body: "until the end", ends: true},
	{wire: "HTTP/1.0 200 OK\r\n\r\nold", body: "old", ends: true},
}

// TestEverySplit: whatever pieces a response comes in, it is the same response, and the connection is as good as before.
func TestEverySplit(t *testing.T) {
	t.Parallel()
	for _, tc := range responses {
		t.Run(strings.ReplaceAll(tc.wire[9:min(len(tc.wire), 30)], "\r\n", " "), func(t *testing.T) {
			t.Parallel()
			next := make(chan int)
			p := startPeer(t, "unix", func(c net.Conn, br *bufio.Reader) {
				for {
					if _, ok := readHead(br); !ok {
						return
					}
					at := <-next
					io.WriteString(c, tc.wire[:at])
					<-next // the reader has had the chance to see the first piece alone
					io.WriteString(c, tc.wire[at:])
					if tc.ends {
						return
					}
				}
			})
			pool := newPool(t, p)
			for at := range len(tc.wire) {
				c, err := pool.Get(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				go func() { next <- at; next <- 0 }()
				var r http1.Response
				got, err := exchangeOnce(pool, c, &r, http1.Asked{Method: tc.method}, nil)
				if err != nil || !strings.HasSuffix(string(got), "\r\n\r\n|"+tc.body) {
					t.Fatalf("split at %d: %q, %v", at, got, err)
				}
				c.Release(true)
			}
			s := pool.Stats()
			if want := 1; tc.again && (s.Open != want || s.Idle != want || s.Dialled != 1) || !tc.again && s.Open != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
}

// TestBytesByThemselves: a response that comes byte by byte.
func TestBytesByThemselves(t *testing.T) {
	t.Parallel()
	for _, tc := range responses {
		p := startPeer(t, "tcp", func(c net.Conn, br *bufio.Reader) {
			readHead(br)
			for i := range tc.wire {
				io.WriteString(c, tc.wire[i:i+1])
			}
		})
		pool := newPool(t, p)
		c, err := pool.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var r http1.Response
		if got, err := exchangeOnce(pool, c, &r, http1.Asked{Method: tc.method}, nil); err != nil || !strings.HasSuffix(string(got), "|"+tc.body) {
			t.Errorf("%q: %q, %v", tc.wire, got, err)
		}
		c.Release(true)
	}
}

func TestALargeHead(t *testing.T) {
	t.Parallel()
	field := "X-Long: " + strings.Repeat("v", 20_000) + "\r\n"
	for _, tc := range []struct {
		fields int
		ok     bool
	}{{1, true}, {3, true}, {4, false}} {
		p := startPeer(t, "unix", answering("HTTP/1.1 200 OK\r\n"+strings.Repeat(field, tc.fields)+"Content-Length: 2\r\n\r\nok"))
		pool := newPool(t, p)
		c, err := pool.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var r http1.Response
		got, err := exchangeOnce(pool, c, &r, http1.Asked{}, nil)
		var bad *http1.Error
		if tc.ok && (err != nil || !strings.HasSuffix(string(got), "|ok")) || !tc.ok && (!errors.As(err, &bad) || bad.Word != "large-head") {
			t.Errorf("%d fields: %d bytes, %v", tc.fields, len(got), err)
		}
		c.Release(true)
		if s := pool.Stats(); (s.Idle == 1) != tc.ok {
			t.Errorf("%d fields: %+v", tc.fields, s)
		}
	}
}

// TestReadyDoesNotWait: what has come is handed out without a read, and nothing else is.
func TestReadyDoesNotWait(t *testing.T) {
	t.Parallel()
	more := make(chan struct{})
	p := startPeer(t, "unix", func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n3\r\ntwo\r\n5\r\nth")
		<-more
		io.WriteString(c, "ree\r\n0\r\n\r\n")
		readHead(br)
	})
	pool := newPool(t, p)
	c, err := pool.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Write([]byte(plainRequest))
	var r http1.Response
	if err := c.ReadHead(&r, http1.Asked{}); err != nil {
		t.Fatal(err)
	}
	var got string
	for {
		piece, done, err := c.Ready()
		if err != nil || done {
			t.Fatal(done, err)
		}
		if len(piece) == 0 {
			break
		}
		got += string(piece)
	}
	if got != "onetwoth" {
		t.Errorf("ready: %q", got)
	}
	close(more)
	piece, done, err := c.Next()
	if got = string(piece); got != "ree" || err != nil {
		t.Errorf("next: %q %t %v", got, done, err)
	}
	for !done && err == nil {
		_, done, err = c.Next()
	}
	c.Release(true)
	if s := pool.Stats(); s.Idle != 1 {
		t.Errorf("%+v %v", s, err)
	}
}
