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
	"testing"
	"time"

	"github.com/coder/websocket"

	"semper"
	"semper/edge/wsframe"
)

// wsEcho echoes messages and tells how each connection was closed.
func wsEcho(t *testing.T, closes chan websocket.StatusCode) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Errorf("accept: %v", err)
			return
		}
		defer c.CloseNow() //nolint:errcheck // over
		c.SetReadLimit(1 << 20)
		for {
			typ, b, err := c.Read(context.Background())
			if err != nil {
				closes <- websocket.CloseStatus(err)
				return
			}
			if err := c.Write(context.Background(), typ, b); err != nil {
				closes <- -2
				return
			}
		}
	}
}

func dialWS(t *testing.T, f *fixture) *websocket.Conn {
	t.Helper()
	c, resp, err := websocket.Dial(t.Context(), "ws://"+f.addr+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("X-Semper-Release") != "r1" || resp.Header.Get("X-Request-Id") == "" {
		t.Errorf("101 with %v", resp.Header)
	}
	c.SetReadLimit(1 << 20)
	t.Cleanup(func() { c.CloseNow() }) //nolint:errcheck // a test's
	return c
}

func echo(t *testing.T, c *websocket.Conn, msg string) error {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte(msg)); err != nil {
		return err
	}
	_, b, err := c.Read(t.Context())
	if err == nil && string(b) != msg {
		t.Errorf("got %d bytes back, sent %d", len(b), len(msg))
	}
	return err
}

func draining(release int, at time.Time, ids ...semper.InstanceID) func(*semper.Table) {
	return func(t *semper.Table) {
		t.Draining = []semper.Draining{{App: "bar", Release: semper.NameRelease(release), Instances: ids, Request: at, Stream: at, WebSocket: at}}
	}
}

// TestWebSocketsSurviveACutoverAndEndWith1012 at their deadline, each between two messages.
func TestWebSocketsSurviveACutoverAndEndWith1012(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			const n = 10
			closes := make(chan websocket.StatusCode, n)
			old, now := start(t, network, "web.r1.1", wsEcho(t, closes)), start(t, network, "web.r2.1", says(2))
			f.table(1, nil, old.Backend)
			conns := make([]*websocket.Conn, n)
			for i := range conns {
				conns[i] = dialWS(t, f)
				if err := echo(t, conns[i], strings.Repeat("x", i*10_000)); err != nil {
					t.Fatal(err)
				}
			}
			if got := f.State().InFlight[old.ID]; got[semper.ClassWebSocket] != n || got[semper.ClassRequest] != 0 {
				t.Errorf("in flight %v", got)
			}
			f.table(2, draining(1, time.Now().Add(time.Hour), old.ID), now.Backend)
			for _, c := range conns {
				if err := echo(t, c, "still here"); err != nil {
					t.Fatalf("cut by a cutover: %v", err)
				}
			}
			f.table(2, draining(1, time.Now(), old.ID), now.Backend)
			for _, c := range conns {
				if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 1012 {
					t.Errorf("client: %v", err)
				}
			}
			for range conns {
				if code := <-closes; code != websocket.StatusGoingAway {
					t.Errorf("backend was told %d", code)
				}
			}
			if got, want := f.settled(1), (semper.Ledger{Accepted: n, Cut: n}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// TestBusyWebSocketsEndBetweenMessages: clients that never stop talking get a Close frame all the same,
// and no message before it is torn.
func TestBusyWebSocketsEndBetweenMessages(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const n = 8
	closes := make(chan websocket.StatusCode, n)
	a := start(t, "tcp", "web.r1.1", wsEcho(t, closes))
	f.table(1, nil, a.Backend)
	var wg, warm sync.WaitGroup
	for i := range n {
		c := dialWS(t, f)
		warm.Add(1)
		wg.Go(func() {
			for k := 0; ; k++ {
				if k == 20 {
					warm.Done()
				}
				if err := echo(t, c, strings.Repeat("x", 1+i*30_000)); err != nil {
					// A write may find the connection ended before the Close frame was read.
					if _, _, e := c.Read(t.Context()); websocket.CloseStatus(err) != 1012 && websocket.CloseStatus(e) != 1012 {
						t.Errorf("after %d: %v, %v", k, err, e)
					}
					return
				}
			}
		})
	}
	warm.Wait()
	f.table(2, draining(1, time.Now(), a.ID))
	wg.Wait()
	if l := f.settled(1); l.Cut != n {
		t.Errorf("%+v", l)
	}
}

// TestAMessageThatWaitsForItsAnswerGetsIt before the connection ends.
func TestAMessageThatWaitsForItsAnswerGetsIt(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.CloseNow() //nolint:errcheck // over
		_, b, err := c.Read(context.Background())
		if err != nil {
			t.Error(err)
			return
		}
		close(asked)
		<-answer
		c.Write(context.Background(), websocket.MessageText, b) //nolint:errcheck // the client checks
		c.Read(context.Background())                            //nolint:errcheck // the close
	}))
	f.table(1, nil, a.Backend)
	c := dialWS(t, f)
	if err := c.Write(t.Context(), websocket.MessageText, []byte("question")); err != nil {
		t.Fatal(err)
	}
	<-asked
	f.table(2, draining(1, time.Now().Add(200*time.Millisecond), a.ID))
	time.AfterFunc(300*time.Millisecond, func() { close(answer) })
	if _, b, err := c.Read(t.Context()); err != nil || string(b) != "question" {
		t.Fatalf("%s %v", b, err)
	}
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != 1012 {
		t.Error(err)
	}
}

