package alone

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// echo is an upstream that shows what it was asked.
func echo(t *testing.T, name string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", "secret/1.0")
		w.Header().Set("X-App", name)
		fmt.Fprintf(w, "%s %s %s %s", name, r.Method, r.Host, r.RequestURI)
		for _, field := range []string{"X-Edge", "X-Debug"} {
			if v := r.Header.Get(field); v != "" {
				fmt.Fprintf(w, " %s=%s", field, v)
			}
		}
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

// A question is one request and what its answer has to be.
type question struct {
	method, url string            // http://host/path?query; asked of the edge whatever the host
	header      map[string]string // of the request
	status      int
	has         string            // part of the content
	fields      map[string]string // of the answer; "" for none
}

// askAll asks the edge at an address.
func askAll(t *testing.T, at string, all []question) {
	t.Helper()
	c := client(t)
	for _, q := range all {
		if q.method == "" {
			q.method = http.MethodGet
		}
		rest, host := strings.TrimPrefix(q.url, "http://"), at
		if name, path, ok := strings.Cut(rest, "/"); ok {
			host, rest = name, path
		}
		r, err := http.NewRequest(q.method, "http://"+at+"/"+rest, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		for name, value := range q.header {
			r.Header.Set(name, value)
		}
		resp, err := c.Do(r)
		if err != nil {
			t.Errorf("%s %s: %v", q.method, q.url, err)
			continue
		}
		if body := readAll(t, resp); resp.StatusCode != q.status || !strings.Contains(body, q.has) {
			t.Errorf("%s %s %v: %d %q, not %d with %q", q.method, q.url, q.header, resp.StatusCode, body, q.status, q.has)
		}
		for name, want := range q.fields {
			if got := resp.Header.Get(name); got != want {
				t.Errorf("%s %s: %s is %q, not %q", q.method, q.url, name, got, want)
			}
		}
	}
}

func TestRoutes(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		r := launch(t, fmt.Sprintf(`
listeners: "127.0.0.1:0"
pools: {one: %s, two: %s, three: %s}
routes:
  - {to: one}
  - {host: "*.example.com", to: two}
  - {host: [shop.example.com], path: /cart, to: three}
  - {exact: /favicon.ico, respond: 404}
  - {path: /api, methods: [POST], to: two}
  - {to: two, header: {X-Canary: yes}}
  - {to: three, header: {User-Agent: {matches: (?i)bot}}}
  - {to: two, cookie: {beta: {present: true}}}
  - {to: three, query: {version: {prefix: "2."}}}
  - {host: secure.test, scheme: https, to: two}
`, echo(t, "one"), echo(t, "two"), echo(t, "three")), "-driver", driver)
		askAll(t, r.ready()["http"][0], []question{
			{url: "http://any/", status: 200, has: "one GET any /"},
			{url: "http://a.b.example.com/x?y=1&z", status: 200, has: "two GET a.b.example.com /x?y=1&z"},
			{url: "http://example.com/", status: 200, has: "one "},
			{url: "http://shop.example.com/cart/1", status: 200, has: "three "},
			{url: "http://shop.example.com/%63art", status: 200, has: "three "},
			{url: "http://SHOP.example.com/cartoon", status: 200, has: "two "},
			{url: "http://any/favicon.ico", status: 404},
			{url: "http://any/favicon.ico/x", status: 200, has: "one "},
			{method: "POST", url: "http://any/api/1", status: 200, has: "two POST"},
			{url: "http://any/api/1", status: 200, has: "one GET"},
			{url: "http://any/", header: map[string]string{"X-Canary": "yes"}, status: 200, has: "two "},
			{url: "http://any/", header: map[string]string{"User-Agent": "GoogleBot"}, status: 200, has: "three "},
			{url: "http://any/", header: map[string]string{"Cookie": "a=b; beta="}, status: 200, has: "two "},
			{url: "http://any/?version=2.5", status: 200, has: "three "},
			{url: "http://secure.test/", status: 200, has: "one "},
			{method: "HEAD", url: "http://any/", status: 200},
		})
	})
}

