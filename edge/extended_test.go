package edge

import (
	"bufio"
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"semper"
	"semper/edge/route"
	"semper/edge/upstream"
	"semper/edge/wsframe"
)

// frameEcho answers each masked frame of up to 125 bytes with one that is not, until one is of Close.
func frameEcho(in io.Reader, out io.Writer) {
	for {
		var head [6]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		p := make([]byte, head[1]&0x7f)
		if _, err := io.ReadFull(in, p); err != nil {
			return
		}
		for i := range p {
			p[i] ^= head[2+i%4]
		}
		if _, err := out.Write(append([]byte{head[0], byte(len(p))}, p...)); err != nil || head[0]&0xf == 8 {
			return
		}
	}
}

// masked is a frame as a client sends it.
func masked(opcode byte, text string) string {
	b := []byte{0x80 | opcode, 0x80 | byte(len(text)), 1, 2, 3, 4}
	for i := range len(text) {
		b = append(b, text[i]^b[2+i%4])
	}
	return string(b)
}

// sockets takes WebSockets by an extended CONNECT; any other request is answered with what it is.
func sockets(t *testing.T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			io.WriteString(w, r.Method)
			return
		}
		if r.Header.Get(":protocol") != "websocket" || r.URL.Path != "/chat" || r.Header.Get("Sec-WebSocket-Version") != "13" || r.Header.Get("Sec-WebSocket-Key") != "" {
			t.Errorf("%s %s %v", r.Method, r.URL, r.Header)
		}
		w.Header().Set("Sec-WebSocket-Protocol", "chat")
		w.WriteHeader(http.StatusOK)
		c := http.NewResponseController(w)
		c.Flush()
		frameEcho(r.Body, writeFunc(func(p []byte) (int, error) {
			n, err := w.Write(p)
			c.Flush()
			return n, err
		}))
	}
}

type writeFunc func(p []byte) (int, error)

func (f writeFunc) Write(p []byte) (int, error) { return f(p) }

// upgrades takes WebSockets by Upgrade.
func upgrades(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || len(r.Header.Get("Sec-WebSocket-Key")) != 24 {
		io.WriteString(w, r.Method)
		return
	}
	c, b, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer c.Close()
	io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: "+acceptOf(r)+"\r\n\r\n")
	frameEcho(b, c)
}

// h2App is an app that speaks HTTP/2 without TLS.
//
//nolint:staticcheck // net/http's own takes no extended CONNECT
func h2App(t *testing.T, h http.Handler) *app {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go (&http2.Server{}).ServeConn(c, &http2.ServeConnOpts{Handler: h})
		}
	}()
	t.Cleanup(func() { l.Close(); <-served })
	return &app{Backend: semper.Backend{Address: l.Addr().String()}}
}

// h1Socket opens a WebSocket by Upgrade.
func h1Socket(t *testing.T, f *fixture) (io.Reader, io.WriteCloser, *http.Response) {
	c, err := net.Dial("tcp", f.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	io.WriteString(c, "GET /chat HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	in := bufio.NewReader(c)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if accept := resp.Header.Get("Sec-WebSocket-Accept"); resp.StatusCode == 101 && accept != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("Sec-WebSocket-Accept: %s", accept)
	}
	return in, c, resp
}

// h2Socket opens one by an extended CONNECT.
//
//nolint:staticcheck // net/http's own sends none
func h2Socket(t *testing.T, f *fixture) (io.Reader, io.WriteCloser, *http.Response) {
	tr := &http2.Transport{AllowHTTP: true, DialTLSContext: func(context.Context, string, string, *tls.Config) (net.Conn, error) { return net.Dial("tcp", f.addr) }}
	t.Cleanup(tr.CloseIdleConnections)
	from, to := io.Pipe()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodConnect, "http://a/chat", from)
	req.Header = http.Header{":protocol": {"websocket"}, "Sec-Websocket-Version": {"13"}}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp.Body, to, resp
}

