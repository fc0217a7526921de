package alone

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"semper/edge/proxyproto"
)

// An authority signs certificates for a test.
type authority struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.key, a.cert = a.sign("ca", &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	return a
}

// sign writes NAME.pem and NAME.key.
func (a *authority) sign(name string, c *x509.Certificate) (*ecdsa.PrivateKey, *x509.Certificate) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	c.SerialNumber, c.Subject = big.NewInt(time.Now().UnixNano()), pkix.Name{CommonName: name}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := a.cert, a.key
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	writeFile(a.t, filepath.Join(a.dir, name+".pem"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(a.t, filepath.Join(a.dir, name+".key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	made, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return key, made
}

// server makes a certificate for names.
func (a *authority) server(name string, names ...string) {
	a.sign(name, &x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}})
}

func (a *authority) pool() *x509.CertPool {
	p := x509.NewCertPool()
	p.AddCert(a.cert)
	return p
}

func (a *authority) pair(name string) tls.Certificate {
	a.t.Helper()
	c, err := tls.LoadX509KeyPair(filepath.Join(a.dir, name+".pem"), filepath.Join(a.dir, name+".key"))
	if err != nil {
		a.t.Fatal(err)
	}
	return c
}

// TestUpstreams speaks to each kind.
func TestUpstreams(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	ca.server("app", "app.internal")
	ca.server("edge", "edge")
	tell := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := "nobody"
		if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
			who = r.TLS.PeerCertificates[0].Subject.CommonName
		}
		fmt.Fprintf(w, "HTTP/%d from %s at %s", r.ProtoMajor, who, strings.Split(r.RemoteAddr, ":")[0])
	})
	over := func(change func(*httptest.Server)) string {
		s := httptest.NewUnstartedServer(tell)
		change(s)
		t.Cleanup(s.Close)
		return s.Listener.Addr().String()
	}
	secure := over(func(s *httptest.Server) {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{ca.pair("app")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: ca.pool()}
		s.EnableHTTP2 = true
		s.StartTLS()
	})
	clear := over(func(s *httptest.Server) {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	})
	behind := over(func(s *httptest.Server) {
		s.Listener = &proxyproto.Listener{Listener: s.Listener, Required: true}
		s.Listener.(*proxyproto.Listener).Trusted = loopback
		s.Start()
	})
	drivers(t, func(t *testing.T, driver string) {
		r := launch(t, strings.ReplaceAll(fmt.Sprintf(`
listeners: "127.0.0.1:0"
pools:
  auto: {upstreams: %[1]s, tls: {server_name: app.internal, ca: CA/ca.pem, cert: CA/edge.pem, key: CA/edge.key}}
  one: {upstreams: %[1]s, protocol: h1, tls: {server_name: app.internal, ca: CA/ca.pem, cert: CA/edge.pem, key: CA/edge.key}}
  wrong: {upstreams: %[1]s, tls: {server_name: other.internal, ca: CA/ca.pem, cert: CA/edge.pem, key: CA/edge.key}}
  clear: {upstreams: %[2]s, protocol: h2c}
  v1: {upstreams: %[3]s, proxy_protocol: v1}
  v2: {upstreams: %[3]s, proxy_protocol: v2}
routes:
  - {path: /auto, to: auto}
  - {path: /one, to: one}
  - {path: /wrong, to: wrong, retry: off}
  - {path: /clear, to: clear}
  - {path: /v1, to: v1}
  - {path: /v2, to: v2}
`, secure, clear, behind), "CA", ca.dir), "-driver", driver)
		askAll(t, r.ready()["http"][0], []question{
			{url: "http://h/auto", status: 200, has: "HTTP/2 from edge"},
			{url: "http://h/one", status: 200, has: "HTTP/1 from edge"},
			{url: "http://h/wrong", status: 503},
			{url: "http://h/clear", status: 200, has: "HTTP/2 from nobody"},
			{url: "http://h/v1", status: 200, has: "HTTP/1 from nobody at 127.0.0.1"},
			{url: "http://h/v2", status: 200, has: "HTTP/1 from nobody at 127.0.0.1"},
		})
	})
}

