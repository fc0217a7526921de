package e2e_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	grpcstatus "google.golang.org/grpc/status"
)

// shop is an app of which the edge does more than pass requests on; routes are added to those that both releases have.
func shop(t *testing.T, version, defaults, routes string) string {
	t.Helper()
	dir := app(t, version, "", "")
	write(t, filepath.Join(dir, "semper.yaml"), `version: 1
app: bar
warm: 1m
drain: { request: 5s, stream: 1s, websocket: 1s }
services:
  web: { command: ./app, instances: 2, health: { path: /, grace: 45s }, slow_start: 1s, outlier: { consecutive: 5 } }
  rpc: { command: ./rpc, instances: 2, protocol: h2c, stop: { timeout: 5s } }
defaults:
`+defaults+`
  error_pages: { 429: slowly.html }
routes:
  - { to: web }
  - { path: /limited, to: web, rewrite: { prefix: / }, rate_limit: { requests: 3, period: 1h, by: header:X-User } }
  - { host: bar.localhost, path: /grpc.health.v1.Health, to: rpc, timeouts: { response: 30s } }
`+routes, 0o644)
	write(t, filepath.Join(dir, "slowly.html"), "<p>slowly</p>\n", 0o644)
	if err := os.Link(built.rpc, filepath.Join(dir, "rpc")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// ask is one request, of which redirects are not followed.
func (s *server) ask(path, user string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.http+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("X-User", user)
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	return resp, resp.Body.Close()
}

// calls are made in a closed loop by gRPC's own client until the returned function is called, which reports failures.
func (s *server) calls(addr string) (releases *sync.Map, stop func() (int64, []string)) {
	cc, err := grpc.NewClient("passthrough:///"+addr, grpc.WithAuthority("bar.localhost"),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, ServerName: "bar.localhost"}))) //nolint:gosec // who answers is not in question
	if err != nil {
		s.t.Fatal(err)
	}
	var count atomic.Int64
	var bad []string
	releases = &sync.Map{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { // ends with the returned function
		defer close(done)
		health := grpc_health_v1.NewHealthClient(cc)
		for i := 0; ctx.Err() == nil; i++ {
			name, want := "orders", codes.OK
			if i%2 == 1 {
				name, want = "nothing", codes.NotFound // told by trailers alone
			}
			one, end := context.WithTimeout(context.Background(), time.Minute)
			var head metadata.MD
			_, err := health.Check(one, &grpc_health_v1.HealthCheckRequest{Service: name}, grpc.Header(&head))
			end()
			if got := grpcstatus.Code(err); got != want {
				bad = append(bad, fmt.Sprintf("%s: %v", name, err))
			}
			for _, r := range head["x-semper-release"] {
				releases.Store(r, true)
			}
			count.Add(1)
		}
	}()
	return releases, func() (int64, []string) {
		cancel()
		<-done
		if err := cc.Close(); err != nil {
			s.t.Error(err)
		}
		return count.Load(), bad
	}
}

