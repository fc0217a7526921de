package load

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// maxBody bounds what a response may hold; the apps under load answer a few kilobytes.
const maxBody = 16 << 20

// errMalformed is a response that is not HTTP/1.1.
var errMalformed = errors.New("not an HTTP/1.1 response")

// A response is the part of one that is judged.
type response struct {
	status  int
	release string // X-Semper-Release
	edge    string // X-Semper-Error: the edge answered, not the app
	close   bool
	length  int64 // -1: chunked or until the end
	chunked bool
	body    []byte
}

// A conn is one HTTP/1.1 connection. It belongs to one goroutine.
type conn struct {
	net.Conn
	r    *bufio.Reader
	body bytes.Buffer
}

// dial opens a connection. A full accept queue makes it wait, as any client would.
func dial(ctx context.Context, addr string, timeout time.Duration) (*conn, error) {
	d := net.Dialer{Timeout: timeout}
	c, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: c, r: bufio.NewReaderSize(c, 8<<10)}, nil
}

// closedByPeer reports whether the connection was closed while nothing was in hand on it. Any HTTP
// client that keeps connections looks before it sends.
func (c *conn) closedByPeer() bool {
	if c.r.Buffered() > 0 {
		return false // the next exchange will find that out of turn
	}
	raw, err := c.Conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return true
	}
	closed := false
	err = raw.Read(func(fd uintptr) bool {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		closed = n == 0 && err == nil || err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
		return true
	})
	return closed || err != nil
}

// request is the bytes of a GET.
func request(host, path string, keep bool) []byte {
	connection := ""
	if !keep {
		connection = "Connection: close\r\n"
	}
	return fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: semper-load\r\n%s\r\n", path, host, connection)
}

// exchange sends req and reads the whole response. The outcome is OK as far as the connection goes;
// what the response says is not judged here.
func (c *conn) exchange(req []byte, timeout time.Duration) (response, Outcome, error) {
	if err := c.SetDeadline(time.Now().Add(timeout)); err != nil {
		return response{}, Reset, err
	}
	if _, err := c.Write(req); err != nil {
		return response{}, connOutcome(err, Reset), err
	}
	if _, err := c.r.Peek(1); err != nil {
		return response{}, connOutcome(err, Reset), err
	}
	res, err := c.head()
	if err != nil {
		return res, connOutcome(err, Short), err
	}
	if err := c.readBody(&res); err != nil {
		return res, connOutcome(err, Short), err
	}
	return res, OK, nil
}

func (c *conn) head() (response, error) {
	res := response{length: -1}
	line, err := c.line()
	if err != nil {
		return res, err
	}
	rest, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	if !ok || len(rest) < 3 {
		return res, fmt.Errorf("%w: %q", errMalformed, line)
	}
	if res.status, err = strconv.Atoi(rest[:3]); err != nil {
		return res, fmt.Errorf("%w: %q", errMalformed, line)
	}
	for {
		line, err := c.line()
		if err != nil || line == "" {
			return res, err
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			return res, fmt.Errorf("%w: header %q", errMalformed, line)
		}
		if err := res.header(name, strings.TrimSpace(value)); err != nil {
			return res, err
		}
	}
}

func (r *response) header(name, value string) error {
	switch {
	case strings.EqualFold(name, "X-Semper-Release"):
		r.release = value
	case strings.EqualFold(name, "X-Semper-Error"):
		r.edge = value
	case strings.EqualFold(name, "Connection"):
		r.close = r.close || strings.EqualFold(value, "close")
	case strings.EqualFold(name, "Transfer-Encoding"):
		r.chunked = strings.EqualFold(value, "chunked")
	case strings.EqualFold(name, "Content-Length"):
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 || n > maxBody {
			return fmt.Errorf("%w: content length %q", errMalformed, value)
		}
		r.length = n
	}
	return nil
}

func (c *conn) line() (string, error) {
	b, err := c.r.ReadSlice('\n')
	if err != nil {
		return "", err
	}
	return string(bytes.TrimRight(b, "\r\n")), nil
}

func (c *conn) readBody(res *response) error {
	var from io.Reader = c.r
	switch {
	case res.chunked:
		from = httputil.NewChunkedReader(c.r)
	case res.length >= 0:
		from = io.LimitReader(c.r, res.length)
	default:
		res.close = true
	}
	c.body.Reset()
	n, err := c.body.ReadFrom(io.LimitReader(from, maxBody))
	if err == nil && !res.chunked && res.length >= 0 && n < res.length {
		err = io.ErrUnexpectedEOF
	}
	if err == nil && res.chunked {
		_, err = c.line() // the empty line after the last chunk; trailers are not asked for
	}
	res.body = c.body.Bytes()
	return err
}

// connOutcome classifies what went wrong with a connection; other is what a plain end of it means.
func connOutcome(err error, other Outcome) Outcome {
	switch {
	case errors.Is(err, errMalformed):
		return Malformed
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return Timeout
	}
	return other
}

// judge says whether a whole response is good, and of which release it is.
func (r *response) judge(lenient bool) (release string, o Outcome, err error) {
	if r.status != 200 {
		by := "the app"
		if r.edge != "" {
			by = "the edge (" + r.edge + ")"
		}
		return "", Status, fmt.Errorf("status %d from %s: %.80q", r.status, by, r.body)
	}
	if lenient {
		return r.release, OK, nil
	}
	text := bytes.TrimSuffix(r.body, []byte("\n"))
	first, _, _ := bytes.Cut(text, []byte("\n"))
	last := text[bytes.LastIndexByte(text, '\n')+1:]
	if !bytes.Equal(first, last) || (r.release != "" && r.release != string(first)) {
		return "", Mixed, fmt.Errorf("header says %q, first line %.40q, last line %.40q", r.release, first, last)
	}
	return string(first), OK, nil
}
