package alone

import (
	"crypto/tls"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTheSiteFromNginx serves the site of the guide for those who come from there, and asks each of its locations.
func TestTheSiteFromNginx(t *testing.T) {
	t.Parallel()
	guide, err := os.ReadFile("../../docs/guides/from-nginx.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := example.FindAllStringSubmatch(string(guide), -1)
	if len(examples) != 1 {
		t.Fatalf("%d examples", len(examples))
	}
	drivers(t, func(t *testing.T, driver string) {
		ca := newAuthority(t)
		ca.server("shop", "shop.example.com")
		static := t.TempDir()
		writeFile(t, filepath.Join(static, "x.css"), "style")
		writeFile(t, filepath.Join(static, "50x.html"), "<p>sorry")
		r := launch(t, strings.NewReplacer(
			`":80"`, "127.0.0.1:0", `":443"`, "127.0.0.1:0", "shop.pem", ca.dir+"/shop.pem", "shop.key", ca.dir+"/shop.key",
			"/var/log/shop.log", "DIR/shop.log", "127.0.0.1:9000", echo(t, "app"), "127.0.0.1:9001", echo(t, "app"), "127.0.0.1:9100", echo(t, "api"),
			"dir: static", "dir: "+static, "50x.html", static+"/50x.html",
		).Replace(examples[0][1]), "-driver", driver)
		at := r.ready()
		askAll(t, at["http"][0], []question{
			{url: "http://shop.example.com/a?b", status: 301, fields: map[string]string{"Location": "https://shop.example.com/a?b"}},
			{url: "http://other.example.com/", status: 404},
		})
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: ca.pool(), ServerName: "shop.example.com"}, ForceAttemptHTTP2: true}
		t.Cleanup(tr.CloseIdleConnections)
		c := &http.Client{Transport: tr, Timeout: 30 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		for _, q := range []question{
			{url: "/", status: 200, has: "app GET shop.example.com /", fields: map[string]string{"X-Frame-Options": "DENY"}},
			{url: "/healthz", status: 204}, {url: "/favicon.ico", status: 404},
			{url: "/api/users?x", status: 200, has: "api GET shop.example.com /users?x"},
			{url: "/upload/1", status: 200, has: "app "}, {url: "/ws", status: 200, has: "app "}, {url: "/events", status: 200, has: "app "},
			{url: "/static/x.css", status: 200, has: "style", fields: map[string]string{"Cache-Control": "public, max-age=3600"}},
			{url: "/login", status: 200, has: "app "},
			{url: "/blog/7", status: 200, has: "app GET shop.example.com /posts/7"},
			{url: "/old/x?y", status: 308, fields: map[string]string{"Location": "/new/old/x?y"}},
		} {
			req, err := http.NewRequest(http.MethodGet, "https://"+at["https"][0]+q.url, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Host = "shop.example.com"
			resp, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			if body := readAll(t, resp); resp.StatusCode != q.status || !strings.Contains(body, q.has) || resp.ProtoMajor != 2 {
				t.Errorf("%s: %s %q, not %d with %q", q.url, resp.Status, body, q.status, q.has)
			}
			for name, want := range q.fields {
				if got := resp.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q, not %q", q.url, name, got, want)
				}
			}
		}
	})
}
