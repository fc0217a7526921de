package upstream

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"semper/edge/http1"
)

// inBubble runs test against an instance over connections whose time is virtual.
func inBubble(t *testing.T, o Options, script func(net.Conn, *bufio.Reader), test func(*testing.T, *Pool)) {
	synctest.Test(t, func(t *testing.T) {
		var peers sync.WaitGroup
		o.Dial = func(context.Context) (net.Conn, error) {
			near, far := net.Pipe()
			peers.Go(func() {
				defer far.Close()
				script(far, bufio.NewReader(far))
			})
			return near, nil
		}
		pool := New(o)
		test(t, pool)
		pool.Close()
		peers.Wait()
	})
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	const patience = 8 * time.Second
	for _, tc := range []struct {
		wire string
		op   Op
		o    Options
	}{
		{"", Await, Options{HeadTimeout: patience}},
		{"HTTP/1.1 200", Await, Options{HeadTimeout: patience}},
		{"HTTP/1.1 103 Early Hints\r\n\r\n", Await, Options{HeadTimeout: patience}},
		{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", Receive, Options{BodyTimeout: patience}},
		{"HTTP/1.1 200 OK\r\n\r\nhel", Receive, Options{BodyTimeout: patience}},
		{"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ", Receive, Options{BodyTimeout: 1, StreamTimeout: patience}},
	} {
		inBubble(t, tc.o, answering(tc.wire), func(t *testing.T, pool *Pool) {
			c, err := pool.Get(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			var r http1.Response
			_, err = exchangeOnce(pool, c, &r, http1.Asked{}, nil)
			var e *Error
			if !errors.As(err, &e) || !e.Timeout() || e.Op != tc.op || !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("%q: %v", tc.wire, err)
			}
			if took := time.Since(begun); took < patience || took > patience+patience/8 {
				t.Errorf("%q: after %v", tc.wire, took)
			}
			c.Release(true)
		})
	}
}

// TestASilentInstance over a real socket, which is waited for in another way.
func TestASilentInstance(t *testing.T) {
	t.Parallel()
	pool := newPool(t, startPeer(t, "unix", answering("")), func(o *Options) { o.HeadTimeout = time.Millisecond })
	_, err := pool.RoundTrip(request(t, "GET", ""))
	var e *Error
	if !errors.As(err, &e) || !e.Timeout() || e.Op != Await || Unsent(err) {
		t.Errorf("%v", err)
	}
}

// TestDeadlinesAreKeptByProgress: d at the soonest, an eighth more at the latest, and set only when they must be.
func TestDeadlinesAreKeptByProgress(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var armed time.Time
		sets := 0
		set := func(time.Time) error { sets++; return nil }
		const d = 8 * time.Second
		for range 1000 {
			arm(&armed, d, set)
			if left := time.Until(armed); left < d || left > d+d/8 {
				t.Fatalf("%v left", left)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if sets > 100 {
			t.Errorf("set %d times in 1000 reads", sets)
		}
		arm(&armed, d/2, set)
		if left := time.Until(armed); left > d {
			t.Errorf("a shorter one: %v left", left)
		}
		if arm(&armed, 0, set); !armed.IsZero() {
			t.Error("still armed")
		}
	})
}

// TestASlowUploadIsNotASlowAnswer: the time for the head runs from the end of the request, however long that takes.
func TestASlowUploadIsNotASlowAnswer(t *testing.T) {
	t.Parallel()
	const patience = 8 * time.Second
	for _, slow := range []time.Duration{patience / 2, 3 * patience} {
		inBubble(t, Options{HeadTimeout: patience}, func(c net.Conn, br *bufio.Reader) {
			readHead(br)
			io.CopyN(io.Discard, br, 10)
			time.Sleep(slow)
			io.WriteString(c, okResponse)
		}, func(t *testing.T, pool *Pool) {
			body, feed := newPipe()
			req := request(t, "POST", "x")
			req.Body, req.ContentLength = body, 10
			begun := time.Now()
			go func() {
				for range 10 {
					time.Sleep(patience / 2)
					feed.Write([]byte("x"))
				}
			}()
			resp, err := pool.RoundTrip(req)
			took := time.Since(begun) - 5*patience
			var e *Error
			switch {
			case slow < patience && (err != nil || took != slow):
				t.Errorf("%v after %v", err, took)
			case slow < patience:
				whole(resp)
			case !errors.As(err, &e) || !e.Timeout() || e.Op != Await || took < patience || took > 2*patience:
				t.Errorf("%v after %v", err, took)
			}
			<-body.closed
		})
	}
}

// TestAnInstanceThatTakesNothing of a request: that too is a matter of progress.
func TestAnInstanceThatTakesNothing(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	pool := newPool(t, startPeer(t, "unix", func(net.Conn, *bufio.Reader) { <-over }), func(o *Options) { o.BodyTimeout = 30 * time.Millisecond })
	req := request(t, "POST", "x")
	req.Body, req.ContentLength = io.NopCloser(endless{}), 1<<40
	_, err := pool.RoundTrip(req)
	var e *Error
	if !errors.As(err, &e) || !e.Timeout() || e.Op != Send || Unsent(err) {
		t.Errorf("%v", err)
	}
	close(over)
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
