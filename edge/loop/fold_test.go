package loop

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"semper/edge/front"
	"semper/edge/http1"
)

// folders is an edge whose sessions fold what waits, which is everything.
type folders struct {
	fixed
	waits  chan func() // ends the wait of who waits now
	rounds int         // how often each waits
	folded atomic.Int64
}

func (e *folders) Open(front.Connection) front.Session {
	e.opened.Add(1)
	return &folder{session: session{edge: &e.fixed}, all: e}
}

type folder struct {
	session
	all    *folders
	kept   []byte
	again  http1.Request
	rounds int
}

func (s *folder) Begin(x *front.Exchange) front.Action {
	s.begin(x)
	s.kept, s.rounds = bytes.Clone(x.Request.Head()), 0
	x.Forward.RequestID = []byte("before")
	s.waits(x)
	return front.Wait
}

func (s *folder) waits(x *front.Exchange) {
	waker, ticket := x.Waker, x.Ticket
	s.all.waits <- func() { waker.Wake(ticket) }
}

func (s *folder) Fold() bool {
	s.all.folded.Add(1)
	return true
}

// unfold is what the first call after Fold does.
func (s *folder) unfold(x *front.Exchange) {
	s.again.Reset()
	if n, err := s.again.Parse(s.kept, &http1.Default); n == 0 || err != nil {
		panic(err)
	}
	x.Request = &s.again
}

func (s *folder) Woken(x *front.Exchange) front.Action {
	s.unfold(x)
	if s.rounds++; s.rounds < s.all.rounds {
		s.waits(x)
		return front.Wait
	}
	x.Target, x.Keep = s.edge.targets[0], s.edge.keep
	x.Forward = http1.Forward{Proto: "http", ClientIP: []byte("192.0.2.1"), Via: "semper", RequestID: []byte("after")}
	return front.Forward
}

func (s *folder) Failed(x *front.Exchange, f front.Failure) front.Action {
	if s.rounds < s.all.rounds { // it waits
		s.unfold(x)
	}
	return s.session.Failed(x, f)
}

func (s *folder) End(x *front.Exchange, how front.Outcome) {
	s.unfold(x)
	s.session.End(x, how)
}

// startFolders is a rig of one loop whose sessions fold.
func startFolders(t *testing.T, rounds int) (*rig, *folders) {
	t.Helper()
	e := &folders{waits: make(chan func(), 1000), rounds: rounds}
	e.keep = 64 << 10
	e.targets = []*front.Target{app(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Asked", r.Header.Get("X-Request-Id"))
		echo(w, r)
	})}
	return startEdge(t, Options{Loops: 1}, e, &e.fixed), e
}

// foldedAndFlows are the connections whose requests are, and the flows that the loop has, in use or not.
func (r *rig) foldedAndFlows() (folded, flows int) {
	r.loops[0].sync(func(l *loop) {
		flows = len(l.flows)
		for _, e := range l.slots {
			switch {
			case e == nil || e.conn == nil:
			case e.conn.fold != nil:
				folded++
			case e.conn.flow != nil:
				flows++
			}
		}
	})
	return folded, flows
}

