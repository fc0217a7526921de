package node

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"semper/edge/certs"
)

// serve answers "hello" on a secure listener at addr and returns its address and its certificate.
func serve(t *testing.T) (string, *x509.CertPool) {
	t.Helper()
	dir := t.TempDir()
	root := filepath.Join(dir, "ca.crt")
	m, err := certs.New(certs.Options{Dir: dir, Local: true, RootFile: root, ALPN: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }), ReadHeaderTimeout: time.Second}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.Serve(newSecureListener(l, m.TLSConfig())) }()
	t.Cleanup(func() { _ = s.Close(); <-done })
	pem, err := os.ReadFile(root)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		t.Fatal("the certificate that was made cannot be read")
	}
	return l.Addr().String(), pool
}

func TestOnePortSpeaksBothOnLoopback(t *testing.T) {
	t.Parallel()
	addr, pool := serve(t)
	c := http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}}}
	defer c.CloseIdleConnections()
	for _, scheme := range []string{"https", "http"} {
		for range 3 {
			resp, err := c.Get(scheme + "://" + addr)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || string(b) != "hello" {
				t.Fatalf("%s: %q %v", scheme, b, err)
			}
		}
	}
}

func TestNothingPlainOffLoopback(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	defer client.Close()
	conn := &secureConn{Conn: elsewhere{server}, config: &tls.Config{MinVersion: tls.VersionTLS12}}
	got := make(chan string, 1)
	go func() {
		_, _ = io.WriteString(client, "G")
		b := make([]byte, 512)
		n, _ := client.Read(b)
		got <- string(b[:n])
	}()
	if _, err := conn.Read(make([]byte, 10)); err != io.EOF {
		t.Errorf("a plain request on a public address: %v, want its end", err)
	}
	if s := <-got; s != refusedPlain {
		t.Errorf("the peer was told %q", s)
	}
}

// elsewhere is a connection on an address others can reach.
type elsewhere struct{ net.Conn }

func (elsewhere) LocalAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1} }
