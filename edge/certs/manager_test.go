package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// events collects what a Manager tells.
type events struct {
	mu  sync.Mutex
	all []Event
}

func (e *events) observe(x Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, x)
}

func (e *events) take() []Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.all
	e.all = nil
	return all
}

func leafOf(t *testing.T, m *Manager, roots *x509.CertPool, name string) *x509.Certificate {
	t.Helper()
	client, _, err := handshake(t, m, &tls.Config{RootCAs: roots, ServerName: name})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return client.PeerCertificates[0]
}

func TestFilesAreServedAndReadAgain(t *testing.T) {
	t.Parallel()
	a, dir := newCA(t), t.TempDir()
	a.write(t, dir, "a", "ecdsa", "a.example")
	b := a.write(t, dir, "b", "ecdsa", "b.example")
	var told events
	var log bytes.Buffer
	m := start(t, Options{FilesDir: dir, Poll: -1, Observe: told.observe, Log: slog.New(slog.NewTextHandler(&log, nil))})
	if n := len(told.take()); n != 2 {
		t.Errorf("%d events of two certificates", n)
	}
	was := leafOf(t, m, a.pool, "b.example")

	// Nothing changed: nothing is told.
	if err := m.reread(false); err != nil || len(told.take()) != 0 {
		t.Errorf("unchanged: %v", err)
	}

	// Half of a replacement: the old one stays, and is told about.
	cert, key := a.leaf(t, "ecdsa", soon(), "b.example")
	writeText(t, b.Cert, cert)
	if err := m.reread(false); err == nil || !strings.Contains(err.Error(), b.Cert) {
		t.Errorf("a certificate with the key of another: %v", err)
	}
	if got := told.take(); len(got) != 1 || got[0].Err == nil {
		t.Errorf("events %v", got)
	}
	if !leafOf(t, m, a.pool, "b.example").Equal(was) {
		t.Error("the old one is gone")
	}
	if err := m.reread(false); err != nil {
		t.Errorf("told twice: %v", err)
	}
	// The other half.
	writeText(t, b.Key, key)
	if err := m.reread(false); err != nil {
		t.Fatal(err)
	}
	if leafOf(t, m, a.pool, "b.example").Equal(was) {
		t.Error("the new one is not served")
	}
	if got := told.take(); len(got) != 1 || got[0].Err != nil || got[0].Name != "b.example" || got[0].NotAfter.IsZero() {
		t.Errorf("events %v", got)
	}
	if got := m.Expiries(); len(got) != 2 || got[0].Name != "a.example" || got[1].Source != FromFile || got[0].NotAfter.Before(time.Now()) {
		t.Errorf("expiries %v", got)
	}

	// One more, and one less.
	a.write(t, dir, "c", "ecdsa", "c.example")
	os.Remove(b.Cert)
	if err := m.Reload(); err != nil {
		t.Fatal(err)
	}
	leafOf(t, m, a.pool, "c.example")
	if _, _, err := handshake(t, m, &tls.Config{RootCAs: a.pool, ServerName: "b.example"}); err == nil {
		t.Error("what was removed is served still")
	}
}