// TestARollbackCallsTheEndOff: the release is back in its pool before its deadline.
func TestARollbackCallsTheEndOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	closes := make(chan websocket.StatusCode, 1)
	one, two := start(t, "tcp", "web.r1.1", wsEcho(t, closes)), start(t, "tcp", "web.r2.1", says(2))
	f.table(1, nil, one.Backend)
	var c *websocket.Conn
	var at time.Time
	late := 0
	for soon := 300 * time.Millisecond; ; soon *= 2 {
		c = dialWS(t, f)
		at = time.Now().Add(soon)
		f.table(2, draining(1, at, one.ID), two.Backend)
		f.table(1, nil, one.Backend)
		if time.Until(at) > soon/2 {
			break
		}
		// This machine took so long that the deadline may have come first. Then there was nothing to call off.
		c.CloseNow() //nolint:errcheck // over
		<-closes
		late++
	}
	over := time.NewTimer(time.Until(at) + 2*time.Second)
	defer over.Stop()
	for open := true; open; {
		if err := echo(t, c, "hello"); err != nil {
			t.Fatal(err)
		}
		select {
		case <-over.C:
			open = false
		default:
		}
	}
	if err := c.Close(websocket.StatusNormalClosure, "bye"); err != nil {
		t.Error(err)
	}
	if code := <-closes; code != websocket.StatusNormalClosure {
		t.Errorf("backend was told %d", code)
	}
	if got := f.settled(1); got.Accepted != uint64(1+late) || got.Served != 1 {
		t.Errorf("got %+v, want one served, beside %d that were given up", got, late)
	}
}

func TestHowWebSocketsEndIsCounted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	closes := make(chan websocket.StatusCode, 1)
	a := start(t, "tcp", "web.r1.1", wsEcho(t, closes))
	f.table(1, nil, a.Backend)
	c := dialWS(t, f)
	c.CloseNow() //nolint:errcheck // without a word
	<-closes
	if got, want := f.settled(1), (semper.Ledger{Accepted: 1, Gone: 1}); got != want {
		t.Errorf("the client vanished: got %+v, want %+v", got, want)
	}
	p := startRaw(t, func(c net.Conn, _ *bufio.Reader) {
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x05he") //nolint:errcheck // and gone
	})
	f.table(2, nil, p)
	conn, _ := rawRequest(t, f, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
	io.Copy(io.Discard, conn) //nolint:errcheck // its end
	conn.Close()              //nolint:errcheck // over
	if got, want := f.settled(2), (semper.Ledger{Accepted: 1, EdgeErrors: 1}); got != want {
		t.Errorf("the backend vanished: got %+v, want %+v", got, want)
	}
}

// A backend that dies between two messages leaves its client with a word: a Close frame that says to
// come again. The ledger still says that it was not the app that ended it.
func TestAClientOfADeadBackendIsToldToComeAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	p := startRaw(t, func(c net.Conn, _ *bufio.Reader) {
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi") //nolint:errcheck // and gone
	})
	f.table(1, nil, p)
	conn, br := rawRequest(t, f, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
	got, err := io.ReadAll(br)
	if err != nil {
		t.Fatal(err)
	}
	want := "\x81\x02hi" + string(wsframe.Close(wsframe.ServiceRestart, "the instance ended: reconnect", nil))
	if !strings.HasSuffix(string(got), "\r\n\r\n"+want) {
		t.Errorf("the client got %q, want it to end with %q", got, want)
	}
	conn.Close() //nolint:errcheck // over
	if got, want := f.settled(1), (semper.Ledger{Accepted: 1, EdgeErrors: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// startRaw is a backend that reads one request head per connection and then does as it likes.
func startRaw(t *testing.T, do func(net.Conn, *bufio.Reader)) semper.Backend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close() //nolint:errcheck // a test's
				br := bufio.NewReader(c)
				for {
					line, err := br.ReadString('\n')
					if err != nil {
						return
					}
					if line == "\r\n" {
						break
					}
				}
				do(c, br)
			})
		}
	})
	t.Cleanup(func() {
		l.Close() //nolint:errcheck // a test's
		wg.Wait()
	})
	return semper.Backend{ID: "bar/raw.r1.1", Address: l.Addr().String()}
}

