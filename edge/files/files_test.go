package files

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// site is a directory with files, by name, and a handler for it. A secret stands beside it.
func site(t testing.TB, o Options, files map[string]string) *Handler {
	t.Helper()
	outside := t.TempDir()
	write(t, filepath.Join(outside, "secret"), "secret")
	o.Dir = filepath.Join(outside, "www")
	for name, content := range files {
		write(t, filepath.Join(o.Dir, name), content)
	}
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Close() })
	return h
}

func write(t testing.TB, name, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// get asks for a path as it is, which no URL parser has seen, with fields "Name: value".
func get(t testing.TB, h http.Handler, path string, fields ...string) *http.Response {
	t.Helper()
	return do(t, h, "GET", path, fields...)
}

func do(t testing.TB, h http.Handler, method, path string, fields ...string) *http.Response {
	t.Helper()
	path, query, _ := strings.Cut(path, "?")
	r := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}, Header: http.Header{}, ProtoMajor: 1, ProtoMinor: 1}
	for _, f := range fields {
		name, value, _ := strings.Cut(f, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func usual(t testing.TB) *Handler {
	return site(t, Options{}, map[string]string{
		"index.html": "<p>home", "a.txt": "hello", "docs/index.html": "<p>docs", "empty/x.txt": "x", "app.3f9a02bc.js": "js",
		".env": "secret", ".git/config": "secret", "sub/.hidden/a.txt": "secret", "..a.txt": "secret", ".well-known/security.txt": "contact",
		"b c.txt": "space", "noext": "x", "page.html": "<p>page",
	})
}

func TestWhatIsServed(t *testing.T) {
	t.Parallel()
	h := usual(t)
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/", 200, "<p>home"},
		{"/index.html", 200, "<p>home"},
		{"/a.txt", 200, "hello"},
		{"/b c.txt", 200, "space"},
		{"/docs/", 200, "<p>docs"},
		{"/docs", 301, ""},
		{"/empty/", 404, ""},
		{"/empty", 404, ""},
		{"/a.txt/", 404, ""},
		{"/a.txt/b", 404, ""},
		{"/none", 404, ""},
		{"/.env", 404, ""},
		{"/.git/config", 404, ""},
		{"/.git/", 404, ""},
		{"/sub/.hidden/a.txt", 404, ""},
		{"/..a.txt", 404, ""},
		{"/.well-known/security.txt", 200, "contact"},
		{"/.well-known/", 404, ""},
		{"/../secret", 404, ""},
		{"/docs/../../secret", 404, ""},
		{"/docs/../a.txt", 404, ""}, // not canonical
		{"//a.txt", 404, ""},
		{"/docs//index.html", 404, ""},
		{"/./a.txt", 404, ""},
		{"/a.txt\x00", 404, ""},
		{`/..\secret`, 404, ""},
		{`/docs\index.html`, 404, ""},
		{"a.txt", 200, "hello"},
		{"", 404, ""},
		{"*", 404, ""},
		{"/" + strings.Repeat("a", 300), 404, ""},
		{"/" + strings.Repeat("a/", 3000), 404, ""},
	} {
		r := get(t, h, c.path)
		got := body(t, r)
		if r.StatusCode != c.status || c.body != "" && got != c.body || strings.Contains(got, "secret") {
			t.Errorf("%.40q: %d %q, want %d %q", c.path, r.StatusCode, got, c.status, c.body)
		}
		if r.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%.40q may be sniffed", c.path)
		}
	}
}

func TestLinksDoNotLeadOutside(t *testing.T) {
	t.Parallel()
	h := usual(t)
	dir := h.options.Dir
	for name, to := range map[string]string{
		"out": "../secret", "abs": filepath.Join(filepath.Dir(dir), "secret"), "up": "..", "loop": "loop", "in": "a.txt", "docs2": "docs", "dangling": "none",
	} {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]int{"/out": 404, "/abs": 404, "/up/secret": 404, "/up": 404, "/loop": 404, "/dangling": 404, "/in": 200, "/docs2/": 200} {
		if r := get(t, h, path); r.StatusCode != want || strings.Contains(body(t, r), "secret") {
			t.Errorf("%s: %d, want %d", path, r.StatusCode, want)
		}
	}
}

