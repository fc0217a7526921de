package api

import (
	"log/slog"
	"net/http"
)

// ServerOptions of [NewServer].
type ServerOptions struct {
	Log *slog.Logger
	// Token is the secret a TCP connection must show; asked per request, so it may change. Nil or an
	// empty answer refuses every TCP connection. It must be safe for concurrent use.
	Token func() string
	// PeerCredCheck refuses unix socket peers that are neither root nor this process's user. It needs
	// [ConnContext] as the http.Server's ConnContext.
	PeerCredCheck bool
	// UI answers whatever is not the API. Nil: not found.
	UI http.Handler
}

// NewServer offers s over HTTP. It starts no goroutine that outlives its request.
func NewServer(s Service, o ServerOptions) http.Handler { return http.NotFoundHandler() }
