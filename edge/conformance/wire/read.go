package wire

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
)

// Bounds of what is read. They are far above what a proxy may let through, so that a proxy's own limits show.
const (
	maxLine   = 4 << 20
	maxFields = 1 << 17
	maxBody   = 256 << 20
)

// ReadRequest reads a head and the body behind it. io.EOF: the connection ended before the first byte. With another
// error the request is as much as was read, and nil when there was no whole head.
func ReadRequest(r *bufio.Reader) (*Request, error) {
	q, err := ReadRequestHead(r)
	if err != nil {
		return nil, err
	}
	return q, q.ReadBody(r)
}

// ReadRequestHead reads a head and decides its framing.
func ReadRequestHead(r *bufio.Reader) (*Request, error) {
	line, err := readLine(r, true)
	if err != nil {
		return nil, err
	}
	q := new(Request)
	parts := strings.Split(line, " ")
	if len(parts) != 3 {
		return nil, syntax("request line %q is not method, target and version between single spaces", clip(line))
	}
	q.Method, q.Target = parts[0], parts[1]
	if q.Minor, err = version(parts[2]); err != nil {
		return nil, err
	}
	if !token(q.Method) {
		return nil, syntax("method %q is no token", clip(q.Method))
	}
	if q.Fields, err = readFields(r); err != nil {
		return nil, err
	}
	if err := q.checkTarget(); err != nil {
		return nil, err
	}
	if err := q.checkHost(); err != nil {
		return nil, err
	}
	q.Framing, q.Length, err = framing(q.Fields, q.Minor, NoBody)
	return q, err
}

// ReadBody reads the body and the trailer behind a head.
func (q *Request) ReadBody(r *bufio.Reader) (err error) {
	q.Body, q.Trailer, err = readBody(r, q.Framing, q.Length)
	return err
}

// ReadResponse reads the next response to a request of that method, interim ones included. io.EOF: the connection
// ended before the first byte. With another error the response is as much as was read, and nil without a whole head.
func ReadResponse(r *bufio.Reader, method string) (*Response, error) {
	line, err := readLine(r, true)
	if err != nil {
		return nil, err
	}
	p := new(Response)
	name, rest, _ := strings.Cut(line, " ")
	if p.Minor, err = version(name); err != nil {
		return nil, err
	}
	code, reason, ok := strings.Cut(rest, " ")
	if !ok || len(code) != 3 || !digits(code) || code[0] < '1' || code[0] > '5' || !text(reason) {
		return nil, syntax("status line %q", clip(line))
	}
	p.Status, _ = strconv.Atoi(code) //nolint:errcheck // three digits
	if p.Fields, err = readFields(r); err != nil {
		return nil, err
	}
	if p.Framing, p.Length, err = framing(p.Fields, p.Minor, UntilClose); err != nil {
		return nil, err
	}
	switch {
	case p.Status/100 == 1, p.Status == 204:
		if p.Fields.Has("Transfer-Encoding") || p.Fields.Has("Content-Length") {
			return nil, syntax("status %d with a length or a transfer coding", p.Status)
		}
		p.Framing = NoBody
	case p.Status == 304, method == "HEAD", method == "CONNECT" && p.Status/100 == 2:
		p.Framing = NoBody
	}
	p.Body, p.Trailer, err = readBody(r, p.Framing, p.Length)
	return p, err
}

// readLine reads up to CRLF. A bare CR or LF, and NUL, are no part of any line.
func readLine(r *bufio.Reader, first bool) (string, error) {
	var line []byte
	for {
		piece, err := r.ReadSlice('\n')
		line = append(line, piece...)
		if err == nil {
			break
		}
		if errors.Is(err, bufio.ErrBufferFull) && len(line) < maxLine {
			continue
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			return "", syntax("a line of more than %d bytes", maxLine)
		}
		if errors.Is(err, io.EOF) && first && len(line) == 0 {
			return "", io.EOF
		}
		return "", ended(err)
	}
	if len(line) < 2 || line[len(line)-2] != '\r' {
		return "", syntax("line %q ends with a bare LF", clip(string(line)))
	}
	line = line[:len(line)-2]
	for _, c := range line {
		if c == '\r' || c == 0 {
			return "", syntax("line %q has a bare CR or a NUL", clip(string(line)))
		}
	}
	return string(line), nil
}

