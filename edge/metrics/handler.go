package metrics

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const (
	typeText        = "text/plain; version=0.0.4; charset=utf-8"
	typeOpenMetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8"
)

// Handler serves the counters to a scrape: as OpenMetrics if the client prefers it, else as Prometheus text. It is for those
// who operate the edge: the answer names apps, releases and routes.
func (r *Registry) Handler() http.Handler { return handler(r.expose) }

// Handler serves families as [Registry.Handler] does a registry: for what belongs to no edge.
func Handler(families func(ctx context.Context) []Family) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		handler(func(open bool) []byte { return Expose(open, families(q.Context())...) }).ServeHTTP(w, q)
	})
}

func handler(expose func(open bool) []byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodGet && q.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "metrics can be read only: use GET", http.StatusMethodNotAllowed)
			return
		}
		accept := strings.Join(q.Header.Values("Accept"), ",")
		open := quality(accept, "application/openmetrics-text") >= max(quality(accept, "text/plain"), 0.001)
		body := expose(open)
		h := w.Header()
		h.Set("Content-Type", typeText)
		if open {
			h.Set("Content-Type", typeOpenMetrics)
		}
		h.Set("Cache-Control", "no-store")
		h.Add("Vary", "Accept, Accept-Encoding")
		if quality(strings.Join(q.Header.Values("Accept-Encoding"), ","), "gzip") == 0 {
			h.Set("Content-Length", strconv.Itoa(len(body)))
			answer(w, q, body)
			return
		}
		h.Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		answer(z, q, body)
		if q.Method != http.MethodHead {
			z.Close() //nolint:errcheck // a scraper that left is not told
		}
	})
}

func answer(w io.Writer, q *http.Request, body []byte) {
	if q.Method != http.MethodHead {
		w.Write(body) //nolint:errcheck // a scraper that left is not told
	}
}

// quality is the weight (RFC 9110, 12.4.2) that a list gives to what it names literally; the highest if it does so more
// than once, and 0 if it does not.
func quality(list, name string) (best float64) {
	for part := range strings.SplitSeq(list, ",") {
		got, parameters, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(got), name) {
			continue
		}
		q := 1.0
		for p := range strings.SplitSeq(parameters, ";") {
			if k, v, _ := strings.Cut(strings.TrimSpace(p), "="); strings.EqualFold(k, "q") {
				w, err := strconv.ParseFloat(v, 64)
				if err != nil || w < 0 || w > 1 {
					w = 0
				}
				q = w
			}
		}
		best = max(best, q)
	}
	return best
}
