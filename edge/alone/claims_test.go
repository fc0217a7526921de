package alone

import (
	"errors"
	"fmt"
	"io"
	"net"
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
)

// A laden upstream answers when it is told to, and counts how many it has in hand at most.
type laden struct {
	*httptest.Server
	go1       chan struct{} // a value lets one request go; closed: all
	now, most atomic.Int64
}

func newLaden(t *testing.T) *laden {
	l := &laden{go1: make(chan struct{})}
	l.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := l.now.Add(1)
		defer l.now.Add(-1)
		for most := l.most.Load(); n > most && !l.most.CompareAndSwap(most, n); most = l.most.Load() {
		}
		select {
		case <-l.go1:
			io.WriteString(w, "served")
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(l.Close)
	return l
}

// TestClaimsOfLoad: an upstream has as many requests in hand as it may, as many wait as may, and who comes then is turned away.
func TestClaimsOfLoad(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		l := newLaden(t)
		r := launch(t, fmt.Sprintf(`
listeners: 127.0.0.1:0
pools: {app: %s}
routes:
  - {to: app, max_in_flight: 4, queue: {length: 2, deadline: 30s}}
  - {path: /later, to: app, max_in_flight: 4, queue: {length: 2, deadline: 30s}, class: background}
  - {path: /hasty, to: app, max_in_flight: 4, queue: off}
`, l.Listener.Addr()), "-driver", driver)
		at := r.ready()["http"][0]
		c := client(t)
		answers := make(chan int, 16)
		var asked sync.WaitGroup
		ask := func(path string) {
			asked.Go(func() {
				resp, err := c.Get("http://" + at + path)
				if err != nil {
					answers <- 0
					return
				}
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				answers <- resp.StatusCode
			})
		}
		for n := range 4 {
			ask("/")
			eventually(t, func() bool { return l.now.Load() == int64(n+1) })
		}
		status, _, h := get(t, c, "http://"+at+"/hasty")
		if status != http.StatusServiceUnavailable || h.Get("Retry-After") == "" {
			t.Errorf("no one may wait: %d %v", status, h)
		}
		for range 4 { // two wait, two are turned away
			ask("/")
		}
		for range 2 {
			if got := <-answers; got != http.StatusServiceUnavailable {
				t.Errorf("one too many: %d", got)
			}
		}
		close(l.go1)
		for range 6 {
			if got := <-answers; got != http.StatusOK {
				t.Errorf("one that was let in: %d", got)
			}
		}
		asked.Wait()
		if most := l.most.Load(); most != 4 {
			t.Errorf("the upstream had %d in hand, not 4", most)
		}
		wants(t, c, "http://"+at+"/later/x", "served")
	})
}

// TestClaimsOfUpstreams: those that fail are left out, unless too many would be. How slowly one begins that comes back is tested in
// package balance, where time is virtual.
func TestClaimsOfUpstreams(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		var broken, ill atomic.Bool
		ill.Store(true)
		flaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-App", "flaky")
			if broken.Load() || r.URL.Path == "/healthz" && ill.Load() {
				w.WriteHeader(http.StatusInternalServerError)
			}
		}))
		t.Cleanup(flaky.Close)
		well := echo(t, "well")
		const health = "health: {path: /healthz, interval: 50ms, timeout: 50ms, rise: 1, fall: 1}"
		r := launch(t, strings.ReplaceAll(fmt.Sprintf(`
listeners: 127.0.0.1:0
pools:
  outlier: {upstreams: [FLAKY, %[1]s], outlier: {consecutive: 3, status_5xx: true, base: 1h, max: 1h, max_ejected: 50}, panic_threshold: 0}
  panic: {upstreams: FLAKY, %[2]s, panic_threshold: 50}
  alone: {upstreams: FLAKY, %[2]s, panic_threshold: 0}
  slow: {upstreams: [FLAKY, %[1]s], %[2]s, slow_start: 1h, panic_threshold: 0}
routes:
  - {path: /outlier, to: outlier, balance: round-robin, retry: off}
  - {path: /panic, to: panic}
  - {path: /alone, to: alone, queue: off}
  - {path: /slow, to: slow}
`, well, health), "FLAKY", flaky.Listener.Addr().String()), "-driver", driver)
		at := "http://" + r.ready()["http"][0]
		c := client(t)
		who := func(n int, path string) map[string]int {
			seen := map[string]int{}
			for range n {
				_, _, h := get(t, c, at+path)
				seen[h.Get("X-App")]++
			}
			return seen
		}
		eventually(t, func() bool { return who(10, "/slow")["flaky"] == 0 })
		if got := who(10, "/panic"); got["flaky"] != 10 {
			t.Errorf("below the panic threshold nobody is asked whether he is well: %v", got)
		}
		ill.Store(false)
		eventually(t, func() bool { return who(1, "/alone")["flaky"] == 1 }) // it is known to be back
		eventually(t, func() bool { return who(10, "/slow")["flaky"] > 0 })
		if got := who(20, "/outlier"); got["flaky"] != 10 {
			t.Errorf("in turns: %v", got)
		}
		broken.Store(true)
		if got := who(20, "/outlier"); got["flaky"] != 3 {
			t.Errorf("after three failures in a row it was asked all the same: %v", got)
		}
	})
}