// ended makes an end of file within a message what it is; other errors keep their type.
func ended(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrTruncated
	}
	return err
}

// readFields reads field lines to the empty line.
func readFields(r *bufio.Reader) (Fields, error) {
	var all Fields
	for {
		line, err := readLine(r, false)
		if err != nil {
			return all, err
		}
		if line == "" {
			return all, nil
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !token(name) {
			return all, syntax("field line %q has no name that is a token", clip(line))
		}
		value = strings.Trim(value, " \t")
		if !text(value) {
			return all, syntax("field line %q has a control character", clip(line))
		}
		if all = append(all, Field{name, value}); len(all) > maxFields {
			return all, syntax("more than %d fields", maxFields)
		}
	}
}

// framing decides how the body ends; otherwise is what holds without a length and a transfer coding.
func framing(f Fields, minor int, otherwise Framing) (Framing, int64, error) {
	te, cl := f.Values("Transfer-Encoding"), f.Values("Content-Length")
	switch {
	case len(te) > 0 && len(cl) > 0:
		return 0, 0, syntax("both Transfer-Encoding and Content-Length")
	case len(te) > 1 || len(te) == 1 && !strings.EqualFold(te[0], "chunked"):
		return 0, 0, syntax("Transfer-Encoding %q is not chunked and nothing else", te)
	case len(te) == 1 && minor == 0:
		return 0, 0, syntax("Transfer-Encoding in HTTP/1.0")
	case len(te) == 1:
		return Chunked, 0, nil
	case len(cl) > 1:
		return 0, 0, syntax("%d Content-Length fields", len(cl))
	case len(cl) == 1:
		n, err := strconv.ParseInt(cl[0], 10, 64)
		if err != nil || !digits(cl[0]) {
			return 0, 0, syntax("Content-Length %q", clip(cl[0]))
		}
		return Length, n, nil
	}
	return otherwise, 0, nil
}

func readBody(r *bufio.Reader, f Framing, length int64) ([]byte, Fields, error) {
	switch f {
	case Length:
		b, err := readN(r, length)
		return b, nil, err
	case Chunked:
		return readChunks(r)
	case UntilClose:
		b, err := io.ReadAll(io.LimitReader(r, maxBody))
		return b, nil, err
	default:
		return nil, nil, nil
	}
}

func readN(r *bufio.Reader, n int64) ([]byte, error) {
	if n > maxBody {
		return nil, syntax("a body of %d bytes is more than this reader takes", n)
	}
	b := make([]byte, n)
	m, err := io.ReadFull(r, b)
	if err != nil {
		return b[:m], ended(err)
	}
	return b, nil
}

// readChunks reads a chunked body (RFC 9112, 7.1) and its trailer.
func readChunks(r *bufio.Reader) (body []byte, trailer Fields, err error) {
	for {
		line, err := readLine(r, false)
		if err != nil {
			return body, nil, err
		}
		size, ext, _ := strings.Cut(line, ";")
		n, err := strconv.ParseUint(size, 16, 63)
		if err != nil || !hex(size) || len(size) > 16 || !text(ext) {
			return body, nil, syntax("chunk line %q", clip(line))
		}
		if n == 0 {
			trailer, err = readFields(r)
			return body, trailer, err
		}
		data, err := readN(r, int64(n))
		body = append(body, data...)
		if err != nil {
			return body, nil, err
		}
		var end [2]byte
		if _, err := io.ReadFull(r, end[:]); err != nil {
			return body, nil, ended(err)
		}
		if string(end[:]) != "\r\n" {
			return body, nil, syntax("a chunk of %d bytes is followed by %q, not by CRLF", n, end)
		}
	}
}
