package load

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"semper/internal/reserve"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// whole is a good response of a release.
func whole(w http.ResponseWriter, release string) {
	w.Header().Set("X-Semper-Release", release)
	fmt.Fprintf(w, "%s\npayload\n%s\n", release, release)
}

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// until runs g until enough holds for its report, then stops it.
func until(t *testing.T, g *Generator, enough func(Report) bool) Report {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for {
		select {
		case <-tick.C:
			if enough(g.Report()) {
				return g.Stop()
			}
		case <-deadline:
			t.Fatalf("not within 20 s: %+v", g.Stop())
		}
	}
}

func TestEveryKindOfGoodRequestIsCountedAsServed(t *testing.T) {
	t.Parallel()
	var conns atomic.Int64
	h := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/socket" {
			echo(w, r, "r1")
			return
		}
		if r.URL.Path == "/slow" {
			w.(http.Flusher).Flush() // makes it chunked
		}
		whole(w, "r1")
	}
	s := httptest.NewUnstartedServer(http.HandlerFunc(h))
	s.Config.ConnState = func(_ net.Conn, st http.ConnState) {
		if st == http.StateNew {
			conns.Add(1)
		}
	}
	s.Start()
	t.Cleanup(s.Close)
	g := Start(t.Context(), Config{Address: s.Listener.Addr().String(), KeepAlive: 4, Fresh: 200, Slow: 2, SlowPath: "/slow", Sockets: 3, SocketGap: time.Millisecond})
	g.Enter("quiet")
	r := until(t, g, func(r Report) bool {
		return r.Sections["quiet"].Requests > 100 && r.Sections["quiet"].FreshP50 > 0 && r.Sockets.Messages > 20
	})
	if r.Failed != 0 {
		t.Fatalf("failed: %+v", r)
	}
	if r.Releases["r1"] != r.Requests {
		t.Errorf("r1 answered %d of %d", r.Releases["r1"], r.Requests)
	}
	if q := r.Sections["quiet"]; q.P50 > q.P99 || q.P99 > q.P999 || q.P999 > q.Max {
		t.Errorf("quantiles out of order: %+v", q)
	}
	if n := uint64(conns.Load()); n >= r.Requests {
		t.Errorf("%d connections for %d requests: not kept alive", n, r.Requests)
	}
}

func TestEachFailureIsToldApart(t *testing.T) {
	t.Parallel()
	raw := func(answer string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				panic(err)
			}
			_, _ = io.WriteString(c, answer)
			c.Close()
		}
	}
	for _, tc := range []struct {
		name string
		want Outcome
		h    http.HandlerFunc
	}{
		{"closed without an answer", Reset, raw("")},
		{"body cut", Short, raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nr1\n")},
		{"chunks cut", Short, raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nr1\n\r\n")},
		{"head cut", Short, raw("HTTP/1.1 200 OK\r\nContent-Le")},
		{"not HTTP", Malformed, raw("hello\r\n\r\n")},
		{"bad length", Malformed, raw("HTTP/1.1 200 OK\r\nContent-Length: -3\r\n\r\n")},
		{"status 503", Status, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }},
		{"two releases in a body", Mixed, raw("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nr1\nr2\n")},
		{"header of another release", Mixed, raw("HTTP/1.1 200 OK\r\nX-Semper-Release: r2\r\nContent-Length: 6\r\n\r\nr1\nr1\n")},
		{"no answer in time", Timeout, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			g := Start(t.Context(), Config{Address: serve(t, tc.h), KeepAlive: 1, Timeout: 300 * time.Millisecond})
			r := until(t, g, func(r Report) bool { return r.Failed > 0 })
			if r.Failures[tc.want] != r.Failed || r.Failed != r.Requests {
				t.Errorf("got %v of %d requests, want only %q; %v", r.Failures, r.Requests, tc.want, r.Samples)
			}
		})
	}
}

func TestAConnectionClosedWhileIdleIsNoFailure(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		// Held back until the close, so that no client has the answer before it could know of the end.
		raw, err := c.(*net.TCPConn).SyscallConn()
		if err != nil {
			panic(err)
		}
		var corked error
		if err := raw.Control(func(fd uintptr) { corked = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_CORK, 1) }); err != nil || corked != nil {
			panic(errors.Join(err, corked))
		}
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nr1\n") // keeps, it says
		c.Close()
	})
	g := Start(t.Context(), Config{Address: addr, KeepAlive: 1, Think: 20 * time.Millisecond})
	r := until(t, g, func(r Report) bool { return r.ClosedIdle > 2 })
	if r.Failed != 0 {
		t.Errorf("got %v", r.Samples)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	g := Start(t.Context(), Config{Address: reserve.For(t).Address(), KeepAlive: 1, Fresh: 50})
	r := until(t, g, func(r Report) bool { return r.Failures[Refused] > 3 })
	if r.Failures[Refused] != r.Failed {
		t.Errorf("got %v", r.Failures)
	}
}

