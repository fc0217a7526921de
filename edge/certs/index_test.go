package certs

import (
	"crypto/tls"
	"fmt"
	"testing"
	"time"
)

func TestIndex(t *testing.T) {
	t.Parallel()
	a := newCA(t)
	one := func(names ...string) *certificate { return a.one(t, FromFile, "ecdsa", soon(), names...) }
	exact, wild, other, ip := one("a.example.com"), one("*.example.com"), one("Other.example", "www.other.example"), one("192.0.2.1", "2001:db8::1")
	deep := one("*.b.example.com")
	ix := newIndex([]*certificate{other, wild, exact, ip, deep}, "")
	for name, want := range map[string]*certificate{
		"a.example.com": exact, "b.example.com": wild, "x.b.example.com": deep, "other.example": other, "www.other.example": other,
		"192.0.2.1": ip, "2001:db8::1": ip,
		"example.com": nil, "x.y.example.com": nil, "x.a.example.com": nil, "": nil, "com": nil, ".example.com": nil, "x.other.example": nil, "192.0.2.2": nil,
	} {
		if e := ix.find(name); want == nil && e != nil || want != nil && (len(e) != 1 || e[0] != want) {
			t.Errorf("%q: %v, want %v", name, e, want)
		}
	}
	if ix.fallback[0] != other {
		t.Errorf("without a name: %v, want the first", ix.fallback[0].names)
	}
	if ix := newIndex([]*certificate{other, wild}, "c.example.com"); ix.fallback[0] != wild {
		t.Errorf("the default is %v, want the one named", ix.fallback[0].names)
	}
	if ix := newIndex(nil, "a"); ix.fallback.choose(&tls.ClientHelloInfo{}) != nil {
		t.Error("a certificate out of nothing")
	}
}

func TestPreference(t *testing.T) {
	t.Parallel()
	a := newCA(t)
	later := soon().Add(time.Minute)
	ecdsa, longer := a.one(t, FromFile, "ecdsa", soon(), "a"), a.one(t, FromFile, "ecdsa", later, "a")
	rsa, ed := a.one(t, FromFile, "rsa", later, "a"), a.one(t, FromFile, "ed25519", later, "a")
	acme := a.one(t, FromACME, "ecdsa", later, "a")
	e := newIndex([]*certificate{acme, rsa, ed, ecdsa, longer}, "").find("a")
	for i, want := range []*certificate{longer, ecdsa, ed, rsa, acme} {
		if e[i] != want {
			t.Errorf("place %d: %s %T until %v", i, e[i].source, e[i].tls.PrivateKey, e[i].notAfter())
		}
	}
	modern := &tls.ClientHelloInfo{
		SupportedVersions: []uint16{tls.VersionTLS13}, SignatureSchemes: []tls.SignatureScheme{tls.PSSWithSHA256, tls.ECDSAWithP256AndSHA256},
		SupportedCurves: []tls.CurveID{tls.CurveP256}, CipherSuites: []uint16{tls.TLS_AES_128_GCM_SHA256}, ServerName: "a",
	}
	old := &tls.ClientHelloInfo{
		SupportedVersions: []uint16{tls.VersionTLS12}, SignatureSchemes: []tls.SignatureScheme{tls.PKCS1WithSHA256},
		SupportedCurves: []tls.CurveID{tls.CurveP256}, SupportedPoints: []uint8{0},
		CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, ServerName: "a",
	}
	if got := e.choose(modern); got != longer.tls {
		t.Errorf("a modern client gets a key of %T", got.PrivateKey)
	}
	if got := e.choose(old); got != rsa.tls {
		t.Errorf("an old client gets a key of %T", got.PrivateKey)
	}
	old.CipherSuites = []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}
	if got := e.choose(old); got != longer.tls {
		t.Error("a client that can use none gets none: it could not say why it leaves")
	}
}

// TestSame is row 70 of edge.md §3.3.
func TestSame(t *testing.T) {
	t.Parallel()
	a := newCA(t)
	one := func(names ...string) *certificate { return a.one(t, FromFile, "ecdsa", soon(), names...) }
	ix := newIndex([]*certificate{
		one("default.example"), one("a.example", "b.example"), one("*.wild.example"), one("own.wild.example"), one("rsa.example", "both.example"),
		a.one(t, FromFile, "rsa", soon(), "rsa.example"),
	}, "")
	for _, c := range []struct {
		sni, host string
		want      bool
	}{
		{"a.example", "a.example", true},
		{"a.example", "b.example", true}, // one certificate for both: a client may use one connection (RFC 9113, 9.1.1)
		{"a.example", "c.example", false},
		{"a.example", "default.example", false},
		{"x.wild.example", "y.wild.example", true},
		{"x.wild.example", "x.y.wild.example", false},
		{"x.wild.example", "own.wild.example", true}, // what was shown is for it
		{"own.wild.example", "x.wild.example", false},
		{"", "default.example", true},
		{"", "a.example", false},
		{"unknown.example", "default.example", true},
		{"unknown.example", "unknown2.example", true}, // what is served there is for the routes to say
		{"unknown.example", "a.example", false},
		{"a.example", "unknown.example", false},
		{"rsa.example", "both.example", false}, // only one of the two that may have been shown is for it
		{"a.example", "", false},
		{"", "", true},
	} {
		if got := ix.same(c.sni, c.host); got != c.want {
			t.Errorf("shown for %q, asked for %q: %t", c.sni, c.host, got)
		}
	}
	if newIndex(nil, "").same("a", "b") != true {
		t.Error("without certificates there is nothing to differ")
	}
}

func TestHostname(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a.example": "a.example", "A.Example:443": "a.example", "a.example.": "a.example", "a.example.:8443": "a.example", "[2001:DB8::1]:443": "2001:db8::1",
		"[::1]": "::1", "192.0.2.1:80": "192.0.2.1", "2001:db8::1": "2001:db8::1", "": "", ":": "", "[": "[",
	} {
		if got := hostname(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func BenchmarkCertificate(b *testing.B) {
	a := newCA(b)
	var all []*certificate
	for i := range 1000 {
		all = append(all, a.one(b, FromFile, "ecdsa", soon(), fmt.Sprintf("n%d.example", i)))
	}
	all = append(all, a.one(b, FromFile, "ecdsa", soon(), "*.wild.example"))
	m := start(b, Options{})
	m.index.Store(newIndex(all, ""))
	for _, name := range []string{"n7.example", "x.wild.example"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			hello := &tls.ClientHelloInfo{ServerName: name}
			for b.Loop() {
				if c, err := m.certificate(hello); c == nil || err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
