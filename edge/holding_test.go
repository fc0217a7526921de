package edge

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"semper"
	"semper/edge/hold"
	"semper/edge/lane"
)

// TestARouteIsHeldByItself: who asks for something else passes by, and the line ends with the hold.
func TestARouteIsHeldByItself(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	routes := func(h semper.Holds) func(*semper.Table) {
		return func(t *semper.Table) {
			t.Routes = append(t.Routes, semper.Route{Path: "/pay", Pool: webPool, Hold: h})
		}
	}
	f.table(1, routes(semper.Holds{{Route: "/pay"}}), a.Backend)
	const n = 5
	got := make(chan int, n)
	for range n {
		go func() {
			resp, err := client(t).Get(f.url("/pay/now"))
			if err != nil {
				t.Error(err)
				got <- 0
				return
			}
			resp.Body.Close() //nolint:errcheck // not wanted
			got <- resp.StatusCode
		}()
	}
	eventually(t, "all of them wait", func() bool {
		s := f.State()
		return s.Held[webPool] == n && s.Waiting["/pay"] == n
	})
	if resp, _ := get(t, client(t), f.url("/")); resp.StatusCode != 200 {
		t.Errorf("another route: %s", resp.Status)
	}
	f.table(1, routes(nil), a.Backend)
	for range n {
		if status := <-got; status != 200 {
			t.Errorf("status %d, want 200", status)
		}
	}
	if s := f.State(); len(s.Held) > 0 || len(s.Waiting) > 0 {
		t.Errorf("they wait still: %+v", s)
	}
	f.table(1, routes(nil), a.Backend)
	if l := f.lanes[webPool]; l.Of("/pay", false) != l.Lane {
		t.Error("the lane of the route is there still")
	}
}

// TestAHoldEndsAtItsTime though no table says so, with who waits and with who comes; also at an edge that starts by the table on disk.
func TestAHoldEndsAtItsTime(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	until := time.Now().Add(2 * time.Second)
	f.table(1, func(t *semper.Table) {
		t.Pools[0].Hold = semper.Holds{{Until: until}, {Writes: true, Until: time.Now().Add(time.Hour)}}
	}, a.Backend)
	if time.Until(until) < time.Second {
		t.Skip("the machine has slept over it")
	}
	resp, _ := get(t, client(t), f.url("/"))
	if resp.StatusCode != 200 || time.Now().Before(until) {
		t.Errorf("%s, %v before the end of the hold", resp.Status, time.Until(until))
	}
	if l := f.settled(1); l.Held != 1 || l.Served != 1 {
		t.Errorf("%+v", l)
	}
	if terms := f.snapshot().pools[webPool].held; terms.Holds(false, f.now()) || !terms.Holds(true, f.now()) {
		t.Error("the other hold goes on for writes, and for nothing else")
	}
	was := f.snapshot().pools[webPool].held[1].Until
	f.table(1, func(t *semper.Table) { t.Pools[0].Hold = f.snapshot().pools[webPool].Hold }, a.Backend)
	if now := f.snapshot().pools[webPool].held[1].Until; now != was {
		t.Errorf("the end of a hold that was known has moved by %v", time.Duration(now-was))
	}
	o := f.o
	o.Dir = f.dir
	again, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close() //nolint:errcheck // a test's
	if terms := again.snapshot().pools[webPool].held; terms.Holds(false, again.now()) || !terms.Holds(true, again.now()) {
		t.Error("an edge that starts again holds something else")
	}
}