// TestPoliciesChangeWithTheRelease: what semper.yaml says of routes holds at the edge, changes with a cutover under load without
// a failed request, and goes back with a rollback.
func TestPoliciesChangeWithTheRelease(t *testing.T) {
	t.Parallel()
	https := freeAddr(t)
	s := start(t, "--https", https)
	one := shop(t, "one", "  headers: { response: { set: { X-Shop: one } } }", `  - { path: /old, redirect: "/new{rest}" }`+"\n")
	two := shop(t, "two", "  headers: { response: { set: { X-Shop: two } } }\n  compress: on", "  - { path: /old, respond: 410 }\n  - { to: web, path: /old, methods: [POST] }\n")
	s.must("deploy", "-f", one)
	expect := func(path, user string, status int, shop string) *http.Response {
		t.Helper()
		resp, err := s.ask(path, user)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != status || resp.Header.Get("X-Shop") != shop {
			t.Errorf("%s: %s from %q, want %d from %q", path, resp.Status, resp.Header.Get("X-Shop"), status, shop)
		}
		return resp
	}
	for range 3 {
		expect("/limited", "a", 200, "one")
	}
	if resp := expect("/limited", "a", 429, "one"); resp.Header.Get("Content-Type") != "text/html; charset=utf-8" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%v", resp.Header)
	}
	expect("/limited", "b", 200, "one")
	if resp := expect("/old/x", "", 308, "one"); resp.Header.Get("Location") != "/new/x" {
		t.Errorf("%v", resp.Header)
	}

	stop := s.load(4)
	releases, stopCalls := s.calls(https)
	if plan := s.must("plan", "-f", two); !strings.Contains(plan, "X-Shop") {
		t.Errorf("the plan does not show what changes:\n%s", plan)
	}
	s.must("deploy", "-f", two)
	expect("/limited", "a", 429, "two") // what both have keeps its counts
	expect("/old/x", "", 410, "two")
	expect("/", "", 200, "two")
	s.must("rollback", "-y")
	expect("/old/x", "", 308, "one")
	expect("/limited", "a", 429, "one")
	s.must("deploy", "-f", two)
	none(t, "two deploys and a rollback that change policies", stop)
	none(t, "the same by gRPC", stopCalls)
	for _, r := range []string{"r1", "r2"} {
		if _, ok := releases.Load(r); !ok {
			t.Errorf("no call was answered by %s", r)
		}
	}
	for rel, c := range s.status().Ledger {
		if c.EdgeErrors+c.Cut+c.Shed+c.AppErrors > 0 {
			t.Errorf("ledger of %s: %+v", rel, c)
		}
	}
}

// TestARouteThatCannotBe: what is wrong is told before anything is sent.
func TestARouteThatCannotBe(t *testing.T) {
	t.Parallel()
	s := start(t)
	r := s.cli("deploy", "-f", shop(t, "one", "  timeouts: { respons: 1s }", ""))
	if r.code != 65 || !strings.Contains(r.err, `unknown key "respons": did you mean "response"?`) {
		t.Errorf("exit %d: %s", r.code, r.err)
	}
}

// TestTheServersFlags: how the server's edge takes connections, seen by who the client is.
func TestTheServersFlags(t *testing.T) {
	t.Parallel()
	s := start(t, "--driver", "goroutine", "--h2c", "--trusted", "127.0.0.0/8", "--proxy-protocol", "--access-log", "combined")
	s.must("deploy", "-f", app(t, "one", "", ""))
	ask := func(begin string) string {
		t.Helper()
		c, err := net.Dial("tcp", s.http)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, begin+"GET /env HTTP/1.1\r\nHost: bar\r\nConnection: close\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(c)
		if err != nil {
			return err.Error()
		}
		return string(b)
	}
	if got := ask("PROXY TCP4 203.0.113.9 192.0.2.1 5000 80\r\n"); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
		t.Errorf("with a header: %.100q", got)
	}
	if got := ask(""); strings.Contains(got, "HTTP/1.1 200") {
		t.Errorf("without a header: %.100q", got)
	}
	eventually(t, "a line of the client that the header names", func() bool {
		b, err := os.ReadFile(filepath.Join(s.dir, "logs", "access.log"))
		return err == nil && strings.HasPrefix(string(b), "203.0.113.9 - - [")
	})
	var p http.Protocols
	p.SetUnencryptedHTTP2(true)
	c := http.Client{Transport: &http.Transport{Protocols: &p, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "tcp", s.http)
		if err == nil {
			_, err = io.WriteString(c, "PROXY TCP4 203.0.113.9 192.0.2.1 5000 80\r\n")
		}
		return c, err
	}}}
	defer c.CloseIdleConnections()
	resp, err := c.Get("http://bar/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.Proto != "HTTP/2.0" || resp.StatusCode != 200 {
		t.Errorf("%s %s", resp.Proto, resp.Status)
	}
}
