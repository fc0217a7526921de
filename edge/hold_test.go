package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"semper"
	"semper/edge/hold"
)

func holding(writes bool, l semper.HoldLimits) func(*semper.Table) {
	return func(t *semper.Table) {
		t.Pools[0].Hold, t.Pools[0].Limits = semper.Holds{{Writes: writes, By: "test"}}, l
	}
}

func limits(l semper.HoldLimits) func(*semper.Table) {
	return func(t *semper.Table) { t.Pools[0].Limits = l }
}

// TestHoldIsExact: once the holding table is applied, nothing new starts; when what was under way has
// ended, the backends have nothing, until the hold ends. Then everybody is served by the new release.
func TestHoldIsExact(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var inside atomic.Int64
	var closed atomic.Bool
	gate := func(release int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			inside.Add(1)
			defer inside.Add(-1)
			if closed.Load() {
				t.Error("a request reached an instance while everything is held")
			}
			fmt.Fprintf(w, "r%d", release)
		}
	}
	one, two := start(t, "tcp", "web.r1.1", gate(1)), start(t, "unix", "web.r2.1", gate(2))
	f.table(1, nil, one.Backend)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	var answers atomic.Int64
	for range 32 {
		wg.Go(func() {
			c := client(t)
			for ctx.Err() == nil {
				resp, err := c.Post(f.url("/"), "text/plain", strings.NewReader("body"))
				if err != nil {
					t.Error(err)
					return
				}
				if b := drainBody(t, resp); resp.StatusCode != 200 {
					t.Errorf("%s %s", resp.Status, b)
					return
				}
				answers.Add(1)
			}
		})
	}
	backends := [][]semper.Backend{{two.Backend}, {one.Backend}}
	for n := range 10 {
		was := 1 + n%2
		f.table(was, holding(false, semper.HoldLimits{}), backends[(n+1)%2]...)
		eventually(t, "drained into the hold", func() bool {
			s := f.State()
			return s.Held[webPool] == 32 && len(s.InFlight) == 0
		})
		closed.Store(true)
		if inside.Load() != 0 {
			t.Error("an instance works while State says that nothing is in flight")
		}
		at := answers.Load()
		closed.Store(false)
		f.table(3-was, limits(semper.HoldLimits{Rate: 10_000}), backends[n%2]...)
		eventually(t, "the line moves", func() bool { return answers.Load() > at+64 || t.Failed() })
	}
	cancel()
	wg.Wait()
	l := f.settled(1).Add(f.settled(2))
	if l.Accepted != l.Served || l.Held < 320 {
		t.Errorf("%+v", l)
	}
}

// TestHeldRequestsBelongToTheReleaseThatServesThem checks the books over a hold.
func TestHeldRequestsBelongToTheReleaseThatServesThem(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	one, two := start(t, "tcp", "web.r1.1", says(1)), start(t, "tcp", "web.r2.1", says(2))
	f.table(1, holding(true, semper.HoldLimits{}), one.Backend)
	c := client(t)
	if resp, _ := get(t, c, f.url("/")); resp.Header.Get("X-Semper-Release") != "r1" {
		t.Error("a read was held, or went astray")
	}
	got := make(chan string, 5)
	for range cap(got) {
		go func() {
			resp, err := c.Post(f.url("/"), "text/plain", strings.NewReader("x"))
			if err != nil {
				got <- err.Error()
				return
			}
			resp.Body.Close() //nolint:errcheck // not wanted
			got <- resp.Header.Get("X-Semper-Release")
		}()
	}
	eventually(t, "five wait", func() bool { return f.State().Held[webPool] == 5 })
	if resp, _ := get(t, c, f.url("/")); resp.Header.Get("X-Semper-Release") != "r1" {
		t.Error("a read was held behind writes")
	}
	f.table(2, nil, two.Backend)
	for range cap(got) {
		if r := <-got; r != "r2" {
			t.Errorf("served by %q, want r2", r)
		}
	}
	if got, want := f.settled(1), (semper.Ledger{Accepted: 2, Served: 2}); got != want {
		t.Errorf("r1: got %+v, want %+v", got, want)
	}
	if got, want := f.settled(2), (semper.Ledger{Accepted: 5, Served: 5, Held: 5}); got != want {
		t.Errorf("r2: got %+v, want %+v", got, want)
	}
}

