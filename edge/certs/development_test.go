package certs

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestDevelopment(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := start(t, Options{Dir: dir})
	get := func(m *Manager, name string) *x509.Certificate {
		client, _, err := handshake(t, m, &tls.Config{InsecureSkipVerify: true, ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		return client.PeerCertificates[0]
	}
	a := get(m, "app.localhost")
	roots := x509.NewCertPool()
	roots.AddCert(a)
	if _, _, err := handshake(t, m, &tls.Config{RootCAs: roots, ServerName: "app.localhost"}); err != nil {
		t.Errorf("trusted, it is not accepted: %v", err)
	}
	if a.IsCA || get(m, "APP.localhost").Equal(a) == false || get(m, "b.localhost").Equal(a) {
		t.Error("not one certificate for one name, that can sign nothing")
	}
	machine := get(m, "")
	if err := machine.VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"../../etc/passwd", "a..b", "-a", strings.Repeat("a", 64), strings.Repeat("a.", 130) + "a", "ä", ".a", "a/b"} {
		if c, err := m.dev.get(bad); err != nil || !c.Leaf.Equal(machine) {
			t.Errorf("%q got a certificate of its own, or none: %v", bad, err)
		}
	}
	// They are the same after a restart.
	if !get(start(t, Options{Dir: dir}), "app.localhost").Equal(a) {
		t.Error("made anew by the next edge")
	}
	if !m.SameCertificate(tls.ConnectionState{ServerName: "app.localhost"}, "App.localhost:8443") ||
		!m.SameCertificate(tls.ConnectionState{}, "app.localhost") || m.SameCertificate(tls.ConnectionState{ServerName: "app.localhost"}, "b.localhost") {
		t.Error("which names go together")
	}
	// A certificate of the operator's is the end of it.
	a2 := newCA(t)
	m2 := start(t, Options{Dir: dir, FilesDir: dir})
	a2.write(t, dir, "real", "ecdsa", "real.example")
	if err := m2.Reload(); err != nil {
		t.Fatal(err)
	}
	if got := get(m2, "app.localhost"); got.DNSNames[0] != "real.example" {
		t.Errorf("%v", got.DNSNames)
	}
}

// TestDevelopmentIsBounded: nobody fills the disk by asking for names, over restarts neither.
func TestDevelopmentIsBounded(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := newDevelopment(dir)
	for i := range maxDevelopment + 20 {
		if _, err := d.get(fmt.Sprintf("n%d.localhost", i)); err != nil {
			t.Fatal(err)
		}
	}
	d = newDevelopment(dir)
	machine, err := d.get("")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := d.get("another.localhost"); err != nil || c != machine {
		t.Errorf("one too many: %v", err)
	}
	if c, err := d.get("n7.localhost"); err != nil || c == machine {
		t.Errorf("one of before: %v", err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) != maxDevelopment+1 { // and this machine's
		t.Errorf("%d files", len(files))
	}
}

// TestSelfSigned names are there beside certificates of files, and no others are made up.
func TestSelfSigned(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shown := func(m *Manager, name string) *x509.Certificate {
		client, _, err := handshake(t, m, &tls.Config{InsecureSkipVerify: true, ServerName: name})
		if err != nil {
			t.Fatal(err)
		}
		return client.PeerCertificates[0]
	}
	alone := start(t, Options{Dir: dir, SelfSigned: []string{"localhost", "*.test"}})
	local := shown(alone, "localhost")
	for name, want := range map[string]string{"localhost": "localhost", "a.test": "*.test", "b.test": "*.test", "other.example": "localhost", "": "localhost"} {
		if c := shown(alone, name); c.DNSNames[0] != want {
			t.Errorf("%q got a certificate for %v, not %s", name, c.DNSNames, want)
		}
	}
	pair, err := selfSigned("shop.example")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "shop.pem")
	if err := writeFile(file, pair); err != nil {
		t.Fatal(err)
	}
	beside := start(t, Options{Dir: dir, Files: []Pair{{file, file}}, SelfSigned: []string{"localhost"}})
	if !shown(beside, "localhost").Equal(local) {
		t.Error("the certificate for localhost is another one after a restart")
	}
	if c := shown(beside, "other.example"); c.DNSNames[0] != "shop.example" {
		t.Errorf("an unknown name got one for %v, not that of the file", c.DNSNames)
	}
}