// TestHealthIsAnsweredWhileHeld by a ready instance, and only what is the check of the service.
func TestHealthIsAnsweredWhileHeld(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	a.Health = semper.Health{Kind: semper.HealthHTTP, Path: "/healthz?deep=1"}
	f.table(1, holding(false, semper.HoldLimits{Age: semper.Duration(10 * time.Millisecond)}), a.Backend)
	for path, want := range map[string]string{"/healthz": "", "/healthz?deep=1": "", "/healthzz": "hold-age", "/": "hold-age"} {
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			req, err := http.NewRequestWithContext(t.Context(), method, f.url(path), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := client(t).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close() //nolint:errcheck // not wanted
			word := want
			if method == http.MethodPost {
				word = "hold-age"
			}
			if got := resp.Header.Get("X-Semper-Error"); got != word {
				t.Errorf("%s %s: %s %q, want %q", method, path, resp.Status, got, word)
			}
		}
	}
	f.table(1, holding(false, semper.HoldLimits{}), semper.Backend{ID: "web.r1.2", Address: "127.0.0.1:1", Health: a.Health})
	if resp, _ := get(t, client(t), f.url("/healthz")); resp.StatusCode != 503 {
		t.Errorf("nobody is there to answer: %s", resp.Status)
	}
}

// TestAHigherClassTakesTheNewestPlace of a lower one, where the line is full.
func TestAHigherClassTakesTheNewestPlace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, func(t *semper.Table) {
		holding(false, semper.HoldLimits{Requests: 2})(t)
		for path, class := range map[string]string{"/low": "background", "/high": "critical"} {
			t.Routes = append(t.Routes, semper.Route{Path: path, Pool: webPool, RouteWords: semper.RouteWords{Policy: []byte(`{"class":"` + class + `"}`)}})
		}
	}, a.Backend)
	answers := map[string]chan string{}
	ask := func(path string, held int) {
		got := make(chan string, 1)
		answers[path] = got
		go func() {
			resp, err := client(t).Get(f.url(path))
			if err != nil {
				got <- err.Error()
				return
			}
			resp.Body.Close() //nolint:errcheck // not wanted
			got <- fmt.Sprint(resp.StatusCode, resp.Header.Get("X-Semper-Error"))
		}()
		eventually(t, path+" waits", func() bool { return f.ledger(1).Held == uint64(held) })
	}
	ask("/low/1", 1)
	ask("/low/2", 2)
	ask("/", 3)
	if got := <-answers["/low/2"]; got != "503hold-requests" {
		t.Errorf("the newest of the lowest class: %s", got)
	}
	ask("/high", 4)
	if got := <-answers["/low/1"]; got != "503hold-requests" {
		t.Errorf("the last of the lowest class: %s", got)
	}
	if resp, _ := get(t, client(t), f.url("/low/3")); resp.Header.Get("X-Semper-Error") != "hold-requests" {
		t.Errorf("one of a low class, with all others above it: %s", resp.Status)
	}
	f.table(1, nil, a.Backend)
	for _, path := range []string{"/", "/high"} {
		if got := <-answers[path]; got != "200" {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// TestHeldContentStaysWithItsClient: no 100 Continue is said while it waits, and what does not come with the head is not read.
func TestHeldContentStaysWithItsClient(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"a driver's":   "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\nExpect: 100-continue\r\n\r\n",
		"net/http's":   "POST /aside HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\nExpect: 100-continue\r\n\r\n",
		"large, aside": "POST /aside HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\nExpect: 100-continue\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			var read atomic.Int64
			a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				n, _ := io.Copy(io.Discard, r.Body) //nolint:errcheck // counted
				read.Add(n)
			}))
			aside := func(t *semper.Table) {
				t.Routes = append(t.Routes, semper.Route{Path: "/aside", Pool: webPool, RouteWords: semper.RouteWords{Policy: []byte(`{"compress":{"algorithms":["gzip"]}}`)}})
			}
			f.table(1, func(t *semper.Table) { holding(false, semper.HoldLimits{})(t); aside(t) }, a.Backend)
			c, err := net.Dial("tcp", f.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close() //nolint:errcheck // a test's
			if _, err := io.WriteString(c, head); err != nil {
				t.Fatal(err)
			}
			eventually(t, "held", func() bool { return f.State().Held[webPool] == 1 })
			c.SetReadDeadline(time.Now().Add(20 * time.Millisecond)) //nolint:errcheck // a TCP connection has deadlines
			if n, err := c.Read(make([]byte, 100)); n > 0 || err == nil {
				t.Errorf("%d bytes of an answer while it is held", n)
			}
			c.SetReadDeadline(time.Time{}) //nolint:errcheck // the same
			f.table(1, aside, a.Backend)
			r := bufio.NewReader(c)
			if line, err := r.ReadString('\n'); err != nil || !strings.Contains(line, " 100 ") {
				t.Errorf("let go, it was told %q (%v)", line, err)
			}
		})
	}
}

