package loop

import (
	"io"
	"net"
	"strings"
	"testing"

	"semper/edge/http1"
)

// TestWokenToPass: a request that goes the other way when it is woken takes along what came of it, and what came behind it; and
// its content goes on where the loop has stopped.
func TestWokenToPass(t *testing.T) {
	t.Parallel()
	r := start(t, Options{Loops: 1}, app(t, echo))
	for _, tc := range []struct{ fields, content, came, left, after string }{
		{"", "", "", "", ""},
		{"", "GET /b", "", "GET /b", ""},
		{"Content-Length: 5\r\n", "he", "he", "", "llo"},
		{"Content-Length: 5\r\n", "helloGET /b", "hello", "GET /b", ""},
		{"Transfer-Encoding: chunked\r\n", "3;x=y\r\nhel\r\n00", "hel", "", "02\r\nlo\r\n0\r\n\r\n"},
		{"Transfer-Encoding: chunked\r\n", "3\r\nhel\r\n2\r\nl", "hell", "", "o\r\n0\r\n\r\n"},
		{"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\nGET /b", "hello", "GET /b", ""},
	} {
		head := "POST /leave HTTP/1.1\r\nHost: a\r\n" + tc.fields + "\r\n"
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, head+tc.content) //nolint:errcheck // what comes out tells
		h, left := <-r.handed, <-r.passed
		whole := tc.after == ""
		if string(h.Head) != head || string(h.Content) != tc.came || string(left) != tc.left || h.Whole != whole {
			t.Errorf("%q: %q, whole %v, and then %q", tc.content, h.Content, h.Whole, left)
		}
		got := string(h.Content)
		for rest := []byte(tc.after); len(rest) > 0; {
			piece, n, done, err := h.Body.Next(rest)
			if err != nil || n == 0 {
				t.Fatalf("%q: %v", rest, err)
			}
			if got, rest = got+string(piece), rest[n:]; done != (len(rest) == 0) {
				t.Errorf("%q is left and done is %v", rest, done)
			}
		}
		if want := strings.Repeat("hello", min(len(tc.fields), 1)); got != want {
			t.Errorf("%q: all of it is %q", tc.content, got)
		}
		c.Close() //nolint:errcheck // a test's
	}
	if n := r.edge.lost.Load(); n != 0 {
		t.Errorf("%d are lost", n)
	}
}

// TestAppendContent is the inverse of how content is framed.
func TestAppendContent(t *testing.T) {
	t.Parallel()
	framed := http1.AppendChunk(http1.AppendChunk(nil, []byte("hel")), []byte("lo"))
	for _, chunks := range [][]byte{framed, http1.AppendLastChunk(framed, nil)} {
		if got := string(http1.AppendContent([]byte("> "), chunks)); got != "> hello" {
			t.Errorf("%q", got)
		}
	}
}
