package conformance_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"testing"
	"time"

	"semper"
	"semper/edge"
	"semper/edge/config"
	"semper/edge/conformance"
	"semper/edge/http3"
	"semper/edge/http3/accept"
	"semper/edge/route"
	"semper/edge/upstream"
	"semper/supervise"
)

const (
	hostA = "a.example"
	hostB = "b.example"
)

// certificate signs itself for one name.
func certificate(t *testing.T, name string, roots *x509.CertPool) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}
}

// record is a recorder that ends with the test.
func record(t *testing.T, network, addr string) *conformance.Recorder {
	t.Helper()
	r, err := conformance.Record(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// newEdge is an edge of this module with a certificate for each host.
func newEdge(t *testing.T) (*edge.Edge, *x509.CertPool) {
	t.Helper()
	e, roots, _ := newEdgeWith(t)
	return e, roots
}

// newEdgeWith is newEdge, and the TLS that it has.
func newEdgeWith(t *testing.T) (*edge.Edge, *x509.CertPool, *tls.Config) {
	t.Helper()
	roots := x509.NewCertPool()
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t, hostA, roots), certificate(t, hostB, roots)}}
	e, err := edge.New(edge.Options{ID: "edge-1", Dir: t.TempDir(), TLS: config, Trusted: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e, roots, config
}

// serve3 gives e a port of HTTP/3 and returns its address.
func serve3(t *testing.T, e *edge.Edge, config *tls.Config) string {
	t.Helper()
	port, err := http3.Bind("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tree, err := supervise.Start(t.Context(), supervise.Flags{Name: "listeners"}, []supervise.ChildSpec{{
		ID: "http3", Restart: supervise.Transient, Start: accept.Start(e, port, edge.Terms{TLS: config}, nil, port.Lead),
	}}, supervise.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		e.Close() // reported by the first
		if err := errors.Join(tree.Stop(context.Background()), port.Close()); err != nil {
			t.Error(err)
		}
	})
	return port.Addr().String()
}

// edgeTarget is an edge with all listeners, in front of two recorders.
func edgeTarget(t *testing.T) *conformance.Target {
	t.Helper()
	e, roots, config := newEdgeWith(t)
	target := &conformance.Target{
		Plain: serve(t, e, false), TLS: serve(t, e, true), H3: serve3(t, e, config), Host: hostA, Other: hostB, Roots: roots,
		Backend: record(t, "tcp", "127.0.0.1:0"), Guarded: record(t, "tcp", "127.0.0.1:0"), Patience: 30 * time.Second,
	}
	apply(t, e, map[string]string{"/": target.Backend.Addr().String(), "/guarded": target.Guarded.Addr().String()})
	return target
}

// edgeBeforeHTTP2 is the address of an edge with TLS before an instance that speaks HTTP/2 without.
func edgeBeforeHTTP2(t *testing.T, instance string) string {
	t.Helper()
	e, _ := newEdge(t)
	addr := serve(t, e, true)
	rule := route.Rule{Name: "all", Action: &route.Forward{Pools: []route.Share{{Pool: "grpc", Weight: 1}}}, Policy: route.DefaultPolicy()}
	rules, err := route.Compile([]route.Rule{rule})
	if err != nil {
		t.Fatal(err)
	}
	pool := config.DefaultPool(instance)
	pool.Protocol = upstream.H2C
	if err := e.Configure(edge.Config{Rules: rules, Pools: map[string]config.Pool{"grpc": pool}}); err != nil {
		t.Fatal(err)
	}
	return addr
}

// serve gives e a listener and returns its address.
func serve(t *testing.T, e *edge.Edge, useTLS bool) string {
	t.Helper()
	return listen(t, func(l net.Listener) error { return e.Serve(l, useTLS) }, e.Close)
}

// listen has serve take the connections of a listener, which it does until stop is called, and returns its address.
func listen(t *testing.T, serve func(net.Listener) error, stop func() error) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serve(l) }()
	t.Cleanup(func() {
		stop() // reported by the first
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// apply makes a table of both hosts' paths.
func apply(t *testing.T, e *edge.Edge, backends map[string]string) {
	t.Helper()
	tab := semper.Table{Epoch: e.Epoch() + 1}
	for path, addr := range backends {
		key := semper.PoolKey("bar/production/web" + path)
		tab.Pools = append(tab.Pools, semper.Pool{Key: key, App: "bar", Release: "r1", Backend: []semper.Backend{{ID: semper.InstanceID("bar/" + addr), Address: addr}}})
		for _, host := range []string{hostA, hostB} {
			tab.Routes = append(tab.Routes, semper.Route{Host: host, Path: path, Pool: key})
		}
	}
	if err := e.Apply(tab); err != nil {
		t.Fatal(err)
	}
}
