package http3

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"semper/edge/message"
	"semper/edge/route"
)

// TestBadInputs are those rows of the edge's table that HTTP/3 has, each on a connection of its own: a reset or a refusal, and no
// handler that takes it for a request.
func TestBadInputs(t *testing.T) {
	t.Parallel()
	const malformed = uint64(http3.ErrCodeMessageError)
	data := func(text string) []byte { return frame(0, []byte(text)) }
	r := prepare(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			panic(http.ErrAbortHandler) // as the edge does with a backend's half of it
		}
		w.WriteHeader(http.StatusNoContent)
	})
	pseudo := func(fields ...string) [][]byte { return [][]byte{headers(fields...)} }
	one := func(more ...string) [][]byte { return [][]byte{get(more...)} }
	for _, c := range []struct {
		row, name string
		send      [][]byte
		status    string
		code      uint64
	}{
		{"", "ordinary", one("x", "y"), "204", 0},
		{"", "content", [][]byte{get("content-length", "5"), data("hello")}, "204", 0},
		{"5", "content-length: +5", [][]byte{get("content-length", "+5"), data("hello")}, "", malformed},
		{"19", "transfer_encoding", one("transfer_encoding", "chunked"), "204", 0}, // dropped on the way, as from HTTP/2
		{"29", "host with a space", pseudo(":method", "GET", ":scheme", "https", ":authority", "a b", ":path", "/"), "400", 0},
		{"32", "CONNECT", pseudo(":method", "CONNECT", ":authority", "a.example:443"), "405", 0},
		{"47", "a long target", pseudo(":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/"+strings.Repeat("a", 10<<10)), "414", 0},
		{"49", "a large field", one("x", strings.Repeat("a", 80<<10)), "431", 0},
		{"69", "hidden dots", pseudo(":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/%2e%2e/admin"), "400", 0},
		{"76", "transfer-encoding", one("transfer-encoding", "chunked"), "", malformed},
		{"76", "connection", one("connection", "close"), "", malformed},
		{"76", "upgrade", one("upgrade", "h2c"), "", malformed},
		{"77", "a line feed", one("x", "a\nb"), "", malformed},
		{"77", "NUL", one("x", "a\x00b"), "", malformed},
		{"77", "a space before", one("x", " a"), "400", 0},
		{"77", "a capital", one("X", "a"), "", malformed},
		{"77", "no name", one("", "a"), "", malformed},
		{"78", "less content", [][]byte{get("content-length", "5"), data("hell")}, "", uint64(http3.ErrCodeInternalError)},
		{"78", "more content", [][]byte{get("content-length", "5"), data("hello!")}, "", 0},
		{"78", "content of no length", one("content-length", "5"), "", uint64(http3.ErrCodeInternalError)},
		{"79", "two paths", pseudo(":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/", ":path", "/b"), "", malformed},
		{"79", "a late one", pseudo(":method", "GET", ":scheme", "https", ":authority", "a.example", "x", "y", ":path", "/"), "", malformed},
		{"79", "an unknown one", pseudo(":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/", ":x", "y"), "", malformed},
		{"79", "no path", pseudo(":method", "GET", ":scheme", "https", ":authority", "a.example"), "", malformed},
		{"79", "a path with a space", pseudo(":method", "GET", ":scheme", "https", ":authority", "a.example", ":path", "/ b"), "400", 0},
		{"79", "a method with a space", pseudo(":method", "GE T", ":scheme", "https", ":authority", "a.example", ":path", "/"), "", malformed},
		{"80", "another host", one("host", "b.example"), "", malformed},
		{"82", "many fields", one(strings.Split(strings.Repeat("x,y,", 300)[:1199], ",")...), "431", 0},
		{"", "content before the head", [][]byte{data("x")}, "", uint64(http3.ErrCodeFrameUnexpected)},
	} {
		t.Run(c.row+" "+c.name, func(t *testing.T) {
			status, code := r.raw(t).ask(c.send...)
			if status != c.status || c.code != 0 && code != c.code {
				t.Errorf("status %q, code %#x", status, code)
			}
		})
	}
}

