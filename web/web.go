package web

import (
	"net/http"

	"semper/api"
)

// policy lets a page load what this package serves and nothing else: no inline script, no inline
// style, no frame, and forms to nobody else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'self'; frame-ancestors 'none'"

type ui struct {
	s      api.Service
	glance *glance
	line   *queuesGlance
	assets *assets
	pages  *pages
}

// Handler serves the pages of s. It starts no goroutine that outlives its request.
func Handler(s api.Service) http.Handler {
	a := loadAssets()
	u := &ui{s: s, glance: &glance{s: s}, line: &queuesGlance{s: s}, assets: a, pages: parsePages(a.version)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", u.followed(overviewFragments()))
	mux.HandleFunc("GET /app/{app}/{env}", u.followed(appFragments()))
	mux.HandleFunc("GET /app/{app}", u.toDefault)
	mux.HandleFunc("GET /release/{app}/{release}", u.release)
	mux.HandleFunc("GET /verdict/{app}/{env}/{rollout}", u.verdict)
	mux.HandleFunc("GET /experiment/{app}/{env}/{name}", u.experiment)
	mux.HandleFunc("GET /queue/{app}/{env}/{service}", u.queuePage)
	mux.HandleFunc("POST /queue/{app}/{env}/{service}/{verb}", u.decideQueue)
	mux.HandleFunc("GET /job/{app}/{env}/{service}/{id}", u.jobPage)
	mux.HandleFunc("GET /crash/{id}", u.crash)
	mux.HandleFunc("GET /event", u.events)
	mux.HandleFunc("POST /run/{app}/{run}/{verb}", u.decide)
	mux.HandleFunc("GET /ui/events", u.live)
	mux.HandleFunc("GET /ui/asset/{name}", a.serve)
	mux.HandleFunc("GET /favicon.ico", a.icon)
	mux.HandleFunc("GET /", u.unknown)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Security-Policy", policy)
		mux.ServeHTTP(w, r)
	})
}
