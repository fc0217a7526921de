package certs

import (
	"crypto/tls"
	"path/filepath"
	"testing"
)

func TestClients(t *testing.T) {
	t.Parallel()
	a, stranger, dir := newCA(t), newCA(t), t.TempDir()
	writeText(t, filepath.Join(dir, "ca"), a.pem())
	pair := func(c *ca) []tls.Certificate {
		k, err := tls.X509KeyPair(c.leaf(t, "ecdsa", soon(), "client"))
		if err != nil {
			t.Fatal(err)
		}
		return []tls.Certificate{k}
	}
	must, may := start(t, Options{Clients: &Clients{CA: filepath.Join(dir, "ca")}}), start(t, Options{Clients: &Clients{CA: filepath.Join(dir, "ca"), Optional: true}})
	for _, c := range []struct {
		name    string
		m       *Manager
		certs   []tls.Certificate
		ok      bool
		subject string
	}{
		{"required, given", must, pair(a), true, `CN=leaf,O=Semper\, Inc.`}, {"required, none", must, nil, false, ""}, {"required, a stranger's", must, pair(stranger), false, ""},
		{"optional, given", may, pair(a), true, `CN=leaf,O=Semper\, Inc.`}, {"optional, none", may, nil, true, ""}, {"optional, a stranger's", may, pair(stranger), false, ""},
	} {
		// A client sends what it has been told to, wanted or not.
		client := &tls.Config{InsecureSkipVerify: true, ServerName: "x", GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(c.certs) == 0 {
				return &tls.Certificate{}, nil
			}
			return &c.certs[0], nil
		}}
		_, server, err := handshake(t, c.m, client)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.ok && (ClientSubject(&server) != c.subject || (ClientCert(&server) != "") != (c.subject != "")) {
			t.Errorf("%s: %q, %q", c.name, ClientSubject(&server), ClientCert(&server))
		}
	}
	if ClientCert(nil) != "" || ClientSubject(nil) != "" {
		t.Error("a client without TLS")
	}
	// Another authority, by a reload; a broken file changes nothing.
	writeText(t, filepath.Join(dir, "ca"), []byte("broken"))
	if err := must.Reload(); err == nil {
		t.Error("a broken file is no error")
	}
	if _, _, err := handshake(t, must, &tls.Config{InsecureSkipVerify: true, ServerName: "x", Certificates: pair(a)}); err != nil {
		t.Errorf("after a broken file: %v", err)
	}
	writeText(t, filepath.Join(dir, "ca"), stranger.pem())
	if err := must.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := handshake(t, must, &tls.Config{InsecureSkipVerify: true, ServerName: "x", Certificates: pair(stranger)}); err != nil {
		t.Errorf("after a reload: %v", err)
	}
}

func TestUpstream(t *testing.T) {
	t.Parallel()
	a, dir := newCA(t), t.TempDir()
	writeText(t, filepath.Join(dir, "ca"), a.pem())
	mine := a.write(t, dir, "mine", "ecdsa", "edge")
	instance := start(t, Options{Files: []Pair{a.write(t, dir, "i", "ecdsa", "instance")}, Clients: &Clients{CA: filepath.Join(dir, "ca")}})
	good := Upstream{CA: filepath.Join(dir, "ca"), Cert: mine.Cert, Key: mine.Key, ServerName: "instance"}
	for name, c := range map[string]struct {
		change func(*Upstream)
		ok     bool
	}{
		"good": {func(*Upstream) {}, true}, "insecure": {func(u *Upstream) { u.CA, u.ServerName, u.Insecure = "", "", true }, true},
		"other name": {func(u *Upstream) { u.ServerName = "other" }, false}, "no certificate": {func(u *Upstream) { u.Cert = "" }, false},
		"system's authorities": {func(u *Upstream) { u.CA = "" }, false},
	} {
		u := good
		c.change(&u)
		config, err := u.TLSConfig()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if _, _, err := handshake(t, instance, config); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, u := range map[string]Upstream{"nobody": {}, "no CA": {ServerName: "x", CA: dir}, "no key": {ServerName: "x", Cert: mine.Cert}} {
		if _, err := u.TLSConfig(); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
}
