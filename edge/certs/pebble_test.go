package certs

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// pebbleTools builds Let's Encrypt's test authority and its name server, from the module beside, into a directory.
func pebbleTools(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", dir+"/", "tool")
	build.Dir = filepath.Join("internal", "pebbletest")
	build.Env = append(os.Environ(), "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build tool in %s: %v\n%s", build.Dir, err, out)
	}
	return dir
}

// A pebble is an authority that runs, and what it was told of the world: where challenges are to be answered.
type pebble struct {
	directory  string         // URL
	trust      *x509.CertPool // for its own HTTPS
	management string         // URL
	client     *http.Client
	process    *process
}

// pebbleOptions are the settings that tests differ in.
type pebbleOptions struct {
	port        int // of its own; 0 is any
	http, tls   int // ports of the edge under test
	environment []string
	validity    int // seconds; 0 is ninety days
	ocsp        string
	eab         map[string]string
	rsa         bool // its own keys; those it hands out
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

func run(t *testing.T, environment []string, command ...string) *process {
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

// freePort is one that nobody had a moment ago.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func startPebble(t *testing.T, tools string, o pebbleOptions) *pebble {
	t.Helper()
	for range 3 { // another process may take a free port first
		if p := tryPebble(t, tools, o); p != nil {
			return p
		}
	}
	t.Fatal("pebble does not start")
	return nil
}

func tryPebble(t *testing.T, tools string, o pebbleOptions) *pebble {
	t.Helper()
	own, dir := newCA(t), t.TempDir()
	pair := own.write(t, dir, "pebble", "ecdsa", "127.0.0.1")
	dns, acmePort, management := freePort(t), freePort(t), freePort(t)
	algorithm := "ecdsa"
	if o.rsa {
		algorithm = "rsa"
	}
	if o.port != 0 {
		acmePort = o.port
	}
	profile := map[string]any{"description": "what the tests want"}
	if o.validity > 0 {
		profile["validityPeriod"] = o.validity
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": fmt.Sprintf("127.0.0.1:%d", acmePort), "managementListenAddress": fmt.Sprintf("127.0.0.1:%d", management),
		"certificate": pair.Cert, "privateKey": pair.Key, "httpPort": o.http, "tlsPort": o.tls, "ocspResponderURL": o.ocsp,
		"externalAccountBindingRequired": o.eab != nil, "externalAccountMACKeys": o.eab, "domainBlocklist": []string{"blocked.example"},
		"retryAfter": map[string]int{"authz": 1, "order": 1}, "keyAlgorithm": algorithm, "profiles": map[string]any{"default": profile},
	}})
	if err != nil {
		t.Fatal(err)
	}
	writeText(t, filepath.Join(dir, "config.json"), config)
	names := run(t, nil, filepath.Join(tools, "pebble-challtestsrv"), "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "",
		"-dnsserver", fmt.Sprintf("127.0.0.1:%d", dns), "-management", fmt.Sprintf("127.0.0.1:%d", freePort(t)), "-defaultIPv6", "")
	p := &pebble{
		directory: fmt.Sprintf("https://127.0.0.1:%d/dir", acmePort), management: fmt.Sprintf("https://127.0.0.1:%d", management),
		trust: own.pool, client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: own.pool}, DisableKeepAlives: true}},
		process: run(t, append([]string{"PEBBLE_CHAIN_LENGTH=2"}, o.environment...), filepath.Join(tools, "pebble"), "-strict",
			"-config", filepath.Join(dir, "config.json"), "-dnsserver", fmt.Sprintf("127.0.0.1:%d", dns)),
	}
	if p.answers(t, names) {
		return p
	}
	p.process.stop()
	names.stop()
	return nil
}

// answers waits until it does, or a process has ended.
func (p *pebble) answers(t *testing.T, names *process) bool {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if resp, err := p.client.Get(p.directory); err == nil {
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

func (p *pebble) get(t *testing.T, path string) []byte {
	t.Helper()
	resp, err := p.client.Get(p.management + path)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("%s: %s, %v", path, resp.Status, err)
	}
	return body
}

// roots are what a client that trusts the authority trusts.
func (p *pebble) roots(t *testing.T) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(p.get(t, "/roots/0")) {
		t.Fatal("no root")
	}
	return pool
}

// An edge here is the two listeners of one, with a Manager behind as soon as there is one.
type edge struct {
	plain, secure net.Listener
	servers       sync.WaitGroup
}

func (e *edge) ports() (plain, secure int) {
	return e.plain.Addr().(*net.TCPAddr).Port, e.secure.Addr().(*net.TCPAddr).Port
}

// listen opens both.
func listen() (*edge, error) {
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		plain.Close()
		return nil, err
	}
	return &edge{plain: plain, secure: secure}, nil
}

func listenEdge(t testing.TB) *edge {
	t.Helper()
	e, err := listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.plain.Close(); e.secure.Close() })
	return e
}

// begin answers both listeners by m, until end.
func (e *edge) begin(m *Manager) (end func()) {
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil && !m.SameCertificate(*r.TLS, r.Host) {
			w.WriteHeader(http.StatusMisdirectedRequest)
		}
	})
	quiet := log.New(io.Discard, "", 0) // what goes wrong is seen by the client
	plain, secure := &http.Server{Handler: m.HTTPHandler(app), ErrorLog: quiet}, &http.Server{Handler: app, TLSConfig: m.TLSConfig(), ErrorLog: quiet}
	e.servers.Go(func() { plain.Serve(e.plain) })
	e.servers.Go(func() { secure.ServeTLS(e.secure, "", "") })
	return func() {
		m.Close()
		plain.Close()
		secure.Close()
		e.servers.Wait()
	}
}

// serve begins with a Manager made of o, until the test ends.
func (e *edge) serve(t testing.TB, o Options) *Manager {
	t.Helper()
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.begin(m))
	return m
}

// connect makes one handshake with the edge, as a client that trusts roots.
func (e *edge) connect(roots *x509.CertPool, name string) (tls.ConnectionState, error) {
	d := &tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: name, NextProtos: []string{"h2", "http/1.1"}}}
	c, err := d.Dial("tcp", e.secure.Addr().String())
	if err != nil {
		return tls.ConnectionState{}, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState(), nil
}

// edgeProcess is where TestMain goes when it is to be an edge of its own, for challenges that another process ordered. It
// says its ports and serves until its input ends.
func edgeProcess(dir, directory string) error {
	e, err := listen()
	if err != nil {
		return err
	}
	m, err := New(Options{Dir: dir, ACME: &ACME{
		CA: directory, Agreed: true, Allow: func(context.Context, string) error { return os.ErrPermission },
	}})
	if err != nil {
		return err
	}
	defer e.begin(m)()
	plain, secure := e.ports()
	fmt.Println(plain, secure)
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}