// TestPolling finds the change by itself.
func TestPolling(t *testing.T) {
	t.Parallel()
	a, dir := newCA(t), t.TempDir()
	p := a.write(t, dir, "a", "ecdsa", "a.example")
	seen := make(chan Event, 10)
	m := start(t, Options{Files: []Pair{p}, Poll: time.Millisecond, Observe: func(e Event) {
		if e.Err == nil {
			seen <- e
		}
	}})
	<-seen
	was := leafOf(t, m, a.pool, "a.example")
	a.write(t, dir, "a", "ecdsa", "a.example")
	<-seen
	if leafOf(t, m, a.pool, "a.example").Equal(was) {
		t.Error("the old one is served still")
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	a, dir := newCA(t), t.TempDir()
	p := a.write(t, dir, "a", "ecdsa", "a.example")
	acme := func(change func(*ACME)) *ACME {
		c := &ACME{Names: []string{"a.example"}, Agreed: true}
		change(c)
		return c
	}
	for name, c := range map[string]struct {
		o    Options
		want string
	}{
		"no file":         {Options{Files: []Pair{{Cert: filepath.Join(dir, "no"), Key: p.Key}}}, "no such file"},
		"wrong key":       {Options{Files: []Pair{{Cert: p.Cert, Key: a.write(t, t.TempDir(), "x", "ecdsa", "x").Key}}}, "private key does not match"},
		"no clients' CA":  {Options{Clients: &Clients{CA: filepath.Join(dir, "no")}}, "no such file"},
		"bad clients'":    {Options{Clients: &Clients{CA: p.Key}}, "no certificate in PEM"},
		"unknown default": {Options{Files: []Pair{p}, Default: "b.example"}, "none for it"},
		"terms":           {Options{Dir: dir, ACME: acme(func(a *ACME) { a.Agreed = false })}, "agreed"},
		"wildcard":        {Options{Dir: dir, ACME: acme(func(a *ACME) { a.Names = []string{"*.a.example"} })}, "dns-01"},
		"upper case":      {Options{Dir: dir, ACME: acme(func(a *ACME) { a.Names = []string{"A.example"} })}, "no name"},
		"no name":         {Options{Dir: dir, ACME: acme(func(a *ACME) { a.Names = []string{"a b"} })}, "no name"},
		"no challenge":    {Options{Dir: dir, ACME: acme(func(a *ACME) { a.NoHTTP01, a.NoTLSALPN01 = true, true })}, "challenges"},
		"half an account": {Options{Dir: dir, ACME: acme(func(a *ACME) { a.EABKey = "x" })}, "give both"},
		"key type":        {Options{Dir: dir, ACME: acme(func(a *ACME) { a.KeyType = "dsa" })}, "key type"},
		"nowhere to go":   {Options{ACME: acme(func(*ACME) {})}, "give a directory"},
	} {
		m, err := New(c.o)
		if err == nil {
			m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestWhoGetsWhat(t *testing.T) {
	t.Parallel()
	a, dir := newCA(t), t.TempDir()
	files := []Pair{a.write(t, dir, "a", "ecdsa", "a.example"), a.write(t, dir, "b", "rsa", "*.b.example"), a.write(t, dir, "b2", "ecdsa", "*.b.example")}
	open, strict := start(t, Options{Files: files, Default: "x.b.example"}), start(t, Options{Files: files, Strict: true})
	for name, want := range map[string]string{"a.example": "a.example", "A.EXAMPLE": "a.example", "x.b.example": "*.b.example", "unknown.example": "*.b.example", "": "*.b.example"} {
		client, server, err := handshake(t, open, &tls.Config{InsecureSkipVerify: true, ServerName: name})
		if err != nil || client.PeerCertificates[0].DNSNames[0] != want {
			t.Errorf("%q: %v, want %s", name, err, want)
			continue
		}
		if client.PeerCertificates[0].PublicKeyAlgorithm != x509.ECDSA {
			t.Errorf("%q: a key of %s", name, client.PeerCertificates[0].PublicKeyAlgorithm)
		}
		if server.Version != tls.VersionTLS13 || server.CurveID != tls.X25519MLKEM768 {
			t.Errorf("%q: %s with %s", name, tls.VersionName(server.Version), server.CurveID)
		}
	}
	if _, _, err := handshake(t, strict, &tls.Config{InsecureSkipVerify: true, ServerName: "unknown.example"}); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("strict: %v", err)
	}
	if _, _, err := handshake(t, strict, &tls.Config{InsecureSkipVerify: true}); err != nil {
		t.Errorf("strict, no name: %v", err)
	}
	old := &tls.Config{RootCAs: a.pool, ServerName: "x.b.example", MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}
	client, _, err := handshake(t, open, old)
	if err != nil || client.PeerCertificates[0].PublicKeyAlgorithm != x509.RSA {
		t.Errorf("a client that knows RSA alone: %v", err)
	}
	for what, c := range map[string]*tls.Config{
		"TLS 1.1": {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"CBC":     {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_128_GCM_SHA256}},
	} {
		c.InsecureSkipVerify, c.ServerName = true, "a.example"
		if _, _, err := handshake(t, open, c); err == nil {
			t.Errorf("%s was taken", what)
		}
	}
}

func TestALPN(t *testing.T) {
	t.Parallel()
	both, one := start(t, Options{}), start(t, Options{ALPN: []string{"http/1.1"}})
	for _, c := range []struct {
		m     *Manager
		offer []string
		want  string
	}{
		{both, []string{"http/1.1", "h2"}, "h2"}, {both, []string{"http/1.1"}, "http/1.1"}, {both, nil, ""},
		{one, []string{"h2", "http/1.1"}, "http/1.1"},
	} {
		client, _, err := handshake(t, c.m, &tls.Config{InsecureSkipVerify: true, ServerName: "a", NextProtos: c.offer})
		if err != nil || client.NegotiatedProtocol != c.want {
			t.Errorf("%q: %q, %v", c.offer, client.NegotiatedProtocol, err)
		}
	}
	// Without ACME nobody answers challenges.
	if _, _, err := handshake(t, both, &tls.Config{InsecureSkipVerify: true, ServerName: "a", NextProtos: []string{"acme-tls/1"}}); err == nil {
		t.Error("a challenge was answered")
	}
	if h := http.NotFoundHandler(); both.HTTPHandler(h) == nil {
		t.Error("no handler")
	}
}

func TestOCSPFile(t *testing.T) {
	t.Parallel()
	a, dir := newCA(t), t.TempDir()
	p := a.write(t, dir, "a", "ecdsa", "a.example")
	m := start(t, Options{Files: []Pair{p}})
	writeText(t, filepath.Join(dir, "a.ocsp"), []byte("staple"))
	if err := m.reread(false); err != nil {
		t.Fatal(err)
	}
	client, _, err := handshake(t, m, &tls.Config{RootCAs: a.pool, ServerName: "a.example"})
	if err != nil || string(client.OCSPResponse) != "staple" {
		t.Errorf("%q, %v", client.OCSPResponse, err)
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	m := start(t, Options{})
	m.Close()
	m.Close()
	if _, _, err := handshake(t, m, &tls.Config{InsecureSkipVerify: true, ServerName: "a"}); err != nil {
		t.Errorf("connections that are open then go on: %v", err)
	}
}

// away is a storage that does not answer.
type away struct{}

var errAway = errors.New("away")

func (away) Load(context.Context, string) ([]byte, error)          { return nil, errAway }
func (away) Store(context.Context, string, []byte, ...Lease) error { return errAway }
func (away) Delete(context.Context, string) error                  { return errAway }
func (away) List(context.Context, string) ([]string, error)        { return nil, errAway }
func (away) Lock(context.Context, string) (Lease, error)           { return nil, errAway }

func TestWithoutItsStorage(t *testing.T) {
	t.Parallel()
	m := start(t, Options{Storage: away{}})
	cache := tls.NewLRUClientSessionCache(1)
	for i := range 2 {
		client, _, err := handshake(t, m, &tls.Config{InsecureSkipVerify: true, ServerName: "a", ClientSessionCache: cache})
		if err != nil || client.DidResume != (i == 1) {
			t.Errorf("connection %d: resumed %t, %v", i, client.DidResume, err)
		}
	}
	if err := m.turn(t.Context()); !errors.Is(err, errAway) {
		t.Errorf("nobody is told: %v", err)
	}
	if _, err := (File{Dir: "/nonexistent"}).Load(t.Context(), "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
