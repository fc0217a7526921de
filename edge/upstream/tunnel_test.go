package upstream

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"semper/edge/http1"
)

// asking is a request for another protocol.
func asking(t *testing.T, protocol string) *http.Request {
	req := request(t, "GET", "")
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", protocol)
	return req
}

// TestAChangeOfProtocol: the body is the connection, half closes and all, and what came behind the head is its first.
func TestAChangeOfProtocol(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"tcp", "unix"} {
		heads := make(chan string, 1)
		p := startPeer(t, network, func(c net.Conn, br *bufio.Reader) {
			head, _ := readHead(br)
			heads <- head
			io.WriteString(c, "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: Chat\r\nX: 1\r\n\r\nhello ")
			b, _ := io.ReadAll(br)
			fmt.Fprintf(c, "you said %q", b)
		})
		pool := newPool(t, p, func(o *Options) { o.HeadTimeout, o.BodyTimeout = defaultIdleTimeout, defaultIdleTimeout })
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := pool.RoundTrip(asking(t, "chat").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		if head := <-heads; !strings.HasSuffix(head, "\r\nConnection: Upgrade\r\nUpgrade: chat\r\n\r\n") {
			t.Errorf("%q", head)
		}
		if resp.StatusCode != 101 || resp.Header.Get("Upgrade") != "Chat" || resp.Header.Get("X") != "1" {
			t.Errorf("%v", resp)
		}
		both := resp.Body.(io.ReadWriteCloser)
		c := both.(*Changed)
		io.WriteString(both, "bye")
		c.CloseWrite()
		if b, err := io.ReadAll(both); string(b) != `hello you said "bye"` || err != nil {
			t.Errorf("%q %v", b, err)
		}
		both.Close()
		both.Close()
		cancel()
		if s := pool.Stats(); s.Open != 0 {
			t.Errorf("%+v", s)
		}
	}
}

// TestATunnelEnds with the pool and by being closed, not with the context of its request: a server of net/http ends that
// when the client has sent its last, and may still have much to hear.
func TestATunnelEnds(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"pool", "close"} {
		p := startPeer(t, "unix", answering("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n"))
		pool := New(Options{Dial: p.dial})
		ctx, cancel := context.WithCancel(t.Context())
		resp, err := pool.RoundTrip(asking(t, "chat").WithContext(ctx))
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan error)
		go func() {
			_, err := resp.Body.Read(make([]byte, 1))
			over <- err
		}()
		cancel()
		switch how {
		case "pool":
			pool.Close()
		case "close":
			resp.Body.Close()
		}
		if err := <-over; !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: %v", how, err)
		}
		resp.Body.Close()
		pool.Close()
	}
}

// TestAnUpgradeThatIsAnotherProtocol: row 57; an answer that is none is an answer.
func TestAnUpgradeThatIsAnotherProtocol(t *testing.T) {
	t.Parallel()
	for _, up := range []string{"Upgrade: other\r\n", "", "Upgrade: chat\r\nUpgrade: other\r\n"} {
		pool := newPool(t, startPeer(t, "unix", answering("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"+up+"\r\n")))
		_, err := pool.RoundTrip(asking(t, "chat"))
		var bad *http1.Error
		if !errors.As(err, &bad) || bad.Word != "bad-upgrade" {
			t.Errorf("%q: %v", up, err)
		}
		if s := pool.Stats(); s.Open != 0 {
			t.Errorf("%q: %+v", up, s)
		}
	}
	pool := newPool(t, startPeer(t, "unix", answering(okResponse)))
	resp, err := pool.RoundTrip(asking(t, "chat"))
	if err != nil {
		t.Fatal(err)
	}
	if body, err := whole(resp); body != "ok" || err != nil || resp.StatusCode != 200 {
		t.Errorf("%q %v", body, err)
	}
	if s := pool.Stats(); s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

// trusting are TLS's two sides: a server's configuration, and a client's that knows its certificate.
func trusting(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	defer s.Close()
	client = s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	client.ServerName = "example.com"
	return &tls.Config{Certificates: s.TLS.Certificates}, client
}

// TestOverTLS: an idle connection is looked at there as well, also where TLS has the bytes and the socket has not.
func TestOverTLS(t *testing.T) {
	t.Parallel()
	server, client := trusting(t)
	for _, tc := range []struct {
		wire string
		kept bool
	}{
		{okResponse, true},
		{okResponse + okResponse, false},
		{"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000) + okResponse, false},
	} {
		p := startPeer(t, "tcp", func(c net.Conn, _ *bufio.Reader) {
			s := tls.Server(c, server)
			always(tc.wire)(s, bufio.NewReader(s))
		})
		pool := newPool(t, p, func(o *Options) { o.TLS = client })
		for range 3 {
			resp, err := pool.RoundTrip(request(t, "GET", ""))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := whole(resp); err != nil || resp.TLS == nil {
				t.Error(err)
			}
		}
		if s := pool.Stats(); tc.kept != (s.Reused == 2) || tc.kept != (s.Dialled == 1) {
			t.Errorf("%.30q: %+v", tc.wire, s)
		}
	}
}