func TestActions(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		dir := t.TempDir()
		for name, text := range map[string]string{"index.html": "<p>home", "assets/app.3f9a02bc.js": "run()", "soon.html": "<p>soon", "5xx.json": `{"error":true}`} {
			writeFile(t, dir+"/"+name, text)
		}
		r := launch(t, strings.ReplaceAll(fmt.Sprintf(`
listeners: "127.0.0.1:0"
pools: {app: %s, nobody: "127.0.0.1:1"}
routes:
  - to: app
    headers:
      request: {set: {X-Edge: one}, remove: X-Debug}
      response: {set: {X-Frame-Options: DENY}, remove: [Server]}
  - {path: /old, redirect: "/new{rest}{query}"}
  - {host: www.example.com, redirect: {to: "https://example.com{path}{query}", status: 301}}
  - {exact: /healthz, respond: 204}
  - {exact: /robots.txt, respond: {body: "User-agent: *\n"}}
  - {path: /soon, respond: {status: 503, headers: {Retry-After: 3600}, file: WWW/soon.html}}
  - {path: /web, rewrite: {strip: true}, files: {dir: WWW, fallback: index.html}}
  - {path: /strip, to: app, rewrite: {strip: true}}
  - {path: /v1, to: app, rewrite: {prefix: /legacy}}
  - {path: /blog, to: app, rewrite: {pattern: "^/blog/([0-9]+)$", path: /posts/$1, host: blog.internal}}
  - {path: /dead, to: nobody, error_pages: {5xx: WWW/5xx.json}, retry: off}
`, echo(t, "app")), "WWW", dir), "-driver", driver)
		askAll(t, r.ready()["http"][0], []question{
			{url: "http://h/", header: map[string]string{"X-Debug": "1"}, status: 200, has: "app GET h / X-Edge=one", fields: map[string]string{"X-Frame-Options": "DENY", "Server": "", "X-App": "app"}},
			{url: "http://h/old/x%20y?z=1", status: 308, fields: map[string]string{"Location": "/new/x%20y?z=1"}},
			{url: "http://www.example.com/a?b", status: 301, fields: map[string]string{"Location": "https://example.com/a?b"}},
			{url: "http://h/healthz", status: 204},
			{url: "http://h/robots.txt", status: 200, has: "User-agent: *\n", fields: map[string]string{"Content-Type": "text/plain; charset=utf-8"}},
			{url: "http://h/soon/x", status: 503, has: "<p>soon", fields: map[string]string{"Retry-After": "3600", "Content-Type": "text/html; charset=utf-8"}},
			{url: "http://h/web/", status: 200, has: "<p>home"},
			{url: "http://h/web/assets/app.3f9a02bc.js", status: 200, has: "run()", fields: map[string]string{"Cache-Control": "public, max-age=31536000, immutable"}},
			{url: "http://h/web/some/page", status: 200, has: "<p>home"},
			{url: "http://h/web/missing.js", status: 404},
			{url: "http://h/strip/users?x", status: 200, has: "app GET h /users?x"},
			{url: "http://h/strip", status: 200, has: "app GET h /"},
			{url: "http://h/v1/users", status: 200, has: "app GET h /legacy/users"},
			{url: "http://h/blog/7", status: 200, has: "app GET blog.internal /posts/7"},
			{url: "http://h/dead", status: 503, has: `{"error":true}`, fields: map[string]string{"Content-Type": "application/json"}},
		})
	})
}

