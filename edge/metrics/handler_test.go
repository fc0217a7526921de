package metrics

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	r := used(t)
	for _, c := range []struct {
		what, method, accept, encoding string
		status                         int
		open, gzip, empty              bool
	}{
		{what: "nothing asked", method: "GET", status: 200},
		{what: "a browser", method: "GET", accept: "text/html, */*;q=0.8", encoding: "gzip, br", status: 200, gzip: true},
		{what: "Prometheus 3", method: "GET", status: 200, open: true, gzip: true, encoding: "gzip",
			accept: "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"},
		{what: "text preferred", method: "GET", accept: "application/openmetrics-text;q=0.1, text/plain", status: 200},
		{what: "OpenMetrics refused", method: "GET", accept: "application/openmetrics-text;q=0", status: 200},
		{what: "nonsense for a weight", method: "GET", accept: "application/openmetrics-text;q=x", status: 200},
		{what: "gzip refused", method: "GET", encoding: "gzip;q=0", status: 200},
		{what: "HEAD", method: "HEAD", status: 200, empty: true},
		{what: "HEAD, gzip", method: "HEAD", encoding: "gzip", status: 200, gzip: true, empty: true},
		{what: "POST", method: "POST", status: 405},
	} {
		q := httptest.NewRequest(c.method, "/metrics", nil)
		q.Header.Set("Accept", c.accept)
		q.Header.Set("Accept-Encoding", c.encoding)
		w := httptest.NewRecorder()
		r.Handler().ServeHTTP(w, q)
		if w.Code != c.status {
			t.Errorf("%s: status %d", c.what, w.Code)
		}
		if c.status != 200 {
			if w.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s: Allow %q", c.what, w.Header().Get("Allow"))
			}
			continue
		}
		if got := w.Header().Get("Content-Type"); (got == typeOpenMetrics) != c.open || (got == typeText) == c.open {
			t.Errorf("%s: type %q", c.what, got)
		}
		if got := w.Header().Get("Content-Encoding") == "gzip"; got != c.gzip {
			t.Errorf("%s: gzip %v", c.what, got)
		}
		if c.empty {
			if w.Body.Len() > 0 {
				t.Errorf("%s: a body of %d", c.what, w.Body.Len())
			}
			continue
		}
		if got, want := body(t, w, c.gzip), string(r.expose(c.open)); got != want || strings.HasSuffix(got, "# EOF\n") != c.open {
			t.Errorf("%s: %s", c.what, got)
		}
	}
}

func body(t *testing.T, w *httptest.ResponseRecorder, zipped bool) string {
	t.Helper()
	var r io.Reader = w.Body
	if zipped {
		z, err := gzip.NewReader(w.Body)
		if err != nil {
			t.Fatal(err)
		}
		r = z
	}
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func BenchmarkScrape(b *testing.B) {
	r := New(Options{Shards: 4})
	for _, app := range []string{"a", "b", "c", "d"} {
		for i := range 4 {
			count(r.Series(Key{App: app}).Shard(i), 1)
		}
	}
	h := r.Handler()
	q := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(httptest.NewRecorder(), q)
	}
}
