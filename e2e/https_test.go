package e2e_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// hosted is a directory to deploy whose service answers for hosts.
func hosted(t *testing.T, version string, hosts ...string) string {
	t.Helper()
	dir := app(t, version, "", "")
	name := filepath.Join(dir, "semper.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var routes strings.Builder
	for _, h := range hosts {
		fmt.Fprintf(&routes, "  - { host: %s, path: /, to: web }\n", h)
	}
	before, _, _ := strings.Cut(string(text), "  - { path: /, to: web }\n")
	write(t, name, before+routes.String(), 0o644)
	return dir
}

// roots are whom this server's own clients trust.
func (s *server) roots() *x509.CertPool {
	s.t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "ca.crt"))
	if err != nil {
		s.t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		s.t.Fatal("ca.crt is no certificate")
	}
	return pool
}

// secureClient asks addr whatever the URL's host is, and trusts roots.
func secureClient(addr string, roots *x509.CertPool, h2 bool) *http.Client {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2)
	protocols.SetHTTP2(h2)
	return &http.Client{Timeout: 60 * time.Second, Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, Protocols: protocols,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, addr)
		},
	}}
}

// loadTLS asks hosts in closed loops, by HTTP/1.1 and HTTP/2, until the returned function is called.
func loadTLS(addr string, roots *x509.CertPool, clients int, hosts ...string) func() (int64, []string) {
	var (
		stop  atomic.Bool
		count atomic.Int64
		mu    sync.Mutex
		bad   []string
		wg    sync.WaitGroup
	)
	for i := range clients {
		wg.Go(func() {
			c := secureClient(addr, roots, i%2 == 1)
			defer c.CloseIdleConnections()
			for n := i; !stop.Load(); n++ {
				if err := whole(c, "https://"+hosts[n%len(hosts)]+"/"); err != nil {
					mu.Lock()
					bad = append(bad, fmt.Sprintf("HTTP/%d at %s: %v", i%2+1, time.Now().UTC().Format(time.StampMilli), err))
					mu.Unlock()
				}
				count.Add(1)
			}
		})
	}
	return func() (int64, []string) {
		stop.Store(true)
		wg.Wait()
		return count.Load(), bad
	}
}

// handshake makes one connection, reads until the session's ticket has come, and says whether the session was resumed.
func handshake(t *testing.T, addr string, c *tls.Config) (resumed bool) {
	t.Helper()
	conn, err := tls.Dial("tcp", addr, c)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", c.ServerName); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1024)); n == 0 {
		t.Fatal(err)
	}
	return conn.ConnectionState().DidResume
}

// sessions are those of one client with TLS 1.2 and one with 1.3.
func sessions(roots *x509.CertPool, host string) []*tls.Config {
	var out []*tls.Config
	for _, v := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		out = append(out, &tls.Config{RootCAs: roots, ServerName: host, MinVersion: v, MaxVersion: v, ClientSessionCache: tls.NewLRUClientSessionCache(4)})
	}
	return out
}

// TestHTTPS is a laptop's server: two hosts, a second release and an upgrade under load over TLS, a new host, and an edge that
// begins without its store.
func TestHTTPS(t *testing.T) {
	t.Parallel()
	addr := freeAddr(t)
	s := start(t, "--https", addr)
	s.must("deploy", "-f", hosted(t, "one", "a.test", "b.test"))
	roots := s.roots()
	edge := s.part("edge")
	stop := loadTLS(addr, roots, 6, "a.test", "b.test")

	s.must("deploy", "-f", hosted(t, "two", "a.test", "b.test", "c.test"))
	c := secureClient(addr, roots, true)
	defer c.CloseIdleConnections()
	if err := whole(c, "https://c.test/"); err != nil {
		t.Errorf("a host that the second release brought: %v", err)
	}
	if err := whole(c, "https://d.test/"); err == nil {
		t.Error("a host that nobody has has a certificate")
	}
	if s.part("edge") != edge {
		t.Error("the edge is another one")
	}

	clients := sessions(roots, "a.test")
	for _, c := range clients {
		if handshake(t, addr, c) || !handshake(t, addr, c) {
			t.Error("sessions are not resumed at all")
		}
	}
	s.must("server", "upgrade")
	eventually(t, "the edge is replaced", func() bool { p := s.part("edge"); return p != 0 && p != edge })
	for i, c := range clients {
		if !handshake(t, addr, c) {
			t.Errorf("TLS 1.%d: a session did not outlive the upgrade", 2+i)
		}
	}
	none(t, "a deploy and an upgrade over TLS", stop)

	withoutStore(t, s, addr, clients)
	private(t, s)
}

// withoutStore has an edge begin while the store does not answer: it has what it needs on its own disk (law L9).
func withoutStore(t *testing.T, s *server, addr string, clients []*tls.Config) {
	t.Helper()
	store, edge := s.part("store"), s.part("edge")
	if err := syscall.Kill(store, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(store, syscall.SIGCONT) //nolint:errcheck // it lives
	if err := syscall.Kill(edge, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another edge begins", func() bool { p := s.part("edge"); return p != 0 && p != edge })
	for i, c := range clients {
		if !handshake(t, addr, c) {
			t.Errorf("TLS 1.%d: a session was not resumed by an edge without its store", 2+i)
		}
	}
	c := secureClient(addr, clients[0].RootCAs, true)
	defer c.CloseIdleConnections()
	for _, host := range []string{"a.test", "c.test"} {
		if err := whole(c, "https://"+host+"/"); err != nil {
			t.Errorf("without the store: %v", err)
		}
	}
}

// private looks at what lies about: keys are encrypted in the store and its copies, nobody else's to read, and in no log or event.
func private(t *testing.T, s *server) {
	t.Helper()
	identity, err := os.ReadFile(filepath.Join(s.dir, "identity"))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(identity))
	secrets := [][]byte{[]byte("PRIVATE KEY"), []byte(lines[len(lines)-1])}
	tells := func(text []byte) bool {
		return bytes.Contains(text, secrets[0]) || bytes.Contains(text, secrets[1])
	}
	seen := 0
	err = filepath.WalkDir(s.dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.Contains(name, "/bin/") || strings.Contains(name, "/blobs/") || strings.Contains(name, "/instances/") {
			return ignoreGone(err)
		}
		if name == filepath.Join(s.dir, "identity") || strings.HasPrefix(name, filepath.Join(s.dir, "edge")) {
			if info, err := d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s is %s", name, info.Mode())
			}
		}
		text, err := os.ReadFile(name)
		seen++
		if name != filepath.Join(s.dir, "identity") && tells(text) {
			t.Errorf("%s tells a key", name)
		}
		return ignoreGone(err)
	})
	if err != nil || seen < 10 {
		t.Errorf("%d files looked at: %v", seen, err)
	}
	for _, args := range [][]string{{"events"}, {"logs"}, {"route", "cert", "-o", "json"}} {
		if tells([]byte(s.must(args...))) {
			t.Errorf("semper %s tells a key", args[0])
		}
	}
}

// ignoreGone is nil for a file that went away meanwhile.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
