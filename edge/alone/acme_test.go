package alone

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"semper/edge/certs/pebbletest"
)

// shows is the certificate that a client is shown at address that asks for name and trusts roots.
func shows(roots *x509.CertPool, address, name string) (*x509.Certificate, error) {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: 90 * time.Second}, "tcp", address, &tls.Config{RootCAs: roots, ServerName: name})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	return c.ConnectionState().PeerCertificates[0], nil
}

// TestACME gets certificates of pebble, with its faults on, by each challenge and with each driver, while every plain request is
// redirected. Another file asks for another name, which takes nothing from the one that is there; the next process has both without asking.
func TestACME(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs an authority")
	}
	t.Parallel()
	tools := pebbletest.Tools(t)
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		t.Run(challenge, func(t *testing.T) {
			drivers(t, func(t *testing.T, driver string) { obtains(t, tools, challenge, driver) })
		})
	}
	t.Run("renewal", func(t *testing.T) { t.Parallel(); renews(t, tools) })
}

const acmeFile = `
listeners: ["127.0.0.1:%d", {https: "127.0.0.1:%d"}]
certificates: [{acme: {names: [%s], directory: %q, roots: ROOTS, challenges: %s}}]
pools: {app: %q}
routes: [{scheme: https, to: app}, {scheme: http, redirect: "https://{host}{path}{query}"}]
`

func obtains(t *testing.T, tools, challenge, driver string) {
	plain, secure := pebbletest.FreePort(t), pebbletest.FreePort(t)
	p := pebbletest.Start(t, tools, pebbletest.Options{HTTP: plain, TLS: secure, Environment: pebbletest.Faults()})
	trust := filepath.Join(t.TempDir(), "pebble.pem")
	writeFile(t, trust, string(p.TrustPEM))
	upstream := app(t, "a")
	text := func(names string) string {
		return strings.ReplaceAll(fmt.Sprintf(acmeFile, plain, secure, names, p.Directory, challenge, upstream), "ROOTS", trust)
	}
	r := launch(t, text("a.example"), "-driver", driver)
	r.ready()
	roots, at := p.Roots(t), "127.0.0.1:"+strconv.Itoa(secure)
	first, err := shows(roots, at, "a.example")
	if err != nil {
		t.Fatal(err)
	}
	r.write("edge.yaml", text("a.example, b.example"))
	r.signal(syscall.SIGHUP)
	r.ready()
	if _, err := shows(roots, at, "b.example"); err != nil {
		t.Error(err)
	}
	if again, err := shows(roots, at, "a.example"); err != nil || !again.Equal(first) {
		t.Errorf("the certificate that was there is another: %v", err)
	}
	askAll(t, "127.0.0.1:"+strconv.Itoa(plain), []question{
		{url: "http://a.example/x", status: http.StatusPermanentRedirect, fields: map[string]string{"Location": "https://a.example/x"}},
		{url: "http://a.example/.well-known/acme-challenge/nobodys", status: http.StatusPermanentRedirect},
	})
	p.Stop()
	r.signal(syscall.SIGUSR2) // the new process asks nobody
	r.ready()
	if again, err := shows(roots, at, "a.example"); err != nil || !again.Equal(first) {
		t.Errorf("after an upgrade without the authority: %v", err)
	}
	if code := r.ends(); code != 0 {
		t.Errorf("the first process ended with %d", code)
	}
}

// renews has certificates that are good for less than a minute. Each connection gets a good one, over a renewal and reloads.
func renews(t *testing.T, tools string) {
	plain, secure := pebbletest.FreePort(t), pebbletest.FreePort(t)
	p := pebbletest.Start(t, tools, pebbletest.Options{HTTP: plain, TLS: secure, Environment: pebbletest.Faults(), Validity: 40})
	trust := filepath.Join(t.TempDir(), "pebble.pem")
	writeFile(t, trust, string(p.TrustPEM))
	r := launch(t, strings.ReplaceAll(fmt.Sprintf(acmeFile, plain, secure, "a.example", p.Directory, "[http-01, tls-alpn-01]", app(t, "a")), "ROOTS", trust), "-check", "6s")
	r.ready()
	roots, at := p.Roots(t), "127.0.0.1:"+strconv.Itoa(secure)
	first, err := shows(roots, at, "a.example")
	if err != nil {
		t.Fatal(err)
	}
	connections := 0
	eventually(t, func() bool {
		r.signal(syscall.SIGHUP)
		r.ready()
		c, err := shows(roots, at, "a.example")
		if err != nil {
			t.Fatalf("connection %d: %v", connections, err)
		}
		connections++
		return !c.Equal(first)
	})
}
