package accept

import (
	"encoding/json"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"semper/queue"
)

// TestPlain is the answer to an accepted request as encoding/json has it.
func TestPlain(t *testing.T) {
	t.Parallel()
	for _, at := range []time.Time{time.UnixMilli(0), time.UnixMilli(1_800_000_000_123), time.Unix(1_800_000_000, 0)} {
		id := queue.NewID(at)
		p := pending{ID: id, State: queue.Queued, Accepted: id.Time().UTC()}
		want, err := json.Marshal(p)
		if got := p.plain(); err != nil || string(got) != string(want) {
			t.Errorf("%s, want %s (%v)", got, want, err)
		}
	}
}

// TestReadAll reads what is there, whatever its size was said to be.
func TestReadAll(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "x", strings.Repeat("body", 50_000)} {
		for _, said := range []int64{-1, 0, 1, int64(len(body)), 1 << 60} {
			got, err := readAll(iotest.HalfReader(strings.NewReader(body)), said)
			if err != nil || string(got) != body {
				t.Errorf("%d bytes of %d, said to be %d: %v", len(got), len(body), said, err)
			}
		}
	}
	if _, err := readAll(iotest.ErrReader(io.ErrUnexpectedEOF), 3); err != io.ErrUnexpectedEOF { //nolint:errorlint // the very error
		t.Errorf("a body that breaks off: %v", err)
	}
}