// TestWebSocketsOverEveryVersion: whatever the client and the instance speak.
func TestWebSocketsOverEveryVersion(t *testing.T) {
	t.Parallel()
	for _, client := range []struct {
		name   string
		open   func(*testing.T, *fixture) (io.Reader, io.WriteCloser, *http.Response)
		status int
	}{{"h1", h1Socket, 101}, {"h2", h2Socket, 200}} {
		for _, instance := range []struct {
			name     string
			make     func(*testing.T) *app
			protocol upstream.Protocol
		}{
			{"h1", func(t *testing.T) *app { return start(t, "tcp", "web.r1.1", http.HandlerFunc(upgrades)) }, upstream.H1},
			{"h2c", func(t *testing.T) *app { return h2App(t, sockets(t)) }, upstream.H2C},
		} {
			t.Run(client.name+" to "+instance.name, func(t *testing.T) {
				t.Parallel()
				f := h2cFixture(t)
				p := pools("web", instance.make(t))
				one := p["web"]
				one.Protocol = instance.protocol
				p["web"] = one
				f.goBy(p, to("web", nil))
				in, out, resp := client.open(t, f)
				if resp.StatusCode != client.status || resp.Header.Get("Sec-WebSocket-Protocol") != "chat" {
					t.Fatalf("%s %v", resp.Status, resp.Header)
				}
				for _, text := range []string{"hello", "again"} {
					io.WriteString(out, masked(1, text))
					got := make([]byte, 2+len(text))
					if _, err := io.ReadFull(in, got); err != nil || string(got[2:]) != text {
						t.Fatalf("%q %v", got, err)
					}
				}
				io.WriteString(out, masked(8, "\x03\xe8"))
				if got, err := io.ReadAll(in); err != nil || string(got) != "\x88\x02\x03\xe8" {
					t.Errorf("the end: %q %v", got, err)
				}
				eventually(t, "the tunnel is gone", func() bool { return f.handlers.Load() == 0 })
			})
		}
	}
}

// TestAStreamIsNoSocketUnlessTheInstanceSaysSo: 200 would tell the client that it has one.
func TestAStreamIsNoSocketUnlessTheInstanceSaysSo(t *testing.T) {
	t.Parallel()
	f := h2cFixture(t)
	f.goBy(pools("web", start(t, "tcp", "web.r1.1", says(1))), to("web", nil))
	if _, _, resp := h2Socket(t, f); resp.StatusCode != http.StatusBadGateway || resp.Header.Get("X-Semper-Error") != "no-upgrade" {
		t.Error(resp.Status, resp.Header)
	}
}

// TestWhatTheEdgeAnswersIsNoSocket: nor does its own success tell the client that it has one. Anything else is told as it is.
func TestWhatTheEdgeAnswersIsNoSocket(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		action route.Action
		want   int
	}{
		"respond":     {&route.Respond{Status: 200, Body: []byte("ok")}, 400},
		"respond 404": {&route.Respond{Status: 404}, 404},
		"redirect":    {&route.Redirect{To: "/new", Status: 308}, 308},
		"files":       {&route.Files{Dir: t.TempDir()}, 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := h2cFixture(t)
			f.goBy(nil, route.Rule{Policy: route.DefaultPolicy(), Action: c.action})
			if _, _, resp := h2Socket(t, f); resp.StatusCode != c.want {
				t.Errorf("%s, not %d", resp.Status, c.want)
			}
		})
	}
}

// TestSocketsOfStreamsAreToldToGo when the edge drains, as all others are.
func TestSocketsOfStreamsAreToldToGo(t *testing.T) {
	t.Parallel()
	f := h2cFixture(t)
	p := pools("web", h2App(t, sockets(t)))
	one := p["web"]
	one.Protocol = upstream.H2C
	p["web"] = one
	f.goBy(p, to("web", nil))
	in, out, _ := h2Socket(t, f)
	io.WriteString(out, masked(1, "hello"))
	if _, err := io.ReadFull(in, make([]byte, 7)); err != nil {
		t.Fatal(err)
	}
	for _, b := range f.known() {
		b.cutTunnels(time.Now())
	}
	want := string(wsframe.Close(wsframe.ServiceRestart, "service restart: reconnect", nil))
	if got, err := io.ReadAll(in); err != nil || string(got) != want {
		t.Errorf("%q %v", got, err)
	}
}

// h2cFixture is an edge that takes HTTP/2 without TLS.
func h2cFixture(t *testing.T) *fixture {
	t.Helper()
	f := newFixture(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f.addr = l.Addr().String()
	served := make(chan error, 1)
	go func() { served <- f.ServeUntil(context.Background(), l, Terms{H2C: true}) }()
	t.Cleanup(func() {
		f.Close() //nolint:errcheck // reported by the first
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return f
}

// acceptOf is what a server of WebSockets answers to r's key.
func acceptOf(r *http.Request) string {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}
