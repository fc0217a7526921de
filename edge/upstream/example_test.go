package upstream_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"

	"semper/edge/http1"
	"semper/edge/upstream"
)

// An exchange as a driver makes it: the head that was generated goes out, the response comes piece by piece, and only
// an exchange that ended on both sides leaves its connection to the next.
func ExamplePool_Get() {
	dial := func(context.Context) (net.Conn, error) { return instance(), nil }
	pool := upstream.New(upstream.Options{Dial: dial})
	defer pool.Close()

	c, err := pool.Get(context.Background())
	if err != nil {
		fmt.Println("may go elsewhere:", upstream.Unsent(err))
		return
	}
	whole := false
	defer func() { c.Release(whole) }()
	if _, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: app.example\r\n\r\n"); err == nil {
		whole = true
	}
	var r http1.Response
	for {
		if err := c.ReadHead(&r, http1.Asked{Method: http1.GET}); err != nil {
			fmt.Println(err, upstream.StaleReuse(err))
			return
		}
		fmt.Println(r.Status, string(r.Reason()))
		if !r.Informational() {
			break
		}
	}
	for {
		piece, done, err := c.Next()
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s", piece)
		if done {
			return
		}
	}
	// Output:
	// 103 Early Hints
	// 200 OK
	// hello
}

// instance is the end of a connection behind which somebody answers once.
func instance() net.Conn {
	near, far := net.Pipe()
	go func() {
		for br := bufio.NewReader(far); ; {
			line, err := br.ReadString('\n')
			if err != nil {
				far.Close()
				return
			}
			if line == "\r\n" {
				io.WriteString(far, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello\n")
			}
		}
	}()
	return near
}