// rawRequest sends bytes as they are.
func rawRequest(t *testing.T, f *fixture, s string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })                 //nolint:errcheck // a test's
	c.SetDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // a test's
	if _, err := io.WriteString(c, s); err != nil {
		t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// TestOtherUpgradesAreRelayedRaw, half closes and all.
func TestOtherUpgradesAreRelayedRaw(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.table(1, nil, startRaw(t, func(c net.Conn, br *bufio.Reader) {
		io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nhello ") //nolint:errcheck // the client checks
		b, _ := io.ReadAll(br)                                                                                                                                        //nolint:errcheck // the client checks
		fmt.Fprintf(c, "you said %q", b)                                                                                                                              //nolint:errcheck // the client checks
	}))
	c, br := rawRequest(t, f, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\nearly ")
	for _, want := range []int{103, 101} {
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != want {
			t.Fatalf("%v %v", resp, err)
		}
	}
	io.WriteString(c, "late")     //nolint:errcheck // checked below
	c.(*net.TCPConn).CloseWrite() //nolint:errcheck // checked below
	b, err := io.ReadAll(br)
	if err != nil || string(b) != `hello you said "early late"` {
		t.Errorf("%q %v", b, err)
	}
	if got, want := f.settled(1), (semper.Ledger{Accepted: 1, Served: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRawTunnelsAreCutAtTheirDeadline(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	b := startRaw(t, func(c net.Conn, br *bufio.Reader) {
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n") //nolint:errcheck // the client checks
		io.ReadAll(br)                                                                                        //nolint:errcheck // its end
	})
	f.table(1, nil, b)
	_, br := rawRequest(t, f, "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n")
	if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 101 {
		t.Fatalf("%v %v", resp, err)
	}
	f.table(2, draining(1, time.Now().Add(50*time.Millisecond), b.ID))
	if _, err := br.ReadByte(); err == nil {
		t.Error("still open")
	}
	if got, want := f.settled(1), (semper.Ledger{Accepted: 1, Cut: 1}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestUpgradesNobodyMayHave: no tunnel without a 101, none that was not asked for, none to HTTP/2.
func TestUpgradesNobodyMayHave(t *testing.T) {
	t.Parallel()
	var seen struct {
		sync.Mutex
		heads []string
	}
	f := newFixture(t)
	a := start(t, "tcp", "web.r1.1", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		seen.Lock()
		defer seen.Unlock()
		seen.heads = append(seen.heads, r.URL.Path+" "+r.Header.Get("Upgrade")+r.Header.Get("Http2-Settings"))
	}))
	f.table(1, nil, a.Backend)
	for _, head := range []string{
		"GET /h2c HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
		"GET /plain HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n",
		"GET /old HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
	} {
		_, br := rawRequest(t, f, head)
		if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 200 {
			t.Errorf("%v %v", resp, err)
		}
	}
	// Answered 200, the bytes behind the request are the next request, not a tunnel's.
	_, br := rawRequest(t, f, "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nGET /second HTTP/1.1\r\nHost: a\r\n\r\n")
	for range 2 {
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 200 {
			t.Fatalf("%v %v", resp, err)
		}
		drainBody(t, resp)
	}
	want := []string{"/h2c ", "/plain ", "/old ", "/ws websocket", "/second "}
	if fmt.Sprint(seen.heads) != fmt.Sprint(want) {
		t.Errorf("the app saw %q, want %q", seen.heads, want)
	}
	for _, answer := range []string{
		"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
	} {
		f.table(1, nil, startRaw(t, func(c net.Conn, br *bufio.Reader) {
			io.WriteString(c, answer) //nolint:errcheck // the client checks
			br.ReadByte()             //nolint:errcheck // its end
		}))
		for _, head := range []string{"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"} {
			_, br := rawRequest(t, f, head)
			if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 502 {
				t.Errorf("%v %v", resp, err)
			}
		}
	}
}
