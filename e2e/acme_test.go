package e2e_test

import (
	"crypto/tls"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"semper/edge/certs/pebbletest"
)

// TestACME is a server with an authority that everybody trusts, as far as this test goes: pebble, with its faults on.
func TestACME(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds and runs an authority")
	}
	tools := pebbletest.Tools(t)
	// The authority finds only one of the two ways open.
	t.Run("http-01", func(t *testing.T) {
		t.Parallel()
		obtains(t, tools, func(o *pebbletest.Options) { o.TLS = pebbletest.FreePort(t) })
	})
	t.Run("tls-alpn-01", func(t *testing.T) {
		t.Parallel()
		obtains(t, tools, func(o *pebbletest.Options) { o.HTTP = pebbletest.FreePort(t) })
	})
}

// TestRenewal: certificates that are good for less than a minute are renewed while the server runs. Every connection gets a good one, from
// the same edge.
func TestRenewal(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("builds and runs an authority")
	}
	plain, secure := freeAddr(t), freeAddr(t)
	p := pebbletest.Start(t, pebbletest.Tools(t), pebbletest.Options{HTTP: portOf(t, plain), TLS: portOf(t, secure), Environment: pebbletest.Faults(), Validity: 50})
	trust := filepath.Join(t.TempDir(), "pebble.pem")
	write(t, trust, string(p.TrustPEM), 0o644)
	s := start(t, "--http="+plain, "--https="+secure, "--acme="+p.Directory, "--acme-email=ops@example.com", "--acme-roots="+trust)
	s.must("deploy", "-f", hosted(t, "one", "a.example"))
	edge, roots := s.part("edge"), p.Roots(t)
	shown := map[string]bool{}
	eventually(t, "two renewals", func() bool {
		c, err := tls.Dial("tcp", secure, &tls.Config{ServerName: "a.example", RootCAs: roots})
		if err != nil {
			t.Fatalf("a handshake, with %d certificates so far: %v", len(shown), err)
		}
		defer c.Close()
		shown[c.ConnectionState().PeerCertificates[0].SerialNumber.String()] = true
		return len(shown) == 3
	})
	if s.part("edge") != edge {
		t.Error("the edge is another one")
	}
}

func portOf(t *testing.T, addr string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// obtains has certificates come for the hosts of a first and of a second release, and not come again for another edge; a
// host that the authority refuses is told, with what to do.
func obtains(t *testing.T, tools string, change func(*pebbletest.Options)) {
	plain, secure := freeAddr(t), freeAddr(t)
	o := pebbletest.Options{HTTP: portOf(t, plain), TLS: portOf(t, secure), Environment: pebbletest.Faults()}
	change(&o)
	p := pebbletest.Start(t, tools, o)
	trust := filepath.Join(t.TempDir(), "pebble.pem")
	write(t, trust, string(p.TrustPEM), 0o644)
	s := start(t, "--http="+plain, "--https="+secure, "--acme="+p.Directory, "--acme-email=ops@example.com", "--acme-roots="+trust)
	s.must("deploy", "-f", hosted(t, "one", "a.example", "b.example"))
	roots := p.Roots(t)
	c := secureClient(secure, roots, true)
	defer c.CloseIdleConnections()
	answers := func(hosts ...string) {
		t.Helper()
		for _, host := range hosts {
			if err := whole(c, "https://"+host+"/"); err != nil {
				t.Errorf("%s: %v", host, err)
			}
		}
	}
	answers("a.example", "b.example")
	edge := s.part("edge")
	s.must("deploy", "-f", hosted(t, "two", "a.example", "c.example", "blocked.example", "app.localhost"))
	answers("a.example", "c.example")
	own := secureClient(secure, s.roots(), true)
	defer own.CloseIdleConnections()
	if err := whole(own, "https://app.localhost/"); err != nil {
		t.Errorf("a host of this machine's: %v", err)
	}
	if s.part("edge") != edge {
		t.Error("the edge is another one")
	}
	eventually(t, "status tells the refused host and what to do", func() bool {
		out := s.must("status")
		return strings.Contains(out, "blocked.example") && strings.Contains(out, "into a file")
	})
	eventually(t, "events tell what came and what did not", func() bool {
		out := s.must("events")
		return strings.Contains(out, "c.example has a certificate from the ACME authority until") && strings.Contains(out, "blocked.example has no new certificate")
	})
	if out := s.must("route", "cert"); !strings.Contains(out, "acme") || !strings.Contains(out, "app.localhost") || strings.Contains(out, "b.example ") {
		t.Errorf("route cert:\n%s", out)
	}
	issued := strings.Count(p.Said(), "Issued certificate")
	c.CloseIdleConnections()
	if err := syscall.Kill(edge, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another edge begins", func() bool { p := s.part("edge"); return p != 0 && p != edge })
	answers("a.example", "c.example")
	if n := strings.Count(p.Said(), "Issued certificate"); n != issued || n < 3 {
		t.Errorf("%d certificates were issued before another edge began, and %d after it", issued, n)
	}
}
