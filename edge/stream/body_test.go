package stream

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"semper/edge/http1"
)

// TestContentIsAsLongAsItSays: what is longer or shorter is never whole for who reads it, in whatever pieces it comes.
func TestContentIsAsLongAsItSays(t *testing.T) {
	t.Parallel()
	broken := errors.New("reset")
	for _, c := range []struct {
		name    string
		content io.Reader
		length  int64
		whole   string // what is read; of what ends with an error, less than length
		err     error
	}{
		{"as told", strings.NewReader("hello"), 5, "hello", nil},
		{"as told, with its end", iotest.DataErrReader(strings.NewReader("hello")), 5, "hello", nil},
		{"as told, in bytes", iotest.OneByteReader(strings.NewReader("hello")), 5, "hello", nil},
		{"of no told length", strings.NewReader("hello"), -1, "hello", nil},
		{"longer", strings.NewReader("hello!"), 5, "", http1.ErrBodyTruncated},
		{"longer, in bytes", iotest.OneByteReader(strings.NewReader("hello!")), 5, "hell", http1.ErrBodyTruncated},
		{"longer, in a piece of its own", io.MultiReader(strings.NewReader("hello"), strings.NewReader("!")), 5, "", http1.ErrBodyTruncated},
		{"broken off behind it", io.MultiReader(strings.NewReader("hello"), iotest.ErrReader(broken)), 5, "", http1.ErrBodyTruncated},
		{"broken off with it", cut{"hello", broken}, 5, "", http1.ErrBodyTruncated},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(&body{io.NopCloser(c.content), r, c.length})
		if string(got) != c.whole || !errors.Is(err, c.err) {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

// cut gives its text together with its error.
type cut struct {
	text string
	err  error
}

func (c cut) Read(p []byte) (int, error) { return copy(p, c.text), c.err }
