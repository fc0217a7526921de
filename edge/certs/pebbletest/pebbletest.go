// Package pebbletest runs pebble, Let's Encrypt's test authority, for tests of whoever wants certificates of one.
package pebbletest

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"semper/internal/reserve"
)

// Tools builds Let's Encrypt's test authority and its name server, from a module of their own, into a directory.
func Tools(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	_, here, _, ok := runtime.Caller(0)
	if !ok {
		t.Fatal("nobody knows where the sources are")
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "tool")
	build.Dir = filepath.Join(filepath.Dir(here), "..", "internal", "pebbletest")
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false -trimpath", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build tool in %s: %v\n%s", build.Dir, err, out)
	}
	return dir
}

// A Pebble is an authority that runs, and what it was told of the world: where challenges are to be answered.
type Pebble struct {
	Directory string         // URL
	Trust     *x509.CertPool // for its own HTTPS
	TrustPEM  []byte         // the same

	management string // URL
	client     *http.Client
	process    *process
}

// Options are the settings that tests differ in.
type Options struct {
	Port        int // of its own; 0 is any
	HTTP, TLS   int // ports of the edge under test
	Environment []string
	Validity    int // seconds; 0 is ninety days
	OCSP        string
	EAB         map[string]string
	RSA         bool // its own keys; those it hands out
}

// Faults are those of pebble: it rejects good nonces, and forgets authorizations that it should reuse.
func Faults() []string {
	return []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=30", "PEBBLE_AUTHZREUSE=0"}
}

// process is a command that ends with the test, however that ends. Its output is shown if the test fails.
type process struct {
	life io.Closer
	mu   sync.Mutex
	out  bytes.Buffer
	done chan struct{}
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.Write(b)
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.out.String()
}

// untilEOF runs a command until its input ends: so it ends with whoever holds the other end, killed or not.
const untilEOF = `exec 3<&0; "$@" & p=$!; (cat <&3; kill -9 $p) >/dev/null 2>&1 & wait $p`

func run(t testing.TB, environment []string, command ...string) *process {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", untilEOF, "sh"}, command...)...)
	cmd.Env = append(os.Environ(), environment...)
	life, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{life: life, done: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = p, p
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.done); cmd.Wait() }() //nolint:errcheck // it is killed
	t.Cleanup(func() {
		p.stop()
		if t.Failed() {
			out := p.text()
			t.Logf("%s: the end of what it said:\n%s", command[0], out[max(0, len(out)-6000):])
		}
	})
	return p
}

func (p *process) stop() {
	p.life.Close()
	<-p.done
}

// FreePort is one that nobody is given who does not ask for it by number, until t ends.
func FreePort(t testing.TB) int {
	t.Helper()
	return reserve.For(t).Number
}

// Start runs an authority until the test ends.
func Start(t testing.TB, tools string, o Options) *Pebble {
	t.Helper()
	for range 3 { // DNS is served over UDP too, where another process may have the port
		if p := try(t, tools, o); p != nil {
			return p
		}
	}
	t.Fatal("pebble does not start")
	return nil
}

func try(t testing.TB, tools string, o Options) *Pebble {
	t.Helper()
	dir := t.TempDir()
	cert, key := identity(t)
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM(cert)
	certFile, keyFile := write(t, dir, "pebble.pem", cert), write(t, dir, "pebble.key", key)
	dns, acmePort, management := FreePort(t), FreePort(t), FreePort(t)
	algorithm := "ecdsa"
	if o.RSA {
		algorithm = "rsa"
	}
	if o.Port != 0 {
		acmePort = o.Port
	}
	profile := map[string]any{"description": "what the tests want"}
	if o.Validity > 0 {
		profile["validityPeriod"] = o.Validity
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": fmt.Sprintf("127.0.0.1:%d", acmePort), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", management),
		"certificate": certFile, "privateKey": keyFile, "httpPort": o.HTTP, "tlsPort": o.TLS, "ocspResponderURL": o.OCSP,
		"externalAccountBindingRequired": o.EAB != nil, "externalAccountMACKeys": o.EAB, "domainBlocklist": []string{"blocked.example"},
		"retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": algorithm, "profiles": map[string]any{"default": profile},
	}})
	if err != nil {
		t.Fatal(err)
	}
	configFile := write(t, dir, "config.json", config)
	names := run(t, nil, filepath.Join(tools, "pebble-challtestsrv"), "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
		"-dnsserver", fmt.Sprintf("127.0.0.1:%d", dns), "-management", fmt.Sprintf("127.0.0.1:%d", FreePort(t)), "-defaultIPv6", "")
	p := &Pebble{
		Directory: fmt.Sprintf("https://127.0.0.1:%d/dir", acmePort), management: fmt.Sprintf("https://127.0.0.1:%d", management),
		Trust: trust, TrustPEM: cert, client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}, DisableKeepAlives: true}},
		process: run(t, append([]string{"PEBBLE_CHAIN_LENGTH=2"}, o.Environment...), filepath.Join(tools, "pebble"), "-strict",
			"-config", configFile, "-dnsserver", fmt.Sprintf("127.0.0.1:%d", dns)),
	}
	if p.answers(t, names) {
		return p
	}
	p.process.stop()
	names.stop()
	return nil
}

// answers waits until it does, or a process has ended.
func (p *Pebble) answers(t testing.TB, names *process) bool {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := p.client.Get(p.Directory); err == nil {
			resp.Body.Close()
			return strings.Contains(names.text(), "Starting")
		}
		select {
		case <-p.process.done:
			return false
		case <-names.done:
			return false
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

// Get is what its management tells at path.
func (p *Pebble) Get(t testing.TB, path string) []byte {
	t.Helper()
	resp, err := p.client.Get(p.management + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return body
}

// Roots are what a client that trusts the authority trusts.
func (p *Pebble) Roots(t testing.TB) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(p.Get(t, "/roots/0")) {
		t.Fatal("no root")
	}
	return pool
}

// Said is all that it said so far.
func (p *Pebble) Said() string { return p.process.text() }

// Stop ends it.
func (p *Pebble) Stop() { p.process.stop() }

// identity is a certificate for 127.0.0.1 that is its own authority, and its key.
func identity(t testing.TB) (cert, private []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
}

// write makes a file and gives its path.
func write(t testing.TB, dir, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
