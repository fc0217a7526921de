package alone

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// lasting is an upstream of sockets that echo, of an event stream with one event a moment, and of an answer without an end.
func lasting(t *testing.T, left chan<- string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() { left <- r.URL.Path }()
		if r.Header.Get("Upgrade") != "" {
			c, err := websocket.Accept(w, r, nil)
			if err != nil {
				return
			}
			defer c.CloseNow()
			for {
				kind, b, err := c.Read(r.Context())
				if err != nil || c.Write(r.Context(), kind, b) != nil {
					return
				}
			}
		}
		text, pause := strings.Repeat("on and on ", 1000), time.NewTicker(time.Hour)
		if strings.HasPrefix(r.URL.Path, "/events") {
			w.Header().Set("Content-Type", "text/event-stream")
			text = "data: one\n\n"
			if r.URL.Path != "/events/silent" {
				pause.Reset(50 * time.Millisecond)
			}
		}
		defer pause.Stop()
		for {
			_, err := io.WriteString(w, text)
			if err != nil || http.NewResponseController(w).Flush() != nil {
				return
			}
			if strings.HasPrefix(r.URL.Path, "/endless") {
				continue
			}
			select {
			case <-pause.C:
			case <-r.Context().Done():
				return
			}
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections)
	return s.Listener.Addr().String()
}

// TestClaimsOfLongConnections: they end when they are old, or silent, and not before; who does not take an answer loses it.
func TestClaimsOfLongConnections(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		left := make(chan string, 64)
		r := launch(t, fmt.Sprintf(`
listeners: 127.0.0.1:0
pools: {app: %s}
routes:
  - {to: app}
  - {path: /old, to: app, max_stream_age: 3s}
  - {path: /events/old, to: app, max_stream_age: 2s}
  - {path: /events/silent, to: app, timeouts: {stream: 2s}}
  - {path: /silent, to: app, timeouts: {stream: 4s}}
  - {path: /endless, to: app, timeouts: {write: 1s}}
`, lasting(t, left)), "-driver", driver)
		at := r.ready()["http"][0]
		socket := func(path string) *websocket.Conn {
			c, _, err := websocket.Dial(t.Context(), "ws://"+at+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.CloseNow() })
			return c
		}
		echoes := func(c *websocket.Conn) error {
			if err := c.Write(t.Context(), websocket.MessageText, []byte("hello")); err != nil {
				return err
			}
			_, _, err := c.Read(t.Context())
			return err
		}
		young, old := socket("/young"), socket("/old")
		for _, c := range []*websocket.Conn{young, old} {
			if err := echoes(c); err != nil {
				t.Fatal(err)
			}
		}
		resp, err := client(t).Get("http://" + at + "/events/old")
		if err != nil {
			t.Fatal(err)
		}
		if events := readAll(t, resp); !strings.HasPrefix(events, "data: one\n\n") || !strings.HasSuffix(events, "\n\n") {
			t.Errorf("a stream that is old ends behind an event, not behind %q", events[max(0, len(events)-20):])
		}
		if resp, err = client(t).Get("http://" + at + "/events/silent"); err != nil {
			t.Fatal(err)
		}
		if events := readAll(t, resp); events != "data: one\n\n" {
			t.Errorf("a stream that is silent ends, and says nothing else: %q", events)
		}
		if _, _, err := old.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusServiceRestart {
			t.Errorf("a socket that is old ends with 1012, not %v", err)
		}
		talks, silent := socket("/silent/not"), socket("/silent")
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			_, _, err := silent.Read(t.Context())
			ended <- err
		}()
		for tick := time.NewTicker(50 * time.Millisecond); ctx.Err() == nil; <-tick.C { // its pace, far below what may be
			if err := echoes(talks); err != nil {
				t.Fatalf("one that talks ended: %v", err)
			}
		}
		if err := <-ended; err == nil {
			t.Error("one that is silent heard something")
		}
		if err := echoes(young); err != nil {
			t.Errorf("one without a word about its age: %v", err)
		}
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /endless HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		for path := ""; path != "/endless"; { // nobody reads
			select {
			case path = <-left:
			case <-time.After(30 * time.Second):
				t.Fatal("the upstream goes on for a client that takes nothing")
			}
		}
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the connection is still there: %v", err)
		}
	})
}

// TestClaimsOfASlowClient: while it is the client that is slow, no upstream is blamed.
func TestClaimsOfASlowClient(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		const size = 32 << 20 // more than all the buffers between
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(size))
			piece := make([]byte, 1<<20)
			for range size / len(piece) {
				if _, err := w.Write(piece); err != nil {
					return
				}
			}
		}))
		t.Cleanup(s.Close)
		r := launch(t, fmt.Sprintf("listeners: 127.0.0.1:0\npools: {app: %s}\nroutes: [{to: app, timeouts: {body: 2s, write: 1m}}]\n", s.Listener.Addr()), "-driver", driver)
		resp, err := client(t).Get("http://" + r.ready()["http"][0] + "/")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		<-time.After(5 * time.Second) // what it takes its time for
		if n, err := io.Copy(io.Discard, resp.Body); n != size || err != nil {
			t.Errorf("%d bytes of %d, %v", n, size, err)
		}
	})
}

