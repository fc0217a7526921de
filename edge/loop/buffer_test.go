package loop

import (
	"bytes"
	"testing"
)

func TestAheadJoinsOnlyWhatWasReadLast(t *testing.T) {
	t.Parallel()
	l := &loop{front: make([]byte, headroom+bufferSize)}
	l.rbuf = l.front[headroom:]
	l.filled = copy(l.rbuf, "HTTP/1.1 200 OK\r\n\r\ncontent")
	content := l.rbuf[l.filled-len("content") : l.filled]
	for _, c := range []struct {
		what string
		head []byte
		rest []byte
		ok   bool
	}{
		{"a longer head than the one that came", bytes.Repeat([]byte("h"), headroom), content, true},
		{"a head beyond the headroom", bytes.Repeat([]byte("h"), headroom+l.filled), content, false},
		{"content that something follows", []byte("head"), content[:3], false},
		{"content of another buffer", []byte("head"), []byte("content"), false},
		{"no content", []byte("head"), nil, false},
	} {
		want := string(c.head) + string(c.rest)
		got, ok := l.ahead(c.head, c.rest)
		if ok != c.ok || ok && string(got) != want {
			t.Errorf("%s: %v %q", c.what, ok, got[:min(len(got), 40)])
		}
	}
}

func TestGrownKeepsWhatIsThere(t *testing.T) {
	t.Parallel()
	var p []byte
	var want []byte
	for i := range 2 * largeBuffer / 1000 { // from nothing, by a large buffer, to one beyond it
		piece := bytes.Repeat([]byte{byte(i)}, 1000)
		p = append(grown(p, len(piece)), piece...)
		want = append(want, piece...)
		if n := len(p); n > 2*smallBuffer && n <= largeBuffer && cap(p) != mediumBuffer && (n <= mediumBuffer || cap(p) != largeBuffer) {
			t.Fatalf("%d bytes stand in a buffer of %d", len(p), cap(p))
		}
	}
	if !bytes.Equal(p, want) {
		t.Error("some bytes are not those that were put there")
	}
	if left := recycle(p); left != nil {
		t.Errorf("a buffer of %d bytes is kept", cap(left))
	}
	if small := make([]byte, 10, 100); cap(recycle(small)) != 100 {
		t.Error("a small buffer is not kept")
	}
}