func TestOldReleaseAfterTheCutover(t *testing.T) {
	t.Parallel()
	var release atomic.Value
	release.Store("r1")
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { whole(w, release.Load().(string)) })
	g := Start(t.Context(), Config{Address: addr, KeepAlive: 2})

	g.Deploying("r2")
	served := func(of string) func() bool {
		n := g.Report().Releases[of]
		return func() bool { return g.Report().Releases[of] > n+4 }
	}
	wait(t, served("r1"))
	release.Store("r2")
	wait(t, served("r2"))
	if late := g.Cutover(time.Now()); late != 0 {
		t.Fatalf("%d requests of before the cutover counted as late", late)
	}
	wait(t, served("r2"))
	if r := g.Report(); r.Failed != 0 {
		t.Fatalf("failed: %v", r.Samples)
	}
	release.Store("r1") // what must not happen: the old release answers again
	r := until(t, g, func(r Report) bool { return r.Failures[OldRelease] > 0 })
	if r.Failures[OldRelease] != r.Failed {
		t.Errorf("got %v", r.Failures)
	}
}

func TestOldReleaseIsFoundAlsoWhereTheCutoverIsToldLate(t *testing.T) {
	t.Parallel()
	a := newAccount()
	t0 := time.Now()
	a.deploying("r2")
	a.served("r1", t0, "before")
	a.served("r1", t0.Add(20*time.Millisecond), "after")
	a.served("r2", t0.Add(30*time.Millisecond), "after")
	if late := a.cutOver(t0.Add(10 * time.Millisecond)); late != 1 {
		t.Errorf("late = %d, want 1", late)
	}
	a.deploying("r1")
	if late := a.cutOver(t0.Add(40 * time.Millisecond)); late != 0 {
		t.Errorf("late = %d for the next deploy, want 0", late)
	}
}

func wait(t *testing.T, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("not within 20 s")
		}
	}
}

// echo answers every message with the release before it.
func echo(w http.ResponseWriter, r *http.Request, release string) {
	c, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer c.CloseNow()
	for {
		kind, b, err := c.Read(context.Background())
		if err != nil {
			return
		}
		if c.Write(context.Background(), kind, []byte(release+" "+string(b))) != nil {
			return
		}
	}
}

func TestSocketHandOver(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		_, b, err := c.Read(context.Background())
		if err != nil {
			return
		}
		_ = c.Write(context.Background(), websocket.MessageText, append([]byte("r1 "), b...))
		_ = c.Close(websocket.StatusServiceRestart, "moved")
	})
	g := Start(t.Context(), Config{Address: addr, Sockets: 2, SocketGap: 5 * time.Millisecond})
	r := until(t, g, func(r Report) bool { return r.Sockets.HandedOver > 3 })
	if r.Failed != 0 || r.Sockets.Broken != 0 || r.Sockets.Unanswered != 0 {
		t.Errorf("got %+v, %v", r.Sockets, r.Samples)
	}
}

func TestSocketMessageThatCrossesACloseIsSentAgain(t *testing.T) {
	t.Parallel()
	var first atomic.Bool
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if first.CompareAndSwap(false, true) {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			_, _, _ = c.Read(context.Background())
			_ = c.Close(websocket.StatusServiceRestart, "moved")
			return
		}
		echo(w, r, "r2")
	})
	g := Start(t.Context(), Config{Address: addr, Sockets: 1, SocketGap: time.Millisecond})
	r := until(t, g, func(r Report) bool { return r.Sockets.Messages > 3 })
	if r.Failed != 0 || r.Sockets.Resent != 1 {
		t.Errorf("got %+v, %v", r.Sockets, r.Samples)
	}
}

func TestSocketBrokenWithAMessageInHandIsAFailure(t *testing.T) {
	t.Parallel()
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		_, _, _ = c.Read(context.Background())
		_ = c.CloseNow()
	})
	g := Start(t.Context(), Config{Address: addr, Sockets: 1, SocketGap: time.Millisecond})
	r := until(t, g, func(r Report) bool { return r.Failures[Unanswered] > 0 })
	if r.Sockets.Unanswered != r.Failures[Unanswered] {
		t.Errorf("got %+v, %v", r.Sockets, r.Failures)
	}
}

func TestResponseParserNeverPanics(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "\r\n", "HTTP/1.1 \r\n", "HTTP/1.1 200\r\n:\r\n\r\n", "HTTP/1.1 200 OK\r\nx\r\n", "HTTP/1.1 2" + strings.Repeat("0", 9000)} {
		c := &conn{r: bufio.NewReader(strings.NewReader(text))}
		if res, err := c.head(); err == nil {
			_ = c.readBody(&res)
		}
	}
}
