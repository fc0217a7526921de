package openloop

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

var errFraming = errors.New("an answer has no Content-Length: the open loop cannot tell where it ends")

// maxHead is what an answer's head may have, in bytes.
const maxHead = 16 << 10

// An answer reads one answer from pieces. The zero value waits for the first byte.
type answer struct {
	head []byte
	left int // bytes of the body that have not come
	body bool
}

// take reads b and reports whether the answer is complete. An error means that the connection is of no more use.
func (a *answer) take(b []byte) (bool, error) {
	if !a.body {
		before := len(a.head)
		a.head = append(a.head, b...)
		end := bytes.Index(a.head, []byte("\r\n\r\n"))
		if end < 0 {
			if len(a.head) > maxHead {
				return false, fmt.Errorf("an answer has a head of more than %d bytes", maxHead)
			}
			return false, nil
		}
		length, err := bodyLength(a.head[:end+2])
		if err != nil {
			return false, err
		}
		a.body, a.left = true, length
		b = b[end+4-before:]
	}
	if len(b) > a.left {
		return false, fmt.Errorf("%d bytes came after the end of an answer", len(b)-a.left)
	}
	a.left -= len(b)
	if a.left > 0 {
		return false, nil
	}
	a.head, a.body = a.head[:0], false
	return true, nil
}

// bodyLength of an answer whose head, up to its last CRLF, is given. The status must be 200.
func bodyLength(head []byte) (int, error) {
	line, fields, _ := bytes.Cut(head, []byte("\r\n"))
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		return 0, fmt.Errorf("an answer begins with %.40q, want 200", line)
	}
	for len(fields) > 0 {
		line, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, _ := bytes.Cut(line, []byte(":"))
		if !bytes.EqualFold(name, []byte("Content-Length")) {
			continue
		}
		n, err := strconv.ParseUint(string(bytes.TrimSpace(value)), 10, 31)
		if err != nil {
			return 0, fmt.Errorf("an answer has the Content-Length %.40q", value)
		}
		return int(n), nil
	}
	return 0, errFraming
}
