package witness

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"semper/edge/accesslog"
)

// TestLogTo switches the log on, elsewhere, off and on again, for loops and goroutines.
func TestLogTo(t *testing.T) {
	t.Parallel()
	w := open(t, Options{Loops: 1, Goroutines: 2})
	dir := t.TempDir()
	to := func(o accesslog.Options) {
		t.Helper()
		target, err := w.OpenLog(o)
		if err != nil {
			t.Fatal(err)
		}
		if err := w.LogTo(target); err != nil {
			t.Fatal(err)
		}
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	ends := func(target string) {
		for _, shard := range []int{0, 1} {
			head := "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n"
			q := w.Shard(shard).Begin(1*ms, &Client{}, parse(t, head))
			q.End(2*ms, End{Status: 200})
		}
	}
	ends("/before")
	early := w.Shard(1).Begin(1*ms, &Client{}, parse(t, "GET /early HTTP/1.1\r\nHost: h\r\n\r\n"))
	to(accesslog.Options{Path: file("one")})
	early.End(2*ms, End{Status: 200}) // of which nobody kept anything
	ends("/one")
	under := w.Shard(0).Begin(1*ms, &Client{}, parse(t, "GET /under-way HTTP/1.1\r\nHost: h\r\n\r\n"))
	to(accesslog.Options{Path: file("two"), Format: accesslog.Combined})
	under.End(2*ms, End{Status: 200})
	ends("/two")
	to(accesslog.Options{})
	ends("/off")
	if _, err := w.OpenLog(accesslog.Options{Path: dir}); err == nil {
		t.Error("a directory was taken for a log")
	}
	var again bytes.Buffer
	to(accesslog.Options{Writer: &again})
	ends("/again")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	ends("/after")
	read := func(name string) string {
		b, err := os.ReadFile(file(name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for name, one := range map[string]struct {
		text, first string
		has         map[string]int
	}{
		"one":   {read("one"), `{"ts"`, map[string]int{"/one": 2, "\n": 2}},
		"two":   {read("two"), "-", map[string]int{"/under-way": 1, "/two": 2, "\n": 3}},
		"again": {again.String(), `{"ts"`, map[string]int{"/again": 2, "\n": 2}},
	} {
		for word, n := range one.has {
			if strings.Count(one.text, word) != n || !strings.HasPrefix(one.text, one.first) {
				t.Errorf("%s: not %d times %q:\n%s", name, n, word, one.text)
			}
		}
	}
}