// TestNoEarlyData: what could be played again is not taken.
func TestNoEarlyData(t *testing.T) {
	t.Parallel()
	r := prepare(t, func(http.ResponseWriter, *http.Request) {})
	cache := tls.NewLRUClientSessionCache(1)
	for i := range 2 {
		tr := &http3.Transport{
			TLSClientConfig: &tls.Config{RootCAs: r.roots, ServerName: "a.example", ClientSessionCache: cache},
		}
		req, _ := http.NewRequestWithContext(t.Context(), http3.MethodGet0RTT, "https://"+r.addr, nil)
		resp, err := tr.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		if resp.Body.Close(); i == 1 && !resp.TLS.DidResume {
			t.Error("the session was not resumed: this proves nothing")
		}
		tr.Close()
	}
	c, err := quic.DialAddrEarly(t.Context(), r.addr, &tls.Config{RootCAs: r.roots, ServerName: "a.example", ClientSessionCache: cache, NextProtos: []string{"h3"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseWithError(0, "")
	<-c.HandshakeComplete()
	if c.ConnectionState().Used0RTT {
		t.Error("early data was taken")
	}
}

// TestSweep tells clients to go: what is under way ends, and then the connection.
func TestSweep(t *testing.T) {
	t.Parallel()
	came, goOn := make(chan struct{}), make(chan struct{})
	r := prepare(t, func(w http.ResponseWriter, _ *http.Request) {
		close(came)
		<-goOn
		io.WriteString(w, "late")
	})
	quiet := r.raw(t) // has nothing under way, and never leaves by itself
	answer := make(chan string, 1)
	go func() {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+r.addr, nil)
		req.Host = "a.example"
		resp, err := r.client(t).RoundTrip(req)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		b, _ := io.ReadAll(resp.Body)
		answer <- string(b)
	}()
	<-came
	r.leave()
	r.driver.Sweep()
	<-quiet.conn.Context().Done()
	if cause := (*quic.ApplicationError)(nil); !errors.As(context.Cause(quiet.conn.Context()), &cause) || uint64(cause.ErrorCode) != uint64(http3.ErrCodeNoError) {
		t.Errorf("the idle connection ended by %v", context.Cause(quiet.conn.Context()))
	}
	if r.driver.Connections() == 0 {
		t.Error("the other one has ended as well")
	}
	close(goOn)
	if got := <-answer; got != "late" {
		t.Errorf("what was under way got %q", got)
	}
}

// TestHeadsThatNeverEnd: who holds streams open by beginning requests only is idle.
func TestHeadsThatNeverEnd(t *testing.T) {
	t.Parallel()
	r := prepare(t, func(http.ResponseWriter, *http.Request) {}, func(o *Options) { o.Idle = time.Second })
	raw := r.raw(t)
	for range 3 {
		s, err := raw.conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		whole := get("x", "y")
		if _, err := s.Write(whole[:len(whole)-1]); err != nil {
			t.Fatal(err)
		}
	}
	<-raw.conn.Context().Done()
	if cause := (*quic.ApplicationError)(nil); !errors.As(context.Cause(raw.conn.Context()), &cause) || !cause.Remote {
		t.Errorf("the connection ended by %v", context.Cause(raw.conn.Context()))
	}
	if n := r.reached.Load(); n > 0 {
		t.Errorf("%d of them were taken for requests", n)
	}
}

// TestAWebSocketOverHTTP3 (RFC 9220).
func TestAWebSocketOverHTTP3(t *testing.T) {
	t.Parallel()
	r := prepare(t, func(w http.ResponseWriter, r *http.Request) {
		if message.UpgradeOf(r) != "websocket" || r.Method != http.MethodGet || r.Proto != "HTTP/3.0" {
			t.Errorf("%s %s %v", r.Method, r.Proto, r.Header)
		}
		c, err := message.Switch(w, http.Header{"X-A": {"b"}}, route.Edit{})
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			defer c.Close()
			io.Copy(c, io.LimitReader(c, 5))
		}()
	})
	raw := r.raw(t)
	s, err := raw.conn.OpenStreamSync(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Write(headers(":method", "CONNECT", ":protocol", "websocket", ":scheme", "https", ":authority", "a.example", ":path", "/chat"))
	s.Write(frame(0, []byte("hello")))
	answer, err := io.ReadAll(s)
	if err != nil || statusOf(t, answer) != "200" || !strings.HasSuffix(string(answer), string(frame(0, []byte("hello")))) {
		t.Errorf("%q %v", answer, err)
	}
}

// TestConnectionsAreBounded: who comes beyond waits, and gets in when somebody leaves.
func TestConnectionsAreBounded(t *testing.T) {
	t.Parallel()
	r := prepare(t, func(http.ResponseWriter, *http.Request) {}, func(o *Options) { o.Connections = 1 })
	first := r.raw(t)
	if status, _ := first.ask(get()); status != "200" {
		t.Fatal(status)
	}
	second := make(chan string, 1)
	go func() {
		status, _ := r.raw(t).ask(get())
		second <- status
	}()
	if first.ask(get()); len(second) > 0 {
		t.Error("there were two at once")
	}
	first.conn.CloseWithError(0, "")
	if status := <-second; status != "200" {
		t.Error(status)
	}
}
