package e2e_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// freeAddrs is a free address that is free for UDP as well.
func freeAddrs(t *testing.T) string {
	t.Helper()
	for {
		addr := freeAddr(t)
		c, err := net.ListenPacket("udp", addr)
		if err != nil {
			continue
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		return addr
	}
}

// client3 speaks HTTP/3 to addr whatever the URL's host is, and trusts roots. Closed, it begins anew.
func client3(addr string, roots *x509.CertPool) (*http.Client, *http3.Transport) {
	tr := &http3.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13},
		Dial: func(ctx context.Context, _ string, t *tls.Config, c *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, addr, t, c)
		},
	}
	return &http.Client{Timeout: 60 * time.Second, Transport: tr}, tr
}

// load3 asks in closed loops over HTTP/3 until the returned function is called. The first client keeps its connection, the
// others make one for each request.
func load3(addr string, roots *x509.CertPool, clients int, url string) func() (int64, []string) {
	var (
		stop  atomic.Bool
		count atomic.Int64
		mu    sync.Mutex
		bad   []string
		wg    sync.WaitGroup
	)
	for i := range clients {
		wg.Go(func() {
			c, tr := client3(addr, roots)
			defer func() { tr.Close() }() //nolint:errcheck // it was asked for nothing more
			for !stop.Load() {
				if err := whole(c, url); err != nil {
					mu.Lock()
					bad = append(bad, fmt.Sprintf("client %d at %s: %v", i, time.Now().UTC().Format(time.StampMilli), err))
					mu.Unlock()
				}
				count.Add(1)
				if i > 0 {
					tr.Close() //nolint:errcheck // nothing is under way
					c, tr = client3(addr, roots)
				}
			}
		})
	}
	return func() (int64, []string) {
		stop.Store(true)
		wg.Wait()
		return count.Load(), bad
	}
}

// anew makes one request over HTTP/3 on a connection of its own.
func anew(t *testing.T, what, addr string, roots *x509.CertPool, url string) {
	t.Helper()
	c, tr := client3(addr, roots)
	defer tr.Close() //nolint:errcheck // nothing is under way
	if err := whole(c, url); err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// TestHTTP3 is offered over TCP, and loses nothing by a deploy, an upgrade of the whole server, and the death of its keeper.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	addr := freeAddrs(t)
	s := start(t, "--https", addr, "--http3")
	s.must("deploy", "-f", hosted(t, "one", "a.test"))
	roots := s.roots()
	const url = "https://a.test/"
	for _, h2 := range []bool{false, true} {
		c := secureClient(addr, roots, h2)
		resp, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(addr)
		if got, want := resp.Header.Get("Alt-Svc"), fmt.Sprintf(`h3=":%s"; ma=86400`, port); got != want {
			t.Errorf("over %s Alt-Svc is %q, not %q", resp.Proto, got, want)
		}
		if err := resp.Body.Close(); err != nil {
			t.Error(err)
		}
		c.CloseIdleConnections()
	}

	stop := load3(addr, roots, 3, url)
	s.must("deploy", "-f", hosted(t, "two", "a.test"))
	none(t, "a deploy over HTTP/3", stop)

	stop = load3(addr, roots, 3, url)
	for range 2 {
		edge := s.part("edge")
		s.must("server", "upgrade")
		eventually(t, "the edge is replaced", func() bool { p := s.part("edge"); return p != 0 && p != edge })
	}
	none(t, "two upgrades over HTTP/3", stop)

	stop = load3(addr, roots, 3, url)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err == nil {
		t.Error("the keeper ended in order")
	}
	s.run()
	s.must("server", "upgrade")
	none(t, "another keeper, and its upgrade", stop)

	c, tr := client3(addr, roots)
	defer tr.Close() //nolint:errcheck // nothing is under way
	if err := whole(c, url); err != nil {
		t.Fatal(err)
	}
	edge := s.part("edge")
	if err := syscall.Kill(edge, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another edge begins", func() bool { p := s.part("edge"); return p != 0 && p != edge })
	anew(t, "after an edge was killed", addr, roots, url)
	// Who had a connection there is told that it is gone, and does not wait for an answer on it.
	var reset *quic.StatelessResetError
	if err := whole(c, url); err != nil && !errors.As(err, &reset) {
		t.Errorf("on a connection whose edge was killed: %v", err)
	}
	if err := whole(c, url); err != nil {
		t.Errorf("the next one of the same client: %v", err)
	}
}
