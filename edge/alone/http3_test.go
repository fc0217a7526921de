package alone

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"
)

// h3Client speaks HTTP/3 to whoever has a certificate of ca, over connections of its own.
func h3Client(t *testing.T, ca *authority) (*http.Client, *http3.Transport) {
	tr := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool(), ServerName: "shop.test"}}
	t.Cleanup(func() { tr.Close() })
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}, tr
}

const h3Routes = `
listeners:
  - {https: "127.0.0.1:0", http3: true}
certificates:
  - {cert: CA/shop.pem, key: CA/shop.key}
  - {cert: CA/other.pem, key: CA/other.key}
log: {access: DIR/access.log}
pools: {app: %s}
routes: [{host: shop.test, to: app}]
`

func h3Rig(t *testing.T, to string) (*rig, *authority, string) {
	ca := newAuthority(t)
	ca.server("shop", "shop.test")
	ca.server("other", "other.test")
	r := launch(t, strings.ReplaceAll(fmt.Sprintf(h3Routes, to), "CA", ca.dir))
	at := r.ready()
	if at["http3"][0] != at["https"][0] {
		t.Fatalf("HTTP/3 at another port: %v", at)
	}
	return r, ca, at["https"][0]
}

// request3 is a request for a host of the edge at addr.
func request3(t *testing.T, method, addr, host, path string, body io.Reader) *http.Request {
	q, err := http.NewRequestWithContext(t.Context(), method, "https://"+addr+path, body)
	if err != nil {
		t.Fatal(err)
	}
	q.Host = host
	return q
}

// TestHTTP3 is offered in answers over TCP, and is the same edge: routes, fields, log.
func TestHTTP3(t *testing.T) {
	t.Parallel()
	r, ca, addr := h3Rig(t, app(t, "app"))
	_, port, _ := strings.Cut(addr, ":")
	for _, h2 := range []bool{false, true} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool(), ServerName: "shop.test"}, ForceAttemptHTTP2: h2}
		for _, path := range []string{"/", "/nothing"} {
			resp, err := tr.RoundTrip(request3(t, http.MethodGet, addr, "shop.test", path, nil))
			if err != nil {
				t.Fatal(err)
			}
			readAll(t, resp)
			if got := resp.Header.Values("Alt-Svc"); len(got) != 1 || got[0] != `h3=":`+port+`"; ma=86400` {
				t.Errorf("over %s Alt-Svc is %q", resp.Proto, got)
			}
		}
		tr.CloseIdleConnections()
	}
	c, _ := h3Client(t, ca)
	resp, err := c.Do(request3(t, http.MethodGet, addr, "shop.test", "/a?b", nil))
	if err != nil {
		t.Fatal(err)
	}
	if body := readAll(t, resp); resp.ProtoMajor != 3 || body != "app /a?b" || resp.Header.Get("X-Saw") != "127.0.0.1 https shop.test" {
		t.Errorf("%s %q %v", resp.Proto, body, resp.Header)
	}
	for host, want := range map[string]int{"unknown.test": 421, "other.test": 421} {
		resp, err := c.Do(request3(t, http.MethodGet, addr, host, "/", nil))
		if err != nil {
			t.Fatal(err)
		}
		if readAll(t, resp); resp.StatusCode != want {
			t.Errorf("%s: %s", host, resp.Status)
		}
	}
	eventually(t, func() bool {
		b, err := os.ReadFile(filepath.Join(r.dir, "access.log"))
		return err == nil && strings.Contains(string(b), `"HTTP/3.0"`)
	})
	r.signal(syscall.SIGTERM)
	if code := r.ends(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}

// TestHTTP3SurvivesUpgrades: what is under way ends where it began, on the connection it has; who comes anew gets the process
// that came last. Nothing fails, however often.
func TestHTTP3SurvivesUpgrades(t *testing.T) {
	t.Parallel()
	came, goOn := make(chan struct{}, 10), make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "so far\n")
		if r.URL.Path == "/slow" {
			http.NewResponseController(w).Flush()
			came <- struct{}{}
			<-goOn
			io.WriteString(w, strings.Repeat("x", 1<<20))
		}
	}))
	t.Cleanup(s.Close)
	r, ca, addr := h3Rig(t, s.Listener.Addr().String())
	slow := make(chan string, 10)
	begin := func() {
		c, _ := h3Client(t, ca)
		resp, err := c.Do(request3(t, http.MethodGet, addr, "shop.test", "/slow", nil))
		if err != nil {
			t.Error(err)
			slow <- ""
			return
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Error(err)
		}
		slow <- string(b)
	}
	go begin()
	<-came
	stop := make(chan struct{})
	var served, failed atomic.Int64
	var wg sync.WaitGroup
	for i := range 3 {
		c, tr := h3Client(t, ca)
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				resp, err := c.Do(request3(t, http.MethodGet, addr, "shop.test", "/", nil).WithContext(context.Background()))
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
					resp.Body.Close()
				}
				if err != nil || resp.StatusCode != http.StatusOK {
					failed.Add(1)
					t.Logf("failed: %v", err)
				} else {
					served.Add(1)
				}
				if i > 0 { // a new connection each time
					tr.CloseIdleConnections()
				}
			}
		})
	}
	const upgrades = 3
	for range upgrades {
		before := served.Load()
		r.signal(syscall.SIGUSR2)
		if again := r.ready(); again["http3"][0] != addr {
			t.Fatalf("an upgrade moved from %s to %v", addr, again)
		}
		go begin()
		<-came
		eventually(t, func() bool { return served.Load() >= before+100 || failed.Load() > 0 })
	}
	close(stop)
	wg.Wait()
	close(goOn)
	for range upgrades + 1 {
		if got := <-slow; len(got) != len("so far\n")+1<<20 {
			t.Errorf("what was under way got %d bytes", len(got))
		}
	}
	if failed.Load() > 0 {
		t.Errorf("%d of %d requests failed", failed.Load(), served.Load())
	}
	if code := r.ends(); code != 0 {
		t.Errorf("the first process ended with %d", code)
	}
	r.signal(syscall.SIGTERM)
	<-r.reads
}