// TestHeldContentIsNotWaitedFor: a client that is held before its content has come is not late with it, for however long; not by the time
// that it had for its head either.
func TestHeldContentIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", says(1))
	f.table(1, holding(false, semper.HoldLimits{}), a.Backend)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- f.ServeUntil(ctx, l, Terms{Head: 200 * time.Millisecond}) }()
	say := func(text string) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			_, err = io.WriteString(c, text)
		}
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := say("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
	defer c.Close() //nolint:errcheck // a test's
	eventually(t, "held", func() bool { return f.State().Held[webPool] == 1 })
	for range 3 { // each takes as long as a head may, and came later
		late := say("GET / HTTP/1.1\r\nHost: a\r\n")
		if line, err := bufio.NewReader(late).ReadString('\n'); err != nil || !strings.Contains(line, " 408 ") {
			t.Fatalf("half a head: %q (%v)", line, err)
		}
		late.Close() //nolint:errcheck // a test's
	}
	if n := f.State().Held[webPool]; n != 1 {
		t.Errorf("%d are held, want 1", n)
	}
	f.table(1, nil, a.Backend)
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Error(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, " 200 ") {
		t.Errorf("let go, it was told %q (%v)", line, err)
	}
	cancel()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// TestWhoGivesUpFreesHisPlace however he leaves.
func TestWhoGivesUpFreesHisPlace(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"resets", "closes"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			a := start(t, "tcp", "web.r1.1", says(1))
			f.table(1, func(t *semper.Table) {
				holding(false, semper.HoldLimits{Requests: 20})(t)
				t.Routes = append(t.Routes, semper.Route{Path: "/aside", Pool: webPool, RouteWords: semper.RouteWords{Policy: []byte(`{"compress":{"algorithms":["gzip"]}}`)}})
			}, a.Backend)
			for round := range 3 {
				var conns []net.Conn
				for i := range 20 {
					c, err := net.Dial("tcp", f.addr)
					if err != nil {
						t.Fatal(err)
					}
					path := "/"
					if i%2 == 1 {
						path = "/aside"
					}
					fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path) //nolint:errcheck // counted at the other end
					conns = append(conns, c)
				}
				eventually(t, "the line is full", func() bool { return f.State().Held[webPool] == 20 })
				for _, c := range conns {
					if way == "resets" {
						c.(*net.TCPConn).SetLinger(0) //nolint:errcheck,forcetypeassert // that is the test
					}
					c.Close() //nolint:errcheck // the same
				}
				eventually(t, "the line is empty", func() bool {
					return f.State().Held[webPool] == 0 && f.ledger(1).Gone == uint64(20*(round+1))
				})
			}
		})
	}
}

// TestLanesOfRoutesComeAndGo with who waits in them.
func TestLanesOfRoutesComeAndGo(t *testing.T) {
	t.Parallel()
	l := lane.NewLanes(func(string) *lane.Lane {
		return lane.New(lane.Options{
			Gate: func() hold.Gate { return hold.Gate{All: true} }, Pump: func(func(context.Context)) bool { return false },
		})
	})
	own := l.Of("/a", true)
	w := &hold.Waiter{Held: time.Now().Add(time.Hour)}
	if own == l.Lane || l.Of("/b", false) != l.Lane || own.Join(w, hold.Bounds{Requests: 1}, false) != hold.Wait {
		t.Fatal("a route that is held has a lane of its own, and no other")
	}
	if l.Of("/a", false) != own || l.Waiting() != 1 || l.AppendRoutes(nil)["/a"] != 1 {
		t.Error("it stays until the last has left it")
	}
	if own.Leave(w); l.Of("/a", false) != l.Lane || l.AppendRoutes(nil) != nil {
		t.Error("and no longer")
	}
}
