package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"semper"
	"semper/api"
)

// gated is an app whose releases answer copies in beta before anybody gets them, and run there for a while before production has them.
func gated(t *testing.T, version, orders string) string {
	t.Helper()
	dir := app(t, version, "", `deploy:
  judge: { interval: 200ms }
  steps: [{ shadow: 100%, for: 1s, requests: 100 }]
environments:
  beta:
    scale: { web: 1 }
    gates: [{ shadow: true }]
  production:
    scale: { web: 1 }
    hosts: { "*": shop.example.com }
    gates: [{ soak: 4s }]`)
	path := filepath.Join(dir, "semper.yaml")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, strings.Replace(string(b), "env: { ", fmt.Sprintf("env: { ORDERS: %q, ", orders), 1), 0o644)
	return dir
}

// shopOf is the release that production serves to its customers; empty for none.
func (s *server) shopOf() string {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.http+"/", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Host = "shop.example.com"
	resp, err := s.web.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.Header.Get("X-Semper-Release")
}

// customers has production's shop asked for orders until the returned function is called, which is what failed.
func (s *server) customers() (stop func() []string) {
	end, ended := make(chan struct{}), make(chan []string)
	go func() {
		c := http.Client{Timeout: time.Minute, Transport: &http.Transport{}}
		defer c.CloseIdleConnections()
		var failed []string
		for i := 0; ; i++ {
			select {
			case <-end:
				ended <- failed
				return
			default:
			}
			req, err := http.NewRequest(http.MethodGet, fmt.Sprintf("http://%s/orders/%d", s.http, i), nil) //nolint:noctx // bounded by the client
			if err != nil {
				panic(err)
			}
			req.Host = "shop.example.com"
			resp, err := c.Do(req)
			if err != nil {
				failed = append(failed, err.Error())
				continue
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			if resp.StatusCode != http.StatusOK {
				failed = append(failed, resp.Status)
			}
		}
	}()
	return func() []string { close(end); return <-ended }
}

// TestWhatCopiesShowAndTimeAreGates: a release whose answers differ ends at the environment where copies were sent to it, and one that
// answers alike comes to production once it has run there for its time. Both leave signed statements, without which production refuses it.
func TestWhatCopiesShowAndTimeAreGates(t *testing.T) {
	t.Parallel()
	s := start(t)
	first := gated(t, "one", "")
	s.must("deploy", "-f", first, "-e", "beta", "--hotfix", "the first of all")
	s.must("deploy", "-f", first, "--hotfix", "the first of all")
	stop, gone := s.orders(4), s.customers()
	r := s.cli("pipeline", "run", "-f", gated(t, "two", "next"))
	wants(t, r, 1, "beta", "differ")
	wants(t, s.cli("deploy", "-f", gated(t, "two", "next")), 4, "production refuses r2", "beta/shadow")
	if rel := s.shopOf(); rel != "r1" {
		t.Errorf("production has %s", rel)
	}

	begun := time.Now()
	s.must("pipeline", "run", "-f", gated(t, "three", ""))
	of, _ := stop()
	if failed := gone(); len(failed) > 0 {
		t.Errorf("%d requests of production's customers failed: %s", len(failed), failed[0])
	}
	if of["r2"] > 0 || of["r3"] == 0 {
		t.Errorf("beta's users got answers of %v", of)
	}
	if rel := s.shopOf(); rel != "r3" {
		t.Errorf("production has %s", rel)
	}
	run := s.runs()[0]
	live := run.Stages[0].LiveAt
	if run.Release != "r3" || run.State != "passed" || live.Before(begun) || run.Stages[1].LiveAt.Sub(live) < 4*time.Second {
		t.Errorf("%s of %s, live in beta at %s", run.State, run.Release, live)
	}
	statements := printed[[]api.Attestation](s, "release", "attestations", "r3", "-a", "bar")
	kinds := make(map[semper.GateKind]string)
	for _, st := range statements {
		kinds[st.Kind] = st.Invalid + st.Why
	}
	if len(statements) != 2 || kinds[semper.GateShadow] != "1 of 1 steps of shadow by verdict" || !strings.HasSuffix(kinds[semper.GateSoak], "s in beta") {
		t.Errorf("the statements of r3: %v", kinds)
	}
}