// TestClaimsOfASlowUpstream: while it is the upstream that is slow to take an upload, no client is blamed.
func TestClaimsOfASlowUpstream(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		const size = 32 << 20 // more than all the buffers between
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-time.After(5 * time.Second) // what it takes its time for
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprint(w, n, err)
		}))
		t.Cleanup(s.Close)
		r := launch(t, fmt.Sprintf("listeners: 127.0.0.1:0\npools: {app: %s}\nroutes: [{to: app, timeouts: {body: 2s, min_rate: 1MiB}}]\n", s.Listener.Addr()), "-driver", driver)
		resp, err := client(t).Post("http://"+r.ready()["http"][0]+"/", "text/plain", io.LimitReader(zeros{}, size))
		if err != nil {
			t.Fatal(err)
		}
		if got := readAll(t, resp); resp.StatusCode != http.StatusOK || got != fmt.Sprint(size, nil) {
			t.Errorf("%s %q", resp.Status, got)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestClaimsOfTheRate: an upload that goes on, but brings too little, has its end.
func TestClaimsOfTheRate(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		r := launch(t, fmt.Sprintf(`
listeners: 127.0.0.1:0
pools: {app: %s}
routes:
  - {to: app, timeouts: {body: 2s, min_rate: 1KiB}, retry: off}
  - {path: /off, to: app, timeouts: {body: 2s, min_rate: off}, retry: off}
`, echo(t, "app")), "-driver", driver)
		at := r.ready()["http"][0]
		slowly := func(path string, pieces int) string {
			c, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n", path, pieces)
			answer := make(chan string, 1)
			go func() {
				line, _ := bufio.NewReader(c).ReadString('\n') // "" says it
				answer <- line
			}()
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for range pieces { // the pace of a slow client
				select {
				case line := <-answer:
					return line
				case <-tick.C:
					io.WriteString(c, "x")
				}
			}
			return <-answer
		}
		if got := slowly("/", 200); !strings.HasPrefix(got, "HTTP/1.1 408 ") {
			t.Errorf("ten bytes a second: %q", got)
		}
		if got := slowly("/off", 30); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
			t.Errorf("ten bytes a second that may be: %q", got)
		}
	})
}

// TestClaimsOfFlushing: what an upstream flushes reaches the client, compressed or not, before there is more.
func TestClaimsOfFlushing(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		heard := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", strings.TrimPrefix(r.URL.Path, "/"))
			if r.Header.Get("Range") != "" {
				w.Header().Set("Content-Range", "bytes 0-4999/10000")
				w.WriteHeader(http.StatusPartialContent)
				io.WriteString(w, strings.Repeat("part ", 1000))
				return
			}
			for range 2 {
				io.WriteString(w, strings.Repeat("first ", 1000)+"\n")
				http.NewResponseController(w).Flush()
				select {
				case <-heard:
				case <-r.Context().Done():
				}
			}
		}))
		t.Cleanup(s.Close)
		r := launch(t, fmt.Sprintf("listeners: 127.0.0.1:0\npools: {app: %s}\nroutes: [{to: app, compress: [gzip]}]\n", s.Listener.Addr()), "-driver", driver)
		at := "http://" + r.ready()["http"][0]
		ask := func(path string, fields ...string) *http.Response {
			q, err := http.NewRequest(http.MethodGet, at+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			q.Header.Set("Accept-Encoding", "gzip")
			for _, f := range fields {
				name, value, _ := strings.Cut(f, ": ")
				q.Header.Set(name, value)
			}
			resp, err := client(t).Do(q)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Body.Close() })
			return resp
		}
		for path, coding := range map[string]string{"/text/html": "gzip", "/text/event-stream": "", "/image/png": ""} {
			resp := ask(path)
			if got := resp.Header.Get("Content-Encoding"); got != coding {
				t.Errorf("%s: %q, not %q", path, got, coding)
			}
			var in io.Reader = resp.Body
			if coding != "" {
				z, err := gzip.NewReader(in)
				if err != nil {
					t.Fatal(err)
				}
				in = z
			}
			lines := bufio.NewReader(in)
			for range 2 { // without the first line there is no second
				if line, err := lines.ReadString('\n'); err != nil || len(line) != 6001 {
					t.Fatalf("%s: %d bytes, %v", path, len(line), err)
				}
				heard <- struct{}{}
			}
			if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
				t.Errorf("%s: %q, %v", path, rest, err)
			}
		}
		if resp := ask("/text/plain", "Range: bytes=0-4999"); resp.StatusCode != http.StatusPartialContent || resp.Header.Get("Content-Encoding") != "" {
			t.Errorf("a range: %s, coded %q", resp.Status, resp.Header.Get("Content-Encoding"))
		}
	})
}
