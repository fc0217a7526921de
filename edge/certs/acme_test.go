package certs

import (
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"

	"semper/edge/certs/pebbletest"
)

// TestACME is against pebble, with its faults on: it rejects good nonces, and forgets authorizations that it should reuse.
func TestACME(t *testing.T) {
	if testing.Short() {
		t.Skip("builds and runs an authority")
	}
	t.Parallel()
	tools := pebbletest.Tools(t)
	for name, test := range map[string]func(*testing.T, string){
		"http-01": obtainHTTP, "tls-alpn-01": obtainALPN, "OnDemand": onDemand, "Renewal": renewal, "AnotherEdge": anotherEdge,
		"OCSP": stapled, "Blocked": blocked,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, tools) })
	}
}

var faults = pebbletest.Faults()

// settings are those of an edge that has p as its authority.
func settings(e *edge, p *pebbletest.Pebble, names ...string) *ACME {
	plain, secure := e.ports()
	return &ACME{CA: p.Directory, Roots: p.Trust, Names: names, Agreed: true, Host: "127.0.0.1", HTTPPort: plain, TLSPort: secure}
}

// obtainBy gets certificates by one kind of challenge, and serves them again after the authority is gone. The names are of domain:
// certmagic keeps the challenges of a process by name, whoever the authority is, so no two tests may have a name in common.
func obtainBy(t *testing.T, tools, domain string, change func(*ACME)) {
	e := listenEdge(t)
	plain, secure := e.ports()
	p := pebbletest.Start(t, tools, pebbletest.Options{HTTP: plain, TLS: secure, Environment: faults})
	roots, dir := p.Roots(t), t.TempDir()
	a := settings(e, p, "a."+domain, "b."+domain)
	change(a)
	m := e.serve(t, Options{Dir: dir, ACME: a})
	leaves := map[string]*x509.Certificate{}
	for _, name := range a.Names {
		state, err := e.connect(roots, name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		leaf := state.PeerCertificates[0]
		leaves[name] = leaf
		if leaf.PublicKeyAlgorithm != x509.ECDSA || len(state.PeerCertificates) != 3 || state.NegotiatedProtocol != "h2" {
			t.Errorf("%s: a key of %s, a chain of %d, %q", name, leaf.PublicKeyAlgorithm, len(state.PeerCertificates), state.NegotiatedProtocol)
		}
	}
	if _, err := e.connect(roots, "c."+domain); err == nil || !strings.Contains(err.Error(), "not c."+domain) {
		t.Errorf("a name that nobody has: %v", err)
	}
	misdirected(t, e, roots, domain)
	if x := m.Expiries(); len(x) != 2 || x[0].Source != FromACME || time.Until(x[0].NotAfter) < 80*24*time.Hour {
		t.Errorf("expiries %v", x)
	}
	m.Close()
	p.Stop()
	next := listenEdge(t)
	next.serve(t, Options{Dir: dir, ACME: a})
	for name, was := range leaves {
		if state, err := next.connect(roots, name); err != nil || !state.PeerCertificates[0].Equal(was) {
			t.Errorf("%s after a restart without the authority: %v", name, err)
		}
	}
}

// misdirected is row 70: the answer to a request for b on a connection for a.
func misdirected(t *testing.T, e *edge, roots *x509.CertPool, domain string) {
	t.Helper()
	tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "a." + domain}, DisableKeepAlives: true}
	for host, want := range map[string]int{"a." + domain: 200, "b." + domain: 421, "unknown.example": 421} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+e.secure.Addr().String(), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s on a connection for a.%s: %d, want %d", host, domain, resp.StatusCode, want)
		}
	}
}

func obtainHTTP(t *testing.T, tools string) {
	obtainBy(t, tools, "http.example", func(a *ACME) { a.NoTLSALPN01 = true })
}

func obtainALPN(t *testing.T, tools string) {
	obtainBy(t, tools, "alpn.example", func(a *ACME) { a.NoHTTP01, a.Email = true, "ops@example.com" })
}

