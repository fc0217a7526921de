package api

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"semper"
)

// Limits of what a request may bring. Artifacts stream to disk, everything else is held in memory.
const (
	maxBody     = 4 << 20
	maxArtifact = 16 << 30
)

// keepAlive is how often a quiet stream shows that it lives, so that a dead peer is noticed.
const keepAlive = 15 * time.Second

// ServerOptions of [NewServer].
type ServerOptions struct {
	// Log takes errors of the server's own making. Nil: none.
	Log *slog.Logger
	// Token is the secret a TCP connection must show; asked per request, so it may change. Nil or an
	// empty answer refuses every TCP connection. It must be safe for concurrent use.
	Token func() string
	// User is who has a token or a session of that digest, besides who has Token. Nil: nobody. It must be safe for concurrent use.
	User func(digest string) (Caller, bool)
	// PeerCredCheck refuses unix socket peers that are neither root nor this process's user. It needs
	// [ConnContext] as the http.Server's ConnContext.
	PeerCredCheck bool
	// UI answers whatever is not the API. Nil: not found.
	UI http.Handler
}

type server struct {
	s   Service
	o   ServerOptions
	log *slog.Logger
}

// NewServer offers s over HTTP: the API under /v1/, /login, and o.UI for the rest. It starts no
// goroutine that outlives its request; streams end with their request's context.
func NewServer(s Service, o ServerOptions) http.Handler {
	v := &server{s: s, o: o, log: o.Log}
	if v.log == nil {
		v.log = slog.New(slog.DiscardHandler)
	}
	mux := http.NewServeMux()
	mux.Handle("/v1/", v.authorized(v.routes(), v.refuseAPI))
	mux.HandleFunc("POST /v1/experiments/metrics", v.pushMetrics)
	mux.HandleFunc("POST /ofrep/v1/evaluate/flags", v.evaluateAll)
	mux.HandleFunc("POST /ofrep/v1/evaluate/flags/{key}", v.evaluate)
	mux.HandleFunc("GET /login", v.login)
	if o.UI != nil {
		mux.Handle("/", v.authorized(o.UI, v.refusePage))
	}
	guard := http.NewCrossOriginProtection()
	guard.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.fail(w, r, &semper.Error{Code: semper.Forbidden, Message: "a change asked for by another site's page"})
	}))
	return v.recovered(headers(guard.Handler(mux)))
}

// headers every answer carries; the pages bring their own wider Content-Security-Policy.
func headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// recovered answers a panic with an error instead of a broken connection, and keeps the stack for the log.
func (v *server) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // the panic value itself, compared as net/http does
				panic(p)
			}
			v.log.Error("panic in a request", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
			v.fail(w, r, &semper.Error{Code: semper.Internal, Message: fmt.Sprintf("the server met a bug: %v", p), Hint: "its log has the details"})
		}()
		next.ServeHTTP(w, r)
	})
}

// answer is one JSON value.
func (v *server) answer(w http.ResponseWriter, r *http.Request, value any) {
	b, err := json.Marshal(value)
	if err != nil {
		v.fail(w, r, &semper.Error{Code: semper.Internal, Message: "the answer does not marshal", Err: err})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(b, '\n')) // the client went away: nobody to tell
}

// fail answers err with its status. Nobody hears it where the client has gone already.
func (v *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	wire := toWire(err)
	status := StatusOf(wire.Code)
	if status == http.StatusInternalServerError && r.Context().Err() == nil {
		v.log.Warn("request ended in an internal error", "method", r.Method, "path", r.URL.Path, "error", err)
	}
	v.failWith(w, status, wire)
}

func (v *server) failWith(w http.ResponseWriter, status int, wire wireError) {
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	b, err := json.Marshal(errorBody{Error: &wire})
	if err != nil {
		b = []byte(`{"error":{"code":"internal","message":"the error does not marshal"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // the client went away: nobody to tell
}
