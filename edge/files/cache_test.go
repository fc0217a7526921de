package files

import (
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestTagsAreOfTheContent(t *testing.T) {
	t.Parallel()
	content := map[string]string{"a.txt": "one", "b.txt": "one", "c.txt": "two"}
	h, other := site(t, Options{}, content), site(t, Options{}, content)
	tag := func(h *Handler, path string) string { return get(t, h, path).Header.Get("ETag") }
	a := tag(h, "/a.txt")
	if !strings.HasPrefix(a, `"`) || a != tag(h, "/b.txt") || a != tag(other, "/a.txt") || a == tag(h, "/c.txt") {
		t.Errorf("tags %s %s %s %s", a, tag(h, "/b.txt"), tag(other, "/a.txt"), tag(h, "/c.txt"))
	}
	// Another release: other bytes, as many, at the same time, as after unpacking.
	name := filepath.Join(h.options.Dir, "a.txt")
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	write(t, name+".new", "won")
	if err := os.Chtimes(name+".new", info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		t.Fatal(err)
	}
	if r := get(t, h, "/a.txt", "If-None-Match: "+a); r.StatusCode != 200 || r.Header.Get("ETag") == a || body(t, r) != "won" {
		t.Errorf("a changed file: %d, tag %s", r.StatusCode, r.Header.Get("ETag"))
	}
}

func TestConditionsAndRanges(t *testing.T) {
	t.Parallel()
	h := site(t, Options{}, map[string]string{"a.txt": "0123456789"})
	first := get(t, h, "/a.txt")
	tag, modified := first.Header.Get("ETag"), first.Header.Get("Last-Modified")
	for _, c := range []struct {
		fields []string
		status int
		body   string
	}{
		{[]string{"If-None-Match: " + tag}, 304, ""},
		{[]string{"If-None-Match: W/" + tag}, 304, ""},
		{[]string{`If-None-Match: "x"`}, 200, "0123456789"},
		{[]string{"If-Modified-Since: " + modified}, 304, ""},
		{[]string{`If-None-Match: "x"`, "If-Modified-Since: " + modified}, 200, "0123456789"},
		{[]string{`If-Match: "x"`}, 412, ""},
		{[]string{"Range: bytes=2-4"}, 206, "234"},
		{[]string{"Range: bytes=-2"}, 206, "89"},
		{[]string{"Range: bytes=20-"}, 416, ""},
		{[]string{"Range: bytes=2-4", "If-Range: " + tag}, 206, "234"},
		{[]string{"Range: bytes=2-4", `If-Range: "x"`}, 200, "0123456789"},
	} {
		r := get(t, h, "/a.txt", c.fields...)
		if got := body(t, r); r.StatusCode != c.status || c.body != "" && got != c.body {
			t.Errorf("%v: %d %q, want %d %q", c.fields, r.StatusCode, got, c.status, c.body)
		}
	}
}

func TestALargeFileIsNotReadForItsTag(t *testing.T) {
	t.Parallel()
	h := site(t, Options{}, map[string]string{"big": ""})
	name := filepath.Join(h.options.Dir, "big")
	if err := os.Truncate(name, maxDigested+1); err != nil {
		t.Fatal(err)
	}
	a := do(t, h, "HEAD", "/big").Header.Get("ETag")
	if a == "" || a != do(t, h, "HEAD", "/big").Header.Get("ETag") {
		t.Fatalf("tag %s", a)
	}
	if err := os.Chtimes(name, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if b := do(t, h, "HEAD", "/big").Header.Get("ETag"); b == a {
		t.Error("the tag stays when the file changes")
	}
}

func TestTagsAreBounded(t *testing.T) {
	t.Parallel()
	var k tags
	for i := range maxTags + 100 {
		k.keep(strconv.Itoa(i), tagged{tag: "x"})
	}
	if len(k.known) != maxTags {
		t.Errorf("%d tags are kept", len(k.known))
	}
}

func TestCompressedSiblings(t *testing.T) {
	t.Parallel()
	h := site(t, Options{}, map[string]string{
		"a.js": "plain", "a.js.gz": "gzipped", "a.js.br": "brotli", "a.js.zst": "zstandard", "b.js": "plain", "b.js.gz": "gzipped", "c.js": "plain", "d.js.gz": "alone",
	})
	for _, c := range []struct{ path, accept, coding, body string }{
		{"/a.js", "", "", "plain"},
		{"/a.js", "gzip, deflate, br, zstd", "br", "brotli"},
		{"/a.js", "gzip, zstd", "zstd", "zstandard"},
		{"/a.js", "gzip;q=1.0, br;q=0.5", "gzip", "gzipped"},
		{"/a.js", "BR;q=0, x-gzip", "gzip", "gzipped"},
		{"/a.js", "*", "br", "brotli"},
		{"/a.js", "*;q=0.1, identity;q=0.5", "", "plain"},
		{"/a.js", "identity", "", "plain"},
		{"/a.js", "gzip;q=2", "", "plain"},
		{"/a.js", "gzip;q=x", "", "plain"},
		{"/b.js", "br, gzip;q=0.1", "gzip", "gzipped"},
		{"/b.js", "br", "", "plain"},
		{"/c.js", "br, gzip", "", "plain"},
		{"/a.js.gz", "br, gzip", "", "gzipped"},
	} {
		r := get(t, h, c.path, "Accept-Encoding: "+c.accept)
		if got := body(t, r); got != c.body || r.Header.Get("Content-Encoding") != c.coding || r.Header.Get("Content-Length") != strconv.Itoa(len(got)) {
			t.Errorf("%s for %q: %q in %q, length %s", c.path, c.accept, got, r.Header.Get("Content-Encoding"), r.Header.Get("Content-Length"))
		}
		varies := c.path == "/a.js" || c.path == "/b.js"
		if (r.Header.Get("Vary") == "Accept-Encoding") != varies {
			t.Errorf("%s for %q: Vary %q", c.path, c.accept, r.Header.Get("Vary"))
		}
		if want := map[bool]string{true: "application/gzip", false: "text/javascript; charset=utf-8"}[c.path == "/a.js.gz"]; r.Header.Get("Content-Type") != want {
			t.Errorf("%s is %s", c.path, r.Header.Get("Content-Type"))
		}
	}
	if r := get(t, h, "/d.js", "Accept-Encoding: gzip"); r.StatusCode != 404 {
		t.Errorf("a sibling of nothing: %d", r.StatusCode)
	}
	plain, zipped := get(t, h, "/a.js"), get(t, h, "/a.js", "Accept-Encoding: gzip")
	if plain.Header.Get("ETag") == zipped.Header.Get("ETag") {
		t.Error("two representations have one tag")
	}
	if r := get(t, h, "/a.js", "Accept-Encoding: gzip", "If-None-Match: "+zipped.Header.Get("ETag")); r.StatusCode != 304 {
		t.Errorf("the compressed one again: %d", r.StatusCode)
	}
	if r := get(t, h, "/a.js", "Accept-Encoding: gzip", "Range: bytes=0-1"); r.StatusCode != 206 || body(t, r) != "gz" || r.Header.Get("Content-Length") != "2" {
		t.Errorf("a part of the compressed one: %d, length %s", r.StatusCode, r.Header.Get("Content-Length"))
	}
	if r := get(t, h, "/a.js", "Accept-Encoding: gzip", `If-Match: "x"`); r.StatusCode != 412 || r.Header.Get("Content-Length") != "" {
		t.Errorf("412 has the length %s", r.Header.Get("Content-Length"))
	}
}

func TestAcceptance(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]float64{
		"gzip": 1, "gzip;q=0.5": 0.5, "gzip ; q=0.5": 0.5, "gzip;q=0": 0, "br, *;q=0.3": 0.3, "br": 0, "gzip;a=b;Q=0.2": 0.2, "gzip;q=-1": 0, "gzip;q=NaN": 0, "": 0,
	} {
		if got := acceptance([]string{line}, "gzip"); math.Abs(got-want) > 1e-9 {
			t.Errorf("%q: %v, want %v", line, got, want)
		}
	}
	if got := acceptance([]string{"br", "gzip;q=0.7"}, "gzip"); got != 0.7 {
		t.Errorf("over two lines: %v", got)
	}
}

func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	h := site(t, Options{}, map[string]string{"a.js": "plain", "a.js.gz": "gzipped"})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				if r := get(t, h, "/a.js", "Accept-Encoding: gzip"); r.StatusCode != http.StatusOK || body(t, r) != "gzipped" {
					t.Errorf("%d", r.StatusCode)
				}
			}
		})
	}
	all.Wait()
}

func FuzzNames(f *testing.F) {
	h := site(f, Options{}, map[string]string{"a.txt": "public", "d/.x": "secret", ".y": "secret"})
	for _, s := range []string{"/a.txt", "/../secret", "/d/.x", "/.well-known/../.y", "/d/%2e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if strings.Contains(path, "?") {
			return
		}
		if got := body(t, get(t, h, path)); strings.Contains(got, "secret") {
			t.Errorf("%q tells the secret", path)
		}
	})
}

func BenchmarkServe(b *testing.B) {
	h := site(b, Options{}, map[string]string{"a.js": strings.Repeat("x", 4096), "a.js.gz": "gzipped"})
	b.ReportAllocs()
	for b.Loop() {
		if r := get(b, h, "/a.js", "Accept-Encoding: gzip"); r.StatusCode != 200 {
			b.Fatal(r.StatusCode)
		}
	}
}
