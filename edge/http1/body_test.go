package http1

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestBodyWithoutLimit(t *testing.T) {
	t.Parallel()
	lim := Default
	lim.Body = 0
	for _, raw := range []string{"5\r\nhello\r\n7fffffffffffffff\r\n", "8000000000000000\r\n", "ffffffffffffffff\r\n"} {
		w := everySplit(t, wire{lim: lim}, []byte(chunked(raw)))
		if w.status() != 400 || !strings.Contains(w.fault.Reason, "digits") {
			t.Errorf("%q: %v", raw, w)
		}
	}
	w := everySplit(t, wire{lim: lim}, []byte(chunked("7fffffffffffffff\r\nhello")))
	if !errors.Is(w.fault, ErrBodyTruncated) {
		t.Error(w)
	}
}

// TestBodyStaysInItsMessage: whatever follows is untouched, and what is said to be left is.
func TestBodyStaysInItsMessage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		framing Framing
		raw     string
		pieces  []string
	}{
		{Framing{}, "", nil},
		{Framing{Kind: Length}, "", nil},
		{Framing{Kind: Length, Length: 5}, "hello", []string{"hello"}},
		{Framing{Kind: Chunked}, "0\r\n\r\n", nil},
		{Framing{Kind: Chunked}, "2\r\nhe\r\n3\r\nllo\r\n0\r\nX: y\r\n\r\n", []string{"he", "llo"}},
	} {
		r := Request{Framing: tc.framing}
		var b Body
		b.ResetRequest(&r, &Default)
		if left := b.Left(); left >= 0 != (tc.framing.Kind != Chunked) || left > 0 && left != 5 {
			t.Errorf("%v: %d are left", tc.framing, left)
		}
		rest := []byte(tc.raw + "GET / HTTP/1.1\r\n")
		var got []string
		for done := false; !done; {
			piece, n, end, err := b.Next(rest)
			if err != nil {
				t.Fatal(err)
			}
			if len(piece) > 0 {
				got = append(got, string(piece))
			}
			rest, done = rest[n:], end
		}
		if string(rest) != "GET / HTTP/1.1\r\n" || !slices.Equal(got, tc.pieces) || b.Truncated() != nil {
			t.Errorf("%v: %q, then %q", tc.framing, got, rest)
		}
	}
}

func TestUntilClose(t *testing.T) {
	t.Parallel()
	var b Body
	b.ResetResponse(&Response{Framing: Framing{Kind: UntilClose}}, &DefaultResponse)
	piece, n, done, err := b.Next([]byte("all"))
	if string(piece) != "all" || n != 3 || done || err != nil || b.Left() >= 0 || b.Truncated() != nil {
		t.Error(string(piece), n, done, err)
	}
}

func TestTruncated(t *testing.T) {
	t.Parallel()
	var b Body
	for _, f := range []Framing{{Kind: Length, Length: 1}, {Kind: Chunked}} {
		b.ResetResponse(&Response{Framing: f}, &DefaultResponse)
		if err := b.Truncated(); !errors.Is(err, ErrResponseTruncated) {
			t.Errorf("%v: %v", f, err)
		}
	}
}

func TestAppendChunk(t *testing.T) {
	t.Parallel()
	got := string(AppendLastChunk(AppendChunk(AppendChunk([]byte("x"), nil), []byte(strings.Repeat("y", 16))), nil))
	if want := "x10\r\n" + strings.Repeat("y", 16) + "\r\n0\r\n\r\n"; got != want {
		t.Errorf("%q", got)
	}
}
