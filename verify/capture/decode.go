package capture

import (
	"bufio"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"strings"
)

// ErrPlain is of content that is not in the coding it is said to be in: somebody has decoded it already.
var ErrPlain = errors.New("the content is decoded already")

// Decode is content without its coding, one of RFC 9110, 8.4.1: gzip, x-gzip, deflate or identity.
func Decode(coding string, content io.Reader) (io.Reader, error) {
	in := bufio.NewReader(content)
	first, err := in.Peek(2)
	switch c := strings.ToLower(strings.TrimSpace(coding)); {
	case c == "identity" || len(first) == 0 && errors.Is(err, io.EOF):
		return in, nil
	case c == "gzip" || c == "x-gzip":
		if string(first) != "\x1f\x8b" {
			return in, ErrPlain
		}
		return gzip.NewReader(in)
	case c == "deflate":
		// RFC 1950: the method is 8, and both bytes together a multiple of 31.
		if len(first) < 2 || first[0]&0xf != 8 || (int(first[0])<<8|int(first[1]))%31 != 0 {
			return in, ErrPlain
		}
		return zlib.NewReader(in)
	}
	return nil, fmt.Errorf("content coding %q is not known here", coding)
}
