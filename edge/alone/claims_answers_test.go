package alone

import (
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

// TestClaimsOfRates: each limit has to be kept, by what the edge answers itself as well, and a client of IPv6 is its network.
func TestClaimsOfRates(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		www := t.TempDir()
		writeFile(t, filepath.Join(www, "a.txt"), "a")
		r := launch(t, fmt.Sprintf(`
listeners: 127.0.0.1:0
trusted: 127.0.0.1
pools: {app: %s}
routes:
  - {to: app, rate_limit: [{requests: 2, period: 1h, by: client}, {requests: 5, period: 1h}]}
  - {path: /burst, to: app, rate_limit: {requests: 1, period: 1h, burst: 3}}
  - {path: /www, files: %s, rewrite: {strip: true}, rate_limit: {requests: 1, period: 1h}}
  - {path: /there, redirect: /here, rate_limit: {requests: 1, period: 1h}}
  - {path: /said, respond: 204, rate_limit: {requests: 1, period: 1h}}
`, echo(t, "app"), www), "-driver", driver)
		from := func(client string) map[string]string { return map[string]string{"X-Forwarded-For": client} }
		one, same, other, four := from("2001:db8:1:2::1"), from("2001:db8:1:2:ffff::9"), from("2001:db8:1:3::1"), from("203.0.113.9")
		at := r.ready()["http"][0]
		askAll(t, at, []question{
			{url: "http://h/", header: one, status: 200}, {url: "http://h/", header: same, status: 200}, {url: "http://h/", header: one, status: 429},
			{url: "http://h/", header: other, status: 200}, {url: "http://h/", header: four, status: 200}, {url: "http://h/", header: four, status: 200},
			{url: "http://h/", header: from("203.0.113.10"), status: 429}, // the sixth of all
			{url: "http://h/burst", status: 200}, {url: "http://h/burst", status: 200}, {url: "http://h/burst", status: 200}, {url: "http://h/burst", status: 429},
			{url: "http://h/www/a.txt", status: 200}, {url: "http://h/www/a.txt", status: 429},
			{url: "http://h/there", status: 308}, {url: "http://h/there", status: 429},
			{url: "http://h/said", status: 204}, {url: "http://h/said", status: 429},
		})
		if _, _, h := get(t, client(t), "http://"+at+"/said"); h.Get("Retry-After") == "" {
			t.Errorf("nobody says when to come back: %v", h)
		}
	})
}

// TestClaimsOfRedirects: whatever is asked for, a redirect leads to where the file says, or to the host that was asked.
func TestClaimsOfRedirects(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		r := launch(t, `
listeners: 127.0.0.1:0
routes:
  - {path: /rest, redirect: "/{rest}{query}"}
  - {path: /path, redirect: "/{path}"}
  - {path: /away, redirect: "https://example.com{rest}"}
  - {path: /same, redirect: "https://{host}{rest}"}
`, "-driver", driver)
		at := r.ready()["http"][0]
		c := client(t)
		for _, route := range []string{"/rest", "/path", "/away", "/same"} {
			for _, rest := range []string{"//evil.test", "//evil.test/x", "/\\evil.test", "/%5cevil.test", "/%2f%2fevil.test", "/.evil.test", "/@evil.test", "/:80@evil.test", "/%0d%0aLocation:%20http://evil.test", "?//evil.test", "///evil.test", "/../..//evil.test", ".evil.test"} {
				q, err := http.NewRequest(http.MethodGet, "http://"+at, nil)
				if err != nil {
					t.Fatal(err)
				}
				q.URL.Opaque, q.Host = route+rest, "shop.test"
				resp, err := c.Do(q)
				if err != nil {
					t.Errorf("%s: %v", route+rest, err)
					continue
				}
				readAll(t, resp)
				to := resp.Header.Values("Location")
				if resp.StatusCode == http.StatusBadRequest || resp.StatusCode == http.StatusNotFound && len(to) == 0 {
					continue
				}
				if len(to) != 1 {
					t.Errorf("%s: %s, %q", route+rest, resp.Status, to)
					continue
				}
				base := &url.URL{Scheme: "http", Host: "shop.test", Path: "/"}
				u, err := base.Parse(strings.ReplaceAll(to[0], `\`, "/")) // as browsers read it
				if want := map[bool]string{true: "example.com", false: "shop.test"}[route == "/away"]; err != nil || u.Host != want || u.User != nil {
					t.Errorf("%s leads to %q, %v", route+rest, to[0], err)
				}
			}
		}
	})
}

// TestClaimsOfFiles: what clients may keep, and what they have to ask about.
func TestClaimsOfFiles(t *testing.T) {
	t.Parallel()
	drivers(t, func(t *testing.T, driver string) {
		www := t.TempDir()
		for name, text := range map[string]string{"index.html": "<p>home", "app.3f9a02bc.js": "run()", "logo.png": "0123456789", "assets/x.js": "x()", "sub/index.html": "<p>sub"} {
			writeFile(t, filepath.Join(www, name), text)
		}
		r := launch(t, strings.ReplaceAll(`
listeners: 127.0.0.1:0
routes:
  - {files: WWW}
  - {path: /kept, rewrite: {strip: true}, files: {dir: WWW, immutable: ^/assets/, max_age: 1h}}
  - {path: /fixed, rewrite: {strip: true}, files: WWW, limits: {head: 600B}}
`, "WWW", www), "-driver", driver)
		at := r.ready()["http"][0]
		_, _, h := get(t, client(t), "http://"+at+"/logo.png")
		tag := h.Get("Etag")
		const year = "public, max-age=31536000, immutable"
		askAll(t, at, []question{
			{url: "http://h/", status: 200, has: "<p>home", fields: map[string]string{"Cache-Control": "no-cache", "Content-Type": "text/html; charset=utf-8"}},
			{url: "http://h/sub", status: 301, fields: map[string]string{"Location": "./sub/"}},
			{url: "http://h/app.3f9a02bc.js", status: 200, fields: map[string]string{"Cache-Control": year}},
			{url: "http://h/kept/assets/x.js", status: 200, fields: map[string]string{"Cache-Control": year}},
			{url: "http://h/kept/logo.png", status: 200, fields: map[string]string{"Cache-Control": "public, max-age=3600"}},
			{url: "http://h/logo.png", header: map[string]string{"If-None-Match": tag}, status: 304, fields: map[string]string{"Etag": tag}},
			{url: "http://h/logo.png", header: map[string]string{"If-None-Match": `"other"`}, status: 200, has: "0123456789"},
			{url: "http://h/logo.png", header: map[string]string{"Range": "bytes=2-4"}, status: 206, has: "234", fields: map[string]string{"Content-Range": "bytes 2-4/10", "Content-Length": "3"}},
			{url: "http://h/logo.png", header: map[string]string{"Range": "bytes=20-"}, status: 416},
			{method: "HEAD", url: "http://h/logo.png", status: 200, fields: map[string]string{"Content-Length": "10"}},
			{method: "POST", url: "http://h/logo.png", status: 405, fields: map[string]string{"Allow": "GET, HEAD"}},
			{url: "http://h/assets/", status: 404},
			{url: "http://h/%2e%2e/%2e%2e/etc/passwd", status: 400},
			{url: "http://h/fixed/logo.png", status: 200},
			{url: "http://h/fixed/logo.png", header: map[string]string{"X-Long": strings.Repeat("x", 800)}, status: 431},
		})
	})
}
