package localca_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"semper/edge/certs/localca"
)

// authority is a new one, and what trusts it.
func authority(t *testing.T) (*localca.Authority, *x509.CertPool) {
	t.Helper()
	text, err := localca.Make(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a, err := localca.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(a.Root()) {
		t.Fatal("the root is no certificate")
	}
	if strings.Contains(string(a.Root()), "PRIVATE") {
		t.Fatal("the root has the key in it")
	}
	return a, pool
}

func TestCertificatesAreForTheirNames(t *testing.T) {
	t.Parallel()
	a, pool := authority(t)
	for name, as := range map[string][]string{
		"a.example": {"a.example"}, "*.b.example": {"x.b.example"}, "10.1.2.3": {"10.1.2.3"}, "": {"localhost", "127.0.0.1", "::1"},
	} {
		c, err := a.Certificate(name)
		if err != nil {
			t.Fatal(err)
		}
		key, ok := c.PrivateKey.(*ecdsa.PrivateKey)
		if !ok || key.Curve != elliptic.P256() {
			t.Errorf("%q: a key of %T", name, c.PrivateKey)
		}
		for _, host := range as {
			if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: host}); err != nil {
				t.Errorf("%q for %s: %v", name, host, err)
			}
		}
		if _, err := c.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "other.example"}); err == nil {
			t.Errorf("%q is good for another name", name)
		}
		again, err := a.Certificate(name)
		if err != nil || again != c {
			t.Errorf("%q: another one at the second time, %v", name, err)
		}
	}
}

// TestALeafSignsNothing: who has the key of a certificate cannot give others.
func TestALeafSignsNothing(t *testing.T) {
	t.Parallel()
	a, _ := authority(t)
	c, err := a.Certificate("a.example")
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(c.Certificate[1])
	if err != nil {
		t.Fatal(err)
	}
	if c.Leaf.IsCA || c.Leaf.KeyUsage&x509.KeyUsageCertSign != 0 || !root.MaxPathLenZero {
		t.Errorf("a certificate of %+v under a path of %d", c.Leaf.KeyUsage, root.MaxPathLen)
	}
}

func TestRenewalAndEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a, pool := authority(t)
		first, err := a.Certificate("a.example")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(localca.LeafLife/2 + time.Hour)
		second, err := a.Certificate("a.example")
		if err != nil || second == first {
			t.Fatalf("not made anew when half of its life was over: %v", err)
		}
		if _, err := second.Leaf.Verify(x509.VerifyOptions{Roots: pool, DNSName: "a.example"}); err != nil {
			t.Error(err)
		}
		if !a.Good(time.Now()) || a.Good(time.Now().Add(localca.Life)) {
			t.Error("its end is not seen")
		}
	})
}

// TestMemoryIsBounded: anybody can ask for names.
func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	a, _ := authority(t)
	for i := range 1100 {
		if _, err := a.Certificate(strings.Repeat("a", i%60+1) + "." + string(rune('a'+i/60)) + ".example"); err != nil {
			t.Fatal(err)
		}
	}
	if n := a.Cached(); n > 1024 {
		t.Errorf("%d certificates are kept", n)
	}
}

func TestWhatIsNoAuthority(t *testing.T) {
	t.Parallel()
	text, err := localca.Make(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cert, key, _ := strings.Cut(string(text), "-----BEGIN PRIVATE KEY-----")
	for name, text := range map[string]string{"nothing": "", "no key": cert, "no certificate": "-----BEGIN PRIVATE KEY-----" + key} {
		_, err := localca.Parse([]byte(text))
		if err == nil || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
