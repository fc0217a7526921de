package openloop

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTimetableKeepsItsRateAndRepeats(t *testing.T) {
	t.Parallel()
	const rate, d = 5000, 20 * time.Second
	a, b := NewTimetable(rate, d, 7), NewTimetable(rate, d, 7)
	n, short, last := 0, 0, time.Duration(0)
	for {
		at, ok := a.Next()
		if same, _ := b.Next(); same != at {
			t.Fatalf("request %d is due at %v and at %v", n, at, same)
		}
		if !ok {
			break
		}
		if at < last {
			t.Fatalf("request %d is due at %v, before the last at %v", n, at, last)
		}
		if at-last < time.Second/rate {
			short++
		}
		n, last = n+1, at
	}
	if want := rate * d.Seconds(); math.Abs(float64(n)-want) > 5*math.Sqrt(want) {
		t.Errorf("%d requests, want %.0f give or take five standard deviations", n, want)
	}
	if got, want := float64(short)/float64(n), 1-1/math.E; math.Abs(got-want) > 0.02 {
		t.Errorf("%.3f of the gaps are shorter than the mean, want %.3f as exponential ones have", got, want)
	}
}

// simulate drives a book in virtual time against a server that answers in 100 µs, and not at all between two instants.
func simulate(connections int, rate float64, d, from, to time.Duration) Result {
	const service = 100 * time.Microsecond
	b := newBook(NewTimetable(rate, d, 1), connections)
	ready := map[int]time.Duration{}
	for now := time.Duration(0); !b.finished(); now += 10 * time.Microsecond {
		for c, at := range ready {
			if at <= now {
				delete(ready, c)
				b.answered(c, now, true)
			}
		}
		for {
			c, ok := b.send(now)
			if !ok {
				break
			}
			if ready[c] = now + service; ready[c] >= from && ready[c] < to {
				ready[c] = to
			}
		}
	}
	return b.close(d)
}

func TestACorrectedLatencyShowsAPause(t *testing.T) {
	t.Parallel()
	const d, pause = 2 * time.Second, 200 * time.Millisecond
	r := simulate(4, 1000, d, time.Second, time.Second+pause)
	if r.Failed != 0 || r.Sent != r.Corrected.Count() {
		t.Fatalf("%d of %d failed, %d latencies", r.Failed, r.Sent, r.Corrected.Count())
	}
	// A tenth of all requests were due in the pause, evenly over it: the 99th percentile of all is the 90th of those.
	if got := r.Corrected.Quantile(0.99).Seconds() / pause.Seconds(); math.Abs(got-0.9) > 0.05 {
		t.Errorf("the corrected p99 is %.2f of the pause, want 0.9", got)
	}
	if got := r.Service.Quantile(0.99); got > pause/10 {
		t.Errorf("from sending, the p99 is %v: this is what a closed loop tells, and it hides the pause of %v", got, pause)
	}
	if r.Service.Max() < pause*9/10 {
		t.Errorf("the longest service is %v, want the pause of %v", r.Service.Max(), pause)
	}
}

func TestWithoutAPauseBothAgree(t *testing.T) {
	t.Parallel()
	r := simulate(64, 1000, time.Second, 0, 0)
	if c, s := r.Corrected.Quantile(0.99), r.Service.Quantile(0.99); c > 2*s {
		t.Errorf("p99 %v from due, %v from sending", c, s)
	}
}

func TestWhatIsNeverAnsweredCounts(t *testing.T) {
	t.Parallel()
	b := newBook(NewTimetable(1000, time.Second, 3), 2)
	for {
		if _, ok := b.send(time.Second); !ok {
			break
		}
	}
	r := b.close(2 * time.Second)
	if r.Sent < 900 || r.Failed != r.Sent || r.Corrected.Count() != r.Sent {
		t.Errorf("%d sent, %d failed, %d latencies: want all of about 1000 each time", r.Sent, r.Failed, r.Corrected.Count())
	}
	if r.Corrected.Quantile(0.01) < time.Second {
		t.Errorf("the shortest latency is %v, but all have waited a second and more", r.Corrected.Quantile(0.01))
	}
}

func TestAnswerFromPieces(t *testing.T) {
	t.Parallel()
	const text = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-length: 5\r\n\r\nhello"
	for cut := 1; cut < len(text); cut++ {
		var a answer
		if done, err := a.take([]byte(text[:cut])); done || err != nil {
			t.Fatalf("after %d bytes: %v %v", cut, done, err)
		}
		if done, err := a.take([]byte(text[cut:])); !done || err != nil {
			t.Fatalf("cut at %d: %v %v", cut, done, err)
		}
		if done, err := a.take([]byte(text)); !done || err != nil {
			t.Fatalf("the next answer, cut at %d: %v %v", cut, done, err)
		}
	}
	for _, bad := range []string{
		"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab", strings.Repeat("x", maxHead+1),
	} {
		var a answer
		if done, err := a.take([]byte(bad)); err == nil {
			t.Errorf("%.60q was taken: %v", bad, done)
		}
	}
}

// pausing answers every request of every connection at once, but all requests of one stretch only after it.
func pausing(t *testing.T, after int64, pause time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	var seen atomic.Int64
	var gate sync.RWMutex
	serve := func(c net.Conn) {
		defer c.Close()
		for in := bufio.NewReader(c); ; {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			if seen.Add(1) == after {
				gate.Lock()
				timer := time.NewTimer(pause) // the fault that is measured
				<-timer.C
				gate.Unlock()
			}
			gate.RLock()
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			gate.RUnlock()
		}
	}
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); group.Wait() })
	return l.Addr().String()
}

// TestRunShowsAPauseOfARealServer needs no quiet machine: whatever else is late only adds to what the pause does.
func TestRunShowsAPauseOfARealServer(t *testing.T) {
	t.Parallel()
	const pause = 300 * time.Millisecond
	r, err := Run(t.Context(), Options{
		Address: pausing(t, 100, pause), Request: []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Rate: 500, Duration: time.Second,
		Connections: 4, Seed: 1, Grace: 20 * time.Second,
	})
	if err != nil || r.Err != nil {
		t.Fatal(err, r.Err)
	}
	if r.Failed != 0 || r.Sent < 400 {
		t.Fatalf("%d of %d failed", r.Failed, r.Sent)
	}
	// 150 of 500 requests are due in the pause, so more than one in eight waits for more than half of it.
	if got := r.Corrected.Quantile(0.875); got < pause/2 {
		t.Errorf("one in eight waited for %v or more, want half of the pause of %v", got, pause)
	}
	if c, s := r.Corrected.Quantile(0.9), r.Service.Quantile(0.9); c < s {
		t.Errorf("p90 is %v from due and %v from sending", c, s)
	}
}

func TestRunTellsAFailure(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := c.Read(make([]byte, 100)); err == nil {
				fmt.Fprint(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
			}
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); group.Wait() })
	r, err := Run(t.Context(), Options{Address: l.Addr().String(), Request: []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Rate: 50,
		Duration: 200 * time.Millisecond, Connections: 1, Seed: 1, Grace: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent == 0 || r.Failed != r.Sent || r.Err == nil || !strings.Contains(r.Err.Error(), "503") {
		t.Errorf("%d of %d failed, %v: want all, for the 503", r.Failed, r.Sent, r.Err)
	}
}

func TestRunRefusesNonsense(t *testing.T) {
	t.Parallel()
	for _, o := range []Options{{Address: "localhost:1", Rate: 1, Connections: 1}, {Address: "127.0.0.1:1", Connections: 1}, {Address: "127.0.0.1:1", Rate: 1}} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
}