// TestHealth takes an upstream out while it says that it is not well, and brings it back.
func TestHealth(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		var ill atomic.Bool
		moody := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/healthz" && ill.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
			w.Header().Set("X-App", "moody")
		}))
		t.Cleanup(moody.Close)
		r := launch(t, fmt.Sprintf(`
listeners: "127.0.0.1:0"
pools:
  app: {upstreams: [%s, %s], health: {path: /healthz, interval: 20ms, timeout: 20ms, rise: 1, fall: 1}, panic_threshold: 10}
routes: [{to: app, balance: round-robin}]
`, moody.Listener.Addr(), echo(t, "well")), "-driver", driver)
		at := r.ready()["http"][0]
		c := client(t)
		who := func() map[string]int {
			seen := map[string]int{}
			for range 10 {
				_, _, h := get(t, c, "http://"+at+"/")
				seen[h.Get("X-App")]++
			}
			return seen
		}
		eventually(t, func() bool { return who()["moody"] == 5 })
		ill.Store(true)
		eventually(t, func() bool { return who()["moody"] == 0 })
		ill.Store(false)
		eventually(t, func() bool { return who()["moody"] == 5 })
	})
}

// TestTLS asks for each name, by each listener.
func TestTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	ca.server("shop", "shop.test")
	ca.server("wild", "*.wild.test")
	ca.server("ann", "ann")
	r := launch(t, strings.ReplaceAll(fmt.Sprintf(`
listeners:
  - {https: "127.0.0.1:0"}
  - {https: "127.0.0.1:0", http2: false, client_ca: CA/ca.pem}
  - {http: "127.0.0.1:0", h2c: true}
certificates:
  - {cert: CA/shop.pem, key: CA/shop.key}
  - {cert: CA/wild.pem, key: CA/wild.key}
  - {self_signed: [localhost]}
pools: {app: %s}
routes: [{scheme: https, to: app}, {scheme: http, redirect: "https://{host}{path}{query}"}]
`, echo(t, "app")), "CA", ca.dir))
	at := r.ready()
	shown := func(address, name string, own ...tls.Certificate) (*tls.ConnectionState, error) {
		c, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, RootCAs: ca.pool(), InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}, Certificates: own})
		if err != nil {
			return nil, err
		}
		defer c.Close()
		s := c.ConnectionState()
		c.SetDeadline(time.Now().Add(10 * time.Second))
		if s.NegotiatedProtocol != "http/1.1" {
			return &s, nil
		}
		// In TLS 1.3 the server's word on a client's certificate comes behind the handshake.
		if _, err := c.Write([]byte("GET / HTTP/1.1\r\nHost: " + name + "\r\nConnection: close\r\n\r\n")); err != nil {
			return nil, err
		}
		_, err = c.Read(make([]byte, 1))
		return &s, err
	}
	for name, want := range map[string]string{"shop.test": "shop.test", "a.wild.test": "*.wild.test", "localhost": "localhost", "unknown.test": "shop.test"} {
		s, err := shown(at["https"][0], name)
		if err != nil || s.PeerCertificates[0].DNSNames[0] != want || s.NegotiatedProtocol != "h2" {
			t.Errorf("%s: %v, not a certificate for %s over h2", name, err, want)
		}
	}
	if s, err := shown(at["https"][1], "shop.test"); err == nil {
		t.Errorf("without a certificate a client came in: %v", s.NegotiatedProtocol)
	}
	if s, err := shown(at["https"][1], "shop.test", ca.pair("ann")); err != nil || s.NegotiatedProtocol != "http/1.1" {
		t.Errorf("with a certificate: %v", err)
	}

	h2c := &http.Transport{Protocols: new(http.Protocols)}
	h2c.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(h2c.CloseIdleConnections)
	q, err := http.NewRequest(http.MethodGet, "http://"+at["http"][0]+"/a?b", nil)
	if err != nil {
		t.Fatal(err)
	}
	q.Host = "shop.test"
	resp, err := h2c.RoundTrip(q)
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, resp)
	if resp.StatusCode != http.StatusPermanentRedirect || resp.Header.Get("Location") != "https://shop.test/a?b" || resp.ProtoMajor != 2 {
		t.Errorf("%s %v", resp.Status, resp.Header)
	}
}
