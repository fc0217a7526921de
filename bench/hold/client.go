package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// A client has one connection, on which it has been answered before.
type client struct {
	number int
	conn   net.Conn
	r      *bufio.Reader

	asked, answered time.Time
	status          int
	word            string // of a refusal
	again           bool   // it is told when to come again
	release         string
	err             error
}

// Paths by the class of their requests.
var paths = [...]string{"/low", "/", "/high"}

// A manner is how a client sends and reads.
type manner int

const (
	prompt     manner = iota // all at once
	slowHead                 // its head in pieces
	slowBody                 // 16 KiB of content, in pieces
	slowReader               // it takes its answer in sips
	manners
)

const (
	pieces  = 8
	between = 40 * time.Millisecond
	content = 16 << 10
)

func (c *client) manner() manner { return manner(c.number) % manners }

func (c *client) path() string { return paths[c.number/int(manners)%len(paths)] }

func dial(ctx context.Context, address string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

func (c *client) take(conn net.Conn) { c.conn, c.r = conn, bufio.NewReaderSize(conn, 512) }

// connect opens the connection and has one request answered, so that what follows costs what waiting costs.
func (c *client) connect(ctx context.Context, address string) error {
	conn, err := dial(ctx, address)
	if err != nil {
		return err
	}
	c.take(conn)
	if _, err := fmt.Fprintf(conn, "GET /ready HTTP/1.1\r\nHost: bench\r\n\r\n"); err != nil {
		return err
	}
	if err := c.read(ctx, 0); err != nil {
		return err
	}
	if c.status != http.StatusOK {
		return fmt.Errorf("the first request was answered with %d", c.status)
	}
	return nil
}

// send sends the request, in the client's manner.
func (c *client) send(ctx context.Context) error {
	method, length := "GET", ""
	if c.manner() == slowBody {
		method, length = "POST", fmt.Sprintf("Content-Length: %d\r\n", content)
	}
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: bench\r\n%s: %d\r\nUser-Agent: semper bench/hold, %s\r\nAccept: */*\r\n%s\r\n",
		method, c.path(), numberField, c.number, strings.Repeat("x", 100), length)
	c.asked = time.Now()
	var err error
	if c.manner() == slowHead {
		err = c.trickle(ctx, head)
	} else {
		_, err = io.WriteString(c.conn, head)
	}
	if err == nil && c.manner() == slowBody {
		err = c.trickle(ctx, strings.Repeat("b", content))
	}
	return err
}

func (c *client) trickle(ctx context.Context, text string) error {
	for i := range pieces {
		if _, err := io.WriteString(c.conn, text[len(text)*i/pieces:len(text)*(i+1)/pieces]); err != nil {
			return err
		}
		if err := pass(ctx, between); err != nil {
			return err
		}
	}
	return nil
}

// read takes an answer, pausing between sips.
func (c *client) read(ctx context.Context, pause time.Duration) error {
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read to its end, or broken
	c.answered, c.status, c.word, c.again = time.Now(), resp.StatusCode, resp.Header.Get("X-Semper-Error"), resp.Header.Get("Retry-After") != ""
	c.release = resp.Header.Get("X-Semper-Release")
	sip := make([]byte, len(page)/pieces)
	for {
		if _, err := io.ReadFull(resp.Body, sip); err == io.EOF || err == io.ErrUnexpectedEOF {
			return nil
		} else if err != nil {
			return err
		}
		if pause > 0 {
			if err := pass(ctx, pause); err != nil {
				return err
			}
		}
	}
}

// exchange is one request and its answer.
func (c *client) exchange(ctx context.Context) {
	if c.err = c.send(ctx); c.err != nil {
		return
	}
	pause := time.Duration(0)
	if c.manner() == slowReader {
		pause = between
	}
	c.err = c.read(ctx, pause)
}

// reset leaves without a word.
func (c *client) reset() {
	_ = c.conn.(*net.TCPConn).SetLinger(0)
	_ = c.conn.Close()
}

// pass is the time that slow clients let pass.
func pass(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