// A pipe has nothing to serve, and must not keep the request waiting for a writer.
// TestADirectoryWithinAnother: no link on the way to it leads out, and when the other was made says nothing of its files.
func TestADirectoryWithinAnother(t *testing.T) {
	t.Parallel()
	top, outside := t.TempDir(), t.TempDir()
	for _, err := range []error{
		os.Mkdir(filepath.Join(top, "dist"), 0o755), os.WriteFile(filepath.Join(top, "dist", "a.txt"), []byte("a"), 0o600),
		os.Symlink("dist", filepath.Join(top, "public")), os.Symlink(outside, filepath.Join(top, "away")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, dir := range []string{"away", "..", "none", outside} {
		if h, err := New(Options{Within: top, Dir: dir}); err == nil {
			t.Errorf("%s can be served", dir)
			h.Close()
		}
	}
	h, err := New(Options{Within: top, Dir: "public"})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/a.txt", nil))
	if w.Code != http.StatusOK || w.Body.String() != "a" || w.Header().Get("ETag") == "" || w.Header().Get("Last-Modified") != "" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
}

func TestWhatIsNoFile(t *testing.T) {
	t.Parallel()
	h := usual(t)
	if err := syscall.Mkfifo(filepath.Join(h.options.Dir, "pipe"), 0o644); err != nil {
		t.Skip(err)
	}
	if r := get(t, h, "/pipe"); r.StatusCode != 404 {
		t.Errorf("%d", r.StatusCode)
	}
}

func TestOtherMethods(t *testing.T) {
	t.Parallel()
	h := usual(t)
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PROPFIND", ""} {
		if r := do(t, h, method, "/a.txt"); r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, allowed %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
	if r := do(t, h, "HEAD", "/a.txt"); r.StatusCode != 200 || body(t, r) != "" || r.Header.Get("Content-Length") != "5" {
		t.Errorf("HEAD: %d, length %s", r.StatusCode, r.Header.Get("Content-Length"))
	}
	if r := do(t, h, "HEAD", "/none"); r.StatusCode != 404 || body(t, r) != "" {
		t.Errorf("HEAD of nothing: %d", r.StatusCode)
	}
}

func TestCacheControlAndTypes(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"index.html": "", "app.3f9a02bc.js": "", "app-3F9A02BC.js": "", "logo.1234567.svg": "", "data.json": "", "f.unknownsuffix": "", "style.css": "",
		"assets/x.png": "", "i.0123456789abcdef.html": "",
	}
	const year, hour, ask = "public, max-age=31536000, immutable", "public, max-age=3600", "no-cache"
	byName := site(t, Options{}, files)
	byPattern := site(t, Options{Immutable: "^/assets/", MaxAge: time.Hour + time.Millisecond}, files)
	for _, c := range []struct{ path, kind, names, pattern string }{
		{"/index.html", "text/html; charset=utf-8", ask, ask},
		{"/app.3f9a02bc.js", "text/javascript; charset=utf-8", year, hour},
		{"/app-3F9A02BC.js", "text/javascript; charset=utf-8", ask, hour},
		{"/logo.1234567.svg", "image/svg+xml", ask, hour},
		{"/data.json", "application/json", ask, hour},
		{"/style.css", "text/css; charset=utf-8", ask, hour},
		{"/f.unknownsuffix", "application/octet-stream", ask, hour},
		{"/assets/x.png", "image/png", ask, year},
		{"/i.0123456789abcdef.html", "text/html; charset=utf-8", ask, ask},
	} {
		for h, want := range map[*Handler]string{byName: c.names, byPattern: c.pattern} {
			r := get(t, h, c.path)
			if got := r.Header.Get("Cache-Control"); got != want || r.Header.Get("Content-Type") != c.kind {
				t.Errorf("%s: %q, %s; want %q, %s", c.path, got, r.Header.Get("Content-Type"), want, c.kind)
			}
		}
	}
}

func TestRedirectToADirectory(t *testing.T) {
	t.Parallel()
	h := site(t, Options{}, map[string]string{"a/b c:d/index.html": "x", "evil/index.html": "x"})
	for path, want := range map[string]string{"/a/b c:d?q=1": "./b%20c:d/?q=1", "/evil": "./evil/"} {
		r := get(t, h, path)
		if got := r.Header.Get("Location"); r.StatusCode != 301 || got != want {
			t.Errorf("%s: %d to %s, want %s", path, r.StatusCode, got, want)
		}
		at := &url.URL{Scheme: "https", Host: "own.example", Path: strings.Split(path, "?")[0]}
		if to, err := at.Parse(want); err != nil || to.Host != "own.example" || to.Path != at.Path+"/" {
			t.Errorf("%s leads to %v: %v", want, to, err)
		}
	}
}

func TestFallback(t *testing.T) {
	t.Parallel()
	h := site(t, Options{Fallback: "app.html"}, map[string]string{"app.html": "app", "a.js": "js", "dir/x.js": "x"})
	for path, want := range map[string]string{"/": "app", "/users/7": "app", "/users/": "app", "/dir": "app", "/a.js": "js"} {
		if r := get(t, h, path); r.StatusCode != 200 || body(t, r) != want || want == "app" && r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %d, want %s", path, r.StatusCode, want)
		}
	}
	for _, path := range []string{"/b.js", "/.env", "/../secret", "/users/7.png"} {
		if r := get(t, h, path); r.StatusCode != 404 {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, o := range []Options{
		{Dir: filepath.Join(dir, "none")}, {Dir: dir, Immutable: "("}, {Dir: dir, Index: []string{"../a"}}, {Dir: dir, Index: []string{".htaccess"}},
		{Dir: dir, Fallback: "/etc/passwd"},
	} {
		if h, err := New(o); err == nil {
			h.Close()
			t.Errorf("%+v is fine", o)
		}
	}
}