// TestSplitAndStick counts who is asked.
func TestSplitAndStick(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		r := launch(t, fmt.Sprintf(`
listeners: "127.0.0.1:0"
pools: {blue: %s, green: %s, both: [%s, %s, %s]}
routes:
  - {path: /split, split: {blue: 75, green: 25}}
  - {path: /by, split: {blue: 50, green: 50}, split_by: cookie:id}
  - {path: /hash, to: both, balance: {algorithm: maglev, key: "query:room"}}
  - {path: /turns, to: both, balance: round-robin}
  - {path: /stick, to: both, sticky: where}
`, echo(t, "blue"), echo(t, "green"), echo(t, "a"), echo(t, "b"), echo(t, "c")), "-driver", driver)
		at := r.ready()["http"][0]
		c := client(t)
		count := func(n int, path string, header ...string) map[string]int {
			seen := map[string]int{}
			for range n {
				q, err := http.NewRequest(http.MethodGet, "http://"+at+path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if len(header) > 0 {
					q.Header.Set("Cookie", header[0])
				}
				resp, err := c.Do(q)
				if err != nil {
					t.Fatal(err)
				}
				readAll(t, resp)
				seen[resp.Header.Get("X-App")]++
			}
			return seen
		}
		if got := count(400, "/split"); got["green"] < 50 || got["green"] > 160 || got["blue"]+got["green"] != 400 {
			t.Errorf("of 400 requests split 75 to 25: %v", got)
		}
		for i := range 8 {
			if got := count(6, "/by", fmt.Sprintf("id=%d", i)); len(got) != 1 {
				t.Errorf("one client of a split by cookie was at %v", got)
			}
			if got := count(6, fmt.Sprintf("/hash?room=%d", i)); len(got) != 1 {
				t.Errorf("one room was at %v", got)
			}
		}
		if got := count(30, "/turns"); got["a"] != 10 || got["b"] != 10 || got["c"] != 10 {
			t.Errorf("in turns: %v", got)
		}
		first, err := c.Get("http://" + at + "/stick")
		if err != nil {
			t.Fatal(err)
		}
		readAll(t, first)
		if len(first.Cookies()) != 1 || first.Cookies()[0].Name != "where" {
			t.Fatalf("cookies: %v", first.Cookies())
		}
		if got := count(12, "/stick", "where="+first.Cookies()[0].Value); got[first.Header.Get("X-App")] != 12 {
			t.Errorf("a client with the cookie for %s was at %v", first.Header.Get("X-App"), got)
		}
	})
}

// TestBounds asks for too much.
func TestBounds(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		var tries atomic.Int64
		flaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/never" {
				<-r.Context().Done()
				return
			}
			if tries.Add(1)%2 == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		t.Cleanup(flaky.Close)
		r := launch(t, fmt.Sprintf(`
listeners: {http: "127.0.0.1:0", head: 4KiB, fields: 20}
pools: {app: %s, flaky: %s}
routes:
  - {to: app, limits: {body: 10B}}
  - {path: /large, to: app}
  - {path: /rate, to: app, rate_limit: [{requests: 3, period: 1h}]}
  - {path: /flaky, to: flaky, retry: {tries: 2, on: [503], floor: 100}}
  - {path: /once, to: flaky, retry: off}
  - {path: /never, to: flaky, timeouts: {response: 200ms}, retry: off}
`, echo(t, "app"), flaky.Listener.Addr()), "-driver", driver)
		at := r.ready()["http"][0]
		c := client(t)
		for path, want := range map[string]int{"/": 413, "/large": 200} {
			resp, err := c.Post("http://"+at+path, "text/plain", strings.NewReader("more than ten bytes"))
			if err != nil {
				t.Fatal(err)
			}
			if readAll(t, resp); resp.StatusCode != want {
				t.Errorf("POST %s: %d, not %d", path, resp.StatusCode, want)
			}
		}
		many := map[string]string{}
		for i := range 30 {
			many[fmt.Sprintf("X-%d", i)] = "y"
		}
		askAll(t, at, []question{
			{url: "http://h/", header: map[string]string{"X-Long": strings.Repeat("x", 5000)}, status: 431},
			{url: "http://h/", header: many, status: 431},
			{url: "http://h/rate", status: 200}, {url: "http://h/rate", status: 200}, {url: "http://h/rate", status: 200},
			{url: "http://h/rate", status: 429},
			{url: "http://h/flaky", status: 200},
			{url: "http://h/once", status: 503},
			{url: "http://h/never", status: 504},
		})
	})
}

// TestConnections are as many as a listener may have, and one more waits.
func TestConnections(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		r := launch(t, fmt.Sprintf("listeners: {http: \"127.0.0.1:0\", connections: 2}\npools: {app: %s}\nroutes: [{to: app}, {path: /aside, respond: {status: 418, body: aside}}]\n", echo(t, "app")), "-driver", driver)
		at := r.ready()["http"][0]
		talk := func(path string) (c net.Conn, answered func() bool) {
			c, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
			fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", path)
			return c, func() bool {
				c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				n, err := c.Read(make([]byte, 4096))
				return err == nil && n > 0
			}
		}
		first, one := talk("/")
		second, two := talk("/aside") // which a loop gives away, place and all
		eventually(t, one)
		eventually(t, two)
		_, three := talk("/")
		_, four := talk("/")
		if three() || four() {
			t.Error("a third connection was answered while two were open")
		}
		first.Close()
		eventually(t, func() bool { return three() || four() })
		second.Close()
		eventually(t, func() bool { return three() || four() })
	})
}
