package replay

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func all(string) bool { return true }

// request is one with a body of n bytes, whose length nobody knows.
func request(n int) *http.Request {
	return httptest.NewRequest(http.MethodPut, "/", io.MultiReader(strings.NewReader(strings.Repeat("x", n))))
}

func TestReadAgainWhileItIsKept(t *testing.T) {
	t.Parallel()
	for size, again := range map[int]bool{1: true, 100: true, 101: false} {
		b := New(httptest.NewRecorder(), request(size), Options{Keep: 100, Trailer: all})
		for round := range 2 {
			p, err := io.ReadAll(b.Read())
			if whole := err == nil && len(p) == size; whole != (round == 0 || again) {
				t.Errorf("%d bytes, reading %d: %d, %v", size, round, len(p), err)
			}
		}
		if b.Replayable() != again || b.Failure() != nil || !b.Finish() {
			t.Errorf("%d bytes: replayable %t, %v", size, b.Replayable(), b.Failure())
		}
	}
}

func TestABodyBeyondItsLimit(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]error{10: nil, 11: ErrTooLarge} {
		b := New(httptest.NewRecorder(), request(size), Options{Keep: 100, Limit: 10, Trailer: all})
		if _, err := io.ReadAll(b.Read()); !errors.Is(err, want) || !errors.Is(b.Failure(), want) {
			t.Errorf("%d bytes: %v, %v", size, err, b.Failure())
		}
		if b.Finish() != (want == nil) {
			t.Errorf("%d bytes: nobody knows where the next request begins", size)
		}
	}
}

func TestWhatIsAheadIsBuffered(t *testing.T) {
	t.Parallel()
	q := request(50)
	q.ContentLength = 50
	b := New(httptest.NewRecorder(), q, Options{Keep: 20, Trailer: all})
	b.Fetch()
	<-b.fetched
	r := b.Read()
	if n := r.Buffered(); n != 20 {
		t.Errorf("%d buffered, want as much as is kept", n)
	}
	if p, err := io.ReadAll(r); err != nil || len(p) != 50 {
		t.Errorf("%d bytes, %v", len(p), err)
	}
	b.Finish()
}

// TestALargeBodyStaysWithItsClient while its request waits, and one of unknown length.
func TestALargeBodyStaysWithItsClient(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{-1, little + 1} {
		q := request(little + 1)
		q.ContentLength = length
		b := New(httptest.NewRecorder(), q, Options{Keep: 2 * little, Trailer: all})
		b.Fetch()
		if b.fetched != nil || b.Received() != 0 {
			t.Errorf("a body of length %d was read ahead", length)
		}
		if p, err := io.ReadAll(b.Read()); err != nil || len(p) != little+1 {
			t.Errorf("%d bytes, %v", len(p), err)
		}
		b.Finish()
	}
}

func TestNoBodyIsReady(t *testing.T) {
	t.Parallel()
	b := New(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil), Options{})
	b.Fetch()
	if b != nil || !b.Replayable() || !b.Complete() || !b.Finish() || b.Failure() != nil {
		t.Error("a request without a body has nothing to wait for")
	}
}
