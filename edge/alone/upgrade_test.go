package alone

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A caller asks again and again in one way, and counts what comes of it. What it sends is not sent again by itself: a request that
// is lost is counted.
type caller struct {
	name           string
	client         *http.Client
	url            string
	proto          int // that the answers have to be in
	served, failed atomic.Int64
}

// callers are one for each way to the edge, with a connection that stays and with one for each request.
func callers(t *testing.T, at map[string][]string) (all []*caller) {
	t.Helper()
	insecure := &tls.Config{InsecureSkipVerify: true}
	h1, h2, h2c := new(http.Protocols), new(http.Protocols), new(http.Protocols)
	h1.SetHTTP1(true)
	h2.SetHTTP2(true)
	h2c.SetUnencryptedHTTP2(true)
	plain, secure := "http://"+at["http"][0]+"/", "https://"+at["https"][0]+"/"
	for _, c := range []struct {
		name      string
		transport http.RoundTripper
		url       string
		proto     int
	}{
		{"h1", &http.Transport{}, plain, 1},
		{"h1, new connections", &http.Transport{DisableKeepAlives: true}, plain, 1},
		{"h2c", &http.Transport{Protocols: h2c}, plain, 2},
		{"unix", overUnix(t, at["unix"][0]).Transport, "http://edge/", 1},
		{"TLS", &http.Transport{Protocols: h1, TLSClientConfig: insecure.Clone()}, secure, 1},
		{"TLS, new connections", &http.Transport{Protocols: h1, TLSClientConfig: insecure.Clone(), DisableKeepAlives: true}, secure, 1},
		{"h2", &http.Transport{Protocols: h2, TLSClientConfig: insecure.Clone()}, secure, 2},
	} {
		all = append(all, &caller{name: c.name, client: &http.Client{Transport: c.transport, Timeout: 30 * time.Second}, url: c.url, proto: c.proto})
	}
	return all
}

// call asks until stop.
func (c *caller) call(t *testing.T, stop <-chan struct{}) {
	defer c.client.CloseIdleConnections()
	for {
		select {
		case <-stop:
			return
		default:
		}
		resp, err := c.client.Post(c.url, "text/plain", strings.NewReader("a body"))
		var b []byte
		if err == nil {
			b, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if err != nil || resp.StatusCode != http.StatusOK || resp.ProtoMajor != c.proto || string(b) != "a /" {
			c.failed.Add(1)
			t.Errorf("%s: %v %v %q", c.name, resp, err, b)
			continue
		}
		c.served.Add(1)
	}
}

// TestUpgradeUnderLoad replaces the process again and again, under load in every protocol: nobody is refused, and nothing fails.
func TestUpgradeUnderLoad(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		r := launch(t, fmt.Sprintf(`
listeners: [{http: "127.0.0.1:0", h2c: true}, {https: "127.0.0.1:0"}, {unix: DIR/edge.sock}]
certificates: [{self_signed: localhost}]
metrics: 127.0.0.1:0
pools: {app: %s}
routes: [{to: app}]
`, app(t, "a")), "-driver", driver)
		at := r.ready()
		stop := make(chan struct{})
		all := callers(t, at)
		var load sync.WaitGroup
		for _, c := range all {
			load.Go(func() { c.call(t, stop) })
		}
		const upgrades = 5
		for n := range upgrades {
			before := make([]int64, len(all))
			for i, c := range all {
				before[i] = c.served.Load()
			}
			r.signal(syscall.SIGUSR2)
			again := r.ready()
			for _, kind := range []string{"http", "https", "unix", "metrics"} {
				if again[kind][0] != at[kind][0] {
					t.Errorf("upgrade %d moved %s from %v to %v", n+1, kind, at[kind], again[kind])
				}
			}
			for i, c := range all { // each goes on
				eventually(t, func() bool { return c.served.Load() >= before[i]+20 || c.failed.Load() > 0 })
			}
		}
		close(stop)
		load.Wait()
		for _, c := range all {
			t.Logf("%s: %d served, %d failed", c.name, c.served.Load(), c.failed.Load())
		}
		if code := r.ends(); code != 0 {
			t.Errorf("the first process ended with %d", code)
		}
		if n := len(r.pids()); n != upgrades+1 {
			t.Errorf("%d processes were ready, not %d", n, upgrades+1)
		}
		r.signal(syscall.SIGTERM)
		<-r.reads
		if _, err := os.Stat(filepath.Join(r.dir, "edge.sock")); err == nil {
			t.Error("the socket's file is still there after the last process")
		}
	})
}

// TestAnUpgradeThatFailsLate leaves the process before as it was, its unix sockets too.
func TestAnUpgradeThatFailsLate(t *testing.T) {
	t.Parallel()
	r := launch(t, fmt.Sprintf("listeners: {unix: DIR/edge.sock}\nlog: DIR/access.log\npools: {app: %s}\nroutes: [{to: app}]\n", app(t, "a")))
	path := r.ready()["unix"][0]
	log := filepath.Join(r.dir, "access.log")
	if err := os.Remove(log); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(log, 0o700); err != nil { // which is found out when the sockets are there already
		t.Fatal(err)
	}
	r.signal(syscall.SIGUSR2)
	r.says("not upgraded: the new process ended: exit status 1")
	wants(t, overUnix(t, path), "http://edge/", "a /")
	r.signal(syscall.SIGTERM)
	if code := r.ends(); code != 0 {
		t.Errorf("exit code %d", code)
	}
}