// onDemand: the first client of a name waits for its certificate, others with it, with an account that the authority knew
// before. A name that is not allowed costs the authority nothing.
func onDemand(t *testing.T, tools string) {
	e := listenEdge(t)
	plain, secure := e.ports()
	const secret = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	p := pebbletest.Start(t, tools, pebbletest.Options{HTTP: plain, TLS: secure, Environment: faults, EAB: map[string]string{"kid-1": secret}})
	a := settings(e, p)
	a.EABKey, a.EABSecret = "kid-1", secret
	a.Allow = func(_ context.Context, name string) error {
		if name != "customer.example" {
			return errors.New("no customer of ours")
		}
		return nil
	}
	e.serve(t, Options{Dir: t.TempDir(), ACME: a})
	roots := p.Roots(t)
	if _, err := e.connect(roots, "stranger.example"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("a stranger: %v", err)
	}
	var all sync.WaitGroup
	serials := make([]*big.Int, 8)
	for i := range serials {
		all.Go(func() {
			state, err := e.connect(roots, "customer.example")
			if err != nil {
				t.Errorf("client %d: %v", i, err)
				return
			}
			serials[i] = state.PeerCertificates[0].SerialNumber
		})
	}
	all.Wait()
	for _, s := range serials {
		if s != nil && s.Cmp(serials[0]) != 0 {
			t.Error("more than one certificate for one name")
		}
	}
	if n := strings.Count(p.Said(), "Issued certificate"); n != 1 {
		t.Errorf("%d certificates were issued, want 1", n)
	}
}

