package conformance

import (
	"bytes"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/http2"
)

// A shut connection takes allowance bytes and no more. Its reader comes to know that a minute later than its writer, as it may
// on a machine that is busy with something else: it gets last, and then the end.
type shut struct {
	net.Conn
	allowance int
	last      io.Reader
	end       error
	known     chan struct{}
	closed    chan struct{}
	once      sync.Once
}

func (c *shut) Write(p []byte) (int, error) {
	if c.allowance -= len(p); c.allowance < 0 {
		c.once.Do(func() { time.AfterFunc(time.Minute, func() { close(c.known) }) })
		return 0, syscall.ECONNRESET
	}
	return len(p), nil
}

func (c *shut) Read(p []byte) (int, error) {
	select {
	case <-c.known:
	case <-c.closed:
		return 0, net.ErrClosed
	}
	if n, _ := c.last.Read(p); n > 0 { //nolint:errcheck // of memory
		return n, nil
	}
	return 0, c.end
}

func (c *shut) SetWriteDeadline(time.Time) error { return nil }

func (c *shut) Close() error {
	close(c.closed)
	return nil
}

// A proxy that ends a flood is seen to have ended it, whichever of the client's goroutines hears of it first.
func TestFloodEnds(t *testing.T) {
	t.Parallel()
	calm := http2.ErrCodeEnhanceYourCalm
	for _, how := range []struct {
		name   string
		goAway *http2.ErrCode
		end    error
		ended  Ending
	}{
		{"told", &calm, syscall.ECONNRESET, ResetByPeer},
		{"reset", nil, syscall.ECONNRESET, ResetByPeer},
		{"closed", nil, io.EOF, Closed},
	} {
		for _, row := range h2FloodRows() {
			for _, c := range row.Cases {
				if !slices.ContainsFunc(c.Want, func(o Outcome) bool { return o.Broken }) {
					continue // no flood: it wants an answer
				}
				t.Run(how.name+" "+c.Name, func(t *testing.T) {
					t.Parallel()
					synctest.Test(t, func(t *testing.T) { floodEnds(t, &c, how.goAway, how.end, how.ended) })
				})
			}
		}
	}
}

func floodEnds(t *testing.T, c *Case, goAway *http2.ErrCode, end error, ended Ending) {
	var last bytes.Buffer
	if goAway != nil {
		if err := http2.NewFramer(&last, nil).WriteGoAway(0, *goAway, nil); err != nil {
			t.Fatal(err)
		}
	}
	conn := &shut{allowance: 100, last: &last, end: end, known: make(chan struct{}), closed: make(chan struct{})}
	r := &run{ctx: t.Context(), target: &Target{Host: "a.example", Patience: time.Hour}, tr: H2, c: c}
	h, err := r.speakH2(conn)
	if err != nil {
		t.Fatal(err)
	}
	seen := r.playH2(h)
	if (seen.GoAway == nil) != (goAway == nil) || seen.GoAway != nil && *seen.GoAway != *goAway {
		t.Errorf("GOAWAY %v, not %v", seen.GoAway, goAway)
	}
	if seen.Ended != ended && (seen.Ended != Truncated || seen.halfway == 0) { // streams that stand open were cut
		t.Errorf("%s, not %s", seen.Ended, ended)
	}
	for _, o := range c.Want {
		if o.client(&seen) == nil && (o.Check == nil || o.Check(&seen) == nil) {
			return
		}
	}
	t.Errorf("%s: that is no right outcome", &seen)
}
