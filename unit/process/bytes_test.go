package process

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBytesAreAsWritten follows a file to the end of its life while it is written: each piece is written when the one before has been read. A
// reader who breaks off goes on from there.
func TestBytesAreAsWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "log")
	w, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	pieces := []string{"\xff\x00", "no line end", "\n\n", strings.Repeat("0123456789", 20_000), "end"}
	want := strings.Join(pieces, "")
	life, over := context.WithCancel(t.Context())
	more := func(read int) {
		switch whole := 0; {
		case len(pieces) == 0:
			over()
		default:
			for _, p := range pieces {
				whole += len(p)
			}
			if read == len(want)-whole { // all that was written is read
				if _, err := w.WriteString(pieces[0]); err != nil {
					t.Error(err)
				}
				pieces = pieces[1:]
			}
		}
	}
	var got bytes.Buffer
	var at int64
	for more(0); life.Err() == nil; {
		for c, err := range Bytes(t.Context(), life, path, at) {
			if err != nil {
				t.Fatal(err)
			}
			got.Write(c.Data)
			at = c.End
			if more(got.Len()); len(pieces) == 2 {
				break
			}
		}
	}
	if got.String() != want || at != int64(len(want)) {
		t.Errorf("%d bytes up to %d, and %d were written", got.Len(), at, len(want))
	}
	for range Bytes(t.Context(), life, path, at) { // it is over: nothing more, and no wait
		t.Error("more than all")
	}
}