// TestClaimsOfTries: what was sent is sent again only where that is safe, and then to another upstream.
func TestClaimsOfTries(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		var posts, gets atomic.Int64
		hangsUp := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.Copy(io.Discard, r.Body)
			if r.Method == http.MethodPost {
				posts.Add(1)
			} else {
				gets.Add(1)
			}
			panic(http.ErrAbortHandler)
		}))
		t.Cleanup(hangsUp.Close)
		r := launch(t, fmt.Sprintf(`
listeners: 127.0.0.1:0
pools:
  both: {upstreams: [%[1]s, %[2]s], outlier: {consecutive: off}}
  dead: {upstreams: ["127.0.0.1:1", %[2]s], outlier: {consecutive: off}}
routes:
  - {to: both, balance: round-robin, retry: {tries: 2, floor: 1000}}
  - {path: /dead, to: dead, balance: round-robin, retry: {tries: 2, floor: 1000}}
`, hangsUp.Listener.Addr(), echo(t, "well")), "-driver", driver)
		at := "http://" + r.ready()["http"][0]
		c := client(t)
		for range 10 {
			if status, body, _ := get(t, c, at+"/"); status != http.StatusOK || !strings.HasPrefix(body, "well GET") {
				t.Errorf("GET: %d %q", status, body)
			}
		}
		failed := int64(0)
		for _, path := range []string{"/", "/dead"} { // where nothing was sent it is safe for all
			for range 10 {
				resp, err := c.Post(at+path, "text/plain", strings.NewReader("pay"))
				if err != nil {
					t.Fatal(err)
				}
				readAll(t, resp)
				if resp.StatusCode != http.StatusOK {
					failed++
				}
				if path == "/dead" && resp.StatusCode != http.StatusOK {
					t.Errorf("POST of which nothing was sent: %s", resp.Status)
				}
			}
		}
		if posts.Load() != 5 || failed != 5 {
			t.Errorf("the upstream that hangs up got %d of 10 POSTs in turns, and %d failed", posts.Load(), failed)
		}
		if gets.Load() == 0 {
			t.Error("the upstream that hangs up was asked for nothing")
		}
	})
}

// TestClaimsOfContent: files, coding, and whose errors are whose.
func TestClaimsOfContent(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		text := strings.Repeat("the same again and again ", 400)
		plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			switch r.URL.Path {
			case "/keep":
				w.Header().Set("Cache-Control", "no-transform")
			case "/missing":
				w.WriteHeader(http.StatusNotFound)
			}
			io.WriteString(w, text)
		}))
		t.Cleanup(plain.Close)
		www, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
		for name, text := range map[string]string{"app.js": "plain", "app.js.gz": "zipped", ".env": "secret", ".well-known/x": "known", "404.html": "ours"} {
			writeFile(t, filepath.Join(www, name), text)
		}
		writeFile(t, outside, "secret")
		if err := os.Symlink(outside, filepath.Join(www, "link")); err != nil {
			t.Fatal(err)
		}
		r := launch(t, strings.ReplaceAll(fmt.Sprintf(`
listeners: 127.0.0.1:0
pools: {app: %s}
routes:
  - {to: app, error_pages: {404: WWW/404.html}}
  - {path: /zip, to: app, compress: on, rewrite: {strip: true}}
  - {path: /www, files: WWW, rewrite: {strip: true}, error_pages: {404: WWW/404.html}}
  - {path: /key, respond: 204, rate_limit: {requests: 1, period: 1h, by: "header:X-Api-Key"}}
`, plain.Listener.Addr()), "WWW", www), "-driver", driver)
		at := r.ready()["http"][0]
		zips, one, two := map[string]string{"Accept-Encoding": "gzip"}, map[string]string{"X-Api-Key": "1"}, map[string]string{"X-Api-Key": "2"}
		askAll(t, at, []question{
			{url: "http://h/zip/", header: zips, status: 200, fields: map[string]string{"Content-Encoding": "gzip"}},
			{url: "http://h/zip/keep", header: zips, status: 200, has: text, fields: map[string]string{"Content-Encoding": ""}},
			{url: "http://h/", header: zips, status: 200, has: text, fields: map[string]string{"Content-Encoding": ""}},
			{url: "http://h/missing", status: 404, has: text},
			{url: "http://h/www/nothing", status: 404, has: "ours"},
			{url: "http://h/www/.env", status: 404},
			{url: "http://h/www/.well-known/x", status: 200, has: "known"},
			{url: "http://h/www/link", status: 404},
			{url: "http://h/www/app.js", header: zips, status: 200, has: "zipped", fields: map[string]string{"Content-Encoding": "gzip"}},
			{url: "http://h/www/app.js", header: map[string]string{"Accept-Encoding": "identity"}, status: 200, has: "plain", fields: map[string]string{"Content-Encoding": ""}},
			{url: "http://h/key", header: one, status: 204}, {url: "http://h/key", header: one, status: 429}, {url: "http://h/key", header: two, status: 204},
		})
	})
}