// renewal: a certificate is replaced before it ends, and every connection meanwhile gets a good one. Another edge on the
// same storage takes the new one over.
func renewal(t *testing.T, tools string) {
	e, beside := listenEdge(t), listenEdge(t)
	plain, secure := e.ports()
	p := pebbletest.Start(t, tools, pebbletest.Options{HTTP: plain, TLS: secure, Environment: faults, Validity: 40})
	roots, dir := p.Roots(t), t.TempDir()
	a := settings(e, p, "renewed.example")
	a.Check = 6 * time.Second // so it is renewed when less than five times that is left, and has that long for it
	served := make(chan time.Time, 100)
	e.serve(t, Options{Dir: dir, ACME: a, Observe: func(x Event) {
		if x.Err != nil {
			t.Errorf("event: %v", x.Err)
			return
		}
		served <- x.NotAfter
	}})
	first := <-served
	beside.serve(t, Options{Dir: dir, ACME: a})
	if _, err := beside.connect(roots, "renewed.example"); err != nil {
		t.Errorf("the other edge: %v", err)
	}
	for renewed := false; !renewed; {
		select {
		case second := <-served:
			if !second.After(first) || time.Now().After(first) {
				t.Errorf("renewed from %v to %v at %v", first, second, time.Now())
			}
			renewed = true
		case <-time.After(100 * time.Millisecond): // the pace of the clients
		}
		if _, err := e.connect(roots, "renewed.example"); err != nil {
			t.Fatalf("a connection got a bad certificate: %v", err)
		}
	}
	state, err := e.connect(roots, "renewed.example")
	if err != nil {
		t.Fatal(err)
	}
	// The other edge finds it in the storage within a few looks.
	for patience := time.Now().Add(2 * time.Minute); ; {
		other, err := beside.connect(roots, "renewed.example")
		if err == nil && !other.PeerCertificates[0].NotAfter.Before(state.PeerCertificates[0].NotAfter) {
			return
		}
		if err != nil || time.Now().After(patience) {
			t.Fatalf("the other edge: %v", err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// anotherEdge answers the challenges of an order that is not its own: it runs in another process and shares the storage.
func anotherEdge(t *testing.T, tools string) {
	dir := t.TempDir()
	for _, challenge := range []string{"http-01", "tls-alpn-01"} {
		authority := pebbletest.FreePort(t) // the process has to know it, and it the process's ports
		other := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		other.Env = append(os.Environ(), "CERTS_EDGE_DIR="+dir, fmt.Sprintf("CERTS_EDGE_CA=https://127.0.0.1:%d/dir", authority))
		in, err := other.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := other.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := other.Start(); err != nil {
			t.Fatal(err)
		}
		var plain, secure int
		if _, err := fmt.Fscan(out, &plain, &secure); err != nil {
			t.Fatal(err)
		}
		p := pebbletest.Start(t, tools, pebbletest.Options{Port: authority, HTTP: plain, TLS: secure, Environment: faults})
		e := listenEdge(t)
		a := settings(e, p, challenge+".example")
		a.HTTPPort, a.TLSPort = plain, secure // the other one's: this edge hears nothing of the challenge
		a.NoHTTP01, a.NoTLSALPN01 = challenge != "http-01", challenge != "tls-alpn-01"
		e.serve(t, Options{Dir: dir, ACME: a})
		if _, err := e.connect(p.Roots(t), challenge+".example"); err != nil {
			t.Errorf("%s: %v", challenge, err)
		}
		in.Close()
		if err := other.Wait(); err != nil {
			t.Errorf("the other edge: %v", err)
		}
	}
}

// stapled: the OCSP response of the authority's responder comes with the handshake.
func stapled(t *testing.T, tools string) {
	var mu sync.Mutex
	var issuer *x509.Certificate
	var key crypto.Signer
	responder := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		q, err := ocsp.ParseRequest(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		now := time.Now()
		answer, err := ocsp.CreateResponse(issuer, issuer, ocsp.Response{
			Status: ocsp.Good, SerialNumber: q.SerialNumber, ThisUpdate: now.Add(-time.Minute), NextUpdate: now.Add(24 * time.Hour), IssuerHash: crypto.SHA1,
		}, key)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Write(answer)
	}))
	t.Cleanup(responder.Close)
	e := listenEdge(t)
	plain, secure := e.ports()
	p := pebbletest.Start(t, tools, pebbletest.Options{HTTP: plain, TLS: secure, Environment: append(slices.Clone(faults), "PEBBLE_CHAIN_LENGTH=1"), OCSP: responder.URL, RSA: true})
	mu.Lock()
	issuer, key = authorityOf(t, p)
	mu.Unlock()
	e.serve(t, Options{Dir: t.TempDir(), ACME: settings(e, p, "stapled.example")})
	state, err := e.connect(p.Roots(t), "stapled.example")
	if err != nil {
		t.Fatal(err)
	}
	resp, err := ocsp.ParseResponseForCert(state.OCSPResponse, state.PeerCertificates[0], issuer)
	if err != nil || resp.Status != ocsp.Good {
		t.Errorf("%d bytes stapled: %v", len(state.OCSPResponse), err)
	}
}

func authorityOf(t *testing.T, p *pebbletest.Pebble) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	block, _ := pem.Decode(p.Get(t, "/intermediates/0"))
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	block, _ = pem.Decode(p.Get(t, "/intermediate-keys/0"))
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// blocked: one name that cannot be had takes nothing from the others, and is told.
func blocked(t *testing.T, tools string) {
	e := listenEdge(t)
	plain, secure := e.ports()
	p := pebbletest.Start(t, tools, pebbletest.Options{HTTP: plain, TLS: secure, Environment: faults})
	var told events
	e.serve(t, Options{Dir: t.TempDir(), ACME: settings(e, p, "blocked.example", "good.example"), Observe: told.observe})
	roots := p.Roots(t)
	if _, err := e.connect(roots, "good.example"); err != nil {
		t.Error(err)
	}
	if _, err := e.connect(roots, "blocked.example"); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("blocked: %v", err)
	}
	failed := false
	for _, x := range told.take() {
		failed = failed || x.Name == "blocked.example" && x.Err != nil && strings.Contains(x.Err.Error(), "rejectedIdentifier")
	}
	if !failed {
		t.Error("nobody is told why")
	}
}
