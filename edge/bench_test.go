package edge

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"semper"
)

// BenchmarkProxy is a small answer through the edge, and through the standard library's proxy for scale.
func BenchmarkProxy(b *testing.B) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, strings.Repeat("x", 128)) //nolint:errcheck // a benchmark's
	}))
	defer app.Close()
	u, err := url.Parse(app.URL)
	if err != nil {
		b.Fatal(err)
	}
	e, err := New(Options{ID: "edge-b", Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer e.Close() //nolint:errcheck // a benchmark's
	if err := e.Apply(semper.Table{Epoch: 1, Routes: []semper.Route{{Path: "/", Pool: webPool}},
		Pools: []semper.Pool{{Key: webPool, App: "bar", Release: "r1", Backend: []semper.Backend{{ID: "bar/web.r1.1", Address: u.Host}}}}}); err != nil {
		b.Fatal(err)
	}
	std := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(u); r.SetXForwarded() },
		Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true}}
	for name, h := range map[string]http.Handler{"edge": e, "stdlib": std} {
		b.Run(name, func(b *testing.B) {
			front := httptest.NewServer(h)
			defer front.Close()
			b.ReportAllocs()
			b.SetParallelism(16)
			b.RunParallel(func(pb *testing.PB) {
				tr := &http.Transport{}
				defer tr.CloseIdleConnections()
				for pb.Next() {
					req, err := http.NewRequest(http.MethodGet, front.URL+"/", nil)
					if err != nil {
						b.Error(err)
						return
					}
					resp, err := tr.RoundTrip(req)
					if err != nil {
						b.Error(err)
						return
					}
					io.Copy(io.Discard, resp.Body) //nolint:errcheck // a benchmark's
					resp.Body.Close()              //nolint:errcheck // a benchmark's
				}
			})
		})
	}
}