// TestClaimsOfProgress: an upload that goes on is no fault, one that stops is.
func TestClaimsOfProgress(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		r := launch(t, fmt.Sprintf(`
listeners: {http: 127.0.0.1:0, head_timeout: 2s}
pools: {app: %s}
routes: [{to: app, timeouts: {body: 3s, min_rate: off}, retry: off}]
`, echo(t, "app")), "-driver", driver)
		at := r.ready()["http"][0]
		says := func(parts ...string) string {
			c, err := net.Dial("tcp", at)
			if err != nil {
				return err.Error()
			}
			defer c.Close()
			tick := time.NewTicker(time.Second)
			defer tick.Stop()
			for i, part := range parts {
				if i > 0 {
					<-tick.C // the pace of a slow client: more in all than may be between two
				}
				if _, err := io.WriteString(c, part); err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
					return err.Error()
				}
			}
			c.SetReadDeadline(time.Now().Add(20 * time.Second))
			b := make([]byte, len("HTTP/1.1 200"))
			if _, err := io.ReadFull(c, b); err != nil {
				return err.Error()
			}
			return string(b)
		}
		const head = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
		var clients sync.WaitGroup
		for _, tc := range []struct {
			what, want string
			parts      []string
		}{
			{"a slow upload", "HTTP/1.1 200", []string{head + "1", "2", "3", "4", "5"}},
			{"an upload that stops", "HTTP/1.1 408", []string{head + "1"}},
			{"a head that stops", "HTTP/1.1 408", []string{"GET / HTTP/1.1\r\nHos"}},
		} {
			clients.Go(func() {
				if got := says(tc.parts...); got != tc.want {
					t.Errorf("%s: %q", tc.what, got)
				}
			})
		}
		clients.Wait()
	})
}

// TestClaimsOfSticking: a client stays with its release while shares change, and over a change of keys.
func TestClaimsOfSticking(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		const file = `
listeners: 127.0.0.1:0
%s
pools: {blue: [%s, %s], green: %s}
routes: [{split: {blue: %d, green: %d}, sticky: {cookie: version, by: release, age: 1h, same_site: strict}}]
`
		b1, b2, green := echo(t, "blue"), echo(t, "blue"), echo(t, "green")
		keys := "sticky_keys: {current: one.key}"
		r := launch(t, fmt.Sprintf(file, "", b1, b2, green, 100, 0), "-driver", driver)
		r.write("one.key", strings.Repeat("1", 32))
		r.write("two.key", strings.Repeat("2", 32))
		at := r.ready()["http"][0]
		change := func(keys string, blue, green2 int) {
			r.write("edge.yaml", fmt.Sprintf(file, keys, b1, b2, green, blue, green2))
			r.signal(syscall.SIGHUP)
			r.ready()
		}
		change(keys, 100, 1)
		var cookie *http.Cookie
		eventually(t, func() bool {
			resp, err := client(t).Get("http://" + at + "/")
			if err != nil {
				t.Fatal(err)
			}
			readAll(t, resp)
			if resp.Header.Get("X-App") != "blue" {
				return false
			}
			cookie = resp.Cookies()[0]
			return true
		})
		if cookie.SameSite != http.SameSiteStrictMode || cookie.MaxAge != 3600 || strings.Contains(cookie.Value, "blue") || strings.Contains(cookie.Value, b1) {
			t.Errorf("%v", cookie)
		}
		where := func() map[string]int {
			seen := map[string]int{}
			for range 10 {
				q, err := http.NewRequest(http.MethodGet, "http://"+at+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				q.AddCookie(cookie)
				resp, err := client(t).Do(q)
				if err != nil {
					t.Fatal(err)
				}
				readAll(t, resp)
				seen[resp.Header.Get("X-App")]++
			}
			return seen
		}
		for _, keys := range []string{keys, "sticky_keys: {current: two.key, previous: one.key}"} {
			change(keys, 1, 1000)
			if got := where(); got["blue"] != 10 {
				t.Errorf("%s: a client of blue's was at %v", keys, got)
			}
		}
		change("sticky_keys: {current: two.key}", 0, 1)
		if got := where(); got["green"] != 10 {
			t.Errorf("a cookie of a key that nobody has any more led to %v", got)
		}
	})
}