func TestHoldBounds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		word   string
		limits semper.HoldLimits
		bodies []int // one after the other
		shed   int   // of them, at the end
	}{
		{"requests", semper.HoldLimits{Requests: 3}, []int{1, 1, 1, 1, 1}, 2},
		{"bytes", semper.HoldLimits{Bytes: 1000}, []int{600, 600, 300, 200}, 2},
	} {
		t.Run(tc.word, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a := start(t, "tcp", "web.r1.1", says(1))
			f.table(1, holding(false, tc.limits), a.Backend)
			status := make(chan *http.Response, len(tc.bodies))
			shed, waiting := 0, 0
			for _, n := range tc.bodies {
				go func() {
					resp, err := client(t).Post(f.url("/"), "text/plain", strings.NewReader(strings.Repeat("x", n)))
					if err != nil {
						t.Error(err)
						resp = &http.Response{Body: http.NoBody}
					}
					resp.Body.Close() //nolint:errcheck // not wanted
					status <- resp
				}()
				eventually(t, "waits or is shed", func() bool {
					return f.State().Held[webPool] > waiting || f.ledger(1).Shed > uint64(shed)
				})
				waiting, shed = f.State().Held[webPool], int(f.ledger(1).Shed)
			}
			if shed != tc.shed {
				t.Errorf("%d shed, want %d", shed, tc.shed)
			}
			for range shed {
				resp := <-status
				if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || resp.Header.Get("X-Semper-Error") != "hold-"+tc.word {
					t.Errorf("%s %v", resp.Status, resp.Header)
				}
			}
			f.table(1, nil, a.Backend)
			for range len(tc.bodies) - shed {
				if resp := <-status; resp.StatusCode != 200 {
					t.Error(resp.Status)
				}
			}
			l := f.settled(1)
			if l.Served != uint64(len(tc.bodies)-shed) || l.Shed != uint64(shed) || l.Accepted != uint64(len(tc.bodies)) {
				t.Errorf("%+v", l)
			}
		})
	}
}

func TestHoldAge(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, holding(false, semper.HoldLimits{Age: semper.Duration(20 * time.Millisecond)}), a.Backend)
	resp, _ := get(t, client(t), f.url("/"))
	if resp.StatusCode != 503 || resp.Header.Get("X-Semper-Error") != "hold-age" {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
	if got, want := f.settled(1), (semper.Ledger{Accepted: 1, Shed: 1, Held: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestAClientThatLeavesALineIsGone with and without a body it has sent.
func TestAClientThatLeavesALineIsGone(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, holding(false, semper.HoldLimits{}), a.Backend)
	for _, req := range []string{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50\r\n\r\nhello",
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
	} {
		gone := f.ledger(1).Gone
		c, err := net.Dial("tcp", f.addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(c, req); err != nil {
			t.Fatal(err)
		}
		eventually(t, "held", func() bool { return f.State().Held[webPool] == 1 })
		c.(*net.TCPConn).SetLinger(0) //nolint:errcheck,forcetypeassert // it leaves for good
		c.Close()                     //nolint:errcheck // that is the test
		eventually(t, "out of the line", func() bool { return f.State().Held[webPool] == 0 && f.ledger(1).Gone == gone+1 })
	}
	if got, want := f.settled(1), (semper.Ledger{Accepted: 4, Gone: 4, Held: 4}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestResumeIsInOrder: first come, first served. In what order those who were let go reach an instance is for the
// machine to say, so it is watched who is let go.
func TestResumeIsInOrder(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, holding(false, semper.HoldLimits{}), a.Backend)
	const n = 20
	order := make(chan int, n)
	far, l := time.Now().Add(time.Hour), f.lanes[webPool]
	for i := range n {
		w := &hold.Waiter{Held: far, Backend: far, Let: func(v hold.Verdict) {
			if v != hold.Go {
				t.Errorf("number %d got verdict %v", i, v)
			}
			order <- i
		}}
		if l.Join(w, hold.Bounds{Requests: n, Bytes: 1}, false) != hold.Wait {
			t.Fatalf("number %d does not wait", i)
		}
	}
	if got := f.State().Held[webPool]; got != n {
		t.Errorf("%d wait, want %d", got, n)
	}
	f.table(1, limits(semper.HoldLimits{Rate: 1000}), a.Backend)
	for i := range n {
		if got := <-order; got != i {
			t.Fatalf("number %d was %d", i, got)
		}
	}
}

// TestALargeUploadIsHeldAndThenStreamed: what the line does not keep waits in the client's socket.
func TestALargeUploadIsHeldAndThenStreamed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const size = 8 << 20
	got := make(chan int64, 1)
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body) //nolint:errcheck // counted
		got <- n
	}))
	f.table(1, holding(true, semper.HoldLimits{}), a.Backend)
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // a test's
	go func() {
		fmt.Fprintf(c, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size) //nolint:errcheck // counted at the other end
		io.CopyN(c, zeros{}, size)                                                      //nolint:errcheck // counted at the other end
	}()
	eventually(t, "held", func() bool { return f.State().Held[webPool] == 1 })
	f.table(1, nil, a.Backend)
	if n := <-got; n != size {
		t.Errorf("%d bytes arrived, want %d", n, size)
	}
	if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != 200 {
		t.Errorf("%v %v", resp, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