// TestFolded: many who wait have no flow, whatever has come of their content. Woken they go on with all of it, with the head as it is
// said then, and what stands behind them is answered behind them.
func TestFolded(t *testing.T) {
	t.Parallel()
	const chunked = "Transfer-Encoding: chunked\r\n"
	kinds := []struct{ fields, before, after string }{
		{"", "", ""},
		{"Content-Length: 5\r\n", "hello", ""},
		{"Content-Length: 5\r\n", "he", "llo"},
		{"Content-Length: 5\r\n", "", "hello"},
		{chunked, "5\r\nhello\r\n0\r\n\r\n", ""},
		{chunked, "3\r\nhel\r\n0000", "2;x=y\r\nlo\r\n0\r\n\r\n"},
		{chunked, "", "5\r\nhello\r\n0\r\n\r\n"},
		{"", "GET /behind HTTP/1.1\r\nHost: a\r\n\r\n", ""},
	}
	for rounds := 1; rounds <= 2; rounds++ {
		r, e := startFolders(t, rounds)
		const n = 64
		conns := make([]net.Conn, n)
		for i := range conns {
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close() //nolint:errcheck // a test's
			k := kinds[i%len(kinds)]
			if _, err := fmt.Fprintf(c, "POST /%d HTTP/1.1\r\nHost: a\r\n%s\r\n%s", i, k.fields, k.before); err != nil {
				t.Fatal(err)
			}
			conns[i] = c
		}
		wakes := make([]func(), n)
		for i := range wakes {
			wakes[i] = <-e.waits
		}
		if folded, flows := r.foldedAndFlows(); folded != n || flows > 1 {
			t.Errorf("%d of %d are folded, and there are %d flows", folded, n, flows)
		}
		if rounds == 2 {
			for i, wake := range wakes {
				wake()
				wakes[i] = <-e.waits
			}
			if folded, flows := r.foldedAndFlows(); folded != n || flows > 1 {
				t.Errorf("in the second wait %d of %d are folded, and there are %d flows", folded, n, flows)
			}
		}
		done := make(chan struct{})
		var behind sync.WaitGroup
		behind.Go(func() {
			for {
				select {
				case wake := <-e.waits:
					wake()
				case <-done:
					return
				}
			}
		})
		for i, wake := range wakes {
			wake()
			if _, err := io.WriteString(conns[i], kinds[i%len(kinds)].after); err != nil {
				t.Fatal(err)
			}
		}
		for i, c := range conns {
			k := kinds[i%len(kinds)]
			in := bufio.NewReader(c)
			want := strings.Repeat("hello", min(1, len(k.fields)))
			checkFolded(t, in, fmt.Sprint("/", i), want)
			if strings.HasPrefix(k.before, "GET") {
				checkFolded(t, in, "/behind", "")
			}
		}
		close(done)
		behind.Wait()
		if got, want := e.folded.Load(), int64(rounds*(n+n/len(kinds))); got != want {
			t.Errorf("folded %d times, want %d", got, want)
		}
	}
}

func checkFolded(t *testing.T, in *bufio.Reader, path, want string) {
	t.Helper()
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(path, err)
	}
	b, err := io.ReadAll(resp.Body)
	if err != nil || string(b) != want || resp.Header.Get("X-Path") != path || resp.Header.Get("X-Asked") != "after" {
		t.Errorf("%s: %q, %v, %v", path, b, resp.Header, err)
	}
}

// TestFoldedEnds: what is folded ends as what is not, once, and a wake that comes then does nothing.
func TestFoldedEnds(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end    func(r *rig, c *net.TCPConn)
		status int // of the answer; 0: none
		want   front.Outcome
	}{
		"the client resets":    {func(_ *rig, c *net.TCPConn) { c.SetLinger(0); c.Close() }, 0, front.ClientGone}, //nolint:errcheck // seen below
		"the client ends":      {func(_ *rig, c *net.TCPConn) { c.CloseWrite() }, 0, front.ClientGone},            //nolint:errcheck // the same
		"it is cut":            {func(r *rig, _ *net.TCPConn) { r.Cut(func(front.Session) bool { return true }) }, 502, front.Refused},
		"the driver is closed": {func(r *rig, _ *net.TCPConn) { r.Close() }, 0, front.CutOff}, //nolint:errcheck // it never fails
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, e := startFolders(t, 1)
			c, err := net.Dial("tcp", r.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()                                                                //nolint:errcheck // a test's
			io.WriteString(c, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhe") //nolint:errcheck // what comes tells
			wake := <-e.waits
			tc.end(r, c.(*net.TCPConn)) //nolint:errcheck,forcetypeassert // it is one
			if tc.status != 0 {
				resp, err := http.ReadResponse(bufio.NewReader(c), nil)
				if err != nil || resp.StatusCode != tc.status {
					t.Errorf("%v, %v", resp, err)
				}
			} else if tc.want == front.ClientGone {
				for e.ended.Load() == 0 {
					r.loops[0].sync(func(*loop) {})
				}
			}
			wake()
			r.loops[0].sync(func(*loop) {})
			e.mu.Lock()
			defer e.mu.Unlock()
			if !slices.Equal(e.outcomes, []front.Outcome{tc.want}) {
				t.Errorf("ended as %v, want %v once", e.outcomes, tc.want)
			}
			if e.begun.Load() != 1 {
				t.Errorf("%d have begun", e.begun.Load())
			}
		})
	}
}
